"""The words about notes, folded: small letters, no accents, no signs. Each is a whole message (rule 10)."""

WANTED = frozenset(
    ["cheer me", "a note for me", "note for me", "notes for me", "a cheer for me",
     "animo para mi", "animo a mi", "nota para mi", "una nota para mi", "notas para mi"]
)  # fmt: skip
NO_NOTES = frozenset(
    ["no notes", "stop notes", "stop the notes", "no more notes", "no cheer", "sin notas", "no notas", "no mas notas",
     "basta de notas", "no quiero notas"]
)  # fmt: skip
BREAK = frozenset(
    ["break from notes", "a break from notes", "notes break", "descanso de notas", "un descanso de notas"]
)
GIVERS_BREAK = frozenset(["taking a break", "im taking a break", "i am taking a break", "me tomo un descanso"])
"""The same, but only from somebody who gives notes: from anybody else it is a person's words."""
WITHDRAWN = frozenset(
    ["withdraw note", "withdraw my note", "take back note", "take back my note", "take my note back", "retirar nota",
     "retirar mi nota", "retira mi nota", "retiro mi nota"]
)  # fmt: skip
