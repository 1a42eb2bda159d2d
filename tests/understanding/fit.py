"""Fits the weights of words that stand behind the rules, from the lines that may be tuned on; never from held-out ones.

Run it as `python -m tests.understanding.fit`. Plain logistic regression by gradient descent, always the same numbers;
it takes a quarter of an hour on two cores.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

from service.actions.understanding import weights
from service.actions.understanding.checkin import candidates
from service.actions.understanding.lexicon import HERE, lexicon
from service.actions.understanding.normalise import normalise
from service.actions.understanding.risk import mask
from tests.understanding.corpora import AS_TESTERS, IN_PART, KINDS, SCOPE, Line, load
from tests.understanding.everyday import TUNED, everyday
from tests.understanding.together import together

Example = tuple[bool, frozenset[str], float]
"""Whether the label holds, the features of the text, and how much the example counts."""
OTHERS = 0.05
"""How much a text that answers no invite counts in learning what answers are."""
EPOCHS, RATE, FADE, SHRINK, SEED = 40, 0.1, 0.9, 1e-5, 1
SEEN = 3
"""A feature that fewer texts have is left out."""
LEAST = 5
"""Weights nearer to nothing than this (in hundredths) are left out of the file."""
ORDINARY = 4.0
"""How much an ordinary message counts against the watch for risk: the sets hold far fewer than members write."""
TESTED = 2.5
"""How much a line counts that was written to try us out, as others' lines will be: most rounds are hard on purpose."""
UNASKED = 0.1
"""How much a line of risk counts against a stop: nobody has said of it whether it asks for one, and thousands do."""
HALVES = 0.5
"""How much a text made of two halves counts."""
COMMON = 1200
"""So many of the commonest words are listed: by the rarest of the words that a rule needs it is looked up."""


SCOPES = {"part": IN_PART, "less": ("less",), "wrong person": ("wrong_person",), "delete": ("delete",)}
"""What a request to stop covers: heads, and the labels that each is of."""


def fit(examples: list[Example]) -> tuple[float, dict[str, float]]:
    """The constant, and weights by feature."""
    seen = Counter(feature for _, features, _ in examples for feature in features)
    numbers = {
        feature: number for number, feature in enumerate(sorted(f for f, times in seen.items() if times >= SEEN))
    }
    rows = [(yes, sorted(numbers[f] for f in features if f in numbers), counts) for yes, features, counts in examples]
    found, scale, constant, rate, order = [0.0] * len(numbers), 1.0, 0.0, RATE, random.Random(SEED)
    for _ in range(EPOCHS):
        order.shuffle(rows)
        for yes, features, counts in rows:
            total = constant + scale * sum(map(found.__getitem__, features))
            error = yes - 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
            scale *= 1 - rate * SHRINK
            if abs(error) < 1e-3:
                continue
            step = rate * error * counts
            constant += step
            step /= scale
            for feature in features:
                found[feature] += step
        rate *= FADE
    return constant, {feature: scale * found[number] for feature, number in numbers.items()}


