"""The rules of conversation, told as stories: answers that members write by text, repeated back and taken back."""

import pytest
from sqlalchemy import select

from service import db
from service.actions import gatherings
from service.models.campaigns import CampaignKind, Delivery
from service.models.content import Resonance
from service.models.conversations import CheckIn, Message
from service.models.gatherings import Invitation, Rsvp
from service.models.members import MemberState, SubscriptionState
from tests.flows.replies import ANA, BEN, DAY, HOUR, MAIL, add_story, count, later, meeting, of, on, on_duty, rsvp_of
from tests.flows.talk import NOON, SMS, Talk, flags, messages, waits
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What is told here is about words; that the engine does the same on PostgreSQL is told elsewhere."""


def test_oops_takes_back_a_score_an_rsvp_a_me_too_a_pause_less_and_a_topic(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "4") == ["checkin_4"]
    assert talk.text(ANA, "2") == ["checkin_2"]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    with db.reading() as session:
        assert session.scalars(select(CheckIn.score)).all() == [4]
    assert talk.text(ANA, "oops") == ["oops_undone"]
    assert count(CheckIn) == 0

    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    assert talk.text(ANA, "yes") == ["rsvp_yes"]
    assert talk.text(ANA, "no") == ["rsvp_no"]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert rsvp_of(ana) == Rsvp.YES
    talk.text(ANA, "OOPS")
    assert rsvp_of(ana) is None

    talk.send(CampaignKind.STORY, "{{ story_body }}", story_id=add_story().id)
    assert talk.text(ANA, "me too") == ["me_too_noted"]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    with db.reading() as session:
        assert session.scalars(select(Resonance.taken_back_at)).one() is not None

    assert talk.text(ANA, "PAUSE") == ["paused"]
    assert of(ana).paused_until == NOON + 14 * DAY
    talk.text(ANA, "OOPS")
    assert of(ana).paused_until is None
    assert talk.text(ANA, "LESS") == ["less_often"]
    assert of(ana).weekly_cap == 1
    talk.text(ANA, "OOPS")
    assert of(ana).weekly_cap is None

    assert talk.text(ANA, "no more stories please") == ["topic_stopped"]
    assert on(ana)["sms"] == SubscriptionState.STOPPED
    talk.text(ANA, "OOPS")
    assert on(ana)["sms"] == SubscriptionState.ACTIVE
    with later(hours=25):
        assert talk.text(ANA, "OOPS") == ["oops_nothing"]


def test_taking_back_a_no_gives_no_seat_that_is_gone(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting(seats=1).id)
    assert talk.text(ANA, "yes") == ["rsvp_yes"]
    assert talk.text(ANA, "no") == ["rsvp_no"]
    assert talk.text(BEN, "yes") == ["rsvp_yes"]
    talk.text(ANA, "OOPS")
    with db.reading() as session:
        waiting = {i.member_id: i.waitlisted for i in session.scalars(select(Invitation))}
    assert waiting == {ana.id: True, ben.id: False}


def test_a_question_undone_may_be_answered_anew(talk: Talk) -> None:
    add_member("Ana", ANA)
    invite = talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    talk.text(ANA, "yes")
    talk.text(ANA, "OOPS")
    with db.reading() as session:
        [row] = session.scalars(select(Delivery).where(Delivery.campaign_id == invite))
        assert row.answered_at is None


def test_two_open_questions_of_different_kinds_are_told_apart(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "yes") == ["rsvp_yes"]
    assert talk.text(ANA, "3") == ["checkin_3"]
    assert sorted(talk.text(ANA, "4, and yes I'll come")) == ["checkin_4", "rsvp_yes"]
    assert rsvp_of(ana) == Rsvp.YES
    assert [m.labels.get("did") for m in messages() if m.direction == "in"] == [
        "rsvp yes", "checkin 3", "checkin 4, rsvp yes",
    ]  # fmt: skip


def test_yes_to_an_invite_whose_session_has_begun_is_not_guessed(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting(starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR).id)
    with later(hours=1):
        assert talk.text(ANA, "yes") == ["cannot_place"]
    assert rsvp_of(ana) is None
    assert waits(ana)


def test_yes_after_two_days_is_not_guessed_either(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    with later(hours=49):
        assert talk.text(ANA, "yes") == ["cannot_place"]
    assert rsvp_of(ana) is None


def test_an_invite_without_a_session_of_ours_goes_to_a_person_with_the_answer(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "A picnic on Sunday?")
    assert talk.text(ANA, "maybe") == ["rsvp_noted"]
    assert waits(ana)


def test_a_number_that_answers_nothing_goes_to_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "7") == ["odd_number"]
    assert count(CheckIn) == 0
    assert waits(ana)


def test_a_one_reaches_a_person_and_carries_the_line(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "1") == ["checkin_1"]
    assert "988" in talk.last.body
    assert waits(ana)


def test_counts_are_told_only_above_the_floor_and_rounded(talk: Talk) -> None:
    story = add_story()
    add_member("Ana", ANA)
    for n in range(7):
        other = add_member(f"N{n}", f"+120255502{n:02}")
        with db.transaction() as session:
            session.add(Resonance(story_id=story.id, member_id=other.id, at=NOON))
    talk.send(CampaignKind.STORY, "{{ story_body }}", story_id=story.id)
    assert talk.text(ANA, "Me too!") == ["me_too_count"]
    assert "5 others" in talk.last.body
    assert talk.text(ANA, "me too") == ["me_too_count"]
    assert count(Resonance) == 8


def test_an_answer_closes_the_question_and_what_waited_for_it_leaves(talk: Talk) -> None:
    ana = add_member("Ana", ANA, MAIL, prefers=SMS)
    talk.send(CampaignKind.INVITE, "Come?", "Come?", session_id=meeting().id)
    second = talk.send(CampaignKind.INVITE, "A picnic?", override=False)
    with db.reading() as session:
        assert session.scalars(select(Delivery.reason).where(Delivery.campaign_id == second)).all() == ["open_question"]
    assert talk.text(ANA, "no") == ["rsvp_no", "A picnic?"]
    assert rsvp_of(ana) == Rsvp.NO


def test_the_button_behind_the_link_closes_it_as_well(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    of_sunday = meeting()
    talk.send(CampaignKind.INVITE, "Come?", session_id=of_sunday.id)
    talk.send(CampaignKind.INVITE, "A picnic?", override=False)
    gatherings.answer_by_link(of_sunday.id, ana.id, Rsvp.YES)
    assert [out.body for out in talk.deliver()] == ["A picnic?"]


def test_more_than_an_answer_is_answered_and_read_by_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "4 today, my sister came to visit and we cooked together") == ["checkin_4"]
    assert waits(ana)
    with db.reading() as session:
        assert "sister" in (session.scalars(select(CheckIn.words)).one() or "")


def test_free_text_is_answered_once_a_day_and_always_read(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "hello there, how was the meeting") == ["free_text_received"]
    assert talk.text(ANA, "hello there, how was the meeting") == []
    assert waits(ana)


def test_a_picture_without_words_reaches_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "", NumMedia="1", MediaUrl0="https://api.twilio.com/media/1", MediaContentType0="image/jpeg")
    assert waits(ana)


def test_menu_tells_the_words_and_help_tells_of_menu(talk: Talk) -> None:
    add_member("Ana", ANA)
    add_member("Ben", None, MAIL, locale="es")
    assert talk.text(ANA, "help") == ["help"]
    assert "MENU" in talk.last.body
    assert talk.text(ANA, "Menu") == ["menu"]
    assert talk.mail(MAIL, "Menú") == ["menu"]
    assert "**DESAHOGO**" in talk.last.body


def test_an_automatic_text_is_no_answer(talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    words = "I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I get where I'm going."
    assert talk.text(ANA, words) == []
    assert count(CheckIn) == 0
    with db.reading() as session:
        assert session.scalars(select(Message.automatic).where(Message.direction == "in")).all() == [True]


@pytest.mark.parametrize("words", ['Liked "How are you? Reply STOP to stop"', 'Loved "4"', 'Emphasized "me too"'])
def test_a_reaction_is_no_answer_and_no_stop(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, words) == []
    assert count(CheckIn) == 0
    assert of(ana).state == MemberState.ACTIVE


def test_automatic_mail_gets_no_automatic_answer_and_is_screened(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you?")
    auto = ["Auto-Submitted: auto-replied"]
    assert talk.mail(MAIL, "4", answers=talk.last, headers=auto) == []
    assert count(CheckIn) == 0
    assert talk.mail(MAIL, "I want to kill myself tonight", headers=auto) == []
    [flag] = flags()
    assert flag.member_id == ana.id
    assert not flag.cannot_text
    assert talk.pages() == ["page_staff"]
