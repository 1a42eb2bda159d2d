"""What SendGrid's Event Webhook tells about each mail, in the shapes of its reference, and when."""

import json
import random
import sqlite3
from dataclasses import dataclass
from typing import Any

from service.sandbox import provoke
from service.sandbox.provoke import Kind, Provocation
from service.sandbox.store import Row, Store, timestamp
from service.sandbox.webhooks import opaque

ARRIVED = frozenset({"delivered", "late-bounce"})
"""The states in which a mail can be seen in its mailbox."""
_LISTS = {
    "bounces": "Bounced Address",
    "spam_reports": "Spam Reporting Address",
    "unsubscribes": "Unsubscribed Address",
}
_IP = "192.0.2.25"


@dataclass(frozen=True)
class Envelope:
    """What every event about one mail carries. `number`: its place in the request; `start`: seconds since 1970."""

    email: str
    message_id: str
    number: int
    custom_args: dict[str, Any]
    categories: list[str]
    start: float


@dataclass(frozen=True)
class Fate:
    """How it ends: state (delivered, bounce, blocked, dropped, late-bounce), when, and the mail server's reason."""

    state: str
    at: float
    reason: str = ""


def smtp_id(message_id: str, number: int) -> str:
    """The Message-ID that SendGrid gives a mail without one."""
    return f"<{message_id}{number}@geopod-ismtpd-stand-in>"


def plan(
    store: Store, db: sqlite3.Connection, envelope: Envelope, trouble: Provocation | None, suppressed: str
) -> Fate:
    """Decide what becomes of a mail and put its events into the outbox."""
    kind = trouble.kind if trouble else None
    pace = provoke.switch(store, "pace")
    processed = envelope.start + random.uniform(0.1, 0.4) * pace  # noqa: S311 - a delay, not a secret
    done = processed + random.uniform(0.3, 1.6) * pace  # noqa: S311
    if suppressed or kind is Kind.DROPPED:
        reason = _LISTS.get(suppressed, "Invalid")
        _emit(store, db, envelope, kind, [(processed, "dropped", {"reason": reason, "status": "5.0.0"})])
        return Fate("dropped", processed, reason)
    steps: list[tuple[float, str, dict[str, Any]]] = [(processed, "processed", {"send_at": 0})]
    fate = Fate("delivered", done)
    delivered = (done, "delivered", {"response": "250 2.0.0 OK", "ip": _IP, "tls": 1})
    if kind in (Kind.BOUNCE, Kind.BLOCKED):
        step, fate = _bounced(done, blocked=kind is Kind.BLOCKED)
        steps.append(step)
    elif kind is Kind.DEFERRED:
        steps.append((done, "deferred", {"response": "451 4.7.1 Try again later", "attempt": "1", "ip": _IP, "tls": 1}))
        fate = Fate("delivered", done + 3 * pace)
        steps.append((fate.at, *delivered[1:]))
    else:
        steps.append(delivered)
    if kind is Kind.LATE_BOUNCE:
        step, fate = _bounced(done + 2 * pace, blocked=False)
        fate = Fate("late-bounce", done, fate.reason)
        steps.append(step)
    if kind in (Kind.SPAM_REPORT, Kind.UNSUBSCRIBE):
        steps.append((done + 1 * pace, "spamreport" if kind is Kind.SPAM_REPORT else "unsubscribe", {}))
    _suppress_after(db, envelope, kind, fate.reason)
    _emit(store, db, envelope, kind, steps)
    return fate


def _bounced(at: float, *, blocked: bool) -> tuple[tuple[float, str, dict[str, Any]], Fate]:
    if blocked:
        reason, status, kind = "550 5.7.1 Message rejected by policy", "5.7.1", "blocked"
        classification = "Reputation"
    else:
        reason, status, kind = "550 5.1.1 The email account that you tried to reach does not exist", "5.1.1", "bounce"
        classification = "Invalid Address"
    fields = {"reason": reason, "status": status, "type": kind, "bounce_classification": classification}
    return (at, "bounce", fields | {"ip": _IP, "tls": 1}), Fate(kind, at, reason)


