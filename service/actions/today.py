"""What needs a person now, read for one coordinator's first page: flags, replies, sessions, check-ins, newcomers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session

from service import clock
from service.actions import access, tools
from service.actions.delivery import budget, unsettled
from service.models.content import Tool
from service.models.conversations import CheckIn, Conversation, ConversationState, Flag, RiskTier
from service.models.gatherings import Circle, GroupSession, Invitation, Rsvp, SessionState
from service.models.members import Member, MemberState
from service.models.staff import Coordinator

FLOOR = 5
"""Below so many people an average would show how one of them is (rule of conversation 12)."""
LOW = 2
"""Check-ins of 1 or 2 are worth a look."""
LOW_DAYS = 3
WEEKS = 8
AHEAD = timedelta(days=7)
MOST = 8
"""Rows of one list on the page; the rest is behind its link."""


@dataclass(frozen=True)
class Concern:
    """An open safety flag."""

    name: str
    tier: RiskTier
    label: str
    opened_at: datetime
    acknowledged: bool
    conversation_id: UUID


@dataclass(frozen=True)
class Gathering:
    """A session to come, with what was answered to its invite."""

    id: UUID
    circle: str
    starts_at: datetime
    time_zone: str
    answers: dict[Rsvp, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LowPoint:
    """A check-in of LOW or less."""

    name: str
    score: int
    at: datetime
    member_id: UUID
    conversation_id: UUID | None


@dataclass(frozen=True)
class Waiting:
    """How many wait for something, and since when the first of them does."""

    count: int
    since: datetime | None


@dataclass(frozen=True)
class Week:
    """How people were in one week; `average` is None where fewer than FLOOR people checked in."""

    begins: datetime
    average: float | None


def concerns(session: Session, coordinator: Coordinator) -> list[Concern]:
    """Open safety flags: nobody has taken it first, then the most urgent, then the oldest."""
    rows = session.execute(
        select(Flag, Member.first_name)
        .outerjoin(Member, Member.id == Flag.member_id)
        .where(Flag.cleared_at.is_(None), access.access_flags(coordinator))
        .order_by(Flag.acknowledged_at.is_not(None), Flag.tier != RiskTier.IMMINENT, Flag.opened_at)
    )
    return [
        Concern(
            name or "Somebody we do not know", flag.tier, flag.label, flag.opened_at,
            flag.acknowledged_at is not None, flag.conversation_id,
        )
        for flag, name in rows
    ]  # fmt: skip


def replies(session: Session, coordinator: Coordinator) -> Waiting:
    """Conversations in which a person still has to answer."""
    return _waiting(
        session, Conversation.waiting_since,
        Conversation.state == ConversationState.NEEDS_REPLY, access.access_conversations(coordinator),
    )  # fmt: skip


def newcomers(session: Session, coordinator: Coordinator) -> Waiting:
    """People who asked to join and have not confirmed yet."""
    return _waiting(session, Member.created_at, Member.state == MemberState.PENDING, access.access_members(coordinator))


def budgets(session: Session, coordinator: Coordinator) -> Sequence[budget.Standing]:
    """Countries whose texts wait, or soon will: the month's budget is used. For those who see every campaign."""
    return budget.warnings(session) if access.sees_everything(coordinator) else []


def cards_to_read(session: Session, coordinator: Coordinator) -> list[Tool]:
    """Tools past their day, or soon: somebody has to read them again. For those who look after them."""
    return tools.expiring(session)[:MOST] if access.sees_everything(coordinator) else []


def unknown(session: Session, coordinator: Coordinator) -> int:
    """Messages of which nobody can tell whether they left: a person has to decide."""
    return sum(g.count for g in unsettled.groups(session)) if access.sees_everything(coordinator) else 0


def _waiting(session: Session, since: Any, *where: ColumnElement[bool]) -> Waiting:
    count, oldest = session.execute(select(func.count(), func.min(since)).where(*where)).one()
    return Waiting(count, oldest)


def gatherings(session: Session, coordinator: Coordinator) -> list[Gathering]:
    """The sessions of the next AHEAD, soonest first, with their answers."""
    now = clock.now()
    rows = session.execute(
        select(GroupSession, Circle)
        .join(Circle, Circle.id == GroupSession.circle_id)
        .where(
            GroupSession.state == SessionState.PLANNED,
            GroupSession.ends_at > now,
            GroupSession.starts_at < now + AHEAD,
            access.access_sessions(coordinator),
        )
        .order_by(GroupSession.starts_at, GroupSession.id)
        .limit(MOST)
    ).all()
    answers = _answers(session, [meeting.id for meeting, _ in rows])
    return [Gathering(m.id, c.name, m.starts_at, c.time_zone, answers.get(m.id, {})) for m, c in rows]


def _answers(session: Session, session_ids: Sequence[UUID]) -> dict[UUID, dict[Rsvp, int]]:
    found: dict[UUID, dict[Rsvp, int]] = {}
    rows = session.execute(
        select(Invitation.session_id, Invitation.rsvp, func.count())
        .where(Invitation.session_id.in_(session_ids), Invitation.rsvp.is_not(None))
        .group_by(Invitation.session_id, Invitation.rsvp)
    )
    for session_id, rsvp, count in rows:
        if rsvp is not None:
            found.setdefault(session_id, {})[rsvp] = count
    return found


def low_points(session: Session, coordinator: Coordinator) -> list[LowPoint]:
    """Low check-ins of the last LOW_DAYS days, the lowest and newest first; one row a person, their latest."""
    since = clock.now() - timedelta(days=LOW_DAYS)
    latest = (
        select(CheckIn.member_id, func.max(CheckIn.at).label("at"))
        .where(CheckIn.at > since)
        .group_by(CheckIn.member_id)
        .subquery()
    )
    rows = session.execute(
        select(CheckIn, Member.first_name, Conversation.id)
        .join(latest, and_(latest.c.member_id == CheckIn.member_id, latest.c.at == CheckIn.at))
        .join(Member, Member.id == CheckIn.member_id)
        .outerjoin(Conversation, Conversation.member_id == CheckIn.member_id)
        .where(CheckIn.score <= LOW, Member.state == MemberState.ACTIVE, access.access_members(coordinator))
        .order_by(CheckIn.score, CheckIn.at.desc())
        .limit(MOST)
    )
    return [
        LowPoint(name or "Somebody", checkin.score, checkin.at, checkin.member_id, conversation_id)
        for checkin, name, conversation_id in rows
    ]


def mood(session: Session, coordinator: Coordinator, zone: ZoneInfo) -> list[Week]:
    """The average check-in of the last WEEKS weeks, oldest first; weeks begin on Monday on the clock of `zone`."""
    today = clock.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    begins = [monday - timedelta(weeks=back) for back in range(WEEKS - 1, -1, -1)]
    number = case(*[(CheckIn.at >= begin, n) for n, begin in reversed(list(enumerate(begins)))]).label("week")
    rows = session.execute(
        select(number, func.avg(CheckIn.score), func.count(CheckIn.member_id.distinct()))
        .join(Member, Member.id == CheckIn.member_id)
        .where(CheckIn.at >= begins[0], access.access_members(coordinator))
        .group_by("week")
    )
    averages = {n: round(float(average), 1) for n, average, people in rows if people >= FLOOR}
    return [Week(begin, averages.get(n)) for n, begin in enumerate(begins)]
