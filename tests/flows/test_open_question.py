"""What a reply answers: the latest question that is still open, within its time; and what is not guessed."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service import clock, db
from service.models.campaigns import CampaignKind, Delivery
from service.models.conversations import CheckIn, Message
from service.models.gatherings import Rsvp
from tests.flows.replies import ANA, BEN, MAIL, add_story, count, later, meeting, of, on_duty, rsvp_of
from tests.flows.talk import NOON, Talk, flags, messages, waits
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def invite(talk: Talk, **more: Any) -> Any:
    return talk.send(CampaignKind.INVITE, "Come on Friday?", session_id=meeting(**more).id)


def scores() -> list[int]:
    with db.reading() as session:
        return list(session.scalars(select(CheckIn.score).order_by(CheckIn.at)))


@pytest.mark.parametrize(
    ("words", "answer", "person"),
    [
        ("yes", Rsvp.YES, False),
        ("Yes but I'll be late", Rsvp.YES, True),
        ("yes, but I'll be 20 minutes late because of the bus", Rsvp.YES, True),
        ("I'll be there but need to leave early", Rsvp.YES, True),
        ("sí pero llego tarde", Rsvp.YES, True),
        ("No, sorry, my sister is visiting on Friday", Rsvp.NO, True),
        ("maybe", Rsvp.MAYBE, False),
        ("I'd rather not", Rsvp.NO, False),
        ("I'd rather not, thanks", Rsvp.NO, True),
        ("Nah I'm out", Rsvp.NO, True),  # may mean us, so a person looks
        ("what time is it at?", None, True),
        ("who is this", None, True),
    ],
)
def test_an_answer_with_more_is_taken_and_the_rest_is_read(
    talk: Talk, words: str, answer: Rsvp | None, person: bool
) -> None:
    ana = add_member("Ana", ANA)
    invite(talk)
    answers = talk.text(ANA, words)
    assert rsvp_of(ana) == answer
    assert waits(ana) is person
    if answer:
        assert answers == [f"rsvp_{answer}"]
        assert "OOPS" in talk.last.body  # what was understood is said, and how to take it back


def test_a_stop_that_says_more_than_an_answer_ends_everything_under_an_invite(talk: Talk) -> None:
    add_member("Ana", ANA), add_member("Ben", BEN)
    invite(talk)
    assert talk.text(ANA, "Not for me, sorry. Off please") == ["stopped"]
    assert talk.text(BEN, "I'd rather not get any of these, thanks all the same") == ["stopped"]


def test_a_hint_of_a_stop_that_answers_nothing_rests_what_is_scheduled(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    invite(talk)
    talk.text(ANA, "leave it")
    assert (rsvp_of(ana), of(ana).paused_until) == (None, NOON + timedelta(days=14))
    assert waits(ana)


def test_a_request_to_stop_beside_a_score_is_more_than_a_hint(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "Uno. No me pregunten más por favor.") == ["paused"]  # it is the questions that they mean
    assert waits(ana)


def test_two_days_later_is_still_an_answer_and_three_is_not(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    invite(talk, starts_at=NOON + timedelta(days=9), ends_at=NOON + timedelta(days=9, hours=1))
    with later(hours=47):
        assert talk.text(ANA, "YES") == ["rsvp_yes"]
    with later(days=3):
        assert talk.text(BEN, "NO") == ["cannot_place"]
    assert (rsvp_of(ana), rsvp_of(ben)) == (Rsvp.YES, None)
    assert waits(ben)


def test_a_question_is_answered_once_more_as_a_change_of_mind(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    invite(talk)
    talk.text(ANA, "yes")
    with later(hours=5):
        assert talk.text(ANA, "no sorry, something came up") == ["rsvp_no"]
    assert rsvp_of(ana) == Rsvp.NO


def test_three_questions_of_three_kinds_each_get_their_own_answer(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.STORY, "{{ story_body }}", story_id=add_story().id)
    invite(talk)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "me too") == ["me_too_noted"]
    assert talk.text(ANA, "2") == ["checkin_2"]
    assert talk.text(ANA, "Maybe") == ["rsvp_maybe"]
    assert (scores(), rsvp_of(ana)) == ([2], Rsvp.MAYBE)
    with db.reading() as session:
        answered = session.scalars(select(Message.answers_delivery_id).where(Message.direction == "in")).all()
        asked = session.scalars(select(Delivery.id).where(Delivery.campaign_id.is_not(None))).all()
    assert sorted(filter(None, answered)) == sorted(asked)  # each is matched to what it answers


def test_a_yes_to_a_check_in_is_not_guessed(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "yes") == ["cannot_place"]
    assert count(CheckIn) == 0
    assert waits(ana)


@pytest.mark.parametrize("words", ["3-4", "between 2 and 3", "10/10", "100", "0", "six"])
def test_a_number_that_is_no_score_is_not_guessed(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    talk.text(ANA, words)
    assert scores() == []
    assert waits(ana)


def test_a_number_to_an_invite_alone_is_not_guessed(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    invite(talk)
    assert talk.text(ANA, "2") == ["odd_number"]
    assert rsvp_of(ana) is None
    assert waits(ana)


@pytest.mark.parametrize("words", ["yes", "4", "me too", "OOPS", "LESS", "HELP", "JOIN", "1"])
def test_under_a_flag_nothing_but_stop_is_automated(talk: Talk, words: str) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.STORY, "{{ story_body }}", story_id=add_story().id)
    invite(talk)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "I want to kill myself tonight") == ["risk_answer"]
    with later(hours=1):
        assert talk.text(ANA, words) in ([], ["risk_answer"])  # "1", very hard, may count as risk again
    assert (count(CheckIn), rsvp_of(ana)) == (0, None)
    now = of(ana)
    assert (now.paused_until, now.weekly_cap) == (None, None)
    assert waits(ana)
    with later(hours=2):
        assert talk.text(ANA, "stop") == ["stopped"]
    assert flags()[0].cleared_at is None


def test_a_break_is_part_of_stopping_so_it_counts_under_a_flag_too(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "I want to kill myself tonight")
    assert talk.text(ANA, "PAUSE") == ["paused"]
    assert of(ana).paused_until == NOON + timedelta(days=14)
    assert waits(ana)


def test_an_answer_by_mail_goes_to_what_it_replies_to_not_to_the_latest(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.INVITE, "", "Come on Friday?", session_id=meeting().id)
    asked = talk.last
    with later(hours=1):
        talk.send(CampaignKind.CHECKIN, "", "How are you?")
        assert talk.mail(MAIL, "Yes, but I'll be late.\n\nOn Tue wrote:\n> Come on Friday?", answers=asked) == [
            "rsvp_yes"
        ]
    assert (rsvp_of(ana), scores()) == (Rsvp.YES, [])
    assert waits(ana)
    assert messages()[-2].answers_delivery_id == asked.delivery_id
    assert clock.now() == NOON
