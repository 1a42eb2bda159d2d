"""A mail that a member sent us, as SendGrid's Inbound Parse posts it (taken apart, or the whole MIME message).

The signature over the raw bytes has been checked before; then `parse_multipart`, then `parse`.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from enum import StrEnum

from service.channels.inbound_html import to_text
from service.channels.inbound_parts import (
    MAX_BYTES,
    Attachment,
    FilePart,
    RawMail,
    charsets,
    decode,
    header_text,
    json_object,
    parse_multipart,
    parse_raw,
)
from service.channels.inbound_words import clean, new_words
from service.errors import Malformed, TooLarge

__all__ = ["Attachment", "FilePart", "InboundEmail", "Verdict", "parse", "parse_multipart"]

MAX_TEXT = 100_000
"""Characters."""
MAX_HEADERS = 200_000
MAX_RECIPIENTS = 100
MAX_REFERENCES = 50
MAX_ATTACHMENTS = 100

_ANGLE = re.compile(r"<([^<>\s@\"]{1,128}@[^<>\s@]{1,255})>\s*$")
_BARE = re.compile(r"[^<>\s@\",;:()]{1,128}@[^<>\s@\",;:()]{1,255}")
_REPLY_ADDRESS = re.compile(r"reply\+([A-Za-z0-9._~=-]{1,200})@", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,900}>")
_DKIM = re.compile(r"@([a-z0-9._-]{1,255})\s{0,3}:\s{0,3}([a-z]{1,16})", re.IGNORECASE)
# Whole prefixes that mail programs write; a person who answers one has "Re:" before it.
_AUTOMATIC_SUBJECT = re.compile(
    r"(?:automatic reply|auto(?:matic)?[ -]?(?:reply|response)|out of (?:the )?office|respuesta autom[aá]tica|"
    r"fuera de (?:la )?oficina)\b(?::|$| -)",
    re.IGNORECASE,
)


class Verdict(StrEnum):
    """Of SPF and DKIM; soft failures are failures, errors and neutral answers say nothing."""

    PASS = "pass"  # noqa: S105 (not a password)
    FAIL = "fail"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class InboundEmail:
    """A mail. What it says and whom it names stay out of its repr."""

    message_id: str | None
    dedupe_key: str
    """The Message-ID, else a SHA-256 of envelope, headers and text (DESIGN section 11); 200 characters at most."""
    sender_address: str = field(repr=False)
    """From the From header, lower case. Anyone can write it: see `authentic`."""
    sender_name: str = field(repr=False)
    to_addresses: tuple[str, ...] = field(repr=False)
    """From the envelope; from the To header only where there is no envelope."""
    reply_token: str | None
    subject: str = field(repr=False)
    text: str = field(repr=False)
    """The new words only; empty if there are none."""
    full_text: str = field(repr=False)
    """Everything, with quoted mail."""
    html_only: bool
    in_reply_to: str | None
    references: tuple[str, ...]
    automatic: bool
    """Written by a machine: it gets no automatic answer, but is screened for risk like any other."""
    automatic_reason: str | None
    spam_score: float | None
    spf: Verdict
    dkim: Verdict
    dkim_domains: tuple[str, ...]
    """The domains whose signature holds."""
    authentic: Verdict
    """Whether the From is true: pass where a good signature or SPF is of its own domain (as DMARC has it), fail where
    nothing is and a check failed. Somebody else's good signature proves nothing about the From.
    """
    attachments: tuple[Attachment, ...]


def parse(form: Mapping[str, str | bytes], files: Sequence[FilePart] = ()) -> InboundEmail:
    """The mail in a form of Inbound Parse. Bytes are decoded by the charset that the form names for the field.

    Raises Malformed if it names no sender or cannot be read, TooLarge beyond 30 MB or 200 MIME parts.
    """
    names = charsets(form)
    fields = {k: decode(v, names.get(k)) for k, v in form.items() if k != "email"}
    raw = _raw_mail(form)
    headers = raw.headers if raw else HeaderParser().parsestr(fields.get("headers", "")[:MAX_HEADERS])
    sender, sender_name = _sender(headers, fields)
    if not sender:
        raise Malformed("This is not a mail: it has no From.")
    envelope = json_object(form.get("envelope"))
    plain = clean(raw.text if raw else fields.get("text", ""), MAX_TEXT)
    html = raw.html if raw else fields.get("html", "")
    html_only = not plain.strip() and bool(html.strip())
    full_text = clean(to_text(html), MAX_TEXT) if html_only else plain
    subject = header_text(fields.get("subject") or headers.get("Subject"), 500)
    message_id = next(iter(_ids(headers.get("Message-ID"))), None)
    to_addresses = _recipients(envelope, headers, fields)
    reason = _automatic_reason(headers, envelope, sender, subject)
    dkim, dkim_domains = _dkim(fields.get("dkim", ""))
    spf = _spf(fields.get("SPF", ""))
    return InboundEmail(
        message_id=message_id,
        dedupe_key=message_id if message_id and len(message_id) <= 200 else _fingerprint(form, message_id),
        sender_address=sender,
        sender_name=sender_name,
        to_addresses=to_addresses,
        reply_token=_reply_token((*to_addresses, *_addresses(headers.get_all("To", [])))),
        subject=subject,
        text=new_words(full_text),
        full_text=full_text,
        html_only=html_only,
        in_reply_to=next(iter(_ids(headers.get("In-Reply-To"))), None),
        references=tuple(_ids(headers.get("References")))[-MAX_REFERENCES:],
        automatic=reason is not None,
        automatic_reason=reason,
        spam_score=_number(fields.get("spam_score", "")),
        spf=spf,
        dkim=dkim,
        dkim_domains=dkim_domains,
        authentic=_authentic(sender, str(envelope.get("from") or ""), spf, dkim, dkim_domains),
        attachments=(raw.attachments if raw else tuple(map(_attachment, files)))[:MAX_ATTACHMENTS],
    )


def _raw_mail(form: Mapping[str, str | bytes]) -> RawMail | None:
    """Raw mode posts the whole message in `email`."""
    mime = form.get("email")
    if not mime:
        return None
    data = mime.encode("utf-8", "replace") if isinstance(mime, str) else mime
    if len(data) > MAX_BYTES:
        raise TooLarge("A mail may be 30 MB at most.")
    return parse_raw(data)


def _sender(headers: Message, fields: Mapping[str, str]) -> tuple[str, str]:
    """Address and name. The header comes first: SendGrid's `from` has lost the quotes around names with commas."""
    for value in (headers.get("From"), fields.get("from")):
        text = " ".join(clean(str(value or ""), 2000).split())
        angle = _ANGLE.search(text)
        if angle:
            return angle.group(1).lower(), header_text(text[: angle.start()].strip(" \"'"), 200)
        bare = _BARE.search(text)
        if bare:
            return bare.group().lower(), ""
    return "", ""


