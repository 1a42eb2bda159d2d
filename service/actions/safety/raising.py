"""A flag is raised: the member's messages and stories rest, one answer leaves, and somebody is paged."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, true, update
from sqlalchemy.orm import Session

from service import clock, db, logs
from service.actions import contacts, holds, outbox
from service.actions.safety.paging import cannot_text, page
from service.models.campaigns import Purpose
from service.models.content import Story, StoryState
from service.models.conversations import Conversation, ConversationState, Flag, Message, RiskTier
from service.models.members import ChannelName, Member, MemberState

log = logs.get("safety")

ANSWER_EVERY = timedelta(hours=1)
"""The automatic answer to risk is sent at most this often to one person; a page goes out every time."""


def raise_flag(
    session: Session,
    conversation: Conversation,
    member: Member | None,
    message: Message,
    tier: RiskTier,
    reasons: Sequence[str],
    *,
    label: str = "risk",
    may_answer: bool = True,
    blocked: bool = False,
) -> Flag:
    """Open a flag (or add to the open one), hold the member's messages, answer once and page whoever is on duty.

    `may_answer` is False where something else answers, or where an automatic system wrote. `blocked` says that this
    person has just stopped us: then the page says that we can NOT text them. Call it in the transaction that stores
    the message.
    """
    now = clock.now()
    flag = _open_flag(session, conversation.id, label)
    if flag is None:
        flag = Flag(
            id=db.uuid7(), member_id=member.id if member else None, conversation_id=conversation.id,
            message_id=message.id, tier=tier, label=label, reasons=list(reasons), opened_at=now, pages=0,
        )  # fmt: skip
        session.add(flag)
    else:
        flag.message_id = message.id
        flag.reasons = sorted({*flag.reasons, *reasons})
        if tier == RiskTier.IMMINENT:
            flag.tier = tier
    conversation.risk = flag.tier
    conversation.state = ConversationState.NEEDS_REPLY
    conversation.waiting_since = conversation.waiting_since or now
    if member is not None:
        member.held_at = member.held_at or now
        holds.take_back(session, [member.id])
        rest_stories(session, member.id, rest=True)
    session.flush()
    flag.cannot_text = blocked or cannot_text(session, member)
    if may_answer:
        _answer(session, flag, conversation, member, message, now)
    page(session, flag)
    log.warning("flag", flag=str(flag.id), tier=tier, label=label)
    return flag


def _open_flag(session: Session, conversation_id: UUID, label: str) -> Flag | None:
    return session.scalar(
        select(Flag).where(Flag.conversation_id == conversation_id, Flag.cleared_at.is_(None), Flag.label == label)
    )


def _answer(
    session: Session, flag: Flag, conversation: Conversation, member: Member | None, message: Message, now: datetime
) -> None:
    """The one automatic answer, on the channel that was written on; rate-limited per person."""
    if flag.answered_at and flag.answered_at > now - ANSWER_EVERY:
        return
    if member is not None:
        template = "risk_answer_discreet" if member.discreet else "risk_answer"
        outbox.say(session, member, template, message.channel, Purpose.SAFETY, answers=message)
    elif conversation.unknown_from:
        country = contacts.country_of(conversation.unknown_from) if message.channel == ChannelName.SMS else ""
        language = str(message.labels.get("language", "en"))
        outbox.say_to(
            session, message.channel, conversation.unknown_from, "risk_answer", country=country, language=language,
            purpose=Purpose.SAFETY, conversation=conversation,
        )  # fmt: skip
    flag.answered_at = now


def rest_stories(session: Session, member_id: UUID, *, rest: bool) -> None:
    """A story rests while its author is under a flag (rule of conversation 6), and for good when they have died."""
    before, after = (StoryState.PUBLISHED, StoryState.RESTING) if rest else (StoryState.RESTING, StoryState.PUBLISHED)
    here = exists().where(Member.id == member_id, Member.state != MemberState.DIED)
    mine = (Story.author_id == member_id, Story.state == before)
    session.execute(update(Story).where(*mine, true() if rest else here).values(state=after))
