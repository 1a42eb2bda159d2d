"""Recall, precision and misses on the labelled sets: `python -m tests.understanding.report [--tuned] [--misses]`.

Held-out lines were seen by neither rules nor weights; `--tuned` shows the other half instead, where figures flatter.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from service.actions.understanding import Intent, Risk, Scope, Understanding, understand
from tests.understanding.corpora import IN_PART, KINDS, SCOPE, Line, load

Read = list[tuple[Line, Understanding]]

GOALS = {
    "imminent recall": 0.97,
    "noticed recall": 0.97,
    "noticed precision": 0.85,
    "opt-out recall": 0.95,
    "opt-out precision": 0.97,
    "rsvp accuracy": 0.93,
    "check-in accuracy": 0.96,
    "all kept whole": 0.97,
    "part kept a part": 0.70,
}
"""The last two are our own: silence about the scope of a stop means everything, so a part must be said clearly."""
WHOLE = (Scope.ALL, Scope.WRONG_PERSON, Scope.DELETE)


@dataclass(frozen=True)
class Score:
    """A share of lines, and the lines that it misses."""

    name: str
    good: int
    of: int
    misses: Read

    @property
    def share(self) -> float:
        return self.good / self.of if self.of else 1.0


def read(kind: str, *, held: bool) -> Read:
    """The lines of a kind with what we understand, held-out ones or tuned ones."""
    return [(line, understand(line.text)) for line in load(kind) if line.held == held]


def _score(name: str, rows: Read, right: Sequence[bool]) -> Score:
    return Score(name, sum(right), len(right), [row for row, ok in zip(rows, right, strict=True) if not ok])


def risk_scores(rows: Read) -> list[Score]:
    """How many crises are seen, and how much of what is flagged is one."""
    imminent = [row for row in rows if row[0].label == "imminent"]
    risky = [row for row in rows if row[0].label != "none"]
    flagged = [row for row in rows if row[1].risk is not Risk.NONE]
    return [
        _score("imminent recall", imminent, [u.risk is Risk.IMMINENT for _, u in imminent]),
        _score("noticed recall", risky, [u.risk is not Risk.NONE for _, u in risky]),
        _score("noticed precision", flagged, [line.label != "none" for line, _ in flagged]),
    ]


def crises_taken_for_stops(rows: Read) -> Read:
    """Texts of risk that were taken for an opt-out and nothing more: there must be none."""
    return [(x, u) for x, u in rows if x.label != "none" and u.intent is Intent.OPT_OUT and u.risk is Risk.NONE]


def stop_scores(rows: Read) -> list[Score]:
    """How many requests to stop are heard, and how many of those heard were made."""
    asked = [row for row in rows if row[0].label == "opt_out"]
    heard = [row for row in rows if row[1].intent is Intent.OPT_OUT]
    return [
        _score("opt-out recall", asked, [u.intent is Intent.OPT_OUT for _, u in asked]),
        _score("opt-out precision", heard, [line.label == "opt_out" for line, _ in heard]),
    ]


def answer_scores(kind: str, rows: Read) -> list[Score]:
    """How many answers to an invite or a check-in are read as they were meant."""
    if kind == "rsvp":
        return [_score("rsvp accuracy", rows, [u.rsvp == line.label for line, u in rows])]
    return [_score("check-in accuracy", rows, [str(u.checkin or "null") == line.label for line, u in rows])]


def scope_scores(rows: Read) -> list[Score]:
    """Of the requests to stop that are heard: how many for everything end everything, and how many for a part or a
    while do not."""
    heard = [row for row in rows if row[1].intent is Intent.OPT_OUT]
    part = [row for row in heard if row[0].label in IN_PART]
    whole = [row for row in heard if row[0].label not in IN_PART]
    return [
        _score("all kept whole", whole, [u.scope in WHOLE for _, u in whole]),
        _score("part kept a part", part, [u.scope not in WHOLE for _, u in part]),
    ]


def scores(kind: str, rows: Read) -> list[Score]:
    """The scores of one kind of lines."""
    if kind == "risk":
        return risk_scores(rows)
    if kind == SCOPE:
        return scope_scores(rows)
    return stop_scores(rows) if kind == "stop" else answer_scores(kind, rows)


def main(arguments: Sequence[str]) -> None:
    """Prints the report; see the module."""
    held = "--tuned" not in arguments
    print(f"{'held-out' if held else 'tuned'} lines")
    rows = {kind: read(kind, held=held) for kind in (*KINDS, SCOPE)}
    for kind in rows:
        for score in scores(kind, rows[kind]):
            verdict = "meets" if score.share >= GOALS[score.name] else "below"
            print(f"{score.name:18} {score.share:6.3f}  ({score.good} of {score.of}; {verdict} {GOALS[score.name]})")
            for line, labels in score.misses if "--misses" in arguments else ():
                print(f"    {line.label} round {line.round}: {line.text}  ->  {'; '.join(labels.reasons) or 'nothing'}")
    print(f"crises taken for mere opt-outs: {len(crises_taken_for_stops(rows['risk']))} (goal: 0)")
    _time([line.text for lines in rows.values() for line, _ in lines])


def _time(texts: list[str]) -> None:
    begin = time.process_time()
    for text in texts:
        understand(text)
    print(f"{(time.process_time() - begin) / len(texts) * 1000:.2f} ms of processor a text (goal: under 1)")


if __name__ == "__main__":
    main(sys.argv[1:])
