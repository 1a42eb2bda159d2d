"""Rhythms, of check-ins and what else comes round by itself; and lines that members leave for a harder day."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, Date, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Encrypted, State, UTCTime, uuid7


class RhythmKind(StrEnum):
    """What comes round in a rhythm."""

    CHECKIN = "checkin"
    PROMPT = "prompt"  # "you too?": something that others felt, another each time
    STORY = "story"  # a hope story, another each time


class Every(StrEnum):
    """How often it comes round."""

    WEEK = "week"
    TWO_WEEKS = "two_weeks"
    MONTH = "month"


class Rhythm(Base):
    """Something that comes round by itself, for a circle or for all who have its topic on: a check-in, say.

    Each time the clock makes ordinary campaigns of it; (rhythm, day, story) is unique there, so each is made once.
    """

    __tablename__ = "rhythms"
    __table_args__ = (
        Index(
            "ix_rhythms_next",
            "next_on",
            sqlite_where=text("next_on IS NOT NULL"),
            postgresql_where=text("next_on IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[RhythmKind] = mapped_column(State(RhythmKind), default=RhythmKind.CHECKIN)
    name: Mapped[str] = mapped_column(String(80))
    circle_id: Mapped[UUID | None] = mapped_column(ForeignKey("circles.id", ondelete="CASCADE"))
    every: Mapped[Every] = mapped_column(State(Every), default=Every.WEEK)
    days: Mapped[str] = mapped_column(String(20), default="")
    """Days of the week, Monday is 0: `1,4`. Empty for a monthly one."""
    month_day: Mapped[int | None] = mapped_column(Integer)
    local_time: Mapped[str] = mapped_column(String(5), default="11:00")
    starts_on: Mapped[date] = mapped_column(Date)
    """Every second week counts from the week of this day."""
    channels: Mapped[str] = mapped_column(String(20), default="sms,email")
    contents: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """What is said: `{"channel", "language", "subject", "body"}` for each."""
    next_on: Mapped[date | None] = mapped_column(Date)
    """The next day, on each member's own calendar; NULL while it rests, and once it has ended."""
    paused_at: Mapped[datetime | None] = mapped_column(UTCTime)
    paused_reason: Mapped[str] = mapped_column(String(300), default="")
    """Why the clock paused it; empty where a person did."""
    ended_at: Mapped[datetime | None] = mapped_column(UTCTime)
    created_by: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    updated_at: Mapped[datetime] = mapped_column(UTCTime)


class OwnLine(Base):
    """That a member was asked, after a good day, for a line for a harder one; and the line, if they left one."""

    __tablename__ = "own_lines"
    __table_args__ = (Index("ix_own_lines_member", "member_id", "asked_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    asked_at: Mapped[datetime] = mapped_column(UTCTime)
    words: Mapped[str | None] = mapped_column(Encrypted("own_line.words"))
    left_at: Mapped[datetime | None] = mapped_column(UTCTime)
    give_back: Mapped[bool] = mapped_column(Boolean, default=True)
    given_at: Mapped[datetime | None] = mapped_column(UTCTime)
