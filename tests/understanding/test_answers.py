"""Answers to what was asked: invites, check-ins, keywords, calls for help."""

import pytest

from service.actions.understanding import (
    Confirm,
    Intent,
    Question,
    Rsvp,
    understand,
)


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
