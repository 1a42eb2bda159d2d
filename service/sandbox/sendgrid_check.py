"""What SendGrid refuses in a mail/send request, field by field, in its own error format.

Limits and rules: the published v3 schema, and https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors.
"""

from collections.abc import Iterator
from email.utils import parseaddr
from typing import Any, NamedTuple

from service.sandbox.mails import plausible
from service.sandbox.store import timestamp

HELP = "https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors#message."
RESERVED = frozenset(
    "x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding to from subject reply-to cc "
    "bcc".split()
)
MOST_RECIPIENTS = 1000
MOST_BYTES = 10_000


class Problem(NamedTuple):
    """One entry of `{"errors": [...]}`."""

    message: str
    field: str | None

    def as_dict(self) -> dict[str, str | None]:
        """As the vendor prints it."""
        return {"message": self.message, "field": self.field, "help": HELP + self.field if self.field else None}


def problems(payload: dict[str, Any]) -> list[Problem]:
    """Everything that makes SendGrid answer 400; empty if it would take the request."""
    groups = payload.get("personalizations")
    if not isinstance(groups, list) or not groups:
        message = "The personalizations field is required and must have at least one personalization."
        return [Problem(message, "personalizations")]
    if not all(isinstance(group, dict) for group in groups):
        return [Problem("Each personalization must be an object.", "personalizations")]
    found = list(_people(groups))
    for i, group in enumerate(groups):
        found += _personalization(group, f"personalizations.{i}")
    found += [*_sender(payload), *_subject(payload, groups), *_content(payload), *_extras(payload)]
    return found


def _people(groups: list[dict[str, Any]]) -> Iterator[Problem]:
    """Recipients: real addresses, at most 1000, none twice in a request."""
    if len(groups) > MOST_RECIPIENTS:
        yield Problem(f"You may not have more than {MOST_RECIPIENTS} personalizations.", "personalizations")
    seen: set[str] = set()
    for i, group in enumerate(groups):
        to = group.get("to")
        if not isinstance(to, list) or not to:
            yield Problem(
                "The to array is required for all personalization objects, and must have at least one email object "
                "with a valid email address.",
                f"personalizations.{i}.to",
            )
        for field in ("to", "cc", "bcc"):
            people = group.get(field) or []
            for j, who in enumerate(people if isinstance(people, list) else []):
                where = f"personalizations.{i}.{field}.{j}.email"
                email = who.get("email") if isinstance(who, dict) else None
                if not plausible(email):
                    yield Problem("Does not contain a valid address.", where)
                    continue
                if str(email).lower() in seen:
                    yield Problem(
                        "Each email address in the personalization block should be unique between to, cc, and bcc. "
                        f"We found the first duplicate instance of [{email}] in the {where.rpartition('.')[0]} field.",
                        f"personalizations.{i}",
                    )
                seen.add(str(email).lower())
    if len(seen) > MOST_RECIPIENTS:
        yield Problem(f"You may not have more than {MOST_RECIPIENTS} recipients.", "personalizations")


def _personalization(group: dict[str, Any], where: str) -> Iterator[Problem]:
    subject = group.get("subject")
    if subject is not None and (not isinstance(subject, str) or not subject):
        yield Problem("The subject must be a string at least one character in length.", f"{where}.subject")
    if "from" in group and not plausible((group["from"] or {}).get("email")):
        yield Problem("Does not contain a valid address.", f"{where}.from.email")
    yield from _strings(group.get("substitutions"), f"{where}.substitutions")
    yield from _strings(group.get("custom_args"), f"{where}.custom_args")
    yield from _headers(group.get("headers"), f"{where}.headers")
    yield from _send_at(group.get("send_at"), f"{where}.send_at")
    if group.get("dynamic_template_data"):
        yield Problem("dynamic_template_data needs a dynamic template_id.", f"{where}.dynamic_template_data")


def _strings(values: Any, where: str) -> Iterator[Problem]:
    """Substitutions and custom arguments: an object of strings, at most 10,000 bytes together."""
    if values is None:
        return
    if not isinstance(values, dict):
        yield Problem("Must be an object of key/value pairs.", where)
        return
    for key, value in values.items():
        if not isinstance(value, str):
            yield Problem("All values must be strings.", f"{where}.{key}")
    size = sum(len(str(part).encode()) for pair in values.items() for part in pair)
    if size > MOST_BYTES:
        yield Problem(f"The total size may not exceed {MOST_BYTES} bytes; it is {size}.", where)


