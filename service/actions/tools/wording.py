"""The words by which members speak of tools, folded: small letters, no accents, no signs."""

MOST_WORDS = 8
"""A longer message is a person's words, whatever is in it."""
TOOL = frozenset(["tool", "tools", "herramienta", "herramientas"])
LIST = frozenset(["list", "menu", "all", "lista", "todo", "todas", "todos"])
NEXT = frozenset(["next", "another", "more", "other", "otra", "otro", "mas", "siguiente"])
FILLING = frozenset(
    ["for", "about", "on", "the", "a", "an", "my", "please", "with", "to", "me", "now", "thanks",
     "para", "sobre", "de", "del", "la", "el", "los", "las", "un", "una", "mi", "por", "favor", "con", "gracias"]
)  # fmt: skip
TAUGHT = frozenset(["helped", "not really", "me sirve", "no tanto"])
"""What our cards ask for; anything else is taken only where a card is there to be meant."""
HELPED = frozenset(
    ["helped", "helpd", "hepled", "it helped", "that helped", "this helped", "it did help", "yes it helped",
     "yes that helped", "it helped thanks", "helped thanks", "helped thank you", "it helped a lot",
     "it helped thank you", "helped a lot", "helped a little", "it helped a little", "helped a bit", "it worked",
     "me sirve", "me sirvio", "si me sirvio", "si me sirve", "sirvio", "me ayudo", "si me ayudo", "si ayudo",
     "me ayudo mucho", "me sirvio mucho", "me ayudo un poco", "me sirvio un poco"]
)  # fmt: skip
NOT_REALLY = frozenset(
    ["not really", "no not really", "not realy", "not rly", "notreally", "it didnt help", "didnt help", "did not help",
     "it did not help", "that didnt help", "not helpful", "it wasnt helpful", "didnt help me", "it didnt help me",
     "no tanto", "no me sirve", "no me sirvio", "no sirvio", "no me ayudo", "no ayudo", "la verdad no"]
)  # fmt: skip
SERIES = frozenset(["series", "serie"])
CARDS = frozenset(["cards", "card", "evenings", "tarjetas", "tarjeta", "tardes", "noches"])
BEGINNING = frozenset(["start", "begin", "yes", "empezar", "empieza", "comenzar", "iniciar", "si"])
ENDING = frozenset(
    ["stop", "end", "quit", "cancel", "enough", "leave", "finish", "dont", "stopping",
     "parar", "para", "basta", "terminar", "termina", "dejar", "deja", "cancelar", "cancela", "fin", "alto"]
)  # fmt: skip
