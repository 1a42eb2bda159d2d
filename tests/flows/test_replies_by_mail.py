"""What members answer by mail, and whom we believe."""

import pytest
from sqlalchemy import select

from service import db
from service.actions import new_members as newcomers
from service.models.campaigns import CampaignKind
from service.models.conversations import CheckIn, ConversationState
from service.models.gatherings import Rsvp
from service.models.members import MemberState, Topic
from tests.flows.replies import MAIL, later, meeting, of, on_duty, rsvp_of
from tests.flows.talk import EMAIL, Talk, conversation
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What is told here is about words; that the engine does the same on PostgreSQL is told elsewhere."""


def test_a_mail_answers_the_campaign_that_it_replies_to(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.INVITE, "", "Come on Sunday?", session_id=meeting().id)
    invite = talk.last
    with later(hours=50):
        talk.send(CampaignKind.CHECKIN, "", "How are you?")
        assert talk.mail(MAIL, "Yes", answers=invite) == ["rsvp_yes"]  # named by its address, so days later as well
        assert talk.mail(MAIL, "5", answers=invite) == ["odd_number"]  # a number is no answer to an invite
        asked = next(o for o in talk.left if o.body == "How are you?")
        assert talk.mail(MAIL, "5", answers=asked) == ["checkin_5"]
    assert rsvp_of(ana) == Rsvp.YES


def test_whoever_has_the_reply_address_had_the_mail(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you?")
    talk.mail("ana.private@example.net", "4", answers=talk.last)
    with db.reading() as session:
        assert session.scalars(select(CheckIn.member_id)).all() == [ana.id]


def test_start_by_mail_counts_only_as_an_answer_to_a_mail_of_ours(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.TOOL, "", "Breathe.")
    sent = talk.last
    assert talk.mail(MAIL, "STOP", answers=sent) == ["stopped"]
    assert "started_again" not in talk.mail(MAIL, "START")
    assert of(ana).state == MemberState.LEFT
    assert talk.mail(MAIL, "START", answers=sent) == ["started_again"]
    assert of(ana).state == MemberState.ACTIVE


def test_yes_by_mail_confirms_only_through_the_signed_address(talk: Talk) -> None:
    with db.transaction() as session:
        nia = newcomers.new_member(session, first_name="Nia", addresses={EMAIL: MAIL}, topics=Topic, country="US")
        newcomers.claim_question(session, EMAIL, MAIL)
        newcomers.ask(session, nia, EMAIL)
    [asked] = talk.deliver()
    assert "welcome" not in talk.mail(MAIL, "YES")
    assert of(nia).state == MemberState.PENDING
    assert talk.mail(MAIL, "YES", answers=asked) == ["welcome"]
    assert of(nia).state == MemberState.ACTIVE


def test_an_unknown_sender_is_held_for_a_person(talk: Talk) -> None:
    assert talk.mail("stranger@example.net", "I found your leaflet, may I come on Tuesday?") == []
    assert conversation().state == ConversationState.HELD


def test_a_mail_of_an_unknown_sender_in_danger_is_answered_and_paged(talk: Talk) -> None:
    on_duty()
    assert talk.mail("stranger@example.net", "I want to kill myself tonight") == ["risk_answer"]
    assert conversation().state == ConversationState.NEEDS_REPLY
    assert talk.pages() == ["page_staff"]
