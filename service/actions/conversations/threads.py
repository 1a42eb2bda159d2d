"""Everything said with one member, in the order in which it was said."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from service import clock
from service.actions import access, audit
from service.models.campaigns import Campaign, CampaignContent, Delivery, DeliveryState
from service.models.conversations import (
    Conversation,
    Direction,
    Flag,
    Message,
    Note,
)
from service.models.inbox import Attachment
from service.models.members import Member
from service.models.staff import AuditEntry, Coordinator

AUDIT_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Entry:
    """One thing in a conversation: `kind` is in, out, campaign or note."""

    kind: str
    at: datetime
    body: str
    channel: str = ""
    subject: str = ""
    author: str = ""
    state: str = ""
    reason: str = ""
    automatic: bool = False
    purpose: str = ""
    labels: dict[str, Any] = field(default_factory=dict)
    answers: str = ""
    attachments: tuple[Attachment, ...] = ()
    full: str | None = None
    id: Any = None


@dataclass(frozen=True)
class Thread:
    """A conversation with everything in it, oldest first, and its open and past flags."""

    conversation: Conversation
    member: Member | None
    entries: list[Entry]
    flags: list[Flag]
    earlier: UUID | None
    """The oldest message here, if there are older ones: `upto` of the page before."""
    later: bool
    """Whether there may be newer messages than these."""


def read(
    session: Session, coordinator: Coordinator, conversation_id: UUID, *, limit: int = 200, upto: UUID | None = None
) -> Thread:
    """The newest `limit` messages of a conversation with what they answer; those up to the message `upto`, if given.

    Raises NotFound.
    """
    conversation = access.require_conversation(session, coordinator, conversation_id)
    member = session.get(Member, conversation.member_id) if conversation.member_id else None
    newest = select(Message).where(Message.conversation_id == conversation.id)
    last = session.get(Message, upto) if upto else None
    if last is not None:
        # The first part bounds the walk along the index; with the second alone SQLite sorts all that is older.
        newest = newest.where(Message.at <= last.at, or_(Message.at < last.at, Message.id <= last.id))
    newest = newest.options(joinedload(Message.coordinator)).order_by(Message.at.desc(), Message.id.desc())
    messages = list(session.scalars(newest.limit(limit)))
    since, until = messages[-1].at if len(messages) == limit else None, last.at if last else None
    entries = _messages(session, messages[::-1]) + _notes(session, conversation.id, since, until, limit)
    if member is not None:
        entries += _campaigns(session, member, since, until, limit)
    flags = session.scalars(select(Flag).where(Flag.conversation_id == conversation.id).order_by(Flag.opened_at.desc()))
    entries.sort(key=lambda entry: entry.at)
    oldest = messages[-1].id if since is not None else None
    return Thread(conversation, member, entries, list(flags), earlier=oldest, later=last is not None)


def note_reading(session: Session, coordinator: Coordinator, conversation: Conversation) -> None:
    """Reading a member's words is audited (DESIGN section 8), once an hour for each reader: a live page asks often."""
    lately = select(AuditEntry.id).where(
        AuditEntry.subject_type == "Conversation",
        AuditEntry.subject_id == str(conversation.id),
        AuditEntry.actor == str(coordinator.id),
        AuditEntry.action == "conversation.read",
        AuditEntry.at > clock.now() - AUDIT_EVERY,
    )
    if session.scalar(lately.limit(1)) is None:
        audit.record(session, str(coordinator.id), "conversation.read", conversation)


def _messages(session: Session, messages: list[Message]) -> list[Entry]:
    ids = [m.id for m in messages]
    sent: dict[UUID, tuple[DeliveryState, str | None]] = {
        message_id: (state, reason)
        for message_id, state, reason in session.execute(
            select(Delivery.message_id, Delivery.state, Delivery.reason).where(Delivery.message_id.in_(ids))
        )
        if message_id
    }
    files: dict[UUID, list[Attachment]] = {}
    for attachment in session.scalars(select(Attachment).where(Attachment.message_id.in_(ids))):
        files.setdefault(attachment.message_id, []).append(attachment)
    answered = _answered(session, [m.answers_delivery_id for m in messages if m.answers_delivery_id])
    entries = []
    for m in messages:
        state, reason = sent.get(m.id, ("", None))
        entries.append(
            Entry(
                kind="in" if m.direction == Direction.IN else "out",
                at=m.at,
                body=m.body,
                channel=m.channel,
                subject=m.subject or "",
                author=m.coordinator.name if m.coordinator else "",
                state=state,
                reason=reason or "",
                automatic=m.automatic,
                purpose=m.purpose or "",
                labels=m.labels,
                answers=answered.get(m.answers_delivery_id or 0, ""),
                attachments=tuple(files.get(m.id, ())),
                full=m.body_full,
                id=m.id,
            )
        )
    return entries


def _answered(session: Session, delivery_ids: list[int]) -> dict[int, str]:
    """The name of the campaign that each delivery belongs to."""
    rows: Any = session.execute(
        select(Delivery.id, Campaign.name)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(Delivery.id.in_(delivery_ids))
    )
    return dict(rows.all())


def _campaigns(
    session: Session, member: Member, since: datetime | None, until: datetime | None, limit: int
) -> list[Entry]:
    """What campaigns sent to this member: a line each with the words as composed."""
    statement = (
        select(Delivery, Campaign, CampaignContent.body)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .outerjoin(
            CampaignContent,
            (CampaignContent.campaign_id == Campaign.id)
            & (CampaignContent.channel == Delivery.channel)
            & (CampaignContent.language == member.language),
        )
        .where(Delivery.member_id == member.id, Delivery.sending_at.is_not(None))
        .order_by(Delivery.sending_at.desc())
        .limit(limit)
    )
    if since is not None:
        statement = statement.where(Delivery.sending_at > since)
    if until is not None:
        statement = statement.where(Delivery.sending_at <= until)
    return [
        Entry(
            kind="campaign", at=delivery.sending_at or clock.now(), body=body or "", channel=delivery.channel,
            subject=campaign.name, state=delivery.state, reason=delivery.reason or "", purpose=campaign.kind,
            id=campaign.id,
        )
        for delivery, campaign, body in session.execute(statement)
    ]  # fmt: skip


def _notes(
    session: Session, conversation_id: UUID, since: datetime | None, until: datetime | None, limit: int
) -> list[Entry]:
    statement = select(Note).where(Note.conversation_id == conversation_id).options(joinedload(Note.coordinator))
    if since is not None:
        statement = statement.where(Note.at > since)
    if until is not None:
        statement = statement.where(Note.at <= until)
    statement = statement.order_by(Note.at.desc()).limit(limit)
    return [
        Entry("note", note.at, note.body, author=note.coordinator.name if note.coordinator else "", id=note.id)
        for note in session.scalars(statement)
    ]
