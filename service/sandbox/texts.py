"""Text messages as Twilio keeps them: what was asked for, what became of it, and the callbacks that will tell.

A status is never written: it follows from the planned times and the clock, so nothing can lag or be lost.
"""

import json
import random
import secrets
import sqlite3
from email.utils import formatdate
from typing import Any

from service.config import Settings
from service.sandbox import provoke
from service.sandbox.provoke import Kind, Provocation
from service.sandbox.segments import measure
from service.sandbox.store import Row, Store, timestamp, touch

API_VERSION = "2010-04-01"
MAX_BODY = 1600
"""Characters that Twilio takes in one text."""
ERRORS: dict[int, str] = {
    21211: "Invalid 'To' Phone Number",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21606: "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "Message cannot be sent with the current combination of 'To' and/or 'From' parameters",
    21614: "'To' number is not a valid mobile number",
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30022: "US A2P 10DLC - Rate Limits Exceeded",
    30023: "US A2P 10DLC - Daily Message Cap Reached",
    30032: "Toll-Free Number Has Not Been Verified",
    30034: "US A2P 10DLC - Message from an Unregistered Number",
    30036: "Validity Period Expired",
    30410: "Provider Timeout Error",
}
"""The vendor's words for the codes that a page may choose; any other code is "Unknown error"."""

_STANDARD_SENDER = "+15005550006"
"""Who texts come from if TWILIO_FROM is not set: the number of Twilio's own test credentials."""


def our_number(settings: Settings) -> str:
    """The number that members see and write to."""
    return settings.twilio_from or _STANDARD_SENDER


def new_sid(prefix: str = "SM") -> str:
    """A fresh SID: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def error_message(code: int | None) -> str | None:
    """The vendor's words for an error code."""
    return None if code is None else ERRORS.get(code, "Unknown error")


def accept(
    store: Store,
    db: sqlite3.Connection,
    *,
    to: str,
    sender: str,
    body: str,
    service_sid: str = "",
    callback: str = "",
    send_at: float | None = None,
    direction: str = "outbound-api",
) -> Row:
    """Take a message and plan what becomes of it; the caller holds the transaction. Returns its row."""
    created = timestamp()
    trouble = provoke.take(db, provoke.SMS, (to,), at_request=False)
    pace = provoke.switch(store, "pace")
    start = max(created, send_at or 0.0)
    done_at = start + random.uniform(0.6, 2.4) * pace  # noqa: S311 - a delay, not a secret
    sent_at: float | None = start + (done_at - start) * random.uniform(0.2, 0.6)  # noqa: S311
    final, code = "delivered", None
    if trouble and trouble.kind in (Kind.UNDELIVERED, Kind.FAILED):
        final, code = trouble.kind.value, trouble.code
        if trouble.kind is Kind.FAILED:  # it never reached a carrier
            sent_at = None
    sid = new_sid()
    initial = "scheduled" if send_at else "accepted" if service_sid else "queued"
    db.execute(
        "INSERT INTO text (sid, direction, phone, sender, recipient, body, segments, service_sid, callback, created, "
        "initial, sent_at, done_at, final, error_code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(sid, direction, to, sender, to, body, measure(body).number, service_sid, callback, created),
            *(initial, sent_at, done_at, final, code),
        ),
    )
    touch(db, "phone", to, body, unread=int(final == "delivered"))
    if callback and not (trouble and trouble.kind is Kind.SILENT):
        row = db.execute("SELECT * FROM text WHERE sid = ?", (sid,)).fetchone()
        _plan_callbacks(store, db, row, trouble)
    stored: Row = db.execute("SELECT * FROM text WHERE sid = ?", (sid,)).fetchone()
    return stored


