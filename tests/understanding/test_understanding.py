"""What a text means, told in the cases that the facts on safety name: each is a promise to a member."""

import time

import pytest

from service.actions.understanding import (
    Minor,
    Risk,
    Rsvp,
    risk,
    screen,
    understand,
    use_model,
)
from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.patterns import Compiler, make_rules
from service.actions.understanding.rulebook import RuleBook

STORY_OF_SUICIDE = "A story: “I once wanted to end my life, and then I called.” Reply ME TOO if you have been there."


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("I want to end it", Risk.IMMINENT),
        ("k i l l  m y s e l f", Risk.IMMINENT),
        ("su1c1d3", Risk.IMMINENT),
        ("gonna unalive myself", Risk.IMMINENT),
        ("voy a suicidarme esta noche", Risk.IMMINENT),
        ("my friend just took a whole bottle of pills", Risk.IMMINENT),
        ("he has a gun and he's outside my door", Risk.IMMINENT),
        ("I can't breathe", Risk.IMMINENT),
        ("I just want it to stop", Risk.CONCERN),
        ("my friend said she wants to die", Risk.CONCERN),
        ("I tried to kill myself two years ago, better now", Risk.CONCERN),
        ("I'm not suicidal, just tired", Risk.CONCERN),
        ("kms lol", Risk.CONCERN),
        ("STEP dad hit me", Risk.CONCERN),
        ("ya no puedo más", Risk.CONCERN),
        ("this traffic is killing me", Risk.NONE),
        ("dying to see you all", Risk.NONE),
        ("dead tired, see you tomorrow", Risk.NONE),
        ("shoot me a text", Risk.NONE),
        ("I took my pills this morning", Risk.NONE),
        ("hoy me tomé mis pastillas y me siento mejor", Risk.NONE),
        ("took all my pills this morning", Risk.IMMINENT),
        ("no hope of parking on market day", Risk.NONE),
        ("my laptop committed suicide", Risk.NONE),
        ("the rope for the boat came", Risk.NONE),
        ("last day at work today!", Risk.NONE),
        ("my last day on earth", Risk.IMMINENT),
        ("feeling useless with this cast on, can't even make tea", Risk.NONE),
        ("my doctor changed my pills", Risk.NONE),
        ("me muero de risa", Risk.NONE),
        ("", Risk.NONE),
    ],
)
def test_risk(text: str, risk: Risk) -> None:
    assert understand(text).risk is risk


@pytest.mark.parametrize(
    ("asked", "answer", "risk"),
    [
        ("Are you thinking of ending your life?", "Yes", Risk.IMMINENT),
        ("Are you thinking of ending your life?", "1", Risk.IMMINENT),
        ("Are you thinking of ending your life?", "No", Risk.CONCERN),
        ("Are you safe right now?", "no", Risk.IMMINENT),
        ("Are you safe right now?", "yes", Risk.CONCERN),
        ("¿Estás pensando en suicidarte?", "sí", Risk.IMMINENT),
        (STORY_OF_SUICIDE, "ME TOO", Risk.CONCERN),
        ("Can you come on Tuesday?", "Yes", Risk.NONE),
    ],
)
def test_a_bare_answer_is_judged_by_what_we_asked(asked: str, answer: str, risk: Risk) -> None:
    assert understand(answer, context=["Hello!", asked]).risk is risk


def test_words_of_others_are_not_the_members_own() -> None:
    tapback = understand("Liked “I wanted to end my life, and now I bake.”")
    assert tapback.tapback
    assert tapback.risk is Risk.NONE
    email = understand("See you there!\n> I used to want to kill myself\nOn Monday Ana <a@b.org> wrote:\n> kill myself")
    assert email.risk is Risk.NONE
    assert understand('She said "I want to kill myself"').risk is Risk.CONCERN


@pytest.mark.parametrize(("marks", "tier"), [((), Risk.CONCERN), (("firm",), Risk.IMMINENT)])
def test_a_rule_that_words_do_not_bear_out_is_a_worry_and_still_goes_to_a_person(
    monkeypatch: pytest.MonkeyPatch, marks: tuple[str, ...], tier: Risk
) -> None:
    rules = make_rules(Compiler({}), "made up", "imminent", ["nursery wall"], marks)
    monkeypatch.setitem(lexicon().books, "risk", RuleBook(rules))  # type: ignore[arg-type]
    assert understand("we painted the nursery wall yellow").risk is tier


