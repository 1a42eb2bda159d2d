"""Members, their addresses, what they agreed to, and the ledger that proves it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DDL,
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
    event,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.db import Base, Encrypted, State, UTCTime, uuid7


class ChannelName(StrEnum):
    """The two ways to reach somebody."""

    SMS = "sms"
    EMAIL = "email"


class Topic(StrEnum):
    """What a member can be subscribed to."""

    STORIES = "stories"
    CHECKINS = "checkins"
    SESSIONS = "sessions"
    TOOLS = "tools"
    CIRCLE = "circle"


class MemberState(StrEnum):
    """Where a member is on the way in or out."""

    PENDING = "pending"  # asked to join, nothing confirmed yet
    ACTIVE = "active"
    LEFT = "left"  # asked for everything to stop
    DIED = "died"
    ERASED = "erased"  # the row stays for the ledger; nothing in it names the person


class AddressState(StrEnum):
    """Whether an address can be reached."""

    OK = "ok"
    UNREACHABLE = "unreachable"  # the provider says: for good
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SILENT = "silent"  # a phone: we asked whether it is still theirs, and no YES came


class SubscriptionState(StrEnum):
    """One topic on one channel."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


class ConsentKind(StrEnum):
    """What happened to a consent."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    IMPORTED = "imported"
    STARTED = "started"
    STOPPED = "stopped"
    PAUSED = "paused"
    RESUMED = "resumed"
    SUPPRESSED = "suppressed"
    STAFF_UNDONE = "staff_undone"
    DIED = "died"
    ERASED = "erased"


class Member(Base):
    """A person who asked to be part of the community."""

    __tablename__ = "members"
    __table_args__ = (Index("ix_members_state_id", "state", "id"), Index("ix_members_name_id", "first_name", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    first_name: Mapped[str] = mapped_column(String(80))
    locale: Mapped[str] = mapped_column(String(10), default="en")
    time_zone: Mapped[str] = mapped_column(String(60), default="")
    country: Mapped[str] = mapped_column(String(2), default="")
    state: Mapped[MemberState] = mapped_column(State(MemberState), default=MemberState.PENDING)
    discreet: Mapped[bool] = mapped_column(Boolean, default=False)
    no_news: Mapped[bool] = mapped_column(Boolean, default=False)
    """Would rather not hear how many felt what they shared."""
    adult_confirmed_at: Mapped[datetime | None] = mapped_column(UTCTime)
    preferred_channel: Mapped[ChannelName | None] = mapped_column(State(ChannelName))
    both_channels: Mapped[bool] = mapped_column(Boolean, default=False)
    weekly_cap: Mapped[int | None] = mapped_column(Integer)
    window_from: Mapped[int | None] = mapped_column(Integer)
    window_to: Mapped[int | None] = mapped_column(Integer)
    paused_until: Mapped[datetime | None] = mapped_column(UTCTime)
    held_at: Mapped[datetime | None] = mapped_column(UTCTime)
    loss_on: Mapped[date | None] = mapped_column(Date)
    last_heard_at: Mapped[datetime | None] = mapped_column(UTCTime)
    last_human_at: Mapped[datetime | None] = mapped_column(UTCTime)
    joined_at: Mapped[datetime | None] = mapped_column(UTCTime)
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    demo: Mapped[bool] = mapped_column(Boolean, default=False)

    addresses: Mapped[list["Address"]] = relationship(
        back_populates="member", cascade="all, delete-orphan", order_by="Address.channel.desc()"
    )
    subscriptions: Mapped[list["Subscription"]] = relationship(back_populates="member", cascade="all, delete-orphan")

    @property
    def language(self) -> str:
        """`en` or `es`: the part of the locale that chooses the words."""
        return self.locale.split("-")[0].lower()

    def address(self, channel: ChannelName) -> "Address | None":
        """The address of a channel, if there is one."""
        return next((a for a in self.addresses if a.channel == channel), None)


class Address(Base):
    """One phone number or email address of a member; found by its blind index, which two members may share."""

    __tablename__ = "addresses"
    __table_args__ = (
        UniqueConstraint("member_id", "channel"),
        Index("ix_addresses_lookup", "index_hash", "channel"),
        Index(
            "ix_addresses_still_asked",
            "still_asked_at",
            sqlite_where=text("still_asked_at IS NOT NULL"),
            postgresql_where=text("still_asked_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    value: Mapped[str] = mapped_column(Encrypted("address.value"))
    index_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    country: Mapped[str] = mapped_column(String(2), default="")
    state: Mapped[AddressState] = mapped_column(State(AddressState), default=AddressState.OK)
    verified_at: Mapped[datetime | None] = mapped_column(UTCTime)
    asked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    introduced_at: Mapped[datetime | None] = mapped_column(UTCTime)
    heard_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When a text last came from it (a phone); before that counts when it was given, `created_at`."""
    still_asked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When we asked whether it is still theirs, until somebody answers."""
    created_at: Mapped[datetime] = mapped_column(UTCTime)

    member: Mapped[Member] = relationship(back_populates="addresses")


class Subscription(Base):
    """A member's standing with one topic on one channel."""

    __tablename__ = "subscriptions"
    __table_args__ = (UniqueConstraint("member_id", "topic", "channel"), Index("ix_subscriptions_topic", "topic"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    topic: Mapped[Topic] = mapped_column(State(Topic))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    state: Mapped[SubscriptionState] = mapped_column(State(SubscriptionState), default=SubscriptionState.PENDING)
    paused_until: Mapped[datetime | None] = mapped_column(UTCTime)
    changed_at: Mapped[datetime] = mapped_column(UTCTime)

    member: Mapped[Member] = relationship(back_populates="subscriptions")


class ConsentEvent(Base):
    """One line of the ledger: who agreed to or stopped what, when, how, and in which exact words. Append-only."""

    __tablename__ = "consent_events"
    __table_args__ = (Index("ix_consent_events_member", "member_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    member_id: Mapped[UUID] = mapped_column()
    kind: Mapped[ConsentKind] = mapped_column(State(ConsentKind))
    channel: Mapped[ChannelName | None] = mapped_column(State(ChannelName))
    topics: Mapped[str] = mapped_column(String(120), default="")
    source: Mapped[str] = mapped_column(String(120))
    wording: Mapped[str] = mapped_column(Text, default="")
    evidence: Mapped[str] = mapped_column(String(120), default="")
    ip: Mapped[str | None] = mapped_column(Encrypted("consent.ip"))
    actor: Mapped[str] = mapped_column(String(60), default="member")
    at: Mapped[datetime] = mapped_column(UTCTime)


class Suppression(Base):
    """A do-not-contact mark: a keyed hash of the address, nothing else, so that it outlives erasure."""

    __tablename__ = "suppressions"

    channel: Mapped[ChannelName] = mapped_column(State(ChannelName), primary_key=True)
    index_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    reason: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(120), default="")
    at: Mapped[datetime] = mapped_column(UTCTime)


class ConfirmationAsked(Base):
    """Addresses (by hash) that were ever asked to confirm: there is one neutral request, once."""

    __tablename__ = "confirmations_asked"

    channel: Mapped[ChannelName] = mapped_column(State(ChannelName), primary_key=True)
    index_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCTime)


class Zone(Base):
    """A time zone with its smallest and largest present offset from UTC in minutes; kept fresh by the clock.

    A key is an IANA name, or `country:US` for somebody of whom only the country is known: then the two differ,
    and a message leaves only when the window is open at both.
    """

    __tablename__ = "zones"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    offset_min: Mapped[int] = mapped_column(Integer)
    offset_max: Mapped[int] = mapped_column(Integer)


class ImportRun(Base):
    """One CSV file of members given by page: kept until it has been read, with its progress and what was wrong."""

    __tablename__ = "import_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    coordinator_id: Mapped[UUID | None] = mapped_column()
    file_name: Mapped[str] = mapped_column(String(120))
    content: Mapped[str | None] = mapped_column(Encrypted("import.content"))
    dry_run: Mapped[bool] = mapped_column(Boolean)
    skip_bad: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(String(20), default="waiting")
    rows_total: Mapped[int] = mapped_column(Integer, default=0)
    rows_done: Mapped[int] = mapped_column(Integer, default=0)
    imported: Mapped[int] = mapped_column(Integer, default=0)
    updated: Mapped[int] = mapped_column(Integer, default=0)
    skipped: Mapped[int] = mapped_column(Integer, default=0)
    errors: Mapped[str | None] = mapped_column(Encrypted("import.errors"))
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCTime)


class AccessCode(Base):
    """A six-digit code that went to a member's other address before what is held is shown (safety rule 5).

    Kept here and not in Redis: a flushed Redis must not hand out fresh tries. Only a keyed hash of the code is held.
    """

    __tablename__ = "access_codes"
    __table_args__ = (Index("ix_access_codes_member", "member_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    link_channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    expires_at: Mapped[datetime] = mapped_column(UTCTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCTime)


# The ledger is append-only in the database itself, not by good manners. Only `ip` may be blanked (erasure).
LEDGER_SQLITE = (
    """CREATE TRIGGER consent_events_no_update
BEFORE UPDATE OF id, member_id, kind, channel, topics, source, wording, evidence, actor, at ON consent_events
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END""",
    """CREATE TRIGGER consent_events_no_delete BEFORE DELETE ON consent_events
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END""",
)
LEDGER_POSTGRESQL = (
    """CREATE FUNCTION consent_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the consent ledger is append-only'; END $$""",
    """CREATE TRIGGER consent_events_no_update
BEFORE UPDATE OF id, member_id, kind, channel, topics, source, wording, evidence, actor, at ON consent_events
FOR EACH ROW EXECUTE FUNCTION consent_events_append_only()""",
    """CREATE TRIGGER consent_events_no_delete BEFORE DELETE ON consent_events
FOR EACH ROW EXECUTE FUNCTION consent_events_append_only()""",
)
for _dialect, _statements in (("sqlite", LEDGER_SQLITE), ("postgresql", LEDGER_POSTGRESQL)):
    for _statement in _statements:
        _ddl: Any = DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(ConsentEvent.__table__, "after_create", _ddl.execute_if(dialect=_dialect))
