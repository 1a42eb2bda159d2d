"""Campaigns and deliveries: what goes out, to whom, and what became of every single message."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.db import Base, Encrypted, State, UTCTime, uuid7
from service.models.members import ChannelName, Topic


class CampaignKind(StrEnum):
    """What a campaign carries."""

    STORY = "story"
    CHECKIN = "checkin"
    INVITE = "invite"
    TOOL = "tool"
    ANNOUNCEMENT = "announcement"
    PROMPT = "prompt"  # "you too?": the next of its line by a rhythm, or any of it at once


COMPOSED = tuple(kind for kind in CampaignKind if kind != CampaignKind.PROMPT)
"""The kinds that are made of words alone, as the command line sends them; a prompt is chosen from its line."""


class CampaignState(StrEnum):
    """draft → scheduled → sending ⇄ paused → finished | cancelled."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    """What became of one message (DESIGN section 6)."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SKIPPED = "skipped"


RANK: dict[DeliveryState, int] = {
    DeliveryState.QUEUED: 0,
    DeliveryState.SENDING: 1,
    DeliveryState.UNKNOWN: 2,
    DeliveryState.ACCEPTED: 3,
    DeliveryState.SENT: 4,
    DeliveryState.FAILED: 5,
    DeliveryState.UNDELIVERED: 5,
    DeliveryState.DELIVERED: 6,
    DeliveryState.BOUNCED: 7,
    DeliveryState.COMPLAINED: 8,
    DeliveryState.SKIPPED: 9,
}
"""Receipts come in any order and any number of times: only a state of higher rank applies."""


class Purpose(StrEnum):
    """Why a message goes out; decides its queue, its order, and which rules bind it at the claim."""

    SAFETY = "safety"  # the answer to risk: outside caps, windows and holds
    PAGE = "page"  # to a coordinator on duty
    ANSWER = "answer"  # an automatic answer to what a member just wrote
    CONFIRM = "confirm"  # asks an address to confirm; allowed without a confirmed consent, once
    REPLY = "reply"  # a person wrote it
    TEST = "test"  # a coordinator tries a campaign on themselves
    CAMPAIGN = "campaign"


PRIORITY: dict[Purpose, int] = {
    Purpose.SAFETY: 0,
    Purpose.PAGE: 1,
    Purpose.ANSWER: 10,
    Purpose.CONFIRM: 11,
    Purpose.REPLY: 12,
    Purpose.TEST: 20,
    Purpose.CAMPAIGN: 50,
}
KIND_PRIORITY: dict[CampaignKind, int] = {
    CampaignKind.INVITE: 40,
    CampaignKind.ANNOUNCEMENT: 45,
    CampaignKind.CHECKIN: 50,
    CampaignKind.STORY: 55,
    CampaignKind.PROMPT: 55,
    CampaignKind.TOOL: 55,
}
"""Smaller leaves first: answers and safety, then invites, then nudges and stories."""


class Asks(StrEnum):
    """Which kind of answer a message invites; two that take the same answer are never open at once."""

    YES_NO = "yes_no"
    SCORE = "score"
    ME_TOO = "me_too"


ASKS: dict[CampaignKind, Asks] = {
    CampaignKind.INVITE: Asks.YES_NO,
    CampaignKind.CHECKIN: Asks.SCORE,
    CampaignKind.STORY: Asks.ME_TOO,
    CampaignKind.PROMPT: Asks.ME_TOO,
}


class Schedule(StrEnum):
    """When a campaign leaves."""

    NOW = "now"
    AT = "at"  # one moment for everybody (each member's window still holds)
    LOCAL = "local"  # the same hour on each member's own clock