@pytest.mark.parametrize("text", ["hiding in the bathroom he is outside", "i hide under the bed when he comes home"])
def test_hiding_from_somebody_is_danger(text: str) -> None:
    assert understand(text).risk is Risk.IMMINENT


def test_hiding_from_a_party_is_none() -> None:
    assert understand("I hide in the kitchen at parties").risk is Risk.NONE


def test_minors() -> None:
    assert understand("I'm 15 is that ok").minor is Minor.SELF
    assert understand("tengo 14 años").minor is Minor.SELF
    at_risk = understand("my daughter has been cutting herself")
    assert at_risk.minor is Minor.CHILD_AT_RISK
    assert at_risk.risk is Risk.CONCERN
    assert understand("I'm 15 minutes late").minor is None


def test_a_machine_is_no_answer() -> None:
    labels = understand(
        "I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I get there."
    )
    assert labels.automatic
    assert labels.rsvp is Rsvp.UNCLEAR
    assert understand("Auto-Reply: I am out of office until Monday").automatic
    assert not understand("I'm driving, be there in 10").automatic


def test_reasons_name_rules_and_never_repeat_the_member() -> None:
    labels = understand("zanahoria I want to kill myself zanahoria")
    assert labels.reasons
    assert not any("zanahoria" in reason for reason in labels.reasons)


def test_a_failure_of_the_screen_escalates(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("service.actions.understanding.normalise", broken)
    labels = screen("hello")
    assert (labels.risk, labels.reasons) == (Risk.CONCERN, ["screen failed"])


def test_a_model_may_only_raise_a_tier() -> None:
    try:
        use_model(lambda text: Risk.IMMINENT)
        assert screen("see you on Tuesday").risk is Risk.IMMINENT
        use_model(lambda text: Risk.NONE)
        lowered = screen("I want to kill myself")
        assert lowered.risk is Risk.IMMINENT
        assert "model disagrees" in lowered.reasons
        use_model(lambda text: Risk("no tier"))
        assert screen("see you on Tuesday").risk is Risk.CONCERN
        use_model(lambda text: time.sleep(0.5) or Risk.NONE, seconds=0.01)
        assert "model failed" in screen("see you on Tuesday").reasons
    finally:
        use_model(None)
    assert screen("see you on Tuesday").risk is Risk.NONE


@pytest.mark.parametrize(
    "piece",
    [
        "It took me a year to go back to the choir. A friend drove me and waited in the car.",
        "I'd like to think about it until Friday.",
        "It is lighter now, with help",
    ],
)
def test_what_is_told_to_others_needs_more_than_the_weight_of_hard_words(piece: str) -> None:
    assert screen(piece, telling=True).risk is Risk.NONE


@pytest.mark.parametrize(
    ("piece", "risk"),
    [
        ("I want to kill myself tonight", Risk.IMMINENT),
        ("After that winter I wanted to die, and some days I still do", Risk.CONCERN),
        ("No one would miss me if I was gone", Risk.CONCERN),
    ],
)
def test_rules_count_in_what_is_told_to_others_as_everywhere(piece: str, risk: Risk) -> None:
    found = screen(piece, telling=True).risk
    assert found in (risk, Risk.IMMINENT)
    assert found is screen(piece).risk


def test_what_sounds_like_a_jest_or_a_denial_is_an_emergency_where_all_words_weigh_for_one() -> None:
    assert understand("I wanna die eh. No jokes.").risk is Risk.IMMINENT
    swallowed = "Mande mi ubicación. no me quiero morir de verdad pero ya me lo tragué"
    assert understand(swallowed).risk is Risk.IMMINENT


@pytest.mark.parametrize(
    ("noticed", "imminent", "telling", "tier"),
    [
        (-2.0, 0.0, False, Risk.IMMINENT),
        (-2.0, -2.0, False, Risk.NONE),
        (-6.0, 0.0, False, Risk.NONE),
        (-2.0, 0.0, True, Risk.NONE),
    ],
)
def test_words_alone_are_an_emergency_where_they_are_sure_of_that_and_not_of_a_worry(
    noticed: float, imminent: float, telling: bool, tier: Risk
) -> None:
    assert risk._weigh_words(noticed, imminent, Risk.NONE, [], telling)[0] is tier
