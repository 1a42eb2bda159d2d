"""Reads the labelled sets in tests/corpora, and says which lines were never looked at while rules were written.

Half of the lines of rounds 3 to 5 (by a hash of the text) is held out: neither rules nor weights were made from it, and
the goals are measured on it. All the rest was tuned on.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "corpora"
KINDS = ("risk", "stop", "rsvp", "checkin")
HELD_ROUNDS = (3, 4, 5)


@dataclass(frozen=True)
class Line:
    """One labelled text. `held` lines are for measuring only."""

    kind: str
    round: int
    label: str
    text: str
    held: bool


def load(kind: str) -> list[Line]:
    """All lines of a kind, in the order of rounds and files. A file is sections `== label` of one text a line."""
    lines: list[Line] = []
    seen: set[str] = set()
    for path in sorted(FOLDER.glob(f"{kind}_*.txt")):
        number, label = int(path.stem.rsplit("_", 1)[1]), ""
        for row in path.read_text(encoding="utf-8").splitlines():
            if row.startswith("== "):
                label = row[3:]
            elif row and row.lower() not in seen:  # a text said in two rounds belongs to the first
                seen.add(row.lower())
                lines.append(
                    Line(
                        kind,
                        number,
                        label,
                        row,
                        number in HELD_ROUNDS and _odd(row),
                    )
                )
    return lines


def _odd(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1
