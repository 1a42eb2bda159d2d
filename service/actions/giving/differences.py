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
    gone = come = ""
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        kept = "".join(old[a:b])
        if what == "equal" and (kept.strip() or not (gone or come)):
            pieces += [*_changed(gone, come), Piece("same", kept)]
            gone = come = ""
        else:  # a blank between two changes is a part of both: a sentence that was written anew is read in one go
            gone += kept
            come += "".join(new[c:d])
    return [*pieces, *_changed(gone, come)]


def _changed(gone: str, come: str) -> list[Piece]:
    pieces = (Piece("gone", gone), Piece("new", come))
    return [piece for piece in pieces if piece.words]
