"""What hangs on a conversation: the files that came with a message."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Dialect, ForeignKey, Index, Integer, String, text
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
