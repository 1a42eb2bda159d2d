"""Trouble on request: the ways in which a provider, a carrier or a mail server can fail, and the stand-in's switches.

A provocation belongs to one phone or mailbox or to all, and lasts for the next N messages or until removed.
"""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from service.errors import Invalid
from service.sandbox.store import Row, Store

SMS = "sms"
EMAIL = "email"


class Kind(StrEnum):
    """What goes wrong. The first five happen to the API request, the others to the message afterwards."""

    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    SLOW = "slow"
    UNANSWERED = "unanswered"
    REFUSED = "refused"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    BOUNCE = "bounce"
    LATE_BOUNCE = "late-bounce"
    BLOCKED = "blocked"
    DROPPED = "dropped"
    DEFERRED = "deferred"
    SPAM_REPORT = "spam-report"
    UNSUBSCRIBE = "unsubscribe"
    SILENT = "silent"
    REPEATED = "repeated"
    DISORDERED = "disordered"


AT_REQUEST = frozenset({Kind.RATE_LIMITED, Kind.SERVER_ERROR, Kind.SLOW, Kind.UNANSWERED, Kind.REFUSED})
LABELS: dict[Kind, str] = {
    Kind.RATE_LIMITED: "429: too many requests",
    Kind.SERVER_ERROR: "500: broken, nothing is taken",
    Kind.SLOW: "Slow: taken, answered seconds later",
    Kind.UNANSWERED: "Taken, but never answered",
    Kind.REFUSED: "Refused with an error code",
    Kind.UNDELIVERED: "Undelivered, with an error code",
    Kind.FAILED: "Failed, with an error code",
    Kind.BOUNCE: "Hard bounce: no such mailbox",
    Kind.LATE_BOUNCE: "Delivered, then a late bounce",
    Kind.BLOCKED: "Blocked by the mail server",
    Kind.DROPPED: "Dropped by SendGrid",
    Kind.DEFERRED: "Deferred first, delivered later",
    Kind.SPAM_REPORT: "Delivered, then reported as spam",
    Kind.UNSUBSCRIBE: "Delivered, then unsubscribed",
    Kind.SILENT: "Delivered, but no callback ever comes",
    Kind.REPEATED: "Every callback comes three times",
    Kind.DISORDERED: "Callbacks come in the wrong order",
}
_EMAIL_ONLY = frozenset(
    {Kind.BOUNCE, Kind.LATE_BOUNCE, Kind.BLOCKED, Kind.DROPPED, Kind.DEFERRED, Kind.SPAM_REPORT, Kind.UNSUBSCRIBE}
)
_SMS_ONLY = frozenset({Kind.UNDELIVERED, Kind.FAILED})
DEFAULT_CODES = {Kind.UNDELIVERED: 30003, Kind.FAILED: 30008, Kind.REFUSED: 21614}
DEFAULT_SECONDS = {Kind.SLOW: 3.0, Kind.UNANSWERED: 30.0, Kind.RATE_LIMITED: 2.0}
LONGEST = 120.0

SWITCHES: dict[str, float] = {
    "opt_out": 0.0,  # 1: Twilio itself answers STOP, START and HELP, and blocks who stopped (Advanced Opt-Out)
    "opens": 0.0,  # 1: opening a mail on the page reports an `open` event
    "repeats": 0.05,  # the share of callbacks and events that come twice
    "disorder": 0.08,  # the share of messages whose callbacks change places
    "pace": 1.0,  # multiplies every delay; 0: at once
}


@dataclass(frozen=True)
class Provocation:
    """One that applies to the message at hand. `code`: the vendor's error code; `seconds`: how long to wait."""

    kind: Kind
    code: int
    seconds: float


def kinds_for(channel: str) -> list[Kind]:
    """The kinds that make sense for SMS or EMAIL."""
    other = _EMAIL_ONLY if channel == SMS else _SMS_ONLY
    return [kind for kind in Kind if kind not in other]


def add(
    store: Store,
    kind: str,
    *,
    channel: str,
    address: str = "",
    times: int | None = 1,
    code: int | None = None,
    seconds: float | None = None,
) -> int:
    """Begin a provocation and return its number. `address` "": all; `times` None: until removed.

    Raises Invalid, naming the field, for a kind that does not exist on that channel or a number out of range.
    """
    if channel not in (SMS, EMAIL):
        raise Invalid("Choose sms or email.", field="channel")
    if kind not in kinds_for(channel):
        raise Invalid(f"Choose one of: {', '.join(kinds_for(channel))}.", field="kind")
    if times is not None and not 1 <= times <= 1_000_000:
        raise Invalid("Give a number from 1, or leave it empty for “until removed”.", field="times")
    if seconds is not None and not 0 <= seconds <= LONGEST:
        raise Invalid(f"Give seconds from 0 to {LONGEST:g}.", field="seconds")
    if code is not None and not 100 <= code <= 99999:
        raise Invalid("Give an error code such as 30005.", field="code")
    with store.write() as db:
        done = db.execute(
            "INSERT INTO provocation (channel, address, kind, code, seconds, remaining) VALUES (?, ?, ?, ?, ?, ?)",
            (channel, address.strip().lower(), kind, code, seconds, times),
        )
    return int(done.lastrowid or 0)


def active(store: Store) -> list[Row]:
    """Those that still apply, oldest first."""
    return store.all("SELECT * FROM provocation ORDER BY n")


def remove(store: Store, n: int | None = None) -> None:
    """End one provocation, or all of them."""
    with store.write() as db:
        if n is None:
            db.execute("DELETE FROM provocation")
        else:
            db.execute("DELETE FROM provocation WHERE n = ?", (n,))


def take(db: sqlite3.Connection, channel: str, addresses: Collection[str], *, at_request: bool) -> Provocation | None:
    """The provocation that hits a request (or one message) to these addresses, counted down; None if none does.

    One for an address goes before one for all, an older before a younger.
    """
    rows = db.execute("SELECT * FROM provocation WHERE channel = ? ORDER BY address = '', n", (channel,)).fetchall()
    for row in rows:
        kind = Kind(row["kind"])
        if (kind in AT_REQUEST) is not at_request or (row["address"] and row["address"] not in addresses):
            continue
        if row["remaining"] is not None and row["remaining"] <= 1:
            db.execute("DELETE FROM provocation WHERE n = ?", (row["n"],))
        else:
            db.execute("UPDATE provocation SET remaining = remaining - 1 WHERE n = ?", (row["n"],))
        return Provocation(
            kind,
            row["code"] if row["code"] is not None else DEFAULT_CODES.get(kind, 0),
            row["seconds"] if row["seconds"] is not None else DEFAULT_SECONDS.get(kind, 0.0),
        )
    return None


def switch(store: Store, key: str) -> float:
    """The value of one of SWITCHES."""
    row = store.one("SELECT value FROM setting WHERE key = ?", key)
    return float(row["value"]) if row else SWITCHES[key]


def switches(store: Store) -> dict[str, float]:
    """All of them."""
    return SWITCHES | {row["key"]: float(row["value"]) for row in store.all("SELECT key, value FROM setting")}


def set_switch(store: Store, key: str, value: float) -> None:
    """Turn a switch. Raises Invalid for one that does not exist or a value that makes no sense."""
    if key not in SWITCHES:
        raise Invalid(f"Choose one of: {', '.join(SWITCHES)}.", field="switch")
    if not 0 <= value <= (60 if key == "pace" else 1):
        raise Invalid("Give a number from 0 to 1 (pace: to 60).", field=key)
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", (key, value))
