"""Which clock process acts: a lease in the database, because Redis may forget and two clocks ring twice as often.

The database's own time counts, so that machines need not agree about theirs.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.db import system_values, transaction

NAME = "clock_lease"
LEASE = timedelta(seconds=6)
"""How long a clock is trusted without a word; after that another takes over."""
RENEW = 2.0
"""Seconds between two renewals."""


def take(holder: str) -> bool:
    """Take the lease, or renew it; whether `holder` has it now. It ends LEASE after this was called."""
    with transaction() as session:
        _ensure(session)
        found = session.execute(
            select(system_values.c.data).where(system_values.c.name == NAME).with_for_update()
        ).scalar_one()
        now = _now(session)
        if _holder(found, now) not in (None, holder):
            return False
        _write(session, {"holder": holder, "until": (now + LEASE).isoformat()})
        return True


def give_up(holder: str) -> None:
    """Let go of the lease, if `holder` has it, so that another clock need not wait for its end."""
    with transaction() as session:
        found = session.execute(
            select(system_values.c.data).where(system_values.c.name == NAME).with_for_update()
        ).scalar_one_or_none()
        if found and found.get("holder") == holder:
            _write(session, {"holder": None, "until": None})


def holder() -> str | None:
    """Who acts as the clock now; None if nobody does."""
    with db.reading() as session:
        found = session.execute(select(system_values.c.data).where(system_values.c.name == NAME)).scalar_one_or_none()
        return _holder(found, _now(session))


def _holder(found: dict[str, Any] | None, now: datetime) -> str | None:
    if not found or not found.get("holder") or datetime.fromisoformat(found["until"]) <= now:
        return None
    return str(found["holder"])


def _ensure(session: Session) -> None:
    session.execute(db.insert(system_values).values(name=NAME, data={}).on_conflict_do_nothing())


def _write(session: Session, value: dict[str, Any]) -> None:
    session.execute(update(system_values).where(system_values.c.name == NAME).values(data=value))


def _now(session: Session) -> datetime:
    """The database's time. SQLite has none but this machine's, which is the only one that reads it."""
    if db.current().is_sqlite:
        return clock.now()
    found: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return found.astimezone(UTC)