def _recipients(envelope: Mapping[str, object], headers: Message, fields: Mapping[str, str]) -> tuple[str, ...]:
    to = envelope.get("to")
    listed = [item for item in to if isinstance(item, str)] if isinstance(to, list) else []
    return _addresses(listed) or _addresses([*headers.get_all("To", []), fields.get("to", "")])


def _addresses(values: Sequence[object]) -> tuple[str, ...]:
    found = (hit.group() for value in values for hit in _BARE.finditer(clean(str(value), 20_000)))
    # The case stays, in case a token means something by it; the order too.
    return tuple(dict.fromkeys(found))[:MAX_RECIPIENTS]


def _reply_token(addresses: Sequence[str]) -> str | None:
    return next((hit.group(1) for hit in map(_REPLY_ADDRESS.match, addresses) if hit), None)


def _ids(value: object) -> list[str]:
    return _MESSAGE_ID.findall(clean(str(value or ""), 50_000))


def _automatic_reason(headers: Message, envelope: Mapping[str, object], sender: str, subject: str) -> str | None:
    """Why this is a machine's mail, or None (RFC 3834, and what the mail programs do in place of it).

    X-Auto-Response-Suppress is no sign: it only asks us not to answer by machine.
    """

    def value(name: str) -> str:
        return header_text(headers.get(name), 200).lower()

    submitted = value("Auto-Submitted")
    if submitted and submitted.split(";")[0].strip() != "no":
        return "auto-submitted"
    for name in ("X-Autoreply", "X-Autorespond"):
        if name in headers and value(name) != "no":
            return name.lower()
    if value("Precedence") in ("bulk", "auto_reply", "junk"):
        return "precedence"
    for name in ("List-Id", "List-Unsubscribe", "Feedback-ID"):
        if name in headers:
            return name.lower()
    return_path = header_text(headers.get("Return-Path", "?"), 200)
    if return_path in ("", "<>") or envelope.get("from") in ("", "<>"):
        return "null return path"
    if value("Content-Type").startswith("multipart/report"):
        return "report"
    if sender.split("@")[0] in ("mailer-daemon", "postmaster"):
        return "mail system"
    return "subject" if _AUTOMATIC_SUBJECT.match(subject) else None


def _spf(value: str) -> Verdict:
    word = value.strip().lower()[:20]
    if word == "pass":
        return Verdict.PASS
    return Verdict.FAIL if word in ("fail", "softfail") else Verdict.NONE


def _dkim(value: str) -> tuple[Verdict, tuple[str, ...]]:
    """`{@example.com : pass, @relay.net : fail}` looks like JSON and is not. One good signature is a pass."""
    found = [(domain.lower(), result.lower()) for domain, result in _DKIM.findall(value[:5000])]
    good = tuple(dict.fromkeys(domain for domain, result in found if result == "pass"))
    if good:
        return Verdict.PASS, good
    return (Verdict.FAIL if any(result == "fail" for _, result in found) else Verdict.NONE), ()


def _authentic(sender: str, envelope_from: str, spf: Verdict, dkim: Verdict, signed_by: Sequence[str]) -> Verdict:
    domain = sender.rpartition("@")[2]
    if any(_aligned(domain, signer) for signer in signed_by):
        return Verdict.PASS
    if spf == Verdict.PASS and _aligned(domain, envelope_from.strip("<> ").rpartition("@")[2].lower()):
        return Verdict.PASS
    return Verdict.FAIL if Verdict.FAIL in (spf, dkim) else Verdict.NONE


def _aligned(domain: str, other: str) -> bool:
    """Of one organisation: the same, or one below the other (DMARC's relaxed alignment, RFC 7489 section 3.1).

    Nobody can sign for `com` or send from it, so the missing list of public suffixes lets nothing through.
    """
    return "." in other and (domain == other or domain.endswith(f".{other}") or other.endswith(f".{domain}"))


def _number(value: str) -> float | None:
    try:
        number = float(value[:20])
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _attachment(part: FilePart) -> Attachment:
    return Attachment(header_text(part.name, 200), header_text(part.content_type, 100), len(part.data))


def _fingerprint(form: Mapping[str, str | bytes], message_id: str | None) -> str:
    """Two posts of one mail are the same bytes; the lengths keep one field from running into the next."""
    digest = hashlib.sha256()
    for name in ("envelope", "headers", "text", "email"):
        value = form.get(name, b"")
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data) + data)
    return f"sha256:{(hashlib.sha256(message_id.encode()) if message_id else digest).hexdigest()}"