def heads(lines: Iterable[Line]) -> dict[str, list[Example]]:
    """The examples of each question that weights answer."""
    words = {line: normalise(line.text).words for line in lines}
    plain = {line: weights.features(said) for line, said in words.items()}
    bare = {line: weights.features(mask(said, lexicon())) for line, said in words.items()}
    of_kind = {kind: [line for line in plain if line.kind == kind] for kind in (*KINDS, SCOPE)}
    risk, stop, rsvp, checkin, scope = (of_kind[kind] for kind in (*KINDS, SCOPE))
    requests = [x for x in stop if x.label == "opt_out"] + scope  # the other stop lines hold crises too
    # Most of what members write is ordinary. Without such lines a hedgehog in the garden looked like a crisis.
    ordinary = [normalise(row).words for number in TUNED for row in everyday(number)]
    ordinary_bare = [weights.features(mask(said, lexicon())) for said in ordinary]
    halves = [(label, weights.features(mask(said, lexicon()))) for label, said in together(words, ordinary)]
    counts = {line: TESTED if line.round in AS_TESTERS else 1.0 for line in plain}
    found: dict[str, list[Example]] = {}
    for head, tiers in (("noticed", ("imminent", "concern")), ("imminent", ("imminent",))):
        found[head] = [(x.label in tiers, bare[x], counts[x]) for x in risk]
        found[head] += [(False, bare[x], counts[x]) for x in rsvp + checkin + requests]
        found[head] += [(False, features, ORDINARY) for features in ordinary_bare]
        found[head] += [(label in tiers, features, HALVES) for label, features in halves]
    found["stop"] = [(x.label == "opt_out", plain[x], counts[x]) for x in stop]
    found["stop"] += [(True, plain[x], counts[x]) for x in scope]
    found["stop"] += [(False, plain[x], counts[x]) for x in rsvp + checkin]
    found["stop"] += [(False, plain[x], UNASKED * counts[x]) for x in risk]
    found["stop"] += [(False, weights.features(said), 1.0) for said in ordinary]
    found["checkin"] = [
        (str(value) == x.label, around, 1.0) for x in checkin for value, around in candidates(normalise(x.text))
    ]
    for head, labels in SCOPES.items():
        found[head] = [(x.label in labels, plain[x], 1.0) for x in scope]
    others = [x for x in [*checkin, *risk, *requests] if x.kind != "risk" or x.label != "none"]
    for label in ("yes", "no", "maybe", "unclear"):
        found[f"rsvp {label}"] = [(x.label == label, plain[x], 1.0) for x in rsvp]
        found[f"rsvp {label}"] += [(label == "unclear", plain[x], OTHERS) for x in others]
    return found


_examples: dict[str, list[Example]] = {}
"""What children are forked with: the examples take longer to hand over than to learn from."""


def _fit_head(head: str) -> tuple[float, dict[str, float]]:
    return fit(_examples[head])


def _side_by_side(examples: Mapping[str, list[Example]]) -> dict[str, tuple[float, dict[str, float]]]:
    """Every head fitted, on all cores: they know nothing of one another."""
    _examples.update(examples)
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        return dict(zip(examples, pool.map(_fit_head, examples), strict=True))


def write_common(path: Path, lines: Iterable[Line]) -> None:
    """The commonest words, and in how many of ten thousand texts each stands."""
    texts = [set(normalise(line.text).words.split()) for line in lines]
    times = Counter(word for text in texts for word in text)
    ordered = sorted(times.items(), key=lambda pair: (-pair[1], pair[0]))[:COMMON]
    rows = [f"{word}\t{round(10_000 * found / len(texts))}\n" for word, found in ordered]
    path.write_text("".join(rows), encoding="utf-8")


def write(path: Path) -> int:
    """Fits every head and writes a table: a line of heads, one of constants, then one a feature in the order of their
    hashes, weights in hundredths. Returns the number of features."""
    lines = [line for kind in (*KINDS, SCOPE) for line in load(kind) if not line.held]
    write_common(path.with_name("common.tsv"), lines)
    examples = heads(lines)
    names, fitted = list(examples), _side_by_side(examples)
    cells = {
        feature: [_hundredths(fitted[head][1], feature) for head in names]
        for feature in {feature for _, found in fitted.values() for feature in found}
    }
    rows = sorted((crc32(feature.encode()), feature, row) for feature, row in cells.items() if any(row))
    with path.open("w", encoding="utf-8") as file:
        file.write("\t".join(["", *names]) + "\n")
        file.write("\t".join(["", *(str(round(100 * fitted[head][0])) for head in names)]) + "\n")
        last = -1
        for key, feature, row in rows:
            if key != last:  # of two features with one hash the first stands
                file.write("\t".join([feature, *(str(cell or "") for cell in row)]).rstrip("\t") + "\n")
            last = key
    return len(rows)


def _hundredths(found: Mapping[str, float], feature: str) -> int:
    value = round(100 * found.get(feature, 0.0))
    return value if abs(value) >= LEAST else 0


if __name__ == "__main__":
    print(f"{write(HERE / 'weights.tsv')} features written")
