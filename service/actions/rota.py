"""The rota: who reads replies and answers pages, week by week, and where nobody does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from service import clock, db
from service.actions import audit
from service.errors import Forbidden, Invalid, NotFound
from service.models.staff import Coordinator, DutyShift, Role

TIERS = {1: "first", 2: "second", 3: "lead"}
LONGEST = timedelta(hours=36)
MOST_WEEKS = 26


def shifts(session: Session, start: datetime, end: datetime) -> list[DutyShift]:
    """Shifts that touch this span, of people who still come in, the first tier first."""
    found = (
        select(DutyShift)
        .join(Coordinator, Coordinator.id == DutyShift.coordinator_id)
        .where(DutyShift.starts_at < end, DutyShift.ends_at > start, Coordinator.active.is_(True))
        .options(joinedload(DutyShift.coordinator))
        .order_by(DutyShift.starts_at, DutyShift.tier)
    )
    return list(session.scalars(found))


def gaps(found: Sequence[DutyShift], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The spans between `start` and `end` in which nobody is on duty."""
    empty, at = [], start
    for shift in sorted(found, key=lambda s: s.starts_at):
        if shift.starts_at > at:
            empty.append((at, min(shift.starts_at, end)))
        at = max(at, shift.ends_at)
    if at < end:
        empty.append((at, end))
    return [(a, b) for a, b in empty if a < b]


def add(actor: Coordinator, coordinator_id: UUID, starts: Sequence[datetime], lasts: timedelta, tier: int) -> int:
    """Put somebody on duty from each of `starts` (one a week, say) for `lasts`; returns how many shifts were added.

    A shift that is there already is not added twice. Raises Invalid beside its field, Forbidden, NotFound.
    """
    _may(actor)
    if tier not in TIERS:
        raise Invalid("Choose first, second or lead.", field="tier")
    if not starts or len(starts) > MOST_WEEKS:
        raise Invalid(f"Between 1 and {MOST_WEEKS} weeks.", field="weeks")
    if not timedelta(minutes=15) <= lasts <= LONGEST:
        raise Invalid("A shift lasts between 15 minutes and 36 hours.", field="until")
    if max(starts) + lasts <= clock.now():
        raise Invalid("That is over already. Choose a day that is still to come.", field="day")
    with db.transaction() as session:
        person = session.get(Coordinator, coordinator_id)
        if person is None or not person.active:
            raise Invalid("Choose somebody from the list.", field="coordinator_id")
        known = set(
            session.scalars(
                select(DutyShift.starts_at).where(
                    DutyShift.coordinator_id == person.id, DutyShift.tier == tier, DutyShift.starts_at.in_(starts)
                )
            )
        )
        made = [
            DutyShift(coordinator_id=person.id, starts_at=moment, ends_at=moment + lasts, tier=tier)
            for moment in starts
            if moment not in known
        ]
        session.add_all(made)
        audit.record(session, str(actor.id), "rota.add", person, count=len(made))
        return len(made)


def remove(actor: Coordinator, shift_id: UUID) -> None:
    """Take a shift off the rota. Raises NotFound, Forbidden."""
    _may(actor)
    with db.transaction() as session:
        shift = session.get(DutyShift, shift_id)
        if shift is None:
            raise NotFound("This shift is not on the rota any more.")
        audit.record(session, str(actor.id), "rota.remove", shift)
        session.delete(shift)


def may_change(person: Coordinator) -> bool:
    """Whether this coordinator looks after the rota."""
    return person.role in (Role.ADMIN, Role.SAFEGUARDING)


def _may(actor: Coordinator) -> None:
    if not may_change(actor):
        raise Forbidden("The rota is looked after by administrators and safeguarding. Ask one of them.")
