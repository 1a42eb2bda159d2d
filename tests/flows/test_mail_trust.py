"""Whom a mail is from: what its checks, its signed address and its spam score weigh, and what a person decides."""

from typing import Any

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import consent, leaving, safety
from service.actions.conversations import replying
from service.models.campaigns import CampaignKind
from service.models.conversations import CheckIn, Conversation, ConversationState, Message
from service.models.members import ConsentEvent, Member, MemberState
from tests.flows.replies import MAIL, NOON, campaigns_reach, count, of, on, on_duty, stopped
from tests.flows.talk import EMAIL, Talk, conversation, flags, messages, waits
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

FAILING = ("fail", "{@example.org : fail}")
BYSTANDER = ("pass", "{@mailer.example.net : pass}")  # good, and somebody else's
WORDS = "hello there, how was the meeting"


def held() -> Conversation:
    return conversation()


@pytest.mark.parametrize(
    ("checks", "envelope", "into_held"),
    [
        (("pass", "{@example.org : pass}"), None, False),
        (("fail", "{@example.org : pass}"), None, False),  # forwarded: the signature survives
        (("softfail", "{@mail.example.org : pass}"), None, False),
        (("pass", "none"), None, False),
        (("none", "none"), None, False),  # nothing says anything
        (("neutral", "{@example.org : fail}"), None, True),
        (("softfail", "none"), None, True),
        (FAILING, None, True),
        (("fail", "{@evil.example.net : pass}"), None, True),  # a good signature of somebody else
        (("pass", "{@example.org : fail}"), "someone@evil.example.net", True),  # SPF of somebody else's envelope
        (BYSTANDER, "bounces@mailer.example.net", False),  # a mailing service: neither proven nor denied
    ],
)
def test_what_the_checks_weigh(talk: Talk, checks: Any, envelope: str | None, into_held: bool) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.mail(MAIL, WORDS, checks=checks, envelope=envelope)
    with db.reading() as session:
        found = session.scalars(select(Conversation)).one()
    assert (found.state, found.member_id) == (
        (ConversationState.HELD, None) if into_held else (ConversationState.NEEDS_REPLY, ana.id)
    )