def _plan_callbacks(store: Store, db: sqlite3.Connection, row: Row, trouble: Provocation | None) -> None:
    """Put the status callbacks into the outbox: none for the initial status; sometimes swapped, sometimes twice."""
    steps = [(row["sent_at"], "sent")] if row["sent_at"] is not None else []
    steps.append((row["done_at"], row["final"]))
    kind = trouble.kind if trouble else None
    if len(steps) == 2 and (kind is Kind.DISORDERED or _chance(store, "disorder")):
        steps = [(steps[1][0], steps[0][1]), (steps[0][0], steps[1][1])]
    for due, status in steps:
        params = callback_params(store.settings, row, status)
        payload = json.dumps({"url": row["callback"], "params": params, "token": secrets.token_hex(16)})
        copies = 3 if kind is Kind.REPEATED else 2 if _chance(store, "repeats") else 1
        for copy in range(copies):
            later = copy * random.uniform(0.1, 1.0)  # noqa: S311
            db.execute("INSERT INTO outbox (due, kind, payload) VALUES (?, 'status', ?)", (due + later, payload))


def _chance(store: Store, key: str) -> bool:
    return random.random() < provoke.switch(store, key)  # noqa: S311


def callback_params(settings: Settings, row: Row, status: str) -> dict[str, str]:
    """The form fields of a status callback."""
    params = {
        "ApiVersion": API_VERSION,
        "AccountSid": settings.twilio_account_sid,
        "MessageSid": row["sid"],
        "SmsSid": row["sid"],
        "MessageStatus": status,
        "SmsStatus": status,
        "From": row["sender"],
        "To": row["recipient"],
    }
    if row["service_sid"]:
        params["MessagingServiceSid"] = row["service_sid"]
    if status == row["final"]:
        params["RawDlrDoneDate"] = formatdate(row["done_at"], localtime=False)
        if row["error_code"] is not None:
            params["ErrorCode"] = str(row["error_code"])
    return params


def status_of(row: Row, at: float) -> str:
    """The status at a moment (seconds since 1970)."""
    if row["canceled"]:
        return "canceled"
    if row["done_at"] is not None and at >= row["done_at"]:
        return str(row["final"])
    if row["sent_at"] is not None and at >= row["sent_at"]:
        return "sent"
    return str(row["initial"])


def resource(settings: Settings, row: Row) -> dict[str, Any]:
    """The Message resource, field by field as the vendor returns it."""
    at = timestamp()
    status = status_of(row, at)
    sent = row["direction"] == "inbound" or (row["sent_at"] is not None and at >= row["sent_at"])
    settled = status in ("delivered", "undelivered", "failed", "received")
    # A Messaging Service has not chosen a sender yet while the status is accepted.
    unassigned = status in ("accepted", "scheduled")
    code = row["error_code"] if settled else None
    uri = f"/{API_VERSION}/Accounts/{settings.twilio_account_sid}/Messages/{row['sid']}"
    reached = (t for t in (row["created"], row["sent_at"], row["done_at"]) if t is not None and t <= at + 0.001)
    updated = max(reached, default=row["created"])  # a machine's clock may have been set back
    return {
        "account_sid": settings.twilio_account_sid,
        "api_version": API_VERSION,
        "body": row["body"],
        "date_created": rfc2822(row["created"]),
        "date_sent": rfc2822(row["sent_at"] if row["direction"] != "inbound" else row["created"]) if sent else None,
        "date_updated": rfc2822(updated),
        "direction": row["direction"],
        "error_code": code,
        "error_message": error_message(code),
        "from": None if unassigned and row["service_sid"] else row["sender"],
        "messaging_service_sid": row["service_sid"] or None,
        "num_media": "0",
        "num_segments": "0" if unassigned else str(row["segments"]),
        "price": None,
        "price_unit": "USD",
        "sid": row["sid"],
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": row["recipient"],
        "uri": f"{uri}.json",
    }


def rfc2822(at: float) -> str:
    """`Thu, 24 Aug 2023 05:01:45 +0000`."""
    return formatdate(at, localtime=False).replace("-0000", "+0000")
