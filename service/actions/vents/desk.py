"""Vents before a person: unread ones until somebody has opened them, oldest first. Opening one is kept in the trail.

Whoever wrote it hears once that a person has read it: at once if they wrote within the hour, else at an hour that suits
them, by the rules of every message that we begin.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, outbox
from service.actions.belonging import notes
from service.actions.conversations import on_page
from service.errors import NotFound
from service.models.conversations import Conversation
from service.models.members import Member, MemberState
from service.models.staff import Coordinator
from service.models.vents import Vent

PAGE = 30
STILL_HERE = timedelta(hours=1)
"""Whoever wrote so lately is awake and hears it at once."""
TOLD_ONCE = timedelta(hours=24)
"""One member hears it at most once in this time, however often they vent."""
MOST_COUNTED = 100


@dataclass(frozen=True)
class Line:
    """A vent with whose it is."""

    vent: Vent
    member: Member
    conversation_id: UUID | None


@dataclass(frozen=True)
class Unread:
    """How many wait, MOST_COUNTED at most, and since when."""

    count: int
    since: datetime | None


def listed(session: Session, coordinator: Coordinator, *, read: bool = False) -> list[Line]:
    """Unread ones, oldest first, or those that were read, newest first. Their words are not shown in a list."""
    which = Vent.read_at.is_not(None) if read else Vent.read_at.is_(None)
    order = (Vent.last_at.desc(), Vent.id.desc()) if read else (Vent.last_at, Vent.id)
    return _lines(session, _of(coordinator).where(which).order_by(*order).limit(PAGE))


def unread(session: Session, coordinator: Coordinator) -> Unread:
    """What waits to be read, for Today."""
    waits = _of(coordinator).where(Vent.read_at.is_(None)).with_only_columns(Vent.last_at)
    found = list(session.scalars(waits.order_by(Vent.last_at).limit(MOST_COUNTED)))
    return Unread(len(found), min(found, default=None))


def get(session: Session, coordinator: Coordinator, vent_id: UUID) -> Line:
    """One of them. Raises NotFound, also for what this coordinator may not see."""
    found = _lines(session, _of(coordinator).where(Vent.id == vent_id))
    if not found:
        raise NotFound("It is not here any more: its time was over, or its member has deleted it.")
    return found[0]


def open_(vent_id: UUID, coordinator: Coordinator) -> None:
    """A person reads it now. Raises NotFound."""
    with db.transaction() as session:
        line = get(session, coordinator, vent_id)
        if line.vent.read_at is None:
            line.vent.read_at, line.vent.read_by = clock.now(), coordinator.id
            _tell(session, line.vent, line.member)
        audit.record(session, str(coordinator.id), "vent.read", line.vent)


def note_reading(vent_id: UUID, coordinator: Coordinator) -> None:
    """Words that were opened before are shown again."""
    with db.transaction() as session:
        audit.record(session, str(coordinator.id), "vent.read", get(session, coordinator, vent_id).vent)


def to_inbox(vent_id: UUID, coordinator: Coordinator) -> UUID:
    """Put it before everybody who answers, as a conversation that needs a reply; returns that conversation."""
    with db.transaction() as session:
        line = get(session, coordinator, vent_id)
        thread = outbox.conversation_of(session, line.member, line.vent.channel)
        on_page.to_person(thread)
        audit.record(session, str(coordinator.id), "vent.to_inbox", line.vent)
        return thread.id


def _tell(session: Session, vent: Vent, member: Member) -> None:
    now = clock.now()
    if vent.told_at is not None or vent.answer_wanted_at is not None:
        return  # they know, or a person writes to them anyway
    if member.state != MemberState.ACTIVE or member.held_at is not None or _told_lately(session, member):
        return
    vent.told_at = now
    if vent.last_at > now - STILL_HERE:
        outbox.say(session, member, "vent_read", vent.channel)
    else:
        notes.one(session, "vent_read", "Read (automatic)", member, {}, circle=None)


def _told_lately(session: Session, member: Member) -> bool:
    lately = select(Vent.id).where(Vent.member_id == member.id, Vent.told_at > clock.now() - TOLD_ONCE)
    return session.scalar(lately.limit(1)) is not None


def _of(coordinator: Coordinator) -> Any:
    return (
        select(Vent, Member, Conversation.id)
        .join(Member, Member.id == Vent.member_id)
        .outerjoin(Conversation, Conversation.member_id == Member.id)
        .where(Vent.pieces > 0, Vent.forget_at > clock.now(), access.access_members(coordinator))
    )


def _lines(session: Session, statement: Any) -> list[Line]:
    return [Line(vent, member, conversation_id) for vent, member, conversation_id in session.execute(statement)]
