"""A check-in given on a member's signed page: read like every other message of theirs, risk first, and put before a
person where one should see it. The page shows what was understood; nothing is sent back, but the answer to risk.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import consent, understanding
from service.actions.checkins import lines
from service.actions.conversations import duty
from service.actions.delivery import release
from service.actions.delivery.history import QUESTION_OPEN
from service.actions.leaving import existing
from service.actions.outbox import conversation_of
from service.actions.safety import open_flags, raise_flag
from service.actions.understanding import Intent, Minor, Question, Risk, Understanding
from service.db import transaction
from service.errors import Conflict, Invalid
from service.models.campaigns import Asks, Delivery, DeliveryState, Purpose
from service.models.conversations import (
    CheckIn,
    Conversation,
    ConversationState,
    Direction,
    Message,
    RiskTier,
)
from service.models.members import ChannelName, Member, MemberState

LONGEST = 300
SAME = timedelta(hours=12)
"""Two answers within this time that answer no question are one, changed."""
PERSON_FIRST = timedelta(hours=48)
NEVER_LEFT = (DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED)
LABELS: dict[Minor | None, str] = {None: "risk", Minor.SELF: "minor", Minor.CHILD_AT_RISK: "child_at_risk"}


class Heard(StrEnum):
    """What became of it."""

    KEPT = "kept"
    PERSON = "person"
    """A person is in this conversation, and reads it."""
    RISK = "risk"
    STOPPED = "stopped"


def answer(member_id: UUID, channel: ChannelName, score: int, words: str) -> tuple[Heard, str]:
    """Take a score with an optional word; what became of it, and when a person reads it where that matters.

    Raises Invalid, NotFound, and Conflict for somebody who has left.
    """
    words = " ".join(words.split())
    if not 1 <= score <= 5:
        raise Invalid("Choose a number from 1 to 5.", field="score")
    if len(words) > LONGEST:
        raise Invalid("Please make it a little shorter: 300 letters at most.", field="words")
    with transaction() as session:
        member = existing(session, member_id)
        if member.state != MemberState.ACTIVE:
            raise Conflict("This is not open to you right now.")
        read = understanding.screen(words or str(score), language=member.language, question=Question.CHECKIN)
        thread = conversation_of(session, member, channel)
        busy = _person_first(session, member, thread)
        message = _keep(session, member, thread, channel, score, words, read)
        if _flag_risk(session, member, thread, message, read):
            return Heard.RISK, duty.when_words(session, member)
        if read.intent == Intent.OPT_OUT:
            consent.stop(session, member, source="check-in page: in their words", evidence=f"message {message.id}")
            _to_person(thread)
            return Heard.STOPPED, ""
        if busy:
            _to_person(thread)
            return Heard.PERSON, duty.when_words(session, member)
        _record(session, member, message, score, words)
        if score <= 2 or words:
            _to_person(thread)
        return Heard.KEPT, duty.when_words(session, member) if score <= 2 else ""


def keep_line(member_id: UUID, channel: ChannelName, words: str, *, give_back: bool) -> Heard:
    """Keep a line for a harder day as typed on the page. The caller has seen a code.

    Raises Invalid. Words with risk in them are no line: they are flagged like everything that a member writes.
    """
    with transaction() as session:
        member = existing(session, member_id)
        known = lines.current(session, member_id)
        if known is not None and known.words == " ".join(words.split()):
            known.give_back = give_back
            return Heard.KEPT
        read = understanding.screen(words, language=member.language, question=Question.NONE)
        if read.risk != Risk.NONE or read.minor is not None:
            thread = conversation_of(session, member, channel)
            message = _keep(session, member, thread, channel, None, words, read)
            _flag_risk(session, member, thread, message, read)
            return Heard.RISK
        lines.keep(session, member, words, give_back=give_back)
        return Heard.KEPT


def remove_line(member_id: UUID) -> None:
    """Forget the line for a harder day. The caller has seen a code."""
    with transaction() as session:
        lines.remove(session, member_id)


def _flag_risk(session: Session, member: Member, thread: Conversation, message: Message, read: Understanding) -> bool:
    """Flag risk, a minor, or a child at risk; whether there was any."""
    if read.risk == Risk.NONE and read.minor is None:
        return False
    tier = RiskTier.CONCERN if read.risk == Risk.NONE else RiskTier(read.risk)
    raise_flag(session, thread, member, message, tier, read.reasons, label=LABELS[read.minor])
    return True


def _keep(
    session: Session, member: Member, thread: Conversation, channel: ChannelName, score: int | None, words: str,
    read: Understanding,
) -> Message:  # fmt: skip
    now = clock.now()
    labels: dict[str, Any] = {"language": read.language, "reasons": read.reasons}
    if score is not None:
        labels |= {"checkin": score, "did": f"checkin {score}"}
    message = Message(
        id=db.uuid7(), conversation_id=thread.id, member_id=member.id, direction=Direction.IN, channel=channel,
        body=f"{score or ''} {words}".strip(), at=now, labels=labels,
    )  # fmt: skip
    session.add(message)
    thread.last_in_at = now
    thread.unread += 1
    session.flush()
    return message


def _person_first(session: Session, member: Member, thread: Conversation) -> bool:
    """Whether a flag is open, or a person wrote last (rule of conversation 1)."""
    if open_flags(session, conversation_id=thread.id):
        return True
    if member.last_human_at is None or member.last_human_at < clock.now() - PERSON_FIRST:
        return False
    later = select(Delivery.id).where(
        Delivery.member_id == member.id,
        Delivery.purpose == Purpose.CAMPAIGN,
        Delivery.sending_at > member.last_human_at,
    )
    return session.scalar(later.limit(1)) is None


def _record(session: Session, member: Member, message: Message, score: int, words: str) -> None:
    """The answer to the open check-in, or one of its own."""
    asked = session.execute(
        select(Delivery.campaign_id, Delivery.id)
        .where(
            Delivery.member_id == member.id,
            Delivery.asks == Asks.SCORE,
            Delivery.sending_at > clock.now() - QUESTION_OPEN,
            Delivery.state.not_in(NEVER_LEFT),
        )
        .order_by(Delivery.sending_at.desc())
        .limit(1)
    ).first()
    known = select(CheckIn).where(CheckIn.member_id == member.id).order_by(CheckIn.at.desc()).limit(1)
    if asked is not None:
        known = known.where(CheckIn.campaign_id == asked.campaign_id)
        message.answers_delivery_id = asked.id
        session.execute(
            update(Delivery)
            .where(Delivery.campaign_id == asked.campaign_id, Delivery.member_id == member.id)
            .values(answered_at=clock.now())
            .execution_options(synchronize_session=False)
        )
        release(session, member.id, "open_question")
    else:
        known = known.where(CheckIn.campaign_id.is_(None), CheckIn.at > clock.now() - SAME)
    row = session.scalar(known) or CheckIn(
        id=db.uuid7(), member_id=member.id, campaign_id=asked.campaign_id if asked else None
    )
    row.score, row.words, row.message_id, row.at = score, words or row.words, message.id, message.at
    session.add(row)
    session.flush()


def _to_person(thread: Conversation) -> None:
    thread.state, thread.snoozed_until = ConversationState.NEEDS_REPLY, None
    thread.waiting_since = thread.waiting_since or clock.now()
