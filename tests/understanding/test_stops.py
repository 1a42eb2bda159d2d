"""Requests to stop, in whole or in part, what is none, and what stands beside one."""

import pytest

from service.actions.understanding import (
    Intent,
    Risk,
    Scope,
    understand,
)


def test_a_worry_is_seen_beside_a_request_to_stop() -> None:
    labels = understand("Can I opt out? The stories make me feel like the only one who'll never get better.")
    assert (labels.intent, labels.scope, labels.risk) == (Intent.OPT_OUT, Scope.ALL, Risk.CONCERN)
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
        ("Este celular ahora es mío, la señora que buscan ya no lo tiene", Scope.WRONG_PERSON),
        ("Wipe it. The number, the name, the answers, the lot.", Scope.DELETE),
        ("she passed away, please stop", Scope.WRONG_PERSON),
        ("delete my data", Scope.DELETE),
        ("give it a rest", Scope.ALL),
        ("leave it out now will ye", Scope.ALL),
        ("can u take Luis off he passed sunday", Scope.ALL),
        ("I never open them, so save yourselves the trouble", Scope.ALL),
        ("that's the last one I want to get", Scope.ALL),
        ("no joroben más", Scope.ALL),
        ("Please put me on hold, we've the builders in", Scope.PAUSE),
        ("ponedme en espera", Scope.PAUSE),
        ("ease off a bit", Scope.LESS),
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


@pytest.mark.parametrize(
    "text",
    [
        "Sorry who is this? Please don't contact me again",
        "La señora Amparo murió el domingo. Soy su nieta. Les agradezco, ya no escriban.",
        "The phone belongs to my grandson now and he's seven. Don't send to it.",
    ],
)
def test_a_stop_is_not_doubted_for_a_sentence_that_stands_before_it(text: str) -> None:
    assert understand(text).intent is Intent.OPT_OUT


def test_an_idiom_elsewhere_hides_no_farewell_beside_a_request_to_stop() -> None:
    assert (
        understand("Take me off the list. I'll be gone by the weekend and want nothing sent after").risk
        is not Risk.NONE
    )


def test_half_a_clause_beside_a_request_is_weighed_by_itself() -> None:
    labels = understand("stop, the dog likes you but I'd rather rot")
    assert (labels.intent, labels.risk) == (Intent.OPT_OUT, Risk.CONCERN)
    labels = understand("stop, the dog likes you but I'd rather walk")
    assert (labels.intent, labels.risk) == (Intent.OPT_OUT, Risk.NONE)


@pytest.mark.parametrize(
    "text",
    [
        "I hit stop by accident",
        "my daughter typed unsubscribe on my phone, ignore that",
        "Can you send more of the stories? One a week's not enough",
        "Stop! In the name of love, I was Diana Ross at the talent night",
        "mensaje equivocado, era para mi jefe",
        "who's this? Is that Lorraine from the Monday group?",
        "Who is this? Sorry, new phone, lost all my contacts",
        "stop!! that is hilarious",
        "Stop! Hammer time 🕺",
        "I'd rather not",
        "yes!",
    ],
)
def test_a_stop_by_mistake_and_an_answer_stop_nothing(text: str) -> None:
    assert understand(text).intent is not Intent.OPT_OUT


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "text me again and ill block you, its happening at 10 and nobodys talking me out",
            "will not be talked out of it",
        ),
        ("Ya no me escriban, nadie va a convencerme", "will not be talked out of it"),
        ("cancel the emails, cancel the texts, cancel me while you're at it", "would be stopped, too"),
        ("borren todo y apáguenme a mí también", "would be stopped, too"),
    ],
)
def test_what_is_said_of_oneself_beside_a_request_is_no_mere_stop(text: str, rule: str) -> None:
    labels = understand(text)
    assert rule in labels.reasons
    assert labels.risk is not Risk.NONE


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


@pytest.mark.parametrize("text", ["START", "JOIN", "sign me up again", "quiero volver a recibir mensajes"])
def test_coming_back(text: str) -> None:
    assert understand(text).intent is Intent.OPT_IN


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
