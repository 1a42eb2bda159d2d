"""What was changed in somebody's words, word by word: so that whoever reads sees that a voice was left as it was."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_WORD = re.compile(r"\s+|[^\s\w]+|[\w'’-]+")


@dataclass(frozen=True)
class Piece:
    """Words that stayed, came, or went."""

    kind: Literal["same", "new", "gone"]
    words: str


def between(before: str, after: str) -> list[Piece]:
    """The pieces of which both texts are made, in order: all but the new are `before`, all but the gone `after`."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    pieces: list[Piece] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            pieces.append(Piece("same", "".join(old[a:b])))
            continue
        if b > a:
            pieces.append(Piece("gone", "".join(old[a:b])))
        if d > c:
            pieces.append(Piece("new", "".join(new[c:d])))
    return pieces
