"""Working through stored webhooks: members' words first, one transaction each; receipts after them, in batches."""

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service import clock, db, links, logs, queue
from service.actions.conversations import receiving, store
from service.actions.delivery.results import Receipt, apply_receipts
from service.channels import events, inbound_text
from service.errors import DomainError
from service.models.campaigns import DeliveryState
from service.models.conversations import WebhookEvent

log = logs.get("inbound")

BUDGET = 20.0
RECEIPTS_AT_ONCE = 500
GIVE_UP_AFTER = 6
"""Tries after which an event that cannot be processed is left for a person (its raw form is kept)."""


def process_inbound(budget: float = BUDGET) -> int:
    """Process what is waiting for at most `budget` seconds; returns how many events were done."""
    ends = time.monotonic() + budget
    done = 0
    while not queue.stopping.is_set():
        if time.monotonic() >= ends:
            queue.ring("process_inbound")
            break
        if _next_words():
            done += 1
        elif count := _next_receipts():
            done += count
        else:
            break
    return done


def _waiting(kinds: Sequence[str], limit: int) -> Any:
    now = clock.now()
    statement = (
        select(WebhookEvent)
        .where(
            WebhookEvent.processed_at.is_(None),
            WebhookEvent.kind.in_(kinds),
            WebhookEvent.attempts < GIVE_UP_AFTER,
            or_(WebhookEvent.next_try_at.is_(None), WebhookEvent.next_try_at <= now),
        )
        .order_by(WebhookEvent.id)
        .limit(limit)
    )
    return statement if db.current().is_sqlite else statement.with_for_update(skip_locked=True)


def _next_words() -> bool:
    """Process the oldest message from a member; whether there was one. A failure is tried again, later."""
    event_id: int | None = None
    try:
        with db.transaction() as session:
            event = session.scalars(_waiting(store.WORDS, 1)).first()
            if event is None:
                return False
            event_id = event.id
            receiving.receive(session, event)
            event.processed_at = clock.now()
            event.error = None
    except Exception as error:
        if event_id is None:
            raise
        _failed(event_id, error)
    return True


def _failed(event_id: int, error: Exception) -> None:
    """Nothing of the failed try was kept; the event stays, and a person is told when it keeps failing."""
    code = error.error_code if isinstance(error, DomainError) else type(error).__name__
    log.error("an inbound message could not be processed", event_id=event_id, exc_info=error)
    with db.transaction() as session:
        event = session.get_one(WebhookEvent, event_id)
        event.attempts += 1
        event.error = code[:120]
        event.next_try_at = clock.now() + timedelta(seconds=10 * 2**event.attempts)
        if event.attempts >= GIVE_UP_AFTER:
            receiving.hand_to_person(session, event)
            event.processed_at = clock.now()


def _next_receipts() -> int:
    """Apply a batch of receipts; returns how many events that was."""
    with db.transaction() as session:
        waiting = list(session.scalars(_waiting(store.RECEIPTS, RECEIPTS_AT_ONCE)))
        if not waiting:
            return 0
        receipts = [receipt for event in waiting for receipt in _receipts_of(event)]
        apply_receipts(session, receipts)
        _mark(session, waiting, clock.now())
    return len(waiting)


def _mark(session: Session, waiting: list[WebhookEvent], now: datetime) -> None:
    ids = [event.id for event in waiting]
    session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(ids))
        .values(processed_at=now)
        .execution_options(synchronize_session=False)
    )


def _receipts_of(event: WebhookEvent) -> list[Receipt]:
    """The receipt in a stored event; none where it says nothing about a delivery of ours."""
    try:
        data = json.loads(event.raw or "{}")
        if event.kind == store.TEXT_STATUS:
            return _text_receipt(data, event.received_at)
        return _email_receipts(data)
    except (ValueError, KeyError, DomainError) as error:
        log.warning("a receipt could not be read", event_id=event.id, kind=event.kind, problem=type(error).__name__)
        return []


def _text_receipt(data: dict[str, Any], at: datetime) -> list[Receipt]:
    status = inbound_text.parse_status(data["form"])
    state = events.TWILIO_STATES.get(status.status)
    if state is None:
        return []
    delivery_id = links.read_delivery_token(data["token"]) if data.get("token") else None
    return [Receipt(DeliveryState(state), at, delivery_id, status.sid, code=status.error_code)]


def _email_receipts(data: dict[str, Any]) -> list[Receipt]:
    found = []
    for entry in events.parse_events(json.dumps([data]).encode()):
        if entry.state is None:
            continue
        delivery_id = int(entry.delivery_ref) if entry.delivery_ref and entry.delivery_ref.isdigit() else None
        leaves = entry.event in (events.Event.UNSUBSCRIBE, events.Event.GROUP_UNSUBSCRIBE)
        found.append(
            Receipt(
                DeliveryState(entry.state), entry.at, delivery_id, entry.message_id, _uuid(entry.request_id),
                entry.reason_code, unsubscribe=leaves,
            )
        )  # fmt: skip
    return found


def _uuid(value: str | None) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
