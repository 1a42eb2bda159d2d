"""The words by which members open, keep, close and use a vent, folded: small letters, no accents, no signs. Each is a
whole message (rule of conversation 10)."""

import re

OPENS = frozenset(
    ["vent", "venting", "a vent", "i need to vent", "need to vent", "i want to vent", "can i vent", "just venting",
     "desahogo", "desahogarme", "desahogar", "un desahogo", "necesito desahogarme", "quiero desahogarme",
     "puedo desahogarme"]
)  # fmt: skip
CLOSES = frozenset(["done", "im finished", "thats all", "that is all", "thats it", "listo", "lista", "eso es todo",
                    "ya esta"])  # fmt: skip
ANSWER = frozenset(
    ["ask for answer", "ask for an answer", "i ask for an answer", "answer please", "please answer", "i want an answer",
     "id like an answer", "quiero respuesta", "quiero una respuesta", "pido respuesta", "respuesta por favor"]
)  # fmt: skip
OFFER = frozenset(["offer", "offer it", "ofrecer", "ofrecerlo", "lo ofrezco"])
KEEP = re.compile(
    r"(?:vent|desahogo) (?:keep|kept|guardar|guarda|guardalo)(?: it)?(?: for| por)? ?(\d{1,3})?(?: days?| dias?)?"
)
