"""What hangs on a conversation: files that came with a message, promises that were made in one, tags."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Date, Dialect, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Encrypted, State, UTCTime, keyring, uuid7


class EncryptedBytes(Encrypted):
    """Like Encrypted, for what is no text. Rotation and backup know it by its parent."""

    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:  # type: ignore[override]
        return None if value is None else keyring().encrypt(value, self.context)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:  # type: ignore[override]
        return None if value is None else keyring().decrypt(bytes(value), self.context)


class FileState(StrEnum):
    """Where a member's file is."""

    LISTED = "listed"  # it came by mail: named here, and never opened
    WAITING = "waiting"  # at the provider; a worker fetches it
    KEPT = "kept"  # here, encrypted
    REFUSED = "refused"  # `reason` says why it is not shown here
    GONE = "gone"  # kept for as long as files are


class Attachment(Base):
    """A file that came with a message: its name and kind as the sender told them, and what became of it here."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index(
            "ix_attachments_due",
            "next_try_at",
            sqlite_where=text("next_try_at IS NOT NULL"),
            postgresql_where=text("next_try_at IS NOT NULL"),
        ),
        Index("ix_attachments_at", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Encrypted("attachment.name"))
    content_type: Mapped[str] = mapped_column(String(100), default="")
    size: Mapped[int | None] = mapped_column(Integer)
    url: Mapped[str | None] = mapped_column(Encrypted("attachment.url"))
    state: Mapped[FileState] = mapped_column(State(FileState), default=FileState.LISTED)
    kind: Mapped[str | None] = mapped_column(String(40))  # what its bytes say, not what the sender says
    reason: Mapped[str | None] = mapped_column(String(40))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime | None] = mapped_column(UTCTime)
    at: Mapped[datetime] = mapped_column(UTCTime)


class AttachmentPart(Base):
    """A piece of a file. In pieces, so that a backup or a rotation of keys never holds more than a few at once."""

    __tablename__ = "attachment_parts"

    attachment_id: Mapped[UUID] = mapped_column(ForeignKey("attachments.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(EncryptedBytes("attachment.part"))


class PromiseState(StrEnum):
    """From a day named in a reply to a promise that was kept."""

    OFFERED = "offered"  # a day was found in what somebody wrote; nobody has said yet whether it is a promise
    OPEN = "open"
    DONE = "done"
    DECLINED = "declined"


class Promise(Base):
    """What a coordinator told a member that they, or whoever has the conversation then, will do on a day."""

    __tablename__ = "promises"
    __table_args__ = (
        Index(
            "ix_promises_due",
            "due_at",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_promises_conversation", "conversation_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="SET NULL"))
    coordinator_id: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))
    words: Mapped[str] = mapped_column(Encrypted("promise.words"))
    due_on: Mapped[date] = mapped_column(Date)
    due_at: Mapped[datetime] = mapped_column(UTCTime)  # the beginning of that day where it was promised
    state: Mapped[PromiseState] = mapped_column(State(PromiseState))
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    raised_at: Mapped[datetime | None] = mapped_column(UTCTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCTime)
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("coordinators.id", ondelete="SET NULL"))


class Tag(Base):
    """A word that coordinators put on conversations. Encrypted: what people call them tells much about a member."""

    __tablename__ = "tags"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(Encrypted("tag.name"))
    name_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class ConversationTag(Base):
    """One tag on one conversation."""

    __tablename__ = "conversation_tags"
    __table_args__ = (Index("ix_conversation_tags_tag", "tag_id", "conversation_id"),)

    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[UUID] = mapped_column(ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True)
