"""Webhooks are stored exactly as they came, before they are answered; a repeat changes nothing."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from threading import Event, Lock
from typing import Any

from sqlalchemy import Connection

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


class _Part:
    """The webhooks of one request, on their way into the database."""

    def __init__(self, incoming: Sequence[Incoming]) -> None:
        now = clock.now()
        self.rows: list[dict[str, Any]] = [
            {"provider": e.provider, "kind": e.kind, "event_id": _fitting(e.event_id), "raw": e.raw,
             "received_at": now, "attempts": 0}
            for e in incoming
        ]  # fmt: skip
        self.new = 0
        self.done = False
        self.error: Exception | None = None
        self.turn = Event()
        """Set when it is stored, or when it is this request's turn to store what has come."""


RECEIPTS_RING_EVERY = 0.5
"""Seconds between two rings of one process for receipts alone."""

APART = 0.02
"""Seconds from the start of one commit of this process to the next: where much comes, more of it shares a commit."""
MANY = 20
"""A request with so many webhooks is a batch already, and stores them at once."""

_rung_at = _began_at = 0.0
_arriving = Lock()
_parts: list[_Part] = []
_writing = False
"""Whether a request is storing what has come; the next is told by whoever does."""


def keep(incoming: Sequence[Incoming]) -> int:
    """Store webhooks before they are answered; returns how many were new. The bell rings only after the commit.

    Requests that come at the same moment share a commit: one writes what all of them brought, and each is answered as
    soon as that is done, whatever the next has begun by then. Whoever wrote rings for them, once nobody waits for it
    any more. A bell that cannot be rung (Redis is down) changes nothing: the event is safe and the workers look by
    themselves.
    """
    if not incoming:
        return 0
    part = _Part(incoming)
    if not _first(part):
        part.turn.wait()
    together: list[_Part] = []
    if not part.done:
        try:
            if len(part.rows) < MANY:
                _wait_for_more()
            together = _write(_arrived)
        finally:
            _let_go()
            for one in together:
                one.turn.set()
    if _worth_a_ring({row["kind"] for one in together if one.new for row in one.rows}):
        queue.ring("process_inbound")
    if part.error is not None:
        raise part.error
    return part.new


def _first(part: _Part) -> bool:
    """Put `part` with the others; whether nobody is storing, so that its request has to."""
    global _writing
    with _arriving:
        _parts.append(part)
        first, _writing = not _writing, True
    return first


def _wait_for_more() -> None:
    """Where another commit has just begun, wait a moment for others to share this one: a transaction of its own for
    each webhook is most of what it costs, on both sides. What comes alone does not wait.
    """
    global _began_at
    pause = _began_at + APART - time.monotonic()
    if pause > 0:
        time.sleep(pause)
    _began_at = time.monotonic()


def _let_go() -> None:
    """It is the turn of whoever has come meanwhile."""
    global _writing
    with _arriving:
        following = _parts[0] if _parts else None
        _writing = following is not None
    if following is not None:
        following.turn.set()


def _arrived() -> list[_Part]:
    """What has arrived until now, each only once."""
    with _arriving:
        together, _parts[:] = _parts[:], []
    return together


def _write(take: Callable[[], list[_Part]]) -> list[_Part]:
    """Store what several requests brought (`take`); where that fails, each by itself, so that none fails for another's
    sake. Returns what was taken.
    """
    parts: list[_Part] = []
    try:
        with db.transaction() as session:
            connection = session.connection()  # on SQLite it waits here for the one writer; who comes meanwhile joins
            parts = take()
            new = _insert(connection, [row for part in parts for row in part.rows])
    except Exception as error:
        parts = parts or take()
        for part in parts:
            if len(parts) > 1:
                _write(lambda alone=part: [alone])  # type: ignore[misc]
            else:
                part.error, part.done = error, True
        return parts
    for part in parts:
        part.new = sum((row["provider"], row["event_id"]) in new for row in part.rows)
        new -= {(row["provider"], row["event_id"]) for row in part.rows}  # a repeat at the same moment is not new
        part.done = True
    return parts


def _insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    """Insert rows that are not there yet; the (provider, event id) of those that were new."""
    # In one order: two repeats of one batch at the same moment must not wait for each other in a circle.
    ordered = {(row["provider"], row["event_id"]): row for row in sorted(rows, key=itemgetter("event_id"))}
    table: Any = WebhookEvent.__table__
    statement = db.insert(table).on_conflict_do_nothing(index_elements=["provider", "event_id"])
    found = connection.execute(statement.returning(table.c.provider, table.c.event_id), list(ordered.values()))
    return {(provider, event_id) for provider, event_id in found}


def _worth_a_ring(kinds: set[str]) -> bool:
    """Whether to ring for new webhooks of these kinds. Words are rung for at once. Receipts come by the thousand and
    nobody waits for one: now and then is enough, for the worker lingers a little longer than that.
    """
    global _rung_at
    now = time.monotonic()
    if not kinds:
        return False
    if kinds.isdisjoint(WORDS) and now < _rung_at + RECEIPTS_RING_EVERY:
        return False
    _rung_at = now
    return True


def _fitting(event_id: str) -> str:
    """The dedupe key as it is kept. A long one is hashed, not cut: two mails may differ in the last letter only."""
    return event_id if len(event_id) <= LONGEST_ID else f"sha256:{hashlib.sha256(event_id.encode()).hexdigest()}"
