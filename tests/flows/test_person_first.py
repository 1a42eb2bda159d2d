"""A person comes first: under a flag, while somebody writes, or where two have one number, little is automated."""

from typing import Any

import pytest

from service import clock, db
from service.actions import campaigns, outbox, safety
from service.models.campaigns import CampaignKind
from service.models.conversations import CheckIn
from service.models.members import Member, MemberState
from tests.flows.replies import ANA, campaigns_reach, count, later, of, on_duty
from tests.flows.talk import SMS, Talk, conversation, flags, waits
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What is told here is about words; that the engine does the same on PostgreSQL is told elsewhere."""


def test_two_at_one_number_nothing_is_guessed_and_stop_stops_both(talk: Talk) -> None:
    rosa, lena = add_member("Rosa", ANA), add_member("Lena", ANA, discreet=True)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "4") == []
    assert count(CheckIn) == 0
    assert conversation().tags == "shared"
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert "Hearthline" not in talk.last.body  # one of them is discreet
    assert {of(rosa).state, of(lena).state} == {MemberState.LEFT}


def test_help_is_answered_and_reaches_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "help") == ["help"]
    assert waits(ana)


def test_while_a_person_writes_only_stop_is_automated(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    maya = on_duty()
    with later(hours=1):
        with db.transaction() as session:
            member = session.get_one(Member, ana.id)
            outbox.write(session, member, SMS, "How did the interview go?", coordinator_id=maya.id)
            member.last_human_at = clock.now()
        talk.deliver()
        assert talk.text(ANA, "4") == []
        assert talk.text(ANA, "HELP") == []
        assert count(CheckIn) == 0
        assert waits(ana)
    with later(hours=50):
        talk.send(CampaignKind.CHECKIN, "How are you?")
        assert talk.text(ANA, "4") == ["checkin_4"]
    with later(hours=1):
        assert talk.text(ANA, "STOP") == ["stopped"]


def test_a_bare_yes_is_judged_against_what_a_person_asked(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", ANA)
    with db.transaction() as session:
        member = session.get_one(Member, ana.id)
        asked = "Are you thinking of ending your life?"
        outbox.write(session, member, SMS, asked, coordinator_id=maya.id)
    talk.deliver()
    talk.text(ANA, "Yes")
    assert [f.label for f in flags()] == ["risk"]


def test_under_an_open_flag_only_stop_is_automated_and_every_risk_pages_again(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "I want to kill myself tonight") == ["risk_answer"]
    assert talk.text(ANA, "4") == []
    assert count(CheckIn) == 0
    assert talk.text(ANA, "I want to kill myself") == []  # answered within the hour
    assert talk.pages() == ["page_staff", "page_staff"]
    assert len(flags()) == 1
    assert campaigns_reach(talk) == []
    assert talk.text(ANA, "STOP") == ["stopped"]
    safety.clear(flags()[0].id, maya.id, "Rang her.")
    assert of(ana).held_at is None


def test_what_was_scheduled_rests_under_a_flag_and_leaves_when_it_is_cleared(talk: Talk) -> None:
    maya = on_duty()
    add_member("Ana", ANA)
    from tests.flows import world

    scheduled = world.send(CampaignKind.TOOL, "Breathe.")
    campaigns.freeze(scheduled)
    assert talk.text(ANA, "I want to kill myself tonight") == ["risk_answer"]
    assert [o.body for o in talk.deliver()] == []
    safety.clear(flags()[0].id, maya.id, "Rang her.")
    assert [o.body for o in talk.deliver()] == ["Breathe."]


def test_a_screen_that_breaks_escalates(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.actions import understanding

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a rule is broken")

    monkeypatch.setattr(understanding, "understand", broken)
    add_member("Ana", ANA)
    assert talk.text(ANA, "hello there, how was the meeting") == ["risk_answer"]
    assert flags()[0].reasons == ["screen failed"]
