"""Webhooks are stored exactly as they came, before they are answered; a repeat changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service import clock, db, queue
from service.models.conversations import WebhookEvent

TEXT, TEXT_STATUS, EMAIL, EMAIL_EVENT = "text", "text_status", "email", "email_event"
WORDS = (TEXT, EMAIL)
RECEIPTS = (TEXT_STATUS, EMAIL_EVENT)


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
        {"provider": e.provider, "kind": e.kind, "event_id": e.event_id[:160], "raw": e.raw, "received_at": now,
         "attempts": 0}
        for e in incoming
    ]  # fmt: skip
    builder = sqlite_insert if db.current().is_sqlite else postgresql_insert
    with db.transaction() as session:
        statement = builder(WebhookEvent).on_conflict_do_nothing(index_elements=["provider", "event_id"])
        new = list(session.scalars(statement.returning(WebhookEvent.id), rows))
        if new:
            queue.ring_after(session, "process_inbound")
    return len(new)
