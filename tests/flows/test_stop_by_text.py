"""Stopping by text, in any words, whole or in part, and coming back."""

import json

import pytest
from sqlalchemy import select, update

from service import db
from service.actions import campaigns, conversations
from service.actions.conversations import store
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from service.models.conversations import RiskTier
from service.models.members import Member, MemberState, SubscriptionState, Topic
from tests.flows.replies import (
    ANA,
    BEN,
    DAY,
    MAIL,
    campaigns_reach,
    later,
    of,
    on,
    on_duty,
    stopped,
)
from tests.flows.talk import EMAIL, NOON, SMS, Talk, flags, waits
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What is told here is about words; that the engine does the same on PostgreSQL is told elsewhere."""


@pytest.mark.parametrize("words", ["STOP", "stop", "Stop.", "please stop texting me", "unsubscribe", "Stop\nthank you"])
def test_a_stop_in_any_words_ends_everything_at_once_with_one_confirmation(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA, MAIL)
    waiting = campaigns.create(
        campaigns.Draft(
            name="x", kind=CampaignKind.TOOL, channels=(SMS,), contents=(campaigns.ContentDraft(SMS, "en", "Breathe."),)
        )
    )
    campaigns.start(waiting, override=True)
    campaigns.freeze(waiting)
    assert talk.text(ANA, words) == ["stopped"]
    assert "by text or email" in talk.last.body
    assert of(ana).state == MemberState.LEFT
    assert stopped(SMS, ANA)
    assert stopped(EMAIL, MAIL)
    assert campaigns_reach(talk) == []
    with db.reading() as session:
        states = session.scalars(select(Delivery.state).where(Delivery.campaign_id == waiting)).all()
    assert states == [DeliveryState.SKIPPED]


def test_a_second_stop_is_heard_and_not_confirmed_again(talk: Talk) -> None:
    add_member("Ana", ANA)
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert talk.text(ANA, "STOP") == []
    with later(days=2):
        assert talk.text(ANA, "STOP") == ["stopped"]


def test_a_bare_stop_needs_no_person_and_words_beside_it_do(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    talk.text(ANA, "STOP")
    assert not waits(ana)
    talk.text(BEN, "please stop texting me")
    assert waits(ben)


def test_stop_with_risk_is_one_confirmation_with_the_line_and_the_page_says_we_cannot_text(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "STOP\nI want to die") == ["stopped_with_line"]
    assert "988" in talk.last.body or "988" in [o for o in talk.left if o.to == ANA][-1].body
    [flag] = flags()
    assert (flag.tier, flag.cannot_text) == (RiskTier.IMMINENT, True)
    assert flag.answered_at == NOON  # the confirmation is the automatic answer, too
    assert talk.pages() == ["page_staff_cannot_text"]
    assert stopped(SMS, ANA)
    assert waits(ana)


def test_a_minor_who_stops_gets_one_confirmation_with_the_youth_line(talk: Talk) -> None:
    from service.actions import crisis

    add_member("Ana", ANA)
    assert talk.text(ANA, "I'm 15\nSTOP") == ["stopped_with_line"]
    assert crisis.lines("US", "en").youth_line in [o for o in talk.left if o.to == ANA][-1].body
    assert [flag.answered_at for flag in flags()] == [NOON]


def test_part_of_it_with_risk_is_honoured_and_the_risk_is_answered(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA, MAIL)
    assert talk.text(ANA, "No more stories please. I want to kill myself tonight") == ["risk_answer"]
    assert on(ana)["sms"] == SubscriptionState.STOPPED
    assert not stopped(SMS, ANA)
    assert talk.pages() == ["page_staff"]


def test_where_the_provider_has_answered_we_are_silent_and_the_stop_counts(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "Stopp", OptOutType="STOP") == []
    assert stopped(SMS, ANA)
    assert talk.text(ANA, "START", OptOutType="START") == []
    assert not stopped(SMS, ANA)
    assert talk.text(ANA, "HELP", OptOutType="HELP") == []
    assert waits(ana)


def test_start_and_join_bring_back_what_stop_ended_and_yes_does_not(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "no more stories please")
    talk.text(ANA, "STOP")
    assert talk.text(ANA, "YES") == []
    assert of(ana).state == MemberState.LEFT
    assert talk.text(ANA, "START") == ["started_again"]
    assert of(ana).state == MemberState.ACTIVE
    assert on(ana)["sms"] == SubscriptionState.STOPPED  # switched off by topic, not by the stop
    assert on(ana, Topic.TOOLS)["sms"] == SubscriptionState.ACTIVE
    talk.text(ANA, "STOP")
    with later(days=2):
        assert talk.text(ANA, "JOIN") == ["welcome"]
    assert of(ana).state == MemberState.ACTIVE


def test_start_then_stop_at_once_leaves_nothing_on_its_way(talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.text(ANA, "STOP")
    for n, words in enumerate(["START", "STOP"]):
        form = {"MessageSid": f"SM{n:032x}", "From": ANA, "To": "+15005550006", "Body": words}
        store.keep([store.Incoming("twilio", store.TEXT, form["MessageSid"], json.dumps({"form": form}))])
    conversations.process_inbound()  # both, before anything leaves
    assert [out.template for out in talk.deliver()] == ["stopped"]  # and no "welcome back" behind it
    assert stopped(SMS, ANA)


def test_only_email_please(talk: Talk) -> None:
    ana = add_member("Ana", ANA, MAIL)
    assert talk.text(ANA, "only email please") == ["email_only_please_done"]
    assert (stopped(SMS, ANA), stopped(EMAIL, MAIL)) == (True, False)
    assert of(ana).state == MemberState.ACTIVE
    assert campaigns_reach(talk) == [MAIL]


def test_no_more_emails_told_by_text(talk: Talk) -> None:
    add_member("Ana", ANA, MAIL, prefers=EMAIL)
    assert talk.text(ANA, "stop emailing me") == ["channel_stopped"]
    assert "no more emails" in talk.last.body
    assert campaigns_reach(talk) == [ANA]


def test_a_wrong_number_and_a_wish_to_be_deleted_stop_and_reach_a_person(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    assert talk.text(ANA, "wrong number") == ["wrong_number_done"]
    assert talk.text(BEN, "please delete my data") == ["deletion_received"]
    assert stopped(SMS, ANA)
    assert stopped(SMS, BEN)
    assert waits(ana)
    assert waits(ben)


def test_a_weak_wish_rests_what_is_scheduled_and_asks_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "not sure I want these anymore")
    assert of(ana).paused_until == NOON + 14 * DAY
    assert of(ana).state == MemberState.ACTIVE
    assert waits(ana)


def test_a_break_or_fewer_in_words_of_their_own_end_nothing(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    assert talk.text(ANA, "I'd like a break from these through Lent") == ["paused"]
    assert (of(ana).state, of(ana).paused_until) == (MemberState.ACTIVE, NOON + 14 * DAY)
    assert waits(ana)  # until Easter it is longer than that: a person sees to it
    assert talk.text(BEN, "gonna need u to chill to like once a week") == ["less_often"]
    assert (of(ben).weekly_cap, of(ben).paused_until) == (1, None)
    assert waits(ben)
    assert talk.text(BEN, "too many texts") == ["paused"]  # it is the least already
    assert of(ben).paused_until == NOON + 14 * DAY
    assert talk.text(BEN, "OOPS") == ["oops_undone"]
    assert talk.text(BEN, "OOPS") == ["oops_undone"]
    assert (of(ben).weekly_cap, of(ben).paused_until) == (None, None)


def test_asking_twice_never_shortens_a_break(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    with db.transaction() as session:
        session.execute(update(Member).values(paused_until=NOON + 60 * DAY))
    talk.text(ANA, "PAUSE")
    talk.text(ANA, "not sure I want these anymore")
    assert of(ana).paused_until == NOON + 60 * DAY


def test_an_unknown_number_that_stops_is_never_written_to(talk: Talk) -> None:
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert "by text or email" not in talk.last.body
    assert stopped(SMS, ANA)
    assert talk.text(ANA, "HELP") == ["help"]  # but for what they ask
