"""Twilio's two form posts: a text message from a member, and the receipt for one of ours.

The signature has been checked before anything here runs; these functions only read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.channels.events import TWILIO_STATES
from service.channels.inbound_words import clean
from service.errors import Malformed

MAX_BODY = 1600 * 10
"""Characters. A message has at most 1600 (Twilio); the room above is for carriers that join parts."""
MAX_MEDIA = 20
_ID = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or sound that came with a text; the file stays at the provider."""

    url: str = field(repr=False)
    content_type: str


@dataclass(frozen=True, slots=True)
class InboundText:
    """A text message from a member. Addresses are E.164, or with a prefix such as `whatsapp:`."""

    sid: str
    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    body: str = field(repr=False)
    media: tuple[Media, ...]
    opt_out_type: str | None
    """STOP, START or HELP: Twilio has already answered, so we must not answer again."""
    country: str | None
    account_sid: str | None
    messaging_service_sid: str | None
    segments: int | None

    @property
    def dedupe_key(self) -> str:
        """The MessageSid (DESIGN section 11)."""
        return self.sid


@dataclass(frozen=True, slots=True)
class StatusReceipt:
    """What became of a text of ours. Receipts are unordered and repeat."""

    sid: str
    status: str
    error_code: str | None
    sender: str | None = field(repr=False)
    recipient: str | None = field(repr=False)
    account_sid: str | None
    messaging_service_sid: str | None
    carrier_time: datetime | None
    """When the carrier says that it was done, to the minute (RawDlrDoneDate)."""

    @property
    def dedupe_key(self) -> str:
        """MessageSid and MessageStatus (DESIGN section 11)."""
        return f"{self.sid}:{self.status}"

    @property
    def state(self) -> str | None:
        """The delivery state that this status means, or None where it means none (a status not known yet)."""
        return TWILIO_STATES.get(self.status)


def parse(form: Mapping[str, str]) -> InboundText:
    """The text message in an incoming-message post. Raises Malformed that names every missing or unusable field."""
    sid = _first(form, "MessageSid", "SmsMessageSid", "SmsSid")
    sender, recipient = _first(form, "From"), _first(form, "To")
    _require({"MessageSid": _ID.fullmatch(sid), "From": sender, "To": recipient})
    opt_out = _first(form, "OptOutType").upper()
    return InboundText(
        sid=sid,
        sender=sender,
        recipient=recipient,
        body=clean(form.get("Body", ""), MAX_BODY),
        media=tuple(_media(form)),
        opt_out_type=opt_out if opt_out in ("STOP", "START", "HELP") else None,
        country=_country(_first(form, "FromCountry")),
        account_sid=_first(form, "AccountSid") or None,
        messaging_service_sid=_first(form, "MessagingServiceSid") or None,
        segments=_small_number(_first(form, "NumSegments")),
    )


def parse_status(form: Mapping[str, str]) -> StatusReceipt:
    """The receipt in a status callback. Raises Malformed that names every missing or unusable field."""
    sid = _first(form, "MessageSid", "SmsSid")
    status = _first(form, "MessageStatus", "SmsStatus").lower()
    _require({"MessageSid": _ID.fullmatch(sid), "MessageStatus": re.fullmatch(r"[a-z_-]{1,32}", status)})
    error = _first(form, "ErrorCode")
    return StatusReceipt(
        sid=sid,
        status=status,
        # Twilio writes 0 or nothing where there was no error.
        error_code=error if re.fullmatch(r"[1-9][0-9]{0,7}", error) else None,
        sender=_first(form, "From") or None,
        recipient=_first(form, "To") or None,
        account_sid=_first(form, "AccountSid") or None,
        messaging_service_sid=_first(form, "MessagingServiceSid") or None,
        carrier_time=_carrier_time(_first(form, "RawDlrDoneDate")),
    )


def _first(form: Mapping[str, str], *names: str) -> str:
    """The first of `names` that has a value, on one line; Twilio keeps older names beside the newer ones."""
    values = (clean(form.get(name, ""), 320).replace("\n", " ") for name in names)
    return next(filter(None, values), "")


def _require(found: Mapping[str, object]) -> None:
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise Malformed(f"This is not a Twilio message post: {', '.join(missing)} missing or unusable.")


def _media(form: Mapping[str, str]) -> list[Media]:
    media = []
    for i in range(MAX_MEDIA):
        url = clean(form.get(f"MediaUrl{i}", ""), 2000)
        # Someone will click on it in the console, so it has to be an ordinary web address.
        if url.startswith(("https://", "http://")):
            media.append(Media(url, _first(form, f"MediaContentType{i}") or "application/octet-stream"))
    return media


def _country(value: str) -> str | None:
    return value.upper() if re.fullmatch(r"[A-Za-z]{2}", value) else None


def _small_number(value: str) -> int | None:
    return int(value) if re.fullmatch(r"[0-9]{1,4}", value) else None


def _carrier_time(value: str) -> datetime | None:
    """RawDlrDoneDate is YYMMDDhhmm in UTC; carriers leave it out or fill it with zeros."""
    if not re.fullmatch(r"[0-9]{10}", value):
        return None
    try:
        return datetime.strptime(value, "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
