"""Coordinators and what they did: roles, sessions that can be ended, the rota, the audit trail."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, event
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.db import Base, Encrypted, State, UTCTime, blind_index, uuid7


class Role(StrEnum):
    """What a coordinator may do (DESIGN section 8)."""

    ADMIN = "admin"
    SAFEGUARDING = "safeguarding"
    COORDINATOR = "coordinator"
    CIRCLE_COORDINATOR = "circle_coordinator"  # own circles, masked contact details, no export


class Coordinator(Base):
    """A person who signs in."""

    __tablename__ = "coordinators"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[Role] = mapped_column(State(Role))
    phone: Mapped[str | None] = mapped_column(Encrypted("coordinator.phone"))
    phone_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), index=True)
    time_zone: Mapped[str] = mapped_column(String(60), default="UTC")
    password_hash: Mapped[str | None] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    shortcuts: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(UTCTime)


@event.listens_for(Coordinator, "before_insert")
@event.listens_for(Coordinator, "before_update")
def _index_phone(_: object, __: object, coordinator: Coordinator) -> None:
    """A page is answered by text, so a coordinator is found by number; the hash follows the number by itself."""
    coordinator.phone_hash = blind_index("sms", coordinator.phone) if coordinator.phone else None


class StaffSession(Base):
    """One signed-in browser. The cookie holds a random token, the database only its SHA-256."""

    __tablename__ = "staff_sessions"
    __table_args__ = (Index("ix_staff_sessions_coordinator", "coordinator_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    coordinator_id: Mapped[UUID] = mapped_column(ForeignKey("coordinators.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCTime)

    coordinator: Mapped[Coordinator] = relationship()


class DutyShift(Base):
    """Who reads replies and answers pages, from when to when. `tier` 1 is paged first, then 2, then 3 (lead)."""

    __tablename__ = "duty_shifts"
    __table_args__ = (Index("ix_duty_shifts_ends", "ends_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    coordinator_id: Mapped[UUID] = mapped_column(ForeignKey("coordinators.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime] = mapped_column(UTCTime)
    ends_at: Mapped[datetime] = mapped_column(UTCTime)
    tier: Mapped[int] = mapped_column(Integer, default=1)

    coordinator: Mapped[Coordinator] = relationship()


class ApiKey(Base):
    """A key for /api/v1, stored as its SHA-256; `prefix` lets a person recognise it."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(12))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[str] = mapped_column(String(200), default="")
    created_by: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCTime)


class AuditEntry(Base):
    """What somebody with access did, including reading a member's words. Never holds those words."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_subject", "subject_type", "subject_id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UTCTime, index=True)
    actor: Mapped[str] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(60))
    subject_type: Mapped[str] = mapped_column(String(40), default="")
    subject_id: Mapped[str] = mapped_column(String(60), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class CannedReply(Base):
    """A reply that a coordinator can begin with; merge fields as in campaigns."""

    __tablename__ = "canned_replies"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str] = mapped_column(String(80))
    language: Mapped[str] = mapped_column(String(10), default="en")
    body: Mapped[str] = mapped_column(Text)
