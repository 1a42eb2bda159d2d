"""How quickly people were there when it mattered: every flag with its times, and what is typical."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from service import clock
from service.actions import access
from service.models.campaigns import Delivery, DeliveryState
from service.models.conversations import Flag, Message
from service.models.members import ChannelName, Member
from service.models.staff import Coordinator

PAGE = 30
LOOK_BACK = timedelta(days=30)
WITH_LINE = ("risk_answer", "risk_answer_discreet", "stopped_with_line", "not_adult")
"""Our own texts that carry a crisis line."""


@dataclass(frozen=True)
class FlagLine:
    """A flag with the names that belong to it."""

    flag: Flag
    who: str
    """The member's first name, or "Unknown sender"."""
    acknowledged_by: str
    cleared_by: str
    line_arrived: bool = False
    """Whether a crisis line has reached the phone of somebody whom we cannot text, since the flag was opened: the
    confirmation of a stop carries one."""

    @property
    def answered_in(self) -> timedelta | None:
        """From the flag to the automatic answer."""
        return _between(self.flag.opened_at, self.flag.answered_at)

    @property
    def acknowledged_in(self) -> timedelta | None:
        """From the flag to a person who said "I have it"."""
        return _between(self.flag.opened_at, self.flag.acknowledged_at)

    @property
    def cleared_in(self) -> timedelta | None:
        """From the flag to its outcome."""
        return _between(self.flag.opened_at, self.flag.cleared_at)


@dataclass(frozen=True)
class Times:
    """What is typical of the last 30 days. None where there is nothing to reckon with."""

    flags: int
    acknowledged: int
    typical: timedelta | None
    """The median time until a person said "I have it"."""
    longest: timedelta | None


def lines(
    session: Session, coordinator: Coordinator, *, cleared: bool, after: UUID | None = None, limit: int = PAGE
) -> list[FlagLine]:
    """Open flags (the most urgent and oldest first), or a page of cleared ones, newest first, `after` the last seen."""
    first, last = aliased(Coordinator), aliased(Coordinator)
    statement = (
        select(Flag, Member.first_name, first.name, last.name)
        .outerjoin(Member, Member.id == Flag.member_id)
        .outerjoin(first, first.id == Flag.acknowledged_by)
        .outerjoin(last, last.id == Flag.cleared_by)
        .where(access.access_flags(coordinator))
    )
    if cleared:
        statement = statement.where(Flag.cleared_at.is_not(None)).order_by(Flag.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(Flag.id < after)
    else:
        statement = statement.where(Flag.cleared_at.is_(None)).order_by(Flag.tier.desc(), Flag.opened_at)
    return [
        FlagLine(flag, name or "Unknown sender", acknowledged or "", by or "")
        for flag, name, acknowledged, by in session.execute(statement)
    ]


def of(session: Session, flags: Sequence[Flag]) -> list[FlagLine]:
    """These flags with the names that belong to them, in the same order."""
    ids = {i for f in flags for i in (f.acknowledged_by, f.cleared_by) if i}
    names = {c.id: c.name for c in session.scalars(select(Coordinator).where(Coordinator.id.in_(ids)))}
    members = {f.member_id for f in flags if f.member_id}
    people = {m.id: m.first_name for m in session.scalars(select(Member).where(Member.id.in_(members)))}
    reached = _reached(session, flags)
    return [
        FlagLine(
            f,
            people.get(f.member_id, "Unknown sender") if f.member_id else "Unknown sender",
            names.get(f.acknowledged_by, "") if f.acknowledged_by else "",
            names.get(f.cleared_by, "") if f.cleared_by else "",
            f.id in reached,
        )
        for f in flags
    ]


def _reached(session: Session, flags: Sequence[Flag]) -> set[UUID]:
    """Of the flags of people whom we cannot text, those after which a crisis line has arrived by text."""
    ids = [flag.id for flag in flags if flag.cannot_text]
    statement = (
        select(Flag.id)
        .join(Message, (Message.conversation_id == Flag.conversation_id) & (Message.at >= Flag.opened_at))
        .join(Delivery, Delivery.message_id == Message.id)
        .where(
            Flag.id.in_(ids),
            Message.template.in_(WITH_LINE),
            Delivery.channel == ChannelName.SMS,
            Delivery.state == DeliveryState.DELIVERED,
        )
    )
    return set(session.scalars(statement)) if ids else set()


def times(session: Session, coordinator: Coordinator) -> Times:
    """Response times of the last 30 days."""
    rows = session.execute(
        select(Flag.opened_at, Flag.acknowledged_at).where(
            Flag.opened_at > clock.now() - LOOK_BACK, access.access_flags(coordinator)
        )
    ).all()
    waited = [taken - opened for opened, taken in rows if taken]
    return Times(
        flags=len(rows),
        acknowledged=len(waited),
        typical=timedelta(seconds=median(w.total_seconds() for w in waited)) if waited else None,
        longest=max(waited, default=None),
    )


def _between(start: datetime, end: datetime | None) -> timedelta | None:
    return end - start if end else None