class Campaign(Base):
    """One thing that coordinators send to many."""

    __tablename__ = "campaigns"
    __table_args__ = (
        Index("ix_campaigns_state", "state", "scheduled_at"),
        UniqueConstraint("rhythm_id", "occurs_on", "story_id"),
        Index(
            "ix_campaigns_occurrence",
            "rhythm_id",
            "occurs_on",
            unique=True,
            sqlite_where=text("story_id IS NULL"),
            postgresql_where=text("story_id IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[CampaignKind] = mapped_column(State(CampaignKind))
    topic: Mapped[Topic | None] = mapped_column(State(Topic))
    state: Mapped[CampaignState] = mapped_column(State(CampaignState), default=CampaignState.DRAFT)
    channels: Mapped[str] = mapped_column(String(20), default="sms,email")
    audience: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    circle_id: Mapped[UUID | None] = mapped_column(ForeignKey("circles.id", ondelete="SET NULL"))
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("group_sessions.id", ondelete="SET NULL"))
    story_id: Mapped[UUID | None] = mapped_column(ForeignKey("stories.id", ondelete="SET NULL"))
    prompt_id: Mapped[UUID | None] = mapped_column(ForeignKey("prompts.id", ondelete="SET NULL"))
    tool_id: Mapped[UUID | None] = mapped_column(ForeignKey("tools.id", ondelete="SET NULL"))
    series_id: Mapped[UUID | None] = mapped_column(ForeignKey("tool_series.id", ondelete="SET NULL"))
    rhythm_id: Mapped[UUID | None] = mapped_column(ForeignKey("rhythms.id", ondelete="SET NULL"))
    gift_id: Mapped[UUID | None] = mapped_column(ForeignKey("gifts.id", ondelete="SET NULL"))  # whose words it carries
    occurs_on: Mapped[date | None] = mapped_column(Date)  # of a rhythm: made once for each of its days
    schedule: Mapped[Schedule] = mapped_column(State(Schedule), default=Schedule.NOW)
    scheduled_at: Mapped[datetime | None] = mapped_column(UTCTime)
    local_time: Mapped[str | None] = mapped_column(String(16))
    override: Mapped[bool] = mapped_column(Boolean, default=False)
    expires_at: Mapped[datetime | None] = mapped_column(UTCTime)
    audience_size: Mapped[int | None] = mapped_column(Integer)
    frozen_at: Mapped[datetime | None] = mapped_column(UTCTime)
    paused_reason: Mapped[str] = mapped_column(String(300), default="")
    created_by: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    updated_at: Mapped[datetime] = mapped_column(UTCTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCTime)

    contents: Mapped[list["CampaignContent"]] = relationship(back_populates="campaign", cascade="all, delete-orphan")

    @property
    def channel_names(self) -> tuple[ChannelName, ...]:
        """The channels that this campaign uses."""
        return tuple(ChannelName(c) for c in self.channels.split(",") if c)


class CampaignContent(Base):
    """What a campaign says on one channel in one language."""

    __tablename__ = "campaign_contents"
    __table_args__ = (UniqueConstraint("campaign_id", "channel", "language"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    language: Mapped[str] = mapped_column(String(10), default="en")
    subject: Mapped[str] = mapped_column(String(200), default="")
    body: Mapped[str] = mapped_column(Text)

    campaign: Mapped[Campaign] = relationship(back_populates="contents")


def _known(name: str, column: str) -> Index:
    """An index of the rows that have a value there: a new delivery has none, and a campaign makes a million of them."""
    return Index(
        name, column, sqlite_where=text(f"{column} IS NOT NULL"), postgresql_where=text(f"{column} IS NOT NULL")
    )


class Delivery(Base):
    """One message to one recipient on one channel. Either of a campaign, or of a Message (an answer, a reply)."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("campaign_id", "member_id", "channel"),
        Index(
            "ix_deliveries_due",
            "queue",
            "priority",
            "due_at",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "ix_deliveries_open",
            "claimed_until",
            "id",
            sqlite_where=text("state IN ('sending', 'unknown')"),
            postgresql_where=text("state IN ('sending', 'unknown')"),
        ),
        Index("ix_deliveries_campaign_state", "campaign_id", "state"),
        Index("ix_deliveries_member", "member_id", "sending_at"),
        _known("ix_deliveries_provider", "provider_id"),
        _known("ix_deliveries_request", "request_id"),
        _known("ix_deliveries_message", "message_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    campaign_id: Mapped[UUID | None] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    address_id: Mapped[UUID | None] = mapped_column(ForeignKey("addresses.id", ondelete="SET NULL"))
    direct_to: Mapped[str | None] = mapped_column(Encrypted("delivery.direct_to"))
    direct_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    purpose: Mapped[Purpose] = mapped_column(State(Purpose))
    queue: Mapped[str] = mapped_column(String(10))
    priority: Mapped[int] = mapped_column(Integer)
    topic: Mapped[Topic | None] = mapped_column(State(Topic))
    asks: Mapped[Asks | None] = mapped_column(State(Asks))
    override: Mapped[bool] = mapped_column(Boolean, default=False)
    state: Mapped[DeliveryState] = mapped_column(State(DeliveryState), default=DeliveryState.QUEUED)
    reason: Mapped[str | None] = mapped_column(String(40))
    due_at: Mapped[datetime] = mapped_column(UTCTime)
    claimed_until: Mapped[datetime | None] = mapped_column(UTCTime)
    claim: Mapped[UUID | None] = mapped_column()
    request_id: Mapped[UUID | None] = mapped_column()
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    provider_id: Mapped[str | None] = mapped_column(String(80))
    error_code: Mapped[str | None] = mapped_column(String(40))
    segments: Mapped[int | None] = mapped_column(Integer)
    looked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    looks: Mapped[int] = mapped_column(Integer, default=0)
    sending_at: Mapped[datetime | None] = mapped_column(UTCTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCTime)
    answered_at: Mapped[datetime | None] = mapped_column(UTCTime)
    updated_at: Mapped[datetime] = mapped_column(UTCTime)
    created_at: Mapped[datetime] = mapped_column(UTCTime)

    message: Mapped[Any] = relationship("Message", lazy="raise")
    """Only so that a new message is stored before its delivery, without being told to."""


class Budget(Base):
    """What texts to one country may cost in a calendar month (UTC); without a row there is no limit."""

    __tablename__ = "budgets"

    country: Mapped[str] = mapped_column(String(2), primary_key=True)
    monthly_cents: Mapped[int] = mapped_column(Integer)
    changed_by: Mapped[UUID | None] = mapped_column()
    changed_at: Mapped[datetime] = mapped_column(UTCTime)


class Usage(Base):
    """What left on one day (UTC), by channel and country: budgets and daily limits are measured against it.

    `cost` is an estimate in millionths of a US dollar.
    """

    __tablename__ = "usages"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName), primary_key=True)
    country: Mapped[str] = mapped_column(String(2), primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger)
    segments: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)


class Tally(Base):
    """How many messages came to which end in one minute; older minutes are added up (actions/delivery/tally.py).

    It is what operators look at: counting the deliveries themselves would read a big table.
    """

    __tablename__ = "tallies"

    minute: Mapped[datetime] = mapped_column(UTCTime, primary_key=True)
    queue: Mapped[str] = mapped_column(String(10), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(24), primary_key=True)
    code: Mapped[str] = mapped_column(String(40), primary_key=True, default="")
    messages: Mapped[int] = mapped_column(BigInteger)
