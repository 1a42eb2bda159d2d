"""Weights of words: a second look at what no rule knows. They may raise a concern or place an answer, never lower one.

A text is broken into words, pairs of words, beginnings and pieces of words; `data/weights.tsv` says how much each
speaks for a label. They were fitted on our own labelled lines (tests/understanding/fit.py); each can be looked up.
"""

from functools import cache
from itertools import pairwise

from service.actions.understanding.lexicon import HERE

NOTICED, IMMINENT, IMMINENT_ALONE = 0.5, -0.25, 1.0
"""Scores (log odds) from which a tier is raised: a concern, an emergency that a rule worries about, and one that no
rule knows. Low, since a missed crisis costs more than a look; not so low that ordinary life is one."""
DOUBT = -2.0
"""As NOTICED, for a text that also asks us to stop: nobody would otherwise read it soon."""
STOP, WEAK_STOP = 3.0, 0.5
"""Scores from which a text asks us to stop, and from which it may."""


def features(words: str) -> frozenset[str]:
    """What of a text is weighed. `words` is made by `normalise`; numbers are all one."""
    row = [
        "<",
        *("0" if word[0].isdigit() else word for word in words.split() if word not in (",", ".")),
        ">",
    ]
    found = set(row[1:-1])
    for word in row[1:-1]:
        if len(word) >= 6:
            found.add(word[:5] + "*")
        if len(word) >= 5:
            found.update("#" + word[at : at + 4] for at in range(len(word) - 3))
    found.update(f"{one} {two}" for one, two in pairwise(row))
    found.update(f"{one} _ {two}" for one, two in zip(row, row[2:], strict=False))
    found.add(f"length {min(6, (len(row) - 1) // 2)}")
    return frozenset(found)


@cache
def _table() -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = {}
    path = HERE / "weights.tsv"
    for row in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        head, feature, weight = row.split("\t")
        table.setdefault(head, {})[feature] = float(weight)
    return table


def scores(words: str, *heads: str) -> list[float]:
    """The log odds of each head for a text; very low for one that says nothing."""
    if not words.strip(" .,?"):
        return [-99.0] * len(heads)
    found = features(words)
    tables = [_table().get(head, {"": -99.0}) for head in heads]
    return [table[""] + sum(table.get(feature, 0.0) for feature in found) for table in tables]