def _headers(values: Any, where: str) -> Iterator[Problem]:
    if values is None:
        return
    if not isinstance(values, dict):
        yield Problem("Headers must be an object of key/value pairs.", where)
        return
    for key, value in values.items():
        if key.lower() in RESERVED:
            yield Problem(f"The header {key} is reserved and cannot be set.", f"{where}.{key}")
        elif not isinstance(value, str):
            yield Problem("The value of a header must be a string.", f"{where}.{key}")
        elif "\n" in value or "\r" in value or not key.isascii() or " " in key:
            yield Problem("The header name or value is not valid.", f"{where}.{key}")


def _sender(payload: dict[str, Any]) -> Iterator[Problem]:
    sender = payload.get("from")
    if not isinstance(sender, dict) or not sender.get("email"):
        yield Problem(
            "The from object must be provided for every email send. It is an object that requires the email "
            'parameter, but may also contain a name parameter.  e.g. {"email" : "example@example.com"}',
            "from.email",
        )
    elif not plausible(sender["email"]):
        yield Problem("Does not contain a valid address.", "from.email")
    if payload.get("reply_to") and payload.get("reply_to_list"):
        yield Problem("Use either reply_to or reply_to_list, not both.", "reply_to")
    elif payload.get("reply_to") and not (
        isinstance(payload["reply_to"], dict) and plausible(payload["reply_to"].get("email"))
    ):
        yield Problem("The reply_to email does not contain a valid address.", "reply_to.email")


def _subject(payload: dict[str, Any], groups: list[dict[str, Any]]) -> Iterator[Problem]:
    subject = payload.get("subject")
    if subject is not None and not isinstance(subject, str):
        yield Problem("The subject must be a string.", "subject")
    elif not subject and not all(group.get("subject") for group in groups):
        yield Problem(
            "The subject is required. You can get around this requirement if you use a template with a subject "
            "defined or if every personalization has a subject defined.",
            "subject",
        )


def _content(payload: dict[str, Any]) -> Iterator[Problem]:
    if payload.get("template_id"):
        yield Problem(
            "The template_id does not belong to this account: the stand-in keeps no templates.", "template_id"
        )
        return
    content = payload.get("content")
    if not isinstance(content, list) or not content:
        yield Problem(
            "Unless a valid template_id is provided, the content parameter is required. There must be at least one "
            "defined content block. We typically suggest both text/plain and text/html blocks are included, but only "
            "one block is required.",
            "content",
        )
        return
    types = []
    for i, part in enumerate(content):
        kind, value = (part.get("type"), part.get("value")) if isinstance(part, dict) else (None, None)
        if not isinstance(kind, str) or not kind:
            yield Problem("The content type is required.", f"content.{i}.type")
            continue
        types.append(kind.split(";")[0].strip().lower())
        if not isinstance(value, str) or not value:
            yield Problem("The content value must be a string at least one character in length.", f"content.{i}.value")
    order = [t for t in ("text/plain", "text/html") if t in types]
    if types[: len(order)] != order or len(set(types)) != len(types):
        yield Problem(
            "If present, text/plain and text/html may only be provided once, and must come first: text/plain, then "
            "text/html, then any other content.",
            "content",
        )


def _extras(payload: dict[str, Any]) -> Iterator[Problem]:
    yield from _headers(payload.get("headers"), "headers")
    yield from _strings(payload.get("custom_args"), "custom_args")
    yield from _send_at(payload.get("send_at"), "send_at")
    categories = payload.get("categories") or []
    if not isinstance(categories, list) or len(categories) > 10 or len(set(map(str, categories))) != len(categories):
        yield Problem("At most 10 different categories.", "categories")
    elif not all(isinstance(c, str) and len(c) <= 255 for c in categories):
        yield Problem("A category is a string of at most 255 characters.", "categories")
    for i, file in enumerate(payload.get("attachments") or []):
        if not isinstance(file, dict) or not file.get("content") or not file.get("filename"):
            yield Problem("An attachment needs content (base64) and filename.", f"attachments.{i}")


def _send_at(value: Any, where: str) -> Iterator[Problem]:
    if value is not None and (not isinstance(value, int) or value > timestamp() + 72 * 3600):
        yield Problem("send_at is a unix timestamp at most 72 hours from now.", where)


def verified_sender(payload: dict[str, Any], configured: str) -> bool:
    """Whether From belongs to the domain of SENDGRID_FROM, the one sender that this account has verified."""
    if not configured:
        return True
    domain = parseaddr(configured)[1].rpartition("@")[2].lower()
    senders = [payload["from"], *(g["from"] for g in payload["personalizations"] if g.get("from"))]
    return all(sender["email"].rpartition("@")[2].lower() == domain for sender in senders)
