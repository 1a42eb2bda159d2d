"""What was changed between two texts, word by word, as pieces that a page can draw."""

import re
from difflib import SequenceMatcher
from enum import StrEnum


class Piece(StrEnum):
    """What became of some words."""

    SAME = "same"
    GONE = "gone"
    NEW = "new"


_WORDS = re.compile(r"\s*\S+|\s+$")


def words(before: str, after: str) -> list[tuple[Piece, str]]:
    """Pieces in reading order; all but GONE together are `after`, all but NEW together are `before`."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    found: list[tuple[Piece, str]] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            found.append((Piece.SAME, "".join(new[c:d])))
            continue
        found += [(Piece.GONE, "".join(old[a:b])), (Piece.NEW, "".join(new[c:d]))]
    return [(piece, text) for piece, text in found if text]
