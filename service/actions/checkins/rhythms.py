"""Rhythms as coordinators keep them: set up, paused, taken up again, ended; each with its next days."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, zones
from service.actions.campaigns import Problem, problems
from service.actions.checkins import beginning, days, making
from service.actions.checkins.kinds import CHOSEN, KINDS
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.campaigns import Campaign
from service.models.checkins import Every, Rhythm, RhythmKind
from service.models.gatherings import Circle
from service.models.members import ChannelName
from service.models.staff import Coordinator

SHOWN = 4
"""Days to come that are shown of each."""


@dataclass(frozen=True)
class RhythmDetails:
    """A rhythm as typed. `days` are days of the week, Monday is 0."""

    name: str
    every: Every
    local_time: str
    channels: tuple[ChannelName, ...]
    contents: tuple[dict[str, str], ...]
    days: tuple[int, ...] = ()
    month_day: int | None = None
    starts_on: date | None = None
    circle_id: UUID | None = None
    kind: RhythmKind = RhythmKind.CHECKIN
    """Chosen once: a change leaves it as it is."""


@dataclass(frozen=True)
class Row:
    """A rhythm with what its list shows."""

    rhythm: Rhythm
    circle: str
    """Empty for all who have its topic on."""
    days: Sequence[date]
    """The next ones; none while it rests."""
    last: Campaign | None


def get(session: Session, coordinator: Coordinator, rhythm_id: UUID) -> Rhythm:
    """The rhythm, if this coordinator may see it. Raises NotFound."""
    found = session.scalar(select(Rhythm).where(Rhythm.id == rhythm_id, _seen(coordinator)))
    if found is None:
        raise NotFound("There is no such rhythm, or it belongs to another circle.")
    return found


def _seen(coordinator: Coordinator) -> ColumnElement[bool]:
    if access.sees_everything(coordinator):
        return true()
    return Rhythm.circle_id.in_(select(Circle.id).where(access.access_circles(coordinator)))


def save(rhythm_id: UUID | None, coordinator: Coordinator, details: RhythmDetails) -> UUID:
    """Keep a rhythm; returns its id. Raises Invalid beside its field, Forbidden for a circle that is not theirs.

    It begins today if the hour is still far enough ahead (`beginning`). A change counts from the next campaign that has
    not been made yet.
    """
    now = clock.now()
    _require_good(details)
    with db.transaction() as session:
        rhythm = get(session, coordinator, rhythm_id) if rhythm_id else None
        if details.circle_id is None and not access.sees_everything(coordinator):
            raise Forbidden("Choose one of your circles: only others may ask everybody.")
        access.require_own_circle(session, coordinator, details.circle_id)
        if rhythm is None:
            rhythm = Rhythm(id=db.uuid7(), kind=details.kind, created_by=coordinator.id, created_at=now)
        if rhythm.ended_at is not None:
            raise Conflict("This rhythm has ended. Set up a new one.")
        rhythm.name, rhythm.every, rhythm.local_time = details.name.strip(), details.every, _hour(details.local_time)
        monthly = details.every == Every.MONTH
        rhythm.days = "" if monthly else ",".join(str(day) for day in sorted(set(details.days)))
        rhythm.month_day = details.month_day if monthly else None
        rhythm.starts_on = details.starts_on or now.astimezone(zones.info(coordinator.time_zone)).date()
        rhythm.channels = ",".join(details.channels)
        rhythm.contents, rhythm.circle_id, rhythm.updated_at = list(details.contents), details.circle_id, now
        if found := _wrong(session, rhythm):
            raise Invalid(found.message, field=found.field)
        if rhythm.paused_at is None:
            rhythm.next_on = beginning.next_day(session, rhythm)
        session.add(rhythm)
        session.flush()
        audit.record(session, str(coordinator.id), "rhythm.change" if rhythm_id else "rhythm.add", rhythm)
        return rhythm.id


def _require_good(details: RhythmDetails) -> None:
    if not details.name.strip():
        raise Invalid("Give it a name.", field="name")
    if details.every != Every.MONTH and not details.days:
        raise Invalid("Choose at least one day of the week.", field="days")
    if details.every == Every.MONTH and not 1 <= (details.month_day or 0) <= days.LAST_MONTH_DAY:
        raise Invalid("Choose a day from 1 to 28: every month has those.", field="month_day")
    _hour(details.local_time)


def _hour(typed: str) -> str:
    """`9:30` as `09:30`. Raises Invalid."""
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", typed.strip())
    if found is None:
        raise Invalid("Type the hour like 11:00.", field="local_time")
    return f"{int(found[1]):02d}:{found[2]}"


def _wrong(session: Session, rhythm: Rhythm) -> Problem | None:
    """The first thing that would keep its campaign from being sent."""
    with session.no_autoflush:
        campaign = making.draft(rhythm)
        campaign.rhythm_id = None
        KINDS[rhythm.kind].choose(session, rhythm, campaign)
        session.add(campaign)
        session.flush()
        found = [problem for problem in problems(session, campaign) if problem.field not in CHOSEN]
        session.delete(campaign)
        session.flush()
    return found[0] if found else None


def pause(rhythm_id: UUID, coordinator: Coordinator) -> None:
    """Make no more campaigns until it is taken up again. Raises NotFound, Conflict when it has ended."""
    with db.transaction() as session:
        rhythm = _open(session, coordinator, rhythm_id)
        rhythm.paused_at, rhythm.paused_reason, rhythm.next_on = clock.now(), "", None
        audit.record(session, str(coordinator.id), "rhythm.pause", rhythm)


def resume(rhythm_id: UUID, coordinator: Coordinator) -> None:
    """Take it up again from the next of its days. Raises NotFound, Conflict when it has ended."""
    with db.transaction() as session:
        rhythm = _open(session, coordinator, rhythm_id)
        rhythm.paused_at, rhythm.paused_reason = None, ""
        rhythm.next_on = beginning.next_day(session, rhythm)
        audit.record(session, str(coordinator.id), "rhythm.resume", rhythm)


def end(rhythm_id: UUID, coordinator: Coordinator) -> None:
    """End it for good; what was sent stays. Raises NotFound, Conflict when it has ended already."""
    with db.transaction() as session:
        rhythm = _open(session, coordinator, rhythm_id)
        rhythm.ended_at, rhythm.next_on = clock.now(), None
        audit.record(session, str(coordinator.id), "rhythm.end", rhythm)


def _open(session: Session, coordinator: Coordinator, rhythm_id: UUID) -> Rhythm:
    rhythm = get(session, coordinator, rhythm_id)
    if rhythm.ended_at is not None:
        raise Conflict("This rhythm has ended.")
    return rhythm


def listed(session: Session, coordinator: Coordinator) -> list[Row]:
    """The rhythms that run or rest, the next first."""
    rows = session.execute(
        select(Rhythm, Circle.name)
        .outerjoin(Circle, Circle.id == Rhythm.circle_id)
        .where(Rhythm.ended_at.is_(None), _seen(coordinator))
        .order_by(Rhythm.next_on.is_(None), Rhythm.next_on, Rhythm.name)
    ).all()
    last = _last(session, [rhythm.id for rhythm, _ in rows])
    return [
        Row(
            rhythm, circle or "", days.next_days(rhythm, rhythm.next_on, SHOWN) if rhythm.next_on else [],
            last.get(rhythm.id),
        )
        for rhythm, circle in rows
    ]  # fmt: skip


def _last(session: Session, ids: Sequence[UUID]) -> dict[UUID, Campaign]:
    found = select(Campaign).where(Campaign.rhythm_id.in_(ids)).order_by(Campaign.occurs_on)
    return {campaign.rhythm_id: campaign for campaign in session.scalars(found) if campaign.rhythm_id}
