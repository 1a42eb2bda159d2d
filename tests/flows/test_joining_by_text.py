"""Joining and confirming by text: what YES confirms, and for how long; the age comes first."""

import pytest
from sqlalchemy import select

from service import db
from service.actions import joining_by_text, outbox
from service.models.campaigns import Purpose
from service.models.conversations import RiskTier
from service.models.members import Member, MemberState
from tests.flows.replies import ANA, BEN, campaigns_reach, count, later, newcomer, of, on_duty, stopped
from tests.flows.talk import NOON, SMS, Talk, flags
from tests.flows.world import add_circle, add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What is told here is about words; that the engine does the same on PostgreSQL is told elsewhere."""


def test_yes_confirms_within_three_days(talk: Talk) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=71):
        assert talk.text(ANA, "Yes") == ["welcome"]
    assert of(nia).state == MemberState.ACTIVE


def test_yes_after_three_days_confirms_nothing(talk: Talk) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=73):
        assert "welcome" not in talk.text(ANA, "YES")
    assert of(nia).state == MemberState.PENDING


@pytest.mark.parametrize("purpose", [Purpose.CAMPAIGN, Purpose.REPLY])
def test_yes_confirms_nothing_once_we_have_asked_something_else(talk: Talk, purpose: Purpose) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=1):
        with db.transaction() as session:  # an invite by mail, say, or a person who asks how it is going
            message = outbox.write(session, session.get_one(Member, nia.id), SMS, "Shall I ring you?", purpose=purpose)
            assert message.purpose == purpose
        talk.deliver()
    with later(hours=2):
        assert "welcome" not in talk.text(ANA, "YES")
    assert of(nia).state == MemberState.PENDING


def test_help_in_between_is_no_question_of_ours(talk: Talk) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=1):
        assert talk.text(ANA, "HELP") == ["help"]
        assert talk.text(ANA, "YES") == ["welcome"]
    assert of(nia).state == MemberState.ACTIVE


def test_no_to_the_question_is_a_no(talk: Talk) -> None:
    newcomer()
    talk.deliver()
    assert talk.text(ANA, "No") == ["stopped"]
    assert stopped(SMS, ANA)


def test_joining_by_text_asks_the_age_then_the_consent(talk: Talk) -> None:
    circle = add_circle()
    assert talk.text(ANA, "JOIN Tuesday") == ["ask_adult"]
    assert talk.text(ANA, "YES") != ["welcome"]  # a YES says nothing about an age
    assert talk.text(ANA, "ADULT") == ["confirm"]
    assert talk.text(ANA, "yes") == ["welcome", "circle_welcome"]
    with db.reading() as session:
        member = session.scalars(select(Member)).one()
        assert (member.state, member.adult_confirmed_at is not None) == (MemberState.ACTIVE, True)
        from service.models.gatherings import CircleMembership

        assert session.scalars(select(CircleMembership.circle_id)).all() == [circle.id]


def test_a_circles_word_alone_joins(talk: Talk) -> None:
    add_circle()
    assert talk.text(ANA, "tuesday") == ["ask_adult"]


def test_somebody_under_eighteen_is_answered_kindly_and_nothing_is_begun(talk: Talk) -> None:
    on_duty()
    talk.text(ANA, "JOIN")
    assert talk.text(ANA, "I'm 15") == ["not_adult"]
    [flag] = flags()
    assert (flag.label, flag.tier) == ("minor", RiskTier.CONCERN)
    assert talk.pages() == ["page_staff"]
    assert talk.text(ANA, "ADULT") == []
    assert count(Member) == 0
    assert talk.text(ANA, "I'm 15") == []  # said once


def test_a_member_under_eighteen_is_flagged_held_and_given_the_youth_line(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "I'm 15") == ["not_adult"]
    assert of(ana).held_at == NOON
    assert [f.label for f in flags()] == ["minor"]
    assert campaigns_reach(talk) == []


def test_a_child_at_risk_is_one_flag_one_page_and_one_answer(talk: Talk) -> None:
    on_duty()
    add_member("Ana", ANA)
    assert talk.text(ANA, "my little brother is being hit at home") == ["risk_answer"]
    assert [f.label for f in flags()] == ["child_at_risk"]
    assert talk.pages() == ["page_staff"]


def test_joining_is_forgotten_by_a_minor_only_for_their_own_number(talk: Talk) -> None:
    with db.transaction() as session:
        assert joining_by_text.decline_join(session, BEN) is False
