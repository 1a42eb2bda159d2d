"""Notes from one member to another: who wishes to write or to get them, and which note went to whom."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, UTCTime, uuid7


class NoteWish(Base):
    """Whether a member gives notes, and would like to get one now and then: only because they said so."""

    __tablename__ = "note_wishes"
    __table_args__ = (
        Index(
            "ix_note_wishes_receives",
            "receives_at",
            sqlite_where=text("receives"),
            postgresql_where=text("receives"),
        ),
    )

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), primary_key=True)
    receives: Mapped[bool] = mapped_column(Boolean, default=False)
    receives_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When they last said yes or no to getting notes."""
    receives_source: Mapped[str] = mapped_column(String(120), default="")
    gives: Mapped[bool] = mapped_column(Boolean, default=False)
    """False after TAKING A BREAK, until they write CHEER again."""
    gives_at: Mapped[datetime | None] = mapped_column(UTCTime)


class CarriedNote(Base):
    """A note on its way to the one person whom a coordinator chose. A note is carried once, and no author's second one
    goes to the same person.
    """

    __tablename__ = "carried_notes"
    __table_args__ = (
        UniqueConstraint("author_id", "member_id"),
        Index("ix_carried_notes_member", "member_id", "chosen_at"),
        Index("ix_carried_notes_campaign", "campaign_id"),
        Index(
            "ix_carried_notes_open",
            "chosen_at",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    gift_id: Mapped[UUID] = mapped_column(ForeignKey("gifts.id", ondelete="CASCADE"), unique=True)
    author_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    """Who gets it."""
    campaign_id: Mapped[UUID] = mapped_column()
    """The campaign of one that carries it."""
    chosen_at: Mapped[datetime] = mapped_column(UTCTime)
    chosen_by: Mapped[UUID | None] = mapped_column()
    settled_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When its campaign was over: one that never left is taken away, and its note waits for somebody again."""
    thanked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    told_campaign_id: Mapped[UUID | None] = mapped_column()
    """The campaign of one that tells its author that it helped."""