def _suppress_after(db: sqlite3.Connection, envelope: Envelope, kind: Kind | None, reason: str) -> None:
    """SendGrid drops what comes later to an address that bounced, complained or unsubscribed; a block is forgotten."""
    lists = {
        Kind.BOUNCE: "bounces",
        Kind.LATE_BOUNCE: "bounces",
        Kind.SPAM_REPORT: "spam_reports",
        Kind.UNSUBSCRIBE: "unsubscribes",
    }
    if kind in lists:
        suppress(db, lists[kind], envelope.email, reason)


def suppress(db: sqlite3.Connection, name: str, email: str, reason: str) -> None:
    """Put an address on one of SendGrid's lists: bounces, spam_reports, unsubscribes."""
    db.execute(
        "INSERT OR IGNORE INTO suppression (list, email, reason, created) VALUES (?, ?, ?, ?)",
        (name, email.lower(), reason, int(timestamp())),
    )


def _emit(
    store: Store,
    db: sqlite3.Connection,
    envelope: Envelope,
    kind: Kind | None,
    steps: list[tuple[float, str, dict[str, Any]]],
) -> None:
    if kind is Kind.SILENT:
        return
    dues = [at for at, _, _ in steps]
    if kind is Kind.DISORDERED or random.random() < provoke.switch(store, "disorder"):  # noqa: S311
        dues.reverse()
    for due, (at, event, fields) in zip(dues, steps, strict=True):
        late = kind is Kind.LATE_BOUNCE and event == "bounce"
        payload = json.dumps(_event(envelope, event, at, fields, with_message_id=not late))
        copies = 3 if kind is Kind.REPEATED else 1
        if random.random() < provoke.switch(store, "repeats"):  # noqa: S311
            copies = max(copies, 2)
        for copy in range(copies):  # the very same event, sg_event_id and all
            again = copy * random.uniform(0.1, 1.0)  # noqa: S311
            db.execute("INSERT INTO outbox (due, kind, payload) VALUES (?, 'event', ?)", (due + again, payload))


def _event(
    envelope: Envelope, event: str, at: float, fields: dict[str, Any], *, with_message_id: bool = True
) -> dict[str, Any]:
    """One event: custom_args stand flat beside the vendor's own fields, which win where names collide."""
    own: dict[str, Any] = {
        "email": envelope.email,
        "timestamp": int(at),
        "event": event,
        "sg_event_id": opaque(48),
        **fields,
    }
    if with_message_id:
        own["smtp-id"] = smtp_id(envelope.message_id, envelope.number)
        own["sg_message_id"] = f"{envelope.message_id}.recvd-5d8c5b7c8-q7k2x-1-65D3A1B2-{envelope.number:X}.0"
    if envelope.categories:
        # A string where there is one, a list where there are several, as the vendor does.
        own["category"] = envelope.categories[0] if len(envelope.categories) == 1 else envelope.categories
    return {key: str(value) for key, value in envelope.custom_args.items()} | own


def report(store: Store, row: Row, event: str) -> None:
    """An event that a reader causes on the page: open, spamreport or unsubscribe. It leaves at once."""
    own = json.loads(row["personalization"])
    request = store.one("SELECT payload FROM request WHERE id = ?", row["request"])
    shared = json.loads(request["payload"]) if request else {}
    custom_args = (shared.get("custom_args") or {}) | (own.get("custom_args") or {})
    email = own["recipient"]["email"]
    envelope = Envelope(email, row["request"], own["number"], custom_args, shared.get("categories") or [], timestamp())
    fields: dict[str, Any] = {}
    if event == "open":
        fields = {"ip": _IP, "useragent": "Mozilla/5.0", "sg_content_type": "html", "sg_machine_open": False}
    with store.write() as db:
        payload = json.dumps(_event(envelope, event, timestamp(), fields))
        db.execute("INSERT INTO outbox (due, kind, payload) VALUES (?, 'event', ?)", (timestamp(), payload))
        if event != "open":
            suppress(db, "spam_reports" if event == "spamreport" else "unsubscribes", email, "")
    store.wake.set()
