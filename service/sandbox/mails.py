"""Mails as SendGrid makes them: one request, many personalizations, substitutions filled in when somebody looks.

What recipients share is kept once, so a request for a thousand people costs a thousand short rows.
"""

import json
import re
import sqlite3
from dataclasses import dataclass
from email.utils import formataddr, formatdate
from functools import lru_cache
from html import unescape
from typing import Any

from service.sandbox import events, provoke
from service.sandbox.store import Row, Store, timestamp, touch
from service.sandbox.webhooks import opaque

_ADDRESS = re.compile(r"[^@\s<>\",;:()\[\]]+@[^@\s<>\",;:()\[\]]+\.[A-Za-z0-9-]{2,}|[^@\s<>\",;:()]+@localhost")


def plausible(address: object) -> bool:
    """Whether this looks like a mail address to SendGrid."""
    return isinstance(address, str) and len(address) <= 320 and bool(_ADDRESS.fullmatch(address))


@dataclass(frozen=True)
class Rendered:
    """A mail as its recipient gets it. `headers` in the order in which they are shown; `html` may be empty."""

    headers: list[tuple[str, str]]
    sender: str
    reply_to: str
    to_name: str
    subject: str
    message_id: str
    text: str
    html: str
    attachments: list[str]

    def header(self, name: str) -> str:
        """The value of a header, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def one_click_url(self) -> str:
        """The RFC 8058 address, if the mail carries both headers that it needs."""
        if self.header("List-Unsubscribe-Post").replace(" ", "").lower() != "list-unsubscribe=one-click":
            return ""
        links: list[str] = re.findall(r"<\s*(https?://[^>\s]+)\s*>", self.header("List-Unsubscribe"))
        return links[0] if links else ""


def accept(store: Store, db: sqlite3.Connection, payload: dict[str, Any], message_id: str) -> None:
    """Take a checked mail/send request: a mail per recipient, and the events that will tell what became of it."""
    at = timestamp()
    shared = {key: value for key, value in payload.items() if key != "personalizations"}
    db.execute("INSERT INTO request (id, payload, created) VALUES (?, ?, ?)", (message_id, json.dumps(shared), at))
    suppressed = {row["email"]: row["list"] for row in db.execute("SELECT email, list FROM suppression")}
    counter = 0
    for personalization in payload["personalizations"]:
        fill = filler(personalization.get("substitutions") or {})
        for who in (*personalization["to"], *personalization.get("cc", ()), *personalization.get("bcc", ())):
            box = who["email"].strip().lower()
            trouble = provoke.take(db, provoke.EMAIL, (box,), at_request=False)
            fate = events.plan(
                store,
                db,
                events.Envelope(
                    email=who["email"],
                    message_id=message_id,
                    number=counter,
                    custom_args=(shared.get("custom_args") or {}) | (personalization.get("custom_args") or {}),
                    categories=shared.get("categories") or [],
                    start=max(at, personalization.get("send_at") or shared.get("send_at") or 0),
                ),
                trouble,
                suppressed.get(box, ""),
            )
            subject = fill(personalization.get("subject") or shared.get("subject") or "")
            own = personalization | {"recipient": who, "number": counter}
            db.execute(
                "INSERT INTO mail (id, direction, mailbox, request, personalization, subject, created, done_at, "
                "final, reason) VALUES (?, 'outbound', ?, ?, ?, ?, ?, ?, ?, ?)",
                (opaque(), box, message_id, json.dumps(own), subject, at, fate.at, fate.state, fate.reason),
            )
            arrived = fate.state in events.ARRIVED
            touch(db, "mailbox", box, subject, name=who.get("name") or "", unread=int(arrived))
            counter += 1


def filler(substitutions: dict[str, str]) -> Any:
    """A function that puts the substitutions into a string, all in one pass and the longest tag first."""
    if not substitutions:
        return lambda text: text
    tags = _tags(tuple(sorted(substitutions, key=len, reverse=True)))
    return lambda text: tags.sub(lambda match: substitutions[match.group()], text)


@lru_cache(maxsize=64)
def _tags(tags: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(tag) for tag in tags))


def rendered(store: Store, row: Row) -> Rendered:
    """The mail of this row, in or out, as it looks to whoever opens it."""
    own: dict[str, Any] = json.loads(row["personalization"])
    if row["direction"] == "inbound":
        return _inbound(own)
    request = store.one("SELECT payload FROM request WHERE id = ?", row["request"])
    shared: dict[str, Any] = json.loads(request["payload"]) if request else {}
    fill = filler(own.get("substitutions") or {})
    content = {part["type"].split(";")[0].strip().lower(): fill(part["value"]) for part in shared.get("content") or []}
    html, text = content.get("text/html", ""), content.get("text/plain", "")
    sender = own.get("from") or shared.get("from") or {}
    replies = [shared["reply_to"]] if shared.get("reply_to") else shared.get("reply_to_list") or [sender]
    headers = (shared.get("headers") or {}) | (own.get("headers") or {})
    named = {key.lower(): str(value) for key, value in headers.items()}
    message_id = fill(named.get("message-id", "")) or events.smtp_id(row["request"], own["number"])
    who = own["recipient"]
    lines = [
        ("Received", f"from stand-in.invalid by mx.{row['mailbox'].rpartition('@')[2]}; {formatdate(row['created'])}"),
        ("Date", formatdate(row["created"])),
        ("From", _person(sender)),
        ("To", ", ".join(_person(person) for person in own["to"])),
        *([("Cc", ", ".join(_person(person) for person in own["cc"]))] if own.get("cc") else []),
        ("Subject", row["subject"]),
        ("Message-ID", message_id),
        *([("Reply-To", ", ".join(fill(_person(r)) for r in replies))] if replies != [sender] else []),
        *((key, fill(str(value))) for key, value in headers.items() if key.lower() != "message-id"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "multipart/alternative" if html and text else f"text/{'html' if html else 'plain'}"),
        ("X-SG-EID", row["id"]),
    ]
    return Rendered(
        headers=lines,
        sender=_person(sender),
        reply_to=fill(replies[0].get("email", "")) if replies else "",
        to_name=who.get("name") or "",
        subject=row["subject"],
        message_id=message_id,
        text=text or _plain(html),
        html=html,
        attachments=[a["filename"] for a in shared.get("attachments") or []],
    )


def _inbound(payload: dict[str, Any]) -> Rendered:
    return Rendered(
        headers=list(payload["headers"].items()),
        sender=payload["sender"],
        reply_to=payload["sender"],
        to_name="",
        subject=payload["subject"],
        message_id=payload["headers"].get("Message-ID", ""),
        text=payload["text"],
        html=payload["html"],
        attachments=[a["filename"] for a in payload["attachments"]],
    )


def _person(who: dict[str, Any]) -> str:
    return formataddr((who.get("name") or "", who.get("email", "")), charset="utf-8") if _ascii(who) else _named(who)


def _ascii(who: dict[str, Any]) -> bool:
    return str(who.get("name") or "").isascii()


def _named(who: dict[str, Any]) -> str:
    """A name with accents, as a mail program shows it (in transit it would be an encoded word)."""
    return f"{who['name']} <{who.get('email', '')}>"


def _plain(html: str) -> str:
    """Something to read where a mail has no text part."""
    return unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?is)<(style|head|script).*?</\1>", " ", html))).strip()
