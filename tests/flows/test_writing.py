"""What members write for others, told as stories: begun with a word, joined piece by piece, handed on with PASS."""

from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import leaving
from service.models.content import Story, StoryState
from service.models.giving import Gift, GiftState, Giving, Writing
from tests.flows.replies import ANA, MAIL, on_duty
from tests.flows.talk import NOON, Talk, flags, messages, waits
from tests.flows.world import add_member

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
T = TypeVar("T", Gift, Story, Writing)


def every(model: type[T]) -> list[T]:
    with db.reading() as session:
        return list(session.scalars(select(model)))


def test_a_story_in_eight_texts_is_one_story_and_gets_one_answer(talk: Talk) -> None:
    add_member("Ana", ANA)
    assert talk.text(ANA, "story") == ["story_write"]
    pieces = [
        f"Part {n}: " + "we planted beans behind the hall, and by autumn I slept again. " * 4 for n in range(1, 9)
    ]
    answers = [talk.text(ANA, piece) for piece in pieces]
    assert answers == [["writing_so_far"], [], [], [], [], [], [], []]
    assert talk.text(ANA, "Pass") == ["story_passed"]
    assert "words" in talk.last.body
    story = every(Story)[0]
    assert story.original == " ".join(piece.strip() for piece in pieces)
    assert story.state == StoryState.REVIEW
    assert [story.consent_sms, story.consent_email, story.consent_page] == [False] * 3
    assert every(Writing) == []


@pytest.mark.parametrize(
    ("word", "kind", "locale", "yes"),
    [
        ("CHEER", Giving.NOTE, "en", "PASS"),
        ("Step", Giving.STEP, "en", "pass it on"),
        ("I said it", Giving.SAID, "en", "pass"),
        ("share", Giving.FEELING, "en", "PASS"),
        ("Pasito", Giving.STEP, "es", "pásalo"),
        ("Ánimo", Giving.NOTE, "es", "PASALO"),
    ],
)
@ONE
def test_each_word_begins_its_kind_and_oops_takes_it_back(
    talk: Talk, word: str, kind: Giving, locale: str, yes: str
) -> None:
    ana = add_member("Ana", ANA, locale=locale)
    assert talk.text(ANA, word) == [f"{kind}_write"]
    assert talk.text(ANA, "I went out for ten minutes today, first time") == ["writing_so_far"]
    assert every(Gift) == []  # nothing before PASS
    assert talk.text(ANA, yes) == [f"{kind}_passed"]
    gift = every(Gift)[0]
    assert (gift.kind, gift.member_id, gift.state) == (kind, ana.id, GiftState.REVIEW)
    assert gift.original == gift.body == "I went out for ten minutes today, first time"
    assert talk.text(ANA, "OOPS" if locale == "en" else "ups") == ["oops_undone"]
    taken = every(Gift)[0]
    assert (taken.state, taken.original, taken.body) == (GiftState.TAKEN_BACK, "", "")


def test_by_mail_the_subject_begins_it_and_the_body_is_the_first_piece(talk: Talk) -> None:
    add_member("Ben", None, MAIL)
    words = "I used to lie awake. A short list by the bed helped me."
    assert talk.mail(MAIL, words, subject="Story") == ["writing_so_far"]
    assert talk.mail(MAIL, "It is still there.", subject="Story") == []
    assert talk.mail(MAIL, "PASS", subject="Story") == ["story_passed"]
    assert every(Story)[0].original == f"{words} It is still there."


@ONE
def test_a_second_story_while_one_is_open_names_the_first_and_loses_nothing(talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.text(ANA, "STORY")
    talk.text(ANA, "I moved to a new town and knew nobody there")
    assert talk.text(ANA, "STORY") == ["writing_open"]
    assert talk.text(ANA, "CHEER") == ["writing_open"]
    assert "10 words" in talk.last.body
    assert talk.text(ANA, "DROP") == ["writing_dropped"]
    assert talk.text(ANA, "CHEER") == ["note_write"]
    assert talk.text(ANA, "STEP") == ["step_write"]  # nothing is written yet, so nothing is in the way
    assert every(Writing)[0].kind == Giving.STEP


@ONE
def test_words_with_risk_go_to_a_person_at_once_and_stay_a_part_of_the_story(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "STORY")
    assert talk.text(ANA, "Right now I want to kill myself, I have the pills here") == ["risk_answer"]
    assert waits(ana)
    assert len(flags()) == 1
    assert every(Writing)[0].words.startswith("Right now")
    assert talk.text(ANA, "PASS") == []  # a person comes first
    assert every(Story) == []


@ONE
def test_what_is_too_long_is_not_joined_and_not_lost(talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.text(ANA, "STEP")
    assert talk.text(ANA, "I phoned my sister after two years of silence") == ["writing_so_far"]
    assert talk.text(ANA, "and then " * 40) == ["writing_long"]
    assert "300" in talk.last.body
    assert every(Writing)[0].words == "I phoned my sister after two years of silence"
    assert [m.body for m in messages()].count(("and then " * 40).strip()) == 1


@ONE
@pytest.mark.parametrize("words", ["PASS", "drop", "Cheers", "you too", "paso"])
def test_the_words_mean_nothing_where_nothing_is_written(talk: Talk, words: str) -> None:
    add_member("Ana", ANA)
    talk.text(ANA, words)
    assert every(Gift) == every(Story) == every(Writing) == []


@ONE
def test_words_of_another_day_are_no_piece_of_it_but_pass_still_works(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "STEP")
    talk.text(ANA, "I opened the letters that lay there since May")
    with clock.frozen_at(NOON + timedelta(days=3)):
        talk.text(ANA, "Is there a meeting this week on Tuesday?")
        assert waits(ana)
        assert every(Writing)[0].pieces == 1
        assert talk.text(ANA, "PASS") == ["step_passed"]


@ONE
def test_the_spanish_drop_is_no_stop_while_something_is_written_and_may_be_one_otherwise(talk: Talk) -> None:
    add_member("Ana", ANA, locale="es")
    talk.text(ANA, "PASITO")
    talk.text(ANA, "Hoy fui a la tienda a pie")
    assert talk.text(ANA, "BORRAR") == ["writing_dropped"]
    assert every(Writing) == []
    assert talk.text(ANA, "BORRAR") == ["stopped"]


@ONE
def test_stop_in_the_midst_of_it_is_a_stop(talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.text(ANA, "STORY")
    talk.text(ANA, "It began when I moved to another town")
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert every(Story) == []


@ONE
def test_erasure_forgets_what_was_given_and_what_was_being_written(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    for words in ("STEP", "I said hello to my neighbour today", "PASS", "CHEER", "It gets easier to begin"):
        talk.text(ANA, words)
    leaving.erase(ana.id, "cli")
    assert every(Gift) == every(Writing) == []


@ONE
def test_hard_words_without_a_sign_of_risk_stay_a_piece_and_are_read_at_the_desk(talk: Talk) -> None:
    on_duty()
    add_member("Ana", ANA)
    talk.text(ANA, "SAID")
    assert talk.text(ANA, "I'd like to think about it until Friday.") == ["writing_so_far"]
    assert talk.text(ANA, "PASS") == ["said_passed"]
    assert flags() == []
    with clock.frozen_at(NOON + timedelta(days=1)):
        talk.text(ANA, "STEP")
        talk.text(ANA, "I went in, and I want to kill myself tonight")
        assert len(flags()) == 1
