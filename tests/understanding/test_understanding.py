"""What a text means, told in the cases that the facts on safety name: each is a promise to a member."""

import time

import pytest

from service.actions.understanding import (
    Confirm,
    Intent,
    Minor,
    Question,
    Risk,
    Rsvp,
    Scope,
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


def test_a_worry_is_seen_beside_a_request_to_stop() -> None:
    labels = understand("Can I opt out? The stories make me feel like the only one who'll never get better.")
    assert (labels.intent, labels.risk) == (Intent.OPT_OUT, Risk.CONCERN)
    assert understand("with this traffic I'll never make it to the group").risk is Risk.NONE


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("STOP", Scope.ALL),
        ("stp", Scope.ALL),
        ("please stop texting me", Scope.ALL),
        ("leave me alone", Scope.ALL),
        ("how do I unsubscribe", Scope.ALL),
        ("denme de baja", Scope.ALL),
        ("only email please", Scope.CHANNEL_SMS),
        ("stop emailing me", Scope.CHANNEL_EMAIL),
        ("no more stories", Scope.TOPIC),
        ("too many texts", Scope.LESS),
        ("switch me to weekly", Scope.LESS),
        ("gonna need u to chill to like once a week", Scope.LESS),
        ("I'd like a break from these through Lent", Scope.PAUSE),
        ("Hasta que nazca la niña prefiero el teléfono callado", Scope.PAUSE),
        ("Esta semana no me escriban, la que viene retomamos", Scope.PAUSE),
        ("I've been getting these for two years. Time to take me off the list.", Scope.ALL),
        ("I no longer wish to participate", Scope.ALL),
        ("no hace falta que me escriban más", Scope.ALL),
        ("I have no wish to receive anything", Scope.ALL),
        ("close my account", Scope.DELETE),
        ("not by text please", Scope.CHANNEL_SMS),
        ("pause my messages", Scope.PAUSE),
        ("wrong number", Scope.WRONG_PERSON),
        ("she passed away, please stop", Scope.WRONG_PERSON),
        ("delete my data", Scope.DELETE),
    ],
)
def test_requests_to_stop(text: str, scope: Scope) -> None:
    labels = understand(text)
    assert (labels.intent, labels.scope) == (Intent.OPT_OUT, scope)
    assert not labels.weak_opt_out


def test_the_topic_of_a_partial_stop_is_named() -> None:
    assert understand("no more stories please").topic == "stories"
    assert understand("stop the check-ins").topic == "checkins"


@pytest.mark.parametrize(
    "text",
    [
        "please don't stop",
        "stop by later",
        "can't stop smiling",
        "end of day works",
        "cancel my 5pm spot",
        "I just want it to stop",
        "I want to end it",
        "stop the world I want to get off",
        "me dieron de alta ayer",
        "deleted my ex's number",
        "did I get unsubscribed?",
        "drop me a line",
        "no puedo parar de reír",
        "estoy de baja médica",
    ],
)
def test_words_of_stopping_that_ask_for_nothing(text: str) -> None:
    assert understand(text).intent is not Intent.OPT_OUT


@pytest.mark.parametrize(
    "text",
    [
        "SALIR",
        "leave circle kitchen",
        "I want to leave the circle",
        "salir del círculo",
        "quiero salir del círculo cocina",
    ],
)
def test_leaving_a_circle_is_no_stop_of_everything_and_a_person_looks(text: str) -> None:
    labels = understand(text)
    assert (labels.intent, labels.weak_opt_out) == (Intent.NONE, True)


def test_leaving_the_list_is_a_stop() -> None:
    assert understand("leave the circle and stop texting me").intent is Intent.OPT_OUT
    assert understand("salir de la lista").intent is Intent.OPT_OUT


