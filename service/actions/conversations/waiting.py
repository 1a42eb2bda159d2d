"""Stored webhooks that nobody has dealt with yet, and what becomes of one that cannot be dealt with."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select

from service import clock, db, logs
from service.actions.conversations import store
from service.errors import DomainError, Malformed
from service.models.conversations import WebhookEvent

log = logs.get("inbound")

GIVE_UP_AFTER = 4
"""Tries, within half a minute, after which a message that cannot be processed goes to a person as it came."""


def waiting(kinds: Sequence[str], limit: int, what: Sequence[Any] = (WebhookEvent,), *, lock: bool = True) -> Any:
    """SQL: what waits of these kinds, oldest first; with `lock`, for this transaction alone."""
    now = clock.now()
    statement = (
        select(*what)
        .where(
            WebhookEvent.processed_at.is_(None),
            WebhookEvent.kind.in_(kinds),
            or_(WebhookEvent.next_try_at.is_(None), WebhookEvent.next_try_at <= now),
        )
        .order_by(WebhookEvent.id)
        .limit(limit)
    )
    return statement.with_for_update(skip_locked=True) if lock and not db.current().is_sqlite else statement


def failed(event_id: int, error: Exception) -> None:
    """Nothing of the failed try was kept. The event is tried again soon; what stays unreadable goes to a person."""
    code = error.error_code if isinstance(error, DomainError) else type(error).__name__
    log.error("an inbound event could not be processed", event_id=event_id, exc_info=error)
    with db.transaction() as session:
        event = session.get_one(WebhookEvent, event_id)
        # What cannot be read now will not become readable.
        event.attempts = max(event.attempts + 1, GIVE_UP_AFTER if isinstance(error, Malformed) else 0)
        event.error = code[:120]
        # Handing over comes at once; if even that fails, it is tried again and again, a little later each time.
        wait = 0.0 if event.attempts == GIVE_UP_AFTER else min(2.0**event.attempts, 600.0)
        event.next_try_at = clock.now() + timedelta(seconds=wait)
        if event.kind in store.RECEIPTS and event.attempts >= GIVE_UP_AFTER:
            event.processed_at = clock.now()  # no member's words: the error is kept beside it
