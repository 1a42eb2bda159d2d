"""Weights of words: a second look at what no rule knows. They may raise a concern or place an answer.

They lower little: an emergency that they do not bear out at all is a concern, and only looser signs of worry (`soft`
rules, cues) are let go.

A text is broken into words, twos and threes and pieces of words, and what they are about (`concepts`);
`data/weights.tsv` says how much each speaks for a label. They were fitted on our own labelled lines
(tests/understanding/fit.py); each can be looked up.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from zlib import crc32

from service.actions.understanding.concepts import concepts_of
from service.actions.understanding.lexicon import HERE

NOTICED = -1.2
"""The score (log odds) from which a text is a concern. Low, since a missed crisis costs more than a look; not so low
that ordinary life is one."""
IMMINENT = -3.2
"""The score from which a concern that a rule names is an emergency."""
RAISED = 0.5
"""As IMMINENT, where what stands around has lowered the rule: a jest, a negation, the past."""
ALONE, SURELY = (-1.2, -2.7), (-4.0, -1.3)
"""The scores, noticed and imminent, from which words that no rule knows are an emergency: either both of one pair, or
both of the other."""
TOLD, TOLD_ALONE = 0.5, (1.2, -1.2)
"""As NOTICED and ALONE, in what a member writes for others: a hope story is full of hard words, and a person reads all
of it before anybody else does. Rules count there as everywhere."""
SOFT = -2.5
"""The score, noticed, under which a soft rule, or cues of worry, are not believed: "no hope of getting tickets"."""
LOWERED = -3.0
"""The score, imminent, under which an emergency that a rule names, and no firm one, is a concern."""
DOUBT, DOUBT_ALONE = -3.2, -4.3
"""As NOTICED, for what is most like a worry in a text that also asks us to stop, by a rule or by the weight of its
words alone: nobody would otherwise read it soon."""
STOP, WEAK_STOP = 0.4, 0.0
"""Scores from which a text asks us to stop, and from which it may."""
STOP_UNSEEN = 0.6
"""As STOP, for a text that nobody would otherwise look at soon, so that a mistake would stand."""
STOP_AGAINST_DOUBT = 3.0
"""As STOP, for a text that says it is not sure: "not sure I want these"."""
STOP_AGAINST_WISH = 1.5
"""As STOP, for one in which a rule hears a wish to come back, or for help: "sign me up? Undo that, please"."""
STOP_AGAINST_KEEPING = 3.0
"""As STOP, for one in which a rule hears that somebody wants them, or says them in another sense: "don't stop"."""
STOP_AGAINST_ANSWER = 2.5
"""As STOP, for a few words that answer the open invite: "I'd rather not, thanks"."""
STOP_AT_WORRY, STOP_AT_RISK = 0.8, 2.0
"""As STOP, for a text of which no more than its words' weight says that it is a worry, and for any other of risk:
sorrow is not lightly taken for a stop."""
DOUBTED_STOP, DOUBTED_WHOLE, SURE_STOP = -0.5, 0.15, 2.0
"""The score of its sentence under which even a rule is not believed without a person; SURE_STOP where all that is said
scores under DOUBTED_WHOLE: "I quit. Not the group, living". What it would have stopped is paused."""

REACH = 4
"""How many concepts on from one another still make a pair."""


def features(words: str) -> frozenset[str]:
    """What of a text is weighed. `words` is made by `normalise`; numbers are all one."""
    row = ["0" if word[0].isdigit() else word for word in words.split() if word not in (",", ".", "?")]
    found = set(_of_words(row))
    found.update(_of_concepts(concepts_of(row)))
    if "?" in words:
        found.add("asks")
    found.add(f"sentences {min(4, words.count(' . ') + words.count(' ? '))}")
    return frozenset(found)


def _of_words(row: list[str]) -> Iterator[str]:
    yield f"length {min(6, (len(row) + 1) // 2)}"
    yield from row
    for word in row:
        if len(word) >= 6:
            yield word[:5] + "*"
        if len(word) >= 5:
            for at in range(len(word) - 3):
                yield "#" + word[at : at + 4]
    fenced = ["<", *row, ">"]
    for one, two in pairwise(fenced):
        yield f"{one} {two}"
    for one, two, three in zip(fenced, fenced[1:], fenced[2:], strict=False):
        yield f"{one} _ {three}"
        yield f"{one} {two} {three}"
    beginnings = [word[:4] for word in row]
    for one, two in pairwise(beginnings):  # "quitarme de", "quitenme del": what forms of a word have in common
        yield f"{one}+{two}"


def _of_concepts(tagged: list[list[str]]) -> Iterator[str]:
    """Concepts by themselves, and pairs of them in their order."""
    said = [concepts[:3] for concepts in tagged if concepts]
    for at, concepts in enumerate(said):
        for one in concepts:
            yield "@" + one
        for later in said[at + 1 : at + REACH]:
            for one in concepts[:2]:
                for two in later[:2]:
                    yield f"@{one} {two}"


ALWAYS_ASKED = ("noticed", "imminent", "stop")
"""The heads that every text is asked for. Most features weigh for one of them and few for any other."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Hashes of the features in order and, for each head, their weights in hundredths and the constant. Small: a dict
    of strings takes ten times as much in every worker. `starts` says where the hashes of each beginning start, so that
    only a few are looked at."""

    constants: dict[str, float]
    keys: "array[int]"
    weights: "dict[str, array[int]]"
    starts: "array[int]"

    def rows(self, hashes: Iterable[int]) -> list[int]:
        """Where features stand in it; those that do not are left out."""
        keys, starts = self.keys, self.starts
        found = []
        for key in hashes:
            end = starts[(key >> 16) + 1]
            at = bisect_left(keys, key, starts[key >> 16], end)
            if at < end and keys[at] == key:
                found.append(at)
        return found

    def sum(self, head: str, rows: Iterable[int]) -> float:
        """The log odds of a head for the features in these rows."""
        return self.constants[head] + sum(map(self.weights[head].__getitem__, rows)) / 100


@cache
def _tables() -> tuple[_Table, _Table]:
    """The weights of the heads that are always asked for, and those of the others."""
    with (HERE / "weights.tsv").open(encoding="utf-8") as rows:
        heads = next(rows).rstrip("\n").split("\t")[1:]
        constants = [int(cell) / 100 for cell in next(rows).rstrip("\n").split("\t")[1:]]
        split = len(ALWAYS_ASKED)
        assert tuple(heads[:split]) == ALWAYS_ASKED
        parts = ((0, split), (split, len(heads)))
        keys = array("I"), array("I")
        columns = [array("h") for _ in heads]
        for row in rows:  # in order of the hashes
            feature, *said = row.rstrip("\n").split("\t")
            cells = [int(cell or 0) for cell in said] + [0] * (len(heads) - len(said))
            for known, (start, end) in zip(keys, parts, strict=True):
                if any(cells[start:end]):
                    known.append(crc32(feature.encode()))
                    for column, cell in zip(columns[start:end], cells[start:end], strict=True):
                        column.append(cell)
    always, others = (
        _Table(
            dict(zip(heads[start:end], constants[start:end], strict=True)),
            known,
            dict(zip(heads[start:end], columns[start:end], strict=True)),
            array("I", (bisect_left(known, beginning << 16) for beginning in range(0x10001))),
        )
        for known, (start, end) in zip(keys, parts, strict=True)
    )
    return always, others


@lru_cache(maxsize=8)
def _hashes(words: str) -> tuple[int, ...]:
    return tuple(map(crc32, map(str.encode, features(words))))


@lru_cache(maxsize=16)
def _rows(words: str, *, always: bool) -> list[int]:
    """Where the features of a text stand in one of the tables."""
    return _tables()[not always].rows(_hashes(words))


def scores(words: str, *heads: str) -> list[float]:
    """The log odds of each head for a text; very low for one that says nothing."""
    if not words.strip(" .,?"):
        return [-99.0] * len(heads)
    asked = [head in ALWAYS_ASKED for head in heads]
    return [
        _tables()[not always].sum(head, _rows(words, always=always)) for head, always in zip(heads, asked, strict=True)
    ]


def score_of(said: frozenset[str], head: str) -> float:
    """The log odds of one head for something else than a text, by its features."""
    table = _tables()[head not in ALWAYS_ASKED]
    return table.sum(head, table.rows(map(crc32, map(str.encode, said))))