@pytest.mark.parametrize(
    ("text", "rsvp"),
    [
        ("aye, go on then", Rsvp.YES),
        ("wild horses couldn't keep me away", Rsvp.YES),
        ("I'm on the bus", Rsvp.YES),
        ("please send my apologies", Rsvp.NO),
        ("take me off the list for tuesday", Rsvp.NO),
        ("no one to mind the kids", Rsvp.NO),
        ("va a ser que no", Rsvp.NO),
        ("weather permitting", Rsvp.MAYBE),
        ("if my shift ends on time", Rsvp.MAYBE),
        ("50/50", Rsvp.MAYBE),
        ("primero Dios", Rsvp.MAYBE),
        ("who will be there?", Rsvp.UNCLEAR),
        ("¿cómo llego?", Rsvp.UNCLEAR),
        ("I don't understand", Rsvp.UNCLEAR),
    ],
)
def test_answers_to_an_invite(text: str, rsvp: Rsvp) -> None:
    labels = understand(text, question=Question.INVITE)
    assert labels.rsvp is rsvp
    assert labels.intent is not Intent.OPT_OUT


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("3 today, 2 yesterday", 3),
        ("was a 2 this morning but now a 4", 4),
        ("down to 2 from 4", 2),
        ("went from a 1 to a 3", 3),
        ("nearly a 5 but 4", 4),
        ("5 5 5", 5),
        ("nº 3", 3),
        ("it's a one from me", 1),
        ("más o menos un 3", 3),
        ("estoy en 5 bendito dios", 5),
        ("me siento de 4", 4),
        ("El dos, con todo el dolor", 2),
        ("4, no wait, 3", 3),
        ("me siento en 1", 1),
        ("put me down as 3, love", 3),
        ("Bus number 4 never turned up", None),
        ("my bus is the number 3", None),
        ("Ayer fue un 2", None),
        ("my husband says he's a 2", None),
        ("tres o cuatro", None),
        ("two and a half", None),
        ("is 1 good or bad?", None),
        ("call me at 5", None),
        ("1 moment please", None),
        ("12", None),
    ],
)
def test_scores_of_a_checkin(text: str, score: int | None) -> None:
    assert understand(text, question=Question.CHECKIN).checkin == score


def test_a_farewell_with_a_stop_is_both() -> None:
    labels = understand("stop the messages, I won't be around much longer")
    assert labels.intent is Intent.OPT_OUT
    assert labels.risk is not Risk.NONE


@pytest.mark.parametrize(
    "text",
    [
        "no more of the texts please. i end it today and i want silence",
        "stop texting me please. nobody will miss me",
        "No more stories please. I want to kill myself tonight",
        "No me manden más historias. En media hora no va a haber quien las lea.",
    ],
)
def test_danger_beside_a_request_to_stop_is_seen_and_the_stop_honoured(text: str) -> None:
    labels = understand(text)
    assert labels.intent is Intent.OPT_OUT
    assert labels.risk is not Risk.NONE


def test_a_plain_stop_as_a_sentence_is_never_doubted_and_end_may_be() -> None:
    story = "That is what I want my story to say."
    assert understand(f"STOP. {story}").intent is Intent.OPT_OUT
    assert understand("END").intent is Intent.OPT_OUT
    doubted = understand(f"End. {story}")
    assert (doubted.intent, doubted.weak_opt_out) == (Intent.NONE, True)


def test_quitting_life_is_no_request_to_stop_and_rests_what_is_scheduled() -> None:
    labels = understand("I quit. Not the group, living")
    assert (labels.intent, labels.weak_opt_out) == (Intent.NONE, True)
    assert labels.risk is not Risk.NONE


@pytest.mark.parametrize(
    "text",
    [
        "no", "none of these", "ninguno", "line", "no line", "drop it", "no more evenings", "leave it out please",
        "Start series, please",
    ],
)  # fmt: skip
def test_answers_and_our_own_words_are_no_hint_of_a_stop(text: str) -> None:
    labels = understand(text)
    assert (labels.intent, labels.weak_opt_out) == (Intent.NONE, False)


def test_a_stop_is_heard_against_a_wish_to_come_back() -> None:
    text = "When I said sign me up I meant the newsletter, not texts. Undo please."
    assert understand(text).intent is Intent.OPT_OUT


@pytest.mark.parametrize(("marks", "tier"), [((), Risk.CONCERN), (("firm",), Risk.IMMINENT)])
def test_a_rule_that_words_do_not_bear_out_is_a_worry_and_still_goes_to_a_person(
    monkeypatch: pytest.MonkeyPatch, marks: tuple[str, ...], tier: Risk
) -> None:
    rules = make_rules(Compiler({}), "made up", "imminent", ["nursery wall"], marks)
    monkeypatch.setitem(lexicon().books, "risk", RuleBook(rules))  # type: ignore[arg-type]
    assert understand("we painted the nursery wall yellow").risk is tier


