"""Everything that members write, and everything that is done about it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.db import Base, Encrypted, State, UTCTime, uuid7
from service.models.campaigns import Purpose
from service.models.members import ChannelName


class Direction(StrEnum):
    """From a member, or to one."""

    IN = "in"
    OUT = "out"


class ConversationState(StrEnum):
    """Whether somebody here still has something to do."""

    NEEDS_REPLY = "needs_reply"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    HELD = "held"  # from an address that no member has; a person decides whose it is


class RiskTier(StrEnum):
    """How worried the screen is (facts on safety: two tiers)."""

    CONCERN = "concern"
    IMMINENT = "imminent"


class WebhookEvent(Base):
    """A webhook exactly as it arrived, stored before it is answered; unique, so that a repeat changes nothing."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index(
            "ix_webhook_events_waiting",
            "kind",
            "id",
            sqlite_where=text("processed_at IS NULL"),
            postgresql_where=text("processed_at IS NULL"),
        ),
        Index("ix_webhook_events_received", "received_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    provider: Mapped[str] = mapped_column(String(20))
    event_id: Mapped[str] = mapped_column(String(160))
    kind: Mapped[str] = mapped_column(String(20))
    raw: Mapped[str | None] = mapped_column(Encrypted("webhook.raw"))
    received_at: Mapped[datetime] = mapped_column(UTCTime)
    processed_at: Mapped[datetime | None] = mapped_column(UTCTime)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime | None] = mapped_column(UTCTime)
    error: Mapped[str | None] = mapped_column(String(120))


class Conversation(Base):
    """Everything said with one member over both channels, or with one unknown address."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index("ix_conversations_folder", "state", "waiting_since", "id"),
        Index("ix_conversations_unknown", "address_hash"),
        Index(
            "ix_conversations_promise",
            "promise_at",
            sqlite_where=text("promise_at IS NOT NULL"),
            postgresql_where=text("promise_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), unique=True)
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    unknown_from: Mapped[str | None] = mapped_column(Encrypted("conversation.unknown_from"))
    state: Mapped[ConversationState] = mapped_column(State(ConversationState), default=ConversationState.RESOLVED)
    risk: Mapped[RiskTier | None] = mapped_column(State(RiskTier))
    assigned_to: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    waiting_since: Mapped[datetime | None] = mapped_column(UTCTime)
    snoozed_until: Mapped[datetime | None] = mapped_column(UTCTime)
    promise_at: Mapped[datetime | None] = mapped_column(UTCTime)  # the first day on which a promise is due
    last_in_at: Mapped[datetime | None] = mapped_column(UTCTime)
    last_out_at: Mapped[datetime | None] = mapped_column(UTCTime)
    unread: Mapped[int] = mapped_column(Integer, default=0)
    tags: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UTCTime)


class Message(Base):
    """One message in a conversation. A campaign's copies are not repeated here: they are its deliveries."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_conversation", "conversation_id", "at"),
        Index("ix_messages_at", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    event_id: Mapped[int | None] = mapped_column(BigInteger)
    direction: Mapped[Direction] = mapped_column(State(Direction))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    purpose: Mapped[Purpose | None] = mapped_column(State(Purpose))
    subject: Mapped[str | None] = mapped_column(Encrypted("message.subject"))
    body: Mapped[str] = mapped_column(Encrypted("message.body"))
    body_full: Mapped[str | None] = mapped_column(Encrypted("message.body_full"))
    template: Mapped[str | None] = mapped_column(String(60))
    labels: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    answers_delivery_id: Mapped[int | None] = mapped_column(BigInteger)
    in_reply_to: Mapped[str | None] = mapped_column(String(300))
    coordinator_id: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    automatic: Mapped[bool] = mapped_column(Boolean, default=False)
    at: Mapped[datetime] = mapped_column(UTCTime)

    coordinator: Mapped[Any] = relationship("Coordinator")


class Flag(Base):
    """A risk that the screen or a person saw, and every step of what was done about it, with its time."""

    __tablename__ = "flags"
    __table_args__ = (
        Index("ix_flags_member", "member_id"),
        Index(
            "ix_flags_open",
            "opened_at",
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="SET NULL"))
    tier: Mapped[RiskTier] = mapped_column(State(RiskTier))
    label: Mapped[str] = mapped_column(String(20), default="risk")  # risk | minor | child_at_risk
    reasons: Mapped[list[str]] = mapped_column(JSON, default=list)
    cannot_text: Mapped[bool] = mapped_column(Boolean, default=False)
    opened_at: Mapped[datetime] = mapped_column(UTCTime)
    answered_at: Mapped[datetime | None] = mapped_column(UTCTime)
    paged_at: Mapped[datetime | None] = mapped_column(UTCTime)
    pages: Mapped[int] = mapped_column(Integer, default=0)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCTime)
    acknowledged_by: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    cleared_at: Mapped[datetime | None] = mapped_column(UTCTime)
    cleared_by: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    outcome: Mapped[str | None] = mapped_column(Encrypted("flag.outcome"))


class Note(Base):
    """What one coordinator writes for the others about a conversation. Never sent."""

    __tablename__ = "notes"
    __table_args__ = (Index("ix_notes_conversation", "conversation_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    coordinator_id: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    body: Mapped[str] = mapped_column(Encrypted("note.body"))
    at: Mapped[datetime] = mapped_column(UTCTime)

    coordinator: Mapped[Any] = relationship("Coordinator")


class CheckIn(Base):
    """One answer to "How are you today, 1 very hard … 5 good?", with the words that came along."""

    __tablename__ = "checkins"
    __table_args__ = (Index("ix_checkins_member", "member_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    campaign_id: Mapped[UUID | None] = mapped_column(ForeignKey("campaigns.id", ondelete="SET NULL"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="SET NULL"))
    score: Mapped[int] = mapped_column(Integer)
    words: Mapped[str | None] = mapped_column(Encrypted("checkin.words"))
    at: Mapped[datetime] = mapped_column(UTCTime)


class Act(Base):
    """The last thing that an answer did for a member, with what is needed to undo it (OOPS)."""

    __tablename__ = "acts"
    __table_args__ = (Index("ix_acts_member", "member_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(String(20))  # checkin | rsvp | me_too | pause | confirm
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    at: Mapped[datetime] = mapped_column(UTCTime)
    undone_at: Mapped[datetime | None] = mapped_column(UTCTime)


class Finding(Base):
    """A FIND under way: which of its two questions is open in this conversation, and what the first one brought."""

    __tablename__ = "findings"

    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    step: Mapped[str] = mapped_column(String(10))
    language: Mapped[str] = mapped_column(String(10), default="en")
    choices: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The themes behind the letters of the first question."""
    theme: Mapped[str] = mapped_column(String(120), default="")
    """One of the circles' own themes, never a member's words."""
    asked_at: Mapped[datetime] = mapped_column(UTCTime)


class Joining(Base):
    """Somebody who texted JOIN and has not yet said that they are 18 or over."""

    __tablename__ = "joinings"

    index_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    phone: Mapped[str] = mapped_column(Encrypted("joining.phone"))
    circle_id: Mapped[UUID | None] = mapped_column()
    language: Mapped[str] = mapped_column(String(10), default="en")
    event_id: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UTCTime)
