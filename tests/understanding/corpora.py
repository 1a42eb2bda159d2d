"""Reads the labelled sets in tests/corpora, and says which lines were never looked at while rules were written.

Half of round 7 (by a hash of the text) and all rounds of WHOLLY_HELD are held out: neither rules nor weights were made
from them, and the goals are measured on them. All the rest was tuned on; earlier held-out halves were
given up for newer rounds.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "corpora"
KINDS = ("risk", "stop", "rsvp", "checkin")
SCOPE = "scope"
"""A kind of its own: only requests to stop, by how much they ask to end."""
IN_PART = ("pause", "less", "sms", "email", "stories", "checkins", "sessions", "tools")
"""The labels of that kind that leave something to go on, or to come back to."""
HALF_HELD, WHOLLY_HELD = (7,), (*range(150, 159), 164, 165, 166)
_EARLIER = "11 17 30 37 43 47 53 58 62 63 64 65 75 76 80 84 85 86 87 88 91 94 95 100 101 102 103 116 117 120 121"
AS_TESTERS = frozenset((*map(int, _EARLIER.split()), 127, *range(133, 150), *range(159, 164)))
"""Rounds that were written to try us out, by testers or as testers might, and may be learnt from."""


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
    for path in sorted(FOLDER.glob(f"{kind}_*.txt"), key=_round):
        number, label = _round(path), ""
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
                        number in WHOLLY_HELD or (number in HALF_HELD and _odd(row)),
                    )
                )
    return lines


def _round(path: Path) -> int:
    return int(path.stem.rsplit("_", 1)[1])


def _odd(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1
