"""SendGrid's event batches, and what each provider's words mean for the state of a delivery.

One bad entry never costs the others of its batch: the provider would send all of them again, for a day.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from service import clock, logs
from service.channels.inbound_words import clean
from service.errors import Malformed

log = logs.get("events")

RANK = {
    "accepted": 1,
    "sent": 2,
    "failed": 3,
    "undelivered": 3,
    "delivered": 4,
    "bounced": 5,
    "complained": 6,
}
"""Only a higher rank applies over a lower one (DESIGN section 6): receipts come in any order, any number of times."""

TWILIO_STATES = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "sent",
    "partially_delivered": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
}
"""Twilio's MessageStatus to delivery state; `receiving` and `received` are about messages to us."""


class Event(StrEnum):
    """What SendGrid says has happened; a kind that is not known yet is OTHER and kept."""

    PROCESSED = "processed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCE = "bounce"
    DROPPED = "dropped"
    OPEN = "open"
    CLICK = "click"
    SPAM_REPORT = "spamreport"
    UNSUBSCRIBE = "unsubscribe"
    GROUP_UNSUBSCRIBE = "group_unsubscribe"
    GROUP_RESUBSCRIBE = "group_resubscribe"
    ACCOUNT_STATUS_CHANGE = "account_status_change"
    OTHER = "other"


SENDGRID_STATES = {
    Event.PROCESSED: "accepted",
    Event.DEFERRED: "accepted",
    Event.DELIVERED: "delivered",
    Event.BOUNCE: "bounced",
    Event.DROPPED: "failed",
    # Whoever opens, clicks or leaves has the message.
    Event.OPEN: "delivered",
    Event.CLICK: "delivered",
    Event.UNSUBSCRIBE: "delivered",
    Event.GROUP_UNSUBSCRIBE: "delivered",
    Event.SPAM_REPORT: "complained",
}
"""Event to delivery state; for a bounce of type `blocked` see `EmailEvent.state`."""

_EVENTS = {event.value: event for event in Event}
_DROP_REASONS = {
    "bounced address": "bounced_before",
    "unsubscribed address": "unsubscribed_before",
    "spam reporting address": "complained_before",
    "invalid": "invalid_address",
    "invalid smtpapi header": "invalid_request",
    "spam content": "spam_content",
    "spam content (if spam checker app is enabled)": "spam_content",
    "recipient list over package quota": "over_quota",
}
_ENHANCED_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")
_SMTP_STATUS = re.compile(r"(?<![\d.])[45]\d\d(?![\d.])")
_REFERENCE = re.compile(r"[A-Za-z0-9._~=+/-]{1,200}")


@dataclass(frozen=True, slots=True)
class EmailEvent:
    """One entry of a batch. `delivery_ref` and `request_id` are the custom_args "d" and "r" that we sent."""

    event_id: str
    event: Event
    event_name: str
    """The provider's own word, for kinds that we do not know."""
    delivery_ref: str | None
    request_id: str | None
    message_id: str | None
    at: datetime
    bounce_type: str | None
    bounce_class: str | None
    reason_code: str | None
    """`5.1.1`, `550` or a word of ours; never the free text, which quotes addresses."""
    machine_open: bool
    categories: tuple[str, ...]
    address: str | None = field(repr=False)
    """To whom, for the events that carry no delivery of ours."""

    @property
    def state(self) -> str | None:
        """The delivery state that this event means, or None. A `blocked` bounce was refused but may work again."""
        if self.event is Event.BOUNCE and self.bounce_type == "blocked":
            return "undelivered"
        return SENDGRID_STATES.get(self.event)


def parse_events(raw: bytes) -> list[EmailEvent]:
    """The events of one batch, in its order. Entries that are not objects are left out and counted in the log.

    Raises Malformed if `raw` is not a JSON array.
    """
    return [event_of(entry) for entry in entries_of(raw)]


def entries_of(raw: bytes) -> list[dict[str, Any]]:
    """The entries of one batch as they came, in its order; those that are not objects are left out.

    Raises Malformed if `raw` is not a JSON array.
    """
    try:
        batch = orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError):
        raise Malformed("The event batch is not JSON.") from None
    if not isinstance(batch, list):
        raise Malformed("The event batch is not a JSON array.")
    entries = [entry for entry in batch if isinstance(entry, dict)]
    if len(entries) < len(batch):
        log.warning("events_skipped", skipped=len(batch) - len(entries), kept=len(entries))
    return entries


def id_of(entry: dict[str, Any]) -> str:
    """The dedupe key of an entry: the provider's own id, or a fingerprint of what it says."""
    return _reference(entry.get("sg_event_id")) or _fingerprint(entry)


def event_of(entry: dict[str, Any]) -> EmailEvent:
    """One entry, read; what is missing or odd becomes None."""
    name = _text(entry.get("event"), 64).lower()
    bounced = name == Event.BOUNCE
    return EmailEvent(
        event_id=id_of(entry),
        event=_EVENTS.get(name, Event.OTHER),
        event_name=name if re.fullmatch(r"[a-z_]{1,64}", name) else "other",
        delivery_ref=_reference(entry.get("d")),
        request_id=_reference(entry.get("r")),
        message_id=_text(entry.get("sg_message_id"), 200) or None,
        at=_moment(entry.get("timestamp")),
        bounce_type=(_text(entry.get("type"), 32).lower() or "bounce") if bounced else None,
        bounce_class=_text(entry.get("bounce_classification"), 64) or None,
        reason_code=_reason_code(entry),
        machine_open=entry.get("sg_machine_open") is True,
        categories=_categories(entry.get("category")),
        address=_text(entry.get("email"), 320).lower() or None,
    )


def _text(value: object, limit: int) -> str:
    return clean(value, limit).replace("\n", " ") if isinstance(value, str) else ""


def _reference(value: object) -> str | None:
    """An id as we or the provider make them; a number is taken too, because custom_args come back as they please."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and _REFERENCE.fullmatch(text) else None


def _fingerprint(entry: dict[str, Any]) -> str:
    """An id for an event that came without one: the same event, sent again, has the same."""
    plain = {k: v for k, v in entry.items() if isinstance(v, str | int | float | bool)}
    return "sha256:" + hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _moment(value: object) -> datetime:
    """`timestamp` is in seconds since 1970; without a usable one the event is as old as its arrival."""
    try:
        return datetime.fromtimestamp(float(value), UTC)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return clock.now()


def _reason_code(entry: dict[str, Any]) -> str | None:
    status, reason = _text(entry.get("status"), 64), _text(entry.get("reason"), 2000)
    known = _DROP_REASONS.get(reason.lower())
    if known:
        return known
    found = (
        _ENHANCED_STATUS.search(status)
        or _ENHANCED_STATUS.search(reason)
        or _SMTP_STATUS.search(status)
        or _SMTP_STATUS.search(reason)
    )
    return found.group() if found else None


def _categories(value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(filter(None, (_text(item, 255) for item in given[:10])))
