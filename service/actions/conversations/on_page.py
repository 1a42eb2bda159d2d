"""Words that a member writes on one of their pages: read like every other message of theirs, risk first, and put before
a person where one should see them. The page shows what was understood; nothing is sent back but the answer to risk.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import consent, understanding
from service.actions.outbox import conversation_of
from service.actions.safety import open_flags, raise_flag
from service.actions.understanding import Intent, Minor, Question, Risk, Understanding
from service.errors import Conflict
from service.models.campaigns import Delivery, Purpose
from service.models.conversations import Conversation, ConversationState, Direction, Message, RiskTier
from service.models.members import ChannelName, Member, MemberState

PERSON_FIRST = timedelta(hours=48)
"""For so long after a person wrote, everything but STOP goes to that person (rule of conversation 1)."""
LABELS: dict[Minor | None, str] = {None: "risk", Minor.SELF: "minor", Minor.CHILD_AT_RISK: "child_at_risk"}
SHORT = 300
"""Letters. In longer words that are meant for others, a sentence like a stop is a part of what they tell."""


class Heard(StrEnum):
    """What became of it."""

    KEPT = "kept"
    PERSON = "person"
    """A person is in this conversation, and reads it."""
    RISK = "risk"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Written:
    """Words from a page, stored and judged. Only `KEPT` goes on to whatever they were written for."""

    heard: Heard
    message: Message
    thread: Conversation
    read: Understanding

    @property
    def unsure(self) -> bool:
        """Whether there are words in it that may be meant as a stop, and were not taken for one."""
        return self.read.weak_opt_out or self.read.intent == Intent.OPT_OUT


def take(
    session: Session, member: Member, channel: ChannelName, words: str, question: Question = Question.NONE,
    *, shown: str = "", telling: bool = False, labels: dict[str, Any] | None = None, only_bare_stop: bool = False,
) -> Written:  # fmt: skip
    """Store what was written and judge it: risk, a stop, and whether a person is in the conversation.

    `shown` stands in the conversation in place of `words` (a check-in's number with its word). `only_bare_stop`: where
    somebody says what weighs on them, or what to change in their story, only STOP and nothing else is a stop.
    `telling`: it is written for others.
    Raises Conflict for somebody who has left.
    """
    if member.state != MemberState.ACTIVE:
        raise Conflict("This is not open to you right now.")
    read = understanding.screen(words, language=member.language, question=question, telling=telling)
    thread = conversation_of(session, member, channel)
    busy = person_first(session, member, thread)
    message = keep(session, member, thread, channel, shown or words, read, labels)
    if flag_risk(session, member, thread, message, read):
        return Written(Heard.RISK, message, thread, read)
    meant = read.keyword == "STOP" if only_bare_stop else len(words) <= SHORT
    if read.intent == Intent.OPT_OUT and meant:
        consent.stop(session, member, source="their own page: in their words", evidence=f"message {message.id}")
        to_person(thread)
        return Written(Heard.STOPPED, message, thread, read)
    if busy:
        to_person(thread)
        return Written(Heard.PERSON, message, thread, read)
    return Written(Heard.KEPT, message, thread, read)


def flag_risk(session: Session, member: Member, thread: Conversation, message: Message, read: Understanding) -> bool:
    """Flag risk, a minor, or a child at risk; whether there was any."""
    if read.risk == Risk.NONE and read.minor is None:
        return False
    tier = RiskTier.CONCERN if read.risk == Risk.NONE else RiskTier(read.risk)
    raise_flag(session, thread, member, message, tier, read.reasons, label=LABELS[read.minor])
    return True


def keep(
    session: Session, member: Member, thread: Conversation, channel: ChannelName, words: str, read: Understanding,
    labels: dict[str, Any] | None = None,
) -> Message:  # fmt: skip
    """Store it as a message in the member's conversation, with names of rules and never words in its labels."""
    now = clock.now()
    message = Message(
        id=db.uuid7(), conversation_id=thread.id, member_id=member.id, direction=Direction.IN, channel=channel,
        body=words, at=now, labels={"language": read.language, "reasons": read.reasons} | (labels or {}),
    )  # fmt: skip
    session.add(message)
    thread.last_in_at = now
    thread.unread += 1
    session.flush()
    return message


def person_first(session: Session, member: Member, thread: Conversation) -> bool:
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


def to_person(thread: Conversation) -> None:
    """Put the conversation before a person."""
    thread.state, thread.snoozed_until = ConversationState.NEEDS_REPLY, None
    thread.waiting_since = thread.waiting_since or clock.now()
