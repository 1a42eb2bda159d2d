"""What members needed to say out loud: kept for as long as they chose, read by a person, then gone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Encrypted, State, UTCTime, uuid7
from service.models.members import ChannelName


class Vent(Base):
    """One vent: everything that a member wrote from VENT until they said DONE, or were quiet for a while."""

    __tablename__ = "vents"
    __table_args__ = (
        Index("ix_vents_member", "member_id", "opened_at"),
        Index("ix_vents_forget", "forget_at"),
        Index(
            "ix_vents_unread",
            "last_at",
            "id",
            sqlite_where=text("read_at IS NULL AND pieces > 0"),
            postgresql_where=text("read_at IS NULL AND pieces > 0"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    words: Mapped[str] = mapped_column(Encrypted("vent.words"), default="")
    pieces: Mapped[int] = mapped_column(Integer, default=0)
    opened_at: Mapped[datetime] = mapped_column(UTCTime)
    last_at: Mapped[datetime] = mapped_column(UTCTime)
    """When the member last wrote a piece, or began."""
    closed_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When they said DONE; a quiet hour closes it as well."""
    keep_days: Mapped[int] = mapped_column(Integer)
    forget_at: Mapped[datetime] = mapped_column(UTCTime)
    letters: Mapped[str] = mapped_column(String(10), default="")
    """Which of our questions with letters is open: keep | offer, or none."""
    heard_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When we said thank you, once."""
    read_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When a person last opened it; NULL again once more is written, so that nothing stays unread."""
    read_by: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    told_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When the member was told, once, that a person has read it."""
    answer_wanted_at: Mapped[datetime | None] = mapped_column(UTCTime)


class VentPiece(Base):
    """Which messages a vent is made of: when it is forgotten, their words go as well."""

    __tablename__ = "vent_pieces"

    vent_id: Mapped[UUID] = mapped_column(ForeignKey("vents.id", ondelete="CASCADE"), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(
        ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, index=True
    )
