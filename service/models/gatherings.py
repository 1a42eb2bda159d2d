"""Circles and their sessions: a group with a rhythm, a place to land, a door left open."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Boolean, Date, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.db import Base, State, UTCTime, uuid7


class Openness(StrEnum):
    """How somebody comes into a circle."""

    OPEN = "open"
    ASK = "ask"
    INVITE = "invite"


class SessionState(StrEnum):
    """A session happens or it does not."""

    PLANNED = "planned"
    CANCELLED = "cancelled"


class Rsvp(StrEnum):
    """What a member answered to an invite."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


class AskFor(StrEnum):
    """What somebody waits for who has no place in a circle yet."""

    WORD = "word"  # the circle asks first: a coordinator says yes
    SEAT = "seat"  # the circle is full: a place that comes free


class AskState(StrEnum):
    """waiting → offered (a seat only) → in | declined | lapsed | withdrawn."""

    WAITING = "waiting"
    OFFERED = "offered"
    IN = "in"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


class Circle(Base):
    """A group of members with a theme and a rhythm (an RFC 5545 rule in the circle's own time zone)."""

    __tablename__ = "circles"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(80))
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    keyword: Mapped[str] = mapped_column(String(20), unique=True)
    theme: Mapped[str] = mapped_column(String(120), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str] = mapped_column(String(10), default="en")
    time_zone: Mapped[str] = mapped_column(String(60))
    rrule: Mapped[str] = mapped_column(String(120), default="")
    starts_time: Mapped[str] = mapped_column(String(5), default="19:00")
    minutes: Mapped[int] = mapped_column(Integer, default=60)
    place: Mapped[str] = mapped_column(String(200), default="")
    online_url: Mapped[str] = mapped_column(String(300), default="")
    size: Mapped[int | None] = mapped_column(Integer)
    """Seats at a session. Not everybody who belongs comes each time, so a circle may have more members."""
    most_members: Mapped[int | None] = mapped_column(Integer)
    """How many may belong; whoever asks after that waits in line."""
    invite_code: Mapped[str | None] = mapped_column(String(12), unique=True)
    """What opens the door of a circle that people are only invited to."""
    digest_sent_at: Mapped[datetime | None] = mapped_column(UTCTime)
    openness: Mapped[Openness] = mapped_column(State(Openness), default=Openness.OPEN)
    coordinator_id: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    on_hold: Mapped[bool] = mapped_column(Boolean, default=False)
    closed_at: Mapped[datetime | None] = mapped_column(UTCTime)
    created_at: Mapped[datetime] = mapped_column(UTCTime)


class CircleStaff(Base):
    """Which coordinators look after a circle; a circle coordinator sees only these."""

    __tablename__ = "circle_staff"

    circle_id: Mapped[UUID] = mapped_column(ForeignKey("circles.id", ondelete="CASCADE"), primary_key=True)
    coordinator_id: Mapped[UUID] = mapped_column(ForeignKey("coordinators.id", ondelete="CASCADE"), primary_key=True)


class CircleMembership(Base):
    """A member's place in a circle."""

    __tablename__ = "circle_memberships"
    __table_args__ = (
        UniqueConstraint("circle_id", "member_id"),
        Index("ix_circle_memberships_member", "member_id"),
        Index("ix_circle_memberships_joined", "joined_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    circle_id: Mapped[UUID] = mapped_column(ForeignKey("circles.id", ondelete="CASCADE"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    joined_at: Mapped[datetime] = mapped_column(UTCTime)
    left_at: Mapped[datetime | None] = mapped_column(UTCTime)
    welcomed_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When we said which circle this is and when it meets next."""
    digest: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the member asked for the circle's week."""
    door_told_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When we said, after an absence, that the circle is there whenever they like."""
    anniversary_on: Mapped[date | None] = mapped_column(Date)
    """The last anniversary of joining that we spoke of."""

    circle: Mapped[Circle] = relationship()


class PlaceAsk(Base):
    """Somebody's wish for a place in a circle: before a coordinator's yes, or in the line of a full one.

    There is one for a member and a circle; whoever asks again stands at the end of the line.
    """

    __tablename__ = "place_asks"
    __table_args__ = (
        UniqueConstraint("circle_id", "member_id"),
        Index("ix_place_asks_line", "circle_id", "state", "asked_at"),
        Index("ix_place_asks_member", "member_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    circle_id: Mapped[UUID] = mapped_column(ForeignKey("circles.id", ondelete="CASCADE"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    waits_for: Mapped[AskFor] = mapped_column(State(AskFor))
    state: Mapped[AskState] = mapped_column(State(AskState))
    asked_at: Mapped[datetime] = mapped_column(UTCTime)
    told_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When we said that they are in line, or that a person answers."""
    offered_until: Mapped[datetime | None] = mapped_column(UTCTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCTime)
    settled_by: Mapped[UUID | None] = mapped_column()

    circle: Mapped[Circle] = relationship()


class GroupSession(Base):
    """One meeting of a circle."""

    __tablename__ = "group_sessions"
    __table_args__ = (Index("ix_group_sessions_circle", "circle_id", "starts_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    circle_id: Mapped[UUID] = mapped_column(ForeignKey("circles.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(120), default="")
    starts_at: Mapped[datetime] = mapped_column(UTCTime)
    ends_at: Mapped[datetime] = mapped_column(UTCTime)
    place: Mapped[str] = mapped_column(String(200), default="")
    online_url: Mapped[str] = mapped_column(String(300), default="")
    seats: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[SessionState] = mapped_column(State(SessionState), default=SessionState.PLANNED)
    created_at: Mapped[datetime] = mapped_column(UTCTime)

    circle: Mapped[Circle] = relationship()


class Invitation(Base):
    """A member's answer to one session: RSVP, a seat or a place on the waitlist, and whether they came."""

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("session_id", "member_id"), Index("ix_invitations_member", "member_id"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("group_sessions.id", ondelete="CASCADE"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    rsvp: Mapped[Rsvp | None] = mapped_column(State(Rsvp))
    waitlisted: Mapped[bool] = mapped_column(Boolean, default=False)
    attended: Mapped[bool | None] = mapped_column(Boolean)
    answered_at: Mapped[datetime | None] = mapped_column(UTCTime)
    created_at: Mapped[datetime] = mapped_column(UTCTime)

    session: Mapped[GroupSession] = relationship()
