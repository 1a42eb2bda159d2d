"""Webhooks are stored exactly as they came, before they are answered; a repeat changes nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service import clock, db, queue
from service.models.conversations import WebhookEvent

TEXT, TEXT_STATUS, EMAIL, EMAIL_EVENT = "text", "text_status", "email", "email_event"
WORDS = (TEXT, EMAIL)
RECEIPTS = (TEXT_STATUS, EMAIL_EVENT)
LONGEST_ID = 160


@dataclass(frozen=True, slots=True)
class Incoming:
    """One webhook to keep: `event_id` is the dedupe key of DESIGN section 11, `raw` the whole of it as text."""

    provider: str
    kind: str
    event_id: str
    raw: str


def keep(incoming: Sequence[Incoming]) -> int:
    """Store webhooks in one commit; returns how many were new. The bell rings only after the commit.

    A bell that cannot be rung (Redis is down) changes nothing: the event is safe and the workers look by themselves.
    """
    if not incoming:
        return 0
    now = clock.now()
    rows = [
        {"provider": e.provider, "kind": e.kind, "event_id": _fitting(e.event_id), "raw": e.raw, "received_at": now,
         "attempts": 0}
        # In one order: two repeats of one batch at the same moment must not wait for each other in a circle.
        for e in sorted(incoming, key=lambda e: e.event_id)
    ]  # fmt: skip
    builder = sqlite_insert if db.current().is_sqlite else postgresql_insert
    with db.transaction() as session:
        statement = builder(WebhookEvent).on_conflict_do_nothing(index_elements=["provider", "event_id"])
        new = list(session.scalars(statement.returning(WebhookEvent.id), rows))
        if new:
            queue.ring_after(session, "process_inbound")
    return len(new)


def _fitting(event_id: str) -> str:
    """The dedupe key as it is kept. A long one is hashed, not cut: two mails may differ in the last letter only."""
    return event_id if len(event_id) <= LONGEST_ID else f"sha256:{hashlib.sha256(event_id.encode()).hexdigest()}"
