"""How many members lived each factor, this week, this month and over twelve weeks, for all and by circle.

No number below five is shown, and numbers are rounded down to fives. A circle's number that leaves only a few of
everybody's over is left out: those few could be counted.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Subquery, case, func, select, union_all
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit
from service.actions.report.definitions import FACTORS, Factor
from service.actions.resonance.counting import FLOOR, rounded
from service.models.gatherings import Circle, CircleMembership
from service.models.members import Member, MemberState
from service.models.staff import Coordinator

WEEKS = 12
MONTH = timedelta(days=30)
SMALLEST = 30
"""Members of a circle that has numbers of its own."""
MOST = 40
"""Circles on one page."""


@dataclass(frozen=True)
class Line:
    """One factor for some people. None: fewer than five, or too easily told apart."""

    factor: Factor
    week: int | None
    month: int | None
    trend: tuple[int | None, ...]
    """Twelve weeks, the oldest first."""


@dataclass(frozen=True)
class Scope:
    """All members, or those of one circle."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Report:
    """What the page shows."""

    scopes: tuple[Scope, ...]
    weeks: tuple[datetime, ...]
    """When each of the twelve weeks began, the oldest first."""


def told(count: int, whole: int | None = None) -> int | None:
    """What may be shown of a count, and, for a part, of how it stands to the whole; None for nothing."""
    if count < FLOOR or (whole is not None and 0 < whole - count < FLOOR):
        return None
    return rounded(count)


def download(coordinator: Coordinator) -> Report:
    """The report to be taken away; that is noted."""
    with db.transaction() as session:
        audit.record(session, str(coordinator.id), "report.download", coordinator)
        return report(session, coordinator)


def report(session: Session, coordinator: Coordinator) -> Report:
    """The report for this coordinator: everybody and circles of 30 or more, or only their own such circles."""
    now = clock.now()
    begins = tuple(now - timedelta(days=7 * n) for n in range(WEEKS, 0, -1))
    circles = _circles(session, coordinator)
    ids = [circle_id for circle_id, _ in circles]
    everybody = access.sees_everything(coordinator)
    counts = {factor.key: _counts(session, factor, begins, now, ids) for factor in FACTORS}
    scopes = [Scope("Everybody", _lines(counts, None))] if everybody else []
    scopes += [Scope(name, _lines(counts, circle_id)) for circle_id, name in circles]
    return Report(tuple(scopes), begins)


Counts = dict[UUID | None, dict[str | int, int]]
"""circle (None: everybody) → week (0 is the oldest) or "month" → members"""


def _lines(counts: dict[str, Counts], scope: UUID | None) -> tuple[Line, ...]:
    lines = []
    for factor in FACTORS:
        mine, whole = counts[factor.key][scope], counts[factor.key][None]
        spans: list[str | int] = ["month", *range(WEEKS)]
        month, *trend = [told(mine.get(s, 0), None if scope is None else whole.get(s, 0)) for s in spans]
        lines.append(Line(factor, trend[-1], month, tuple(trend)))
    return tuple(lines)


def _circles(session: Session, coordinator: Coordinator) -> list[tuple[UUID, str]]:
    size = func.count(CircleMembership.member_id)
    found = session.execute(
        select(Circle.id, Circle.name)
        .join(CircleMembership, CircleMembership.circle_id == Circle.id)
        .join(Member, Member.id == CircleMembership.member_id)
        .where(
            access.access_circles(coordinator),
            Circle.closed_at.is_(None),
            CircleMembership.left_at.is_(None),
            Member.state == MemberState.ACTIVE,
        )
        .group_by(Circle.id, Circle.name)
        .having(size >= SMALLEST)
        .order_by(size.desc(), Circle.name)
        .limit(MOST)
    )
    return sorted(((row[0], row[1]) for row in found), key=lambda row: row[1])


def _counts(
    session: Session, factor: Factor, begins: Sequence[datetime], now: datetime, circle_ids: Sequence[UUID]
) -> Counts:
    counts: Counts = defaultdict(dict)
    if not factor.sources:
        return counts
    lived = _lived(factor, begins[0], now)
    month = case((lived.c.at >= now - MONTH, lived.c.member_id))
    week: Any = case(*[(lived.c.at >= begin, n) for n, begin in reversed(list(enumerate(begins)))])
    of_all = select(week, func.count(lived.c.member_id.distinct())).group_by(week)
    for n, members in session.execute(of_all):
        counts[None][n] = members
    counts[None]["month"] = session.scalar(select(func.count(month.distinct()))) or 0
    if circle_ids:
        place = CircleMembership
        among = (place.circle_id.in_(circle_ids), place.left_at.is_(None))
        joined = (
            select(place.circle_id, week, func.count(lived.c.member_id.distinct()))
            .join(lived, lived.c.member_id == place.member_id)
            .where(*among)
        )
        for circle_id, n, members in session.execute(joined.group_by(place.circle_id, week)):
            counts[circle_id][n] = members
        in_month = (
            select(place.circle_id, func.count(month.distinct()))
            .join(lived, lived.c.member_id == place.member_id)
            .where(*among)
        )
        for circle_id, members in session.execute(in_month.group_by(place.circle_id)):
            counts[circle_id]["month"] = members
    return counts


def _lived(factor: Factor, since: datetime, now: datetime) -> Subquery:
    parts = [source(since).subquery() for source in factor.sources]
    rows = [select(part.c[0].label("member_id"), part.c[1].label("at")) for part in parts]
    merged = union_all(*rows).subquery()
    return select(merged).where(merged.c.at >= since, merged.c.at <= now).subquery()
