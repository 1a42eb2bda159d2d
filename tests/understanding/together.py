"""Texts of two halves, for learning only: a request to stop, and beside it a worry or something ordinary.

Most who ask us to stop say why, and one in many says it in half a clause that a stop would hide. People write few such
texts, so two lines that may be tuned on are said in one breath; the second half alone decides what the whole is.
"""

import random
from collections.abc import Iterable, Iterator, Mapping

from tests.understanding.corpora import Line

NUMBER, SEED = 16_000, 7
LONGEST = 14
"""Words; longer lines hold more than one thing already."""
BETWEEN = ("{} . {}", "{} . {}", "{} , {}", "{} {}")
_SPANISH = frozenset("que de la el los me ya para por con una es mi lo se".split())


def together(words: Mapping[Line, str], ordinary: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of the label of risk and the words of a text, always the same ones. `words` are labelled lines with their
    normalised texts, `ordinary` normalised ordinary messages."""
    halves: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for line, said in words.items():
        part = _part(line)
        if part:
            _sort_in(halves, part, line.label if line.kind == "risk" else "none", said)
    for said in ordinary:
        _sort_in(halves, "ordinary", "none", said)
    by_chance = random.Random(SEED)
    for _ in range(NUMBER):
        spanish = by_chance.random() < 0.35
        _, stop = by_chance.choice(halves["stop", spanish])
        label, other = by_chance.choice(halves[by_chance.choice(("worry", "ordinary")), spanish])
        first, second = (stop, other) if by_chance.random() < 0.6 else (other, stop)
        yield label, f" {by_chance.choice(BETWEEN).format(first.rstrip(' .,'), second.strip())} "


def _part(line: Line) -> str | None:
    if line.kind == "risk":
        return "ordinary" if line.label == "none" else "worry"
    asks = line.kind in ("stop", "scope") and line.label != "none"
    return "stop" if asks else None


def _sort_in(halves: dict[tuple[str, bool], list[tuple[str, str]]], part: str, label: str, said: str) -> None:
    if len(said.split()) <= LONGEST:
        spanish = not _SPANISH.isdisjoint(said.split())
        halves.setdefault((part, spanish), []).append((label, said.strip()))
