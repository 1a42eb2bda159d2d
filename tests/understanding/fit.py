"""Fits the weights of words that stand behind the rules, from the lines that may be tuned on; never from held-out ones.

Run it as `python -m tests.understanding.fit`. Plain logistic regression by gradient descent, always the same numbers.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from service.actions.understanding import weights
from service.actions.understanding.lexicon import HERE, lexicon
from service.actions.understanding.normalise import normalise
from service.actions.understanding.risk import mask
from tests.understanding.corpora import KINDS, Line, load
from tests.understanding.everyday import everyday

Example = tuple[bool, list[str]]
EPOCHS, RATE, FADE, SHRINK, SEED = 30, 0.15, 0.96, 1e-3, 1
LEAST = 0.1
"""Weights nearer to nothing than this are left out of the file."""


def fit(examples: list[tuple[bool, frozenset[str]]]) -> dict[str, float]:
    """Weights by feature; the feature "" is the constant. Features seen once only are left out."""
    seen = Counter(feature for _, features in examples for feature in features)
    rows: list[Example] = [(yes, sorted(f for f in features if seen[f] > 1)) for yes, features in examples]
    found: dict[str, float] = dict.fromkeys(seen, 0.0)
    constant, rate, order = 0.0, RATE, random.Random(SEED)
    for _ in range(EPOCHS):
        order.shuffle(rows)
        for yes, features in rows:
            total = constant + sum(found[f] for f in features)
            error = yes - 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
            constant += rate * error * 0.1
            for feature in features:
                found[feature] += rate * (error - SHRINK * found[feature])
        rate *= FADE
    return {"": constant} | {f: w for f, w in sorted(found.items()) if abs(w) >= LEAST}


def heads(lines: Iterable[Line]) -> dict[str, list[tuple[bool, frozenset[str]]]]:
    """The examples of each question that weights answer."""
    plain = {line: weights.features(normalise(line.text).words) for line in lines}
    bare = {line: weights.features(mask(normalise(line.text).words, lexicon())) for line in plain}
    risk, rsvp = (
        [x for x in plain if x.kind == "risk"],
        [x for x in plain if x.kind == "rsvp"],
    )
    checkin, stop = (
        [x for x in plain if x.kind == "checkin"],
        [x for x in plain if x.kind == "stop"],
    )
    requests = [x for x in stop if x.label == "opt_out"]  # the other lines of that set hold crises too
    found = {
        "noticed": [(x.label != "none", bare[x]) for x in risk] + [(False, bare[x]) for x in rsvp + checkin + requests],
        "imminent": [(x.label == "imminent", bare[x]) for x in risk]
        + [(False, bare[x]) for x in rsvp + checkin + requests],
        "stop": [(x.label == "opt_out", plain[x]) for x in stop] + [(False, plain[x]) for x in rsvp + risk + checkin],
    }
    # Most of what members write is ordinary. Without such lines a hedgehog in the garden looked like a crisis.
    ordinary = [(False, weights.features(mask(normalise(row).words, lexicon()))) for row in everyday(1)]
    found["noticed"] += ordinary
    found["imminent"] += ordinary
    for label in ("yes", "no", "maybe", "unclear"):
        found[f"rsvp {label}"] = [(x.label == label, plain[x]) for x in rsvp]
        others = [x for x in [*checkin, *risk, *requests] if x.kind != "risk" or x.label != "none"]
        found[f"rsvp {label}"] += [(label == "unclear", plain[x]) for x in others]
    return found


def write(path: Path) -> int:
    """Fits every head and writes them, a line each of head, feature and weight. Returns the number of lines."""
    lines = [line for kind in KINDS for line in load(kind) if not line.held]
    rows = [(head, f, w) for head, examples in heads(lines).items() for f, w in fit(examples).items()]
    path.write_text(
        "".join(f"{head}\t{feature}\t{weight:.2f}\n" for head, feature, weight in rows),
        encoding="utf-8",
    )
    return len(rows)


if __name__ == "__main__":
    print(f"{write(HERE / 'weights.tsv')} weights written")
