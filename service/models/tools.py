"""Tools in members' hands: who was given which card and whether it helped, and series of cards, one a day."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, State, UTCTime, uuid7
from service.models.members import ChannelName


class ToolRead(Base):
    """That a member asked for a card, or answered whether it helped: one row, so one answer, per card and member.

    A card that came by a campaign has a row only once it was answered: the delivery says that it came.
    """

    __tablename__ = "tools_read"
    __table_args__ = (Index("ix_tools_read_member", "member_id", "at"), Index("ix_tools_read_at", "at"))

    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), primary_key=True)
    topic: Mapped[str] = mapped_column(String(40), default="")
    """What it was asked for; TOOL NEXT goes on with that."""
    message_id: Mapped[UUID | None] = mapped_column()
    """The message that carried it, so that an answer by mail finds its card."""
    at: Mapped[datetime] = mapped_column(UTCTime)
    helped: Mapped[bool | None] = mapped_column(Boolean)
    answered_at: Mapped[datetime | None] = mapped_column(UTCTime)


class ToolSeries(Base):
    """Cards in an order, one a day, for whoever asks for them: "Seven small evenings"."""

    __tablename__ = "tool_series"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str] = mapped_column(String(60))
    language: Mapped[str] = mapped_column(String(10), default="en")
    local_time: Mapped[str] = mapped_column(String(5), default="18:00")
    """The hour on each member's own clock, moved into the hours that the member chose."""
    owner: Mapped[str] = mapped_column(String(80), default="")
    retired_at: Mapped[datetime | None] = mapped_column(UTCTime)
    created_at: Mapped[datetime] = mapped_column(UTCTime)


class ToolSeriesCard(Base):
    """The card of one day of a series; days count from 1."""

    __tablename__ = "tool_series_cards"

    series_id: Mapped[UUID] = mapped_column(ForeignKey("tool_series.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[int] = mapped_column(Integer, primary_key=True)
    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id", ondelete="CASCADE"))


class SeriesReader(Base):
    """A member on the way through a series. `next_at` is when to look again; NULL once it is over."""

    __tablename__ = "series_readers"
    __table_args__ = (
        Index(
            "ix_series_readers_one",
            "member_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_series_readers_due",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    series_id: Mapped[UUID] = mapped_column(ForeignKey("tool_series.id", ondelete="CASCADE"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    day: Mapped[int] = mapped_column(Integer, default=0)
    """The day whose card was sent last, or tried; 0 before the first."""
    campaign_id: Mapped[UUID | None] = mapped_column()
    """The campaign that carried it: if nothing of it reached the member, the same card is tried again."""
    next_at: Mapped[datetime | None] = mapped_column(UTCTime)
    started_at: Mapped[datetime] = mapped_column(UTCTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCTime)
    ended: Mapped[str] = mapped_column(String(10), default="")  # done | stopped | left | over