def test_a_forged_mail_is_held_and_does_nothing(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you?")
    before = of(ana).last_heard_at
    for words in ("4", "PAUSE", "OOPS", "LESS", "START", "HELP", "no more stories please", WORDS):
        assert talk.mail(MAIL, words, checks=FAILING) == [], words
    assert count(CheckIn) == 0
    now = of(ana)
    assert (now.weekly_cap, now.state, now.last_heard_at) == (None, MemberState.ACTIVE, before)
    assert on(ana)["email"] == "active"
    assert held().tags == "unproven"
    assert held().unread == 8
    assert not [m for m in messages() if m.member_id == ana.id and m.direction == "in"]


def test_a_stop_that_may_be_forged_rests_everything_until_a_person_decides(talk: Talk) -> None:
    """Nobody is written to after a request to stop; and nobody is cut off by somebody else's."""
    ana = add_member("Ana", None, MAIL)
    assert talk.mail(MAIL, "please stop writing to me", checks=FAILING) == []
    assert not stopped(EMAIL, MAIL)
    assert of(ana).state == MemberState.ACTIVE
    assert campaigns_reach(talk) == []
    assert held().state == ConversationState.HELD
    assert messages()[-1].labels["did"] == "opt_out unproven"
    with db.reading() as session:
        ledger = session.scalars(select(ConsentEvent.source).where(ConsentEvent.member_id == ana.id)).all()
    assert "email: asked to stop, sender not proven" in ledger


def test_a_stop_through_the_signed_address_counts_whatever_the_checks_say(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.TOOL, "", "Breathe.")
    assert talk.mail(MAIL, "STOP", answers=talk.last, checks=FAILING) == ["stopped"]
    assert stopped(EMAIL, MAIL)
    assert of(ana).state == MemberState.LEFT


def test_other_words_through_the_signed_address_are_read_and_not_acted_on_where_checks_fail(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you?")
    assert talk.mail(MAIL, "4", answers=talk.last, checks=FAILING) == []
    assert count(CheckIn) == 0
    assert waits(ana)


def test_risk_in_a_forged_mail_is_paged_holds_the_member_and_answers_nobody(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", None, MAIL)
    assert talk.mail(MAIL, "I want to kill myself tonight", checks=FAILING) == []
    [flag] = flags()
    assert (flag.member_id, flag.conversation_id) == (ana.id, held().id)
    assert talk.pages() == ["page_staff"]
    assert of(ana).held_at == NOON
    talk.mail(MAIL, "I want to die")  # and then by a mail that is surely hers
    safety.clear(flag.id, maya.id, "Asked her: it was not her mail.")
    assert of(ana).held_at is not None  # the other flag is still open
    safety.clear(flags()[-1].id, maya.id, "Rang her.")
    assert of(ana).held_at is None


def test_a_person_says_that_it_was_theirs_after_all(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", None, MAIL)
    talk.mail(MAIL, WORDS, checks=FAILING)
    own = replying.belongs_to(held().id, maya, ana.id)
    assert own == conversation(ana).id
    assert waits(ana)
    talk.mail(MAIL, "And again", checks=FAILING)  # the next one is held again
    with db.reading() as session:
        assert session.get_one(Conversation, held().id).state == ConversationState.HELD


def test_spam_is_held_unless_it_answers_us(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you?")
    asked = talk.last
    assert talk.mail(MAIL, "4", spam="7.5") == []
    assert held().tags == "spam"
    assert count(CheckIn) == 0
    assert talk.mail(MAIL, "4", answers=asked, spam="7.5") == ["checkin_4"]
    assert of(ana).state == MemberState.ACTIVE
    talk.mail(MAIL, "STOP", spam="7.5")  # proven by its checks: a stop is a stop
    assert stopped(EMAIL, MAIL)


def test_spam_of_a_stranger_gets_no_answer_and_risk_in_it_is_seen(talk: Talk) -> None:
    on_duty()
    assert talk.mail("stranger@example.net", "Buy now!", spam="9", checks=("pass", "none")) == []
    assert talk.mail("other@example.net", "I want to kill myself tonight", spam="9", checks=("pass", "none")) == []
    assert talk.pages() == ["page_staff"]


def test_a_bounce_that_comes_as_mail_is_shown_and_answers_nothing(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you? Reply 1-5 or STOP")
    report = ["Content-Type: multipart/report; report-type=delivery-status", "Auto-Submitted: auto-replied"]
    words = "Your message could not be delivered. STOP\n\n> How are you? Reply 1-5 or STOP"
    answers = talk.mail("MAILER-DAEMON@example.org", words, answers=talk.last, headers=report, envelope="")
    assert answers == []
    assert of(ana).state == MemberState.ACTIVE
    assert count(CheckIn) == 0
    with db.reading() as session:
        kept = session.scalars(select(Message).where(Message.direction == "in")).one()
    assert (kept.member_id, kept.automatic) == (ana.id, True)


# What staff enter and undo


def test_a_mistaken_stop_is_undone_with_a_reason_and_an_entry(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.TOOL, "", "Breathe.")
    talk.mail(MAIL, "please stop writing to me", answers=talk.last)
    assert of(ana).state == MemberState.LEFT
    leaving.undo_opt_out(ana.id, EMAIL, maya.id, "She meant the calls of her landlord; rang her.")
    assert of(ana).state == MemberState.ACTIVE
    assert not stopped(EMAIL, MAIL)
    with db.reading() as session:
        entry = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert entry is not None
        assert str(maya.id) in str(entry.actor)
    assert campaigns_reach(talk) == [MAIL]


def test_a_stop_by_phone_counts_at_once_and_says_who_entered_it(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", None, MAIL)
    leaving.opt_out_by_staff(ana.id, maya.id, "by phone, to Maya")
    assert campaigns_reach(talk) == []
    with db.reading() as session:
        assert consent.suppressed(session, EMAIL, MAIL)
        sources = session.scalars(select(ConsentEvent.source).where(ConsentEvent.member_id == ana.id)).all()
        assert any("by phone, to Maya" in source for source in sources)
        assert session.get_one(Member, ana.id).state == MemberState.LEFT
    assert clock.now() == NOON
