"""The labelled sets hold the quality: no change of a rule may lose what held-out lines had reached.

FLOORS are what this version reaches, rounded down; the goals stand in `report.py`. Raise a floor with the score.
FALSE_ALARMS holds down what the recalls could be bought with: whoever is paged by a hedgehog in the garden stops
answering pages. They stand where one more crisis in a hundred would cost three more ordinary messages in a hundred.
"""

import pytest

from service.actions.understanding import Intent, Question, Risk, screen, understand
from service.actions.understanding.normalise import normalise
from service.actions.understanding.stop import read_request
from tests.understanding.corpora import KINDS, SCOPE, load
from tests.understanding.everyday import HELD, everyday
from tests.understanding.report import Read, crises_taken_for_stops, read, scores

FLOORS = {
    "imminent recall": 0.98,
    "noticed recall": 0.98,
    "noticed precision": 0.94,
    "opt-out recall": 0.95,
    "opt-out precision": 0.97,
    "rsvp accuracy": 0.95,
    "check-in accuracy": 0.97,
    "all kept whole": 0.97,
    "part kept a part": 0.92,
}


FALSE_ALARMS = {Risk.CONCERN: 0.05, Risk.IMMINENT: 0.02}
"""The share of held-out ordinary messages that may be taken for a worry at all, and for an emergency."""


@pytest.mark.parametrize("tier", FALSE_ALARMS)
def test_ordinary_life_is_rarely_taken_for_a_crisis(tier: Risk) -> None:
    lines = [line for number in HELD for line in everyday(number)]
    worse = {tier, Risk.IMMINENT}
    alarms = [line for line in lines if screen(line, question=Question.NONE).risk in worse]
    assert len(alarms) / len(lines) <= FALSE_ALARMS[tier], alarms


@pytest.fixture(scope="module")
def held() -> dict[str, Read]:
    return {kind: read(kind, held=True) for kind in (*KINDS, SCOPE)}


FALSE_STOPS = {"heard": 0.004, "heard or perhaps": 0.012}
"""As FALSE_ALARMS, of ordinary messages, answers to invites and check-ins, for a request to stop and for what may be
one: the first ends everything, the second rests it until a person has looked. When answers counted a tenth as no stop
it was 0.0052 and 0.0154."""


def test_ordinary_life_and_answers_are_rarely_taken_for_a_stop(held: dict[str, Read]) -> None:
    read_as = [screen(line, question=Question.NONE) for number in HELD for line in everyday(number)]
    read_as += [labels for kind in ("rsvp", "checkin") for _, labels in held[kind]]
    stops = [labels.intent is Intent.OPT_OUT for labels in read_as]
    perhaps = [labels.weak_opt_out or stop for labels, stop in zip(read_as, stops, strict=True)]
    assert sum(stops) / len(stops) <= FALSE_STOPS["heard"]
    assert sum(perhaps) / len(perhaps) <= FALSE_STOPS["heard or perhaps"]


@pytest.mark.parametrize("kind", [*KINDS, SCOPE])
def test_held_out_lines_reach_the_floors(held: dict[str, Read], kind: str) -> None:
    for score in scores(kind, held[kind]):
        assert score.share >= FLOORS[score.name], f"{score.name} is {score.share:.3f}: run the report with --misses"


def test_no_crisis_is_taken_for_a_mere_opt_out(held: dict[str, Read]) -> None:
    assert crises_taken_for_stops(held["risk"]) == []


def test_no_crisis_that_was_tuned_on_is_taken_for_a_mere_opt_out() -> None:
    risky = [line for line in load("risk") if not line.held and line.label != "none"]
    # Only what a stop is heard in is read whole: there are tens of thousands of them.
    stops = [line for line in risky if read_request(normalise(line.text)).intent is Intent.OPT_OUT]
    assert len(stops) > 100, "many ask us to stop as well"
    assert crises_taken_for_stops([(line, understand(line.text)) for line in stops]) == []


def test_the_sets_are_large_enough_and_no_line_stands_in_both_halves() -> None:
    least = {"risk": 400, "stop": 400, "rsvp": 150, "checkin": 150}
    for kind in KINDS:
        lines = load(kind)
        assert len(lines) >= least[kind]
        seen = {line.text for line in lines if not line.held}
        assert not [line.text for line in lines if line.held and line.text in seen]