@pytest.mark.parametrize("text", ["START", "JOIN", "sign me up again", "quiero volver a recibir mensajes"])
def test_coming_back(text: str) -> None:
    assert understand(text).intent is Intent.OPT_IN


@pytest.mark.parametrize(
    "text",
    [
        "HELP",
        "ayuda",
        "can I talk to someone",
        "is anyone there?",
        "are you a real person",
        "hay alguien ahi",
        "como funciona esto",
    ],
)
def test_asking_for_help(text: str) -> None:
    assert understand(text).intent is Intent.HELP


@pytest.mark.parametrize("text", ["Is there tea on Tuesday?", "Is there parking?", "¿Cómo hago para llegar?"])
def test_a_question_about_something_else_is_no_call_for_help(text: str) -> None:
    """A person answers it; the words of HELP would be no answer."""
    assert understand(text).intent is Intent.NONE


@pytest.mark.parametrize("text", ["hiding in the bathroom he is outside", "i hide under the bed when he comes home"])
def test_hiding_from_somebody_is_danger(text: str) -> None:
    assert understand(text).risk is Risk.IMMINENT


def test_hiding_from_a_party_is_none() -> None:
    assert understand("I hide in the kitchen at parties").risk is Risk.NONE


@pytest.mark.parametrize(
    ("text", "keyword", "argument"),
    [
        ("TOOL anxiety", "TOOL", "anxiety"),
        ("tool", "TOOL", None),
        ("OOPS", "OOPS", None),
        ("publish 123", "PUBLISH", "123"),
        ("LANG es", "LANG", "es"),
        ("pausa 2 semanas", "PAUSE", "2 semanas"),
        ("Thanks", "THANKS", None),
        ("STEP dad hit me", None, None),
        ("step", "STEP", None),
        ("paso", None, None),
        ("SAVE me", None, None),
        ("LESS reason to live", None, None),
    ],
)
def test_keywords_are_the_whole_message(text: str, keyword: str | None, argument: str | None) -> None:
    labels = understand(text)
    assert (labels.keyword, labels.argument) == (keyword, argument)


def test_answers_fit_the_open_question() -> None:
    assert understand("count me in", question=Question.INVITE).rsvp is Rsvp.YES
    assert understand("sí puedo", question=Question.INVITE).rsvp is Rsvp.YES
    assert understand("si puedo voy", question=Question.INVITE).rsvp is Rsvp.MAYBE
    assert understand("4/5", question=Question.CHECKIN).checkin == 4
    assert understand("3️⃣", question=Question.CHECKIN).checkin == 3
    assert understand("yes", question=Question.CONFIRM).confirm is Confirm.YES
    nothing_open = understand("3", question=Question.NONE)
    assert (nothing_open.checkin, nothing_open.rsvp, nothing_open.odd_number) == (None, None, True)
    assert understand("3-4", question=Question.CHECKIN).odd_number
    unknown = understand("3")
    assert (unknown.checkin, unknown.rsvp) == (3, Rsvp.UNCLEAR)


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


@pytest.mark.parametrize(
    "text", ["WITHDRAW", "withdraw b", "retirar mi historia", "STOP SERIES", "week off", "no news", "withdraw note"]
)
def test_words_that_take_one_thing_back_are_no_stop_and_no_worry(text: str) -> None:
    labels = understand(text)
    assert labels.intent is Intent.NONE
    assert labels.risk is Risk.NONE


def test_a_hedged_wish_to_stop_is_a_hint_for_a_person() -> None:
    labels = understand("not sure I want these anymore")
    assert labels.intent is Intent.NONE
    assert labels.weak_opt_out


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("me quedo en el 3, todavía me asusto con los ruidos", 3),
        ("ponle 1 porque no hay menos", 1),
        ("Number three please", 3),
        ("uno nomás", 1),
        ("2 tired 2 think", None),
        ("half a one", None),
        ("menos 1", None),
        ("un tres y pico, casi cuatro", None),
        ("mi nieto sacó un 5 en matemáticas", None),
    ],
)
def test_a_score_among_other_words(text: str, score: int | None) -> None:
    assert understand(text).checkin == score
