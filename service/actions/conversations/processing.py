"""Working through stored webhooks: members' words first (`words`); receipts after them, in batches."""

import gc
import time
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from service import clock, db, links, logs, queue
from service.actions import understanding
from service.actions.conversations import store, words
from service.actions.conversations.waiting import failed, waiting
from service.actions.delivery import Receipt, apply_receipts, lateness, results
from service.channels import events, inbound_text
from service.channels.base import Outcome
from service.channels.errors import outcome_of_bounce, outcome_of_code
from service.errors import DomainError
from service.models.campaigns import DeliveryState
from service.models.conversations import WebhookEvent

log = logs.get("inbound")

BUDGET = 20.0
RECEIPTS_AT_ONCE = 500
LINGER = store.RECEIPTS_RING_EVERY + 0.1
"""Seconds for which a worker goes on looking after the last receipts: the next ones ring at the latest then."""
LOOK_EVERY = 0.05
"""Seconds between two looks while lingering."""
TOGETHER = 0.02
"""Seconds of waiting for more words while they keep coming: several taken together cost a fraction of one by one, and
meanwhile the web server has SQLite's one writer to itself. One text alone is never waited with.
"""
LARGEST_ID = 2**63 - 1


def prepare() -> None:
    """Read the rules by which texts are understood: that takes a second or two, and somebody in danger may be first."""
    understanding.screen("hello")
    gc.collect()
    gc.freeze()  # the rules are never garbage, and looking through them takes a sixth of a second each time


def process_inbound(budget: float = BUDGET, linger: float = 0.0) -> int:
    """Process what is waiting for at most `budget` seconds; returns how many events were done.

    With `linger` it goes on looking for so many seconds after the last receipts: not every one of them is rung for
    (`store.RECEIPTS_RING_EVERY`).
    """
    ends = time.monotonic() + budget
    lingers_until = 0.0
    done = 0
    while not queue.stopping.is_set():
        if time.monotonic() >= ends:
            queue.ring("process_inbound")
            break
        if count := words.take_next():
            done += count
            if 1 < count < words.AT_ONCE:
                queue.stopping.wait(TOGETHER)
        elif count := _next_receipts():
            done += count
            lingers_until = time.monotonic() + linger
        elif time.monotonic() < lingers_until:
            queue.stopping.wait(LOOK_EVERY)
        else:
            break
    return done


def _next_receipts() -> int:
    """Apply a batch of receipts; returns how many events that was. One that breaks its batch is found and set apart."""
    try:
        done = _apply(RECEIPTS_AT_ONCE)
    except OperationalError:
        raise  # the database is away or busy: none of the receipts is to blame
    except Exception as error:
        log.error("a batch of receipts could not be applied", exc_info=error)
        done = _one_by_one()
    results.breathe()
    return done


def _apply(most: int) -> int:
    with db.transaction() as session:
        columns = (WebhookEvent.id, WebhookEvent.kind, WebhookEvent.raw, WebhookEvent.received_at)
        events = session.execute(waiting(store.RECEIPTS, most, columns)).all()
        if events:
            found = [(event, receipt) for event in events for receipt in _receipts_of(event)]
            apply_receipts(session, [receipt for _, receipt in found])
            mails = [(e.received_at, r.at) for e, r in found if e.kind == store.EMAIL_EVENT]
            if late := [received_at for received_at, at in mails if received_at > at + lateness.LATE]:
                lateness.note(session, max(late))
            done = db.among(WebhookEvent.id, [event.id for event in events])
            marked = update(WebhookEvent).where(done).values(processed_at=clock.now())
            session.execute(marked.execution_options(synchronize_session=False))
    return len(events)


def _one_by_one() -> int:
    """The same batch, each receipt in a transaction of its own."""
    done = 0
    with db.reading() as session:
        ids = list(session.scalars(waiting(store.RECEIPTS, RECEIPTS_AT_ONCE, (WebhookEvent.id,), lock=False)))
    for event_id in ids:
        try:
            with db.transaction() as session:
                event = session.get_one(WebhookEvent, event_id)
                apply_receipts(session, _receipts_of(event))
                event.processed_at = clock.now()
        except Exception as error:
            failed(event_id, error)
        done += 1
    return done


def _receipts_of(event: Any) -> list[Receipt]:
    """The receipt in a stored event; none where it says nothing about a delivery of ours."""
    try:
        data = orjson.loads(event.raw or "{}")
        if event.kind == store.TEXT_STATUS:
            return _text_receipt(data, event.received_at)
        return _email_receipts(data)
    except (ValueError, KeyError, DomainError) as error:
        log.warning("a receipt could not be read", event_id=event.id, kind=event.kind, problem=type(error).__name__)
        return []


def _text_receipt(data: dict[str, Any], at: datetime) -> list[Receipt]:
    status = inbound_text.parse_status(data["form"])
    if status.state is None:
        return []
    delivery_id = links.read_delivery_token(data["token"]) if data.get("token") else None
    outcome = outcome_of_code(status.error_code) if status.error_code else None
    state = DeliveryState(status.state)
    return [Receipt(state, at, delivery_id, status.sid, code=status.error_code, outcome=outcome)]


def _email_receipts(data: dict[str, Any]) -> list[Receipt]:
    entry = events.event_of(data)
    if entry.state is None:
        return []
    leaves = entry.event in (events.Event.UNSUBSCRIBE, events.Event.GROUP_UNSUBSCRIBE)
    return [
        Receipt(
            DeliveryState(entry.state), entry.at, _number(entry.delivery_ref), entry.message_id,
            _uuid(entry.request_id), entry.reason_code, _outcome(entry), unsubscribe=leaves,
        )
    ]  # fmt: skip


def _outcome(entry: events.EmailEvent) -> Outcome | None:
    """What bad news about an email means. A bounce says something about the address at most: one strict mail server
    must not pause a campaign.
    """
    if entry.event is events.Event.BOUNCE:
        dead = outcome_of_bounce(entry.bounce_type, entry.bounce_class) == Outcome.UNREACHABLE
        return Outcome.UNREACHABLE if dead else None
    return DROPPED.get(entry.reason_code or "") if entry.event is events.Event.DROPPED else None


DROPPED: dict[str, Outcome] = {
    "bounced_before": Outcome.UNREACHABLE,
    "invalid_address": Outcome.UNREACHABLE,
    "unsubscribed_before": Outcome.STOPPED,
    "complained_before": Outcome.STOPPED,
    "spam_content": Outcome.CONFIGURATION,
    "over_quota": Outcome.CONFIGURATION,
}
"""What it means that the provider did not even try (`channels.events` names the reasons)."""


def _number(value: str | None) -> int | None:
    """A delivery's id; None for what cannot be one: another program may use the same account."""
    found = int(value) if value and value.isascii() and value.isdigit() and len(value) < 20 else 0
    return found if 0 < found <= LARGEST_ID else None


def _uuid(value: str | None) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
