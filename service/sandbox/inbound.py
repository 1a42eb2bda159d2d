"""What members write: texts and mails on their way to the service, as Twilio and Inbound Parse hand them over."""

import base64
import json
import random
import secrets
import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formataddr, formatdate, parseaddr
from html import escape
from typing import Any

import phonenumbers

from service.config import TWILIO_API
from service.errors import Invalid, NotFound
from service.sandbox import mails, provoke, texts
from service.sandbox.segments import measure
from service.sandbox.store import Row, Store, timestamp, touch
from service.sandbox.webhooks import opaque

STOP_WORDS = frozenset("STOP UNSUBSCRIBE END QUIT STOPALL REVOKE OPTOUT CANCEL".split())
START_WORDS = frozenset("START YES UNSTOP".split())
HELP_WORDS = frozenset("HELP INFO".split())
"""Twilio's default words; they count only when they are the whole message."""
MOST_MEDIA = 5 * 1024 * 1024
"""Bytes of media in one message, as Twilio has it."""
_AUTOMATIC = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


def valid_phone(given: str) -> str:
    """The number in E.164. Raises Invalid with an example."""
    try:
        number = phonenumbers.parse(given, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise Invalid("Write the number with + and country code, such as +12125550123.", field="phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that goes with a text; `kind` is what the phone says that it is."""

    kind: str
    data: bytes


def text_from(store: Store, phone: str, body: str, to: str = "", pictures: Sequence[Picture] = ()) -> str:
    """A member texts us. Returns the MessageSid; raises Invalid for a bad number or an empty or endless text.

    Words may be missing where there is a picture (MMS).
    """
    phone = valid_phone(phone)
    if sum(len(picture.data) for picture in pictures) > MOST_MEDIA:
        raise Invalid("Pictures may have 5 MB together.", field="picture")
    if not body.strip() and not pictures:
        raise Invalid("Write something first.", field="body")
    if len(body) > texts.MAX_BODY:
        raise Invalid(f"At most {texts.MAX_BODY} characters.", field="body")
    with store.write() as db:
        sid = _accept_text(store, db, phone, body, to, pictures)
    store.wake.set()
    return sid


def _accept_text(
    store: Store, db: sqlite3.Connection, phone: str, body: str, to: str, pictures: Sequence[Picture]
) -> str:
    last = db.execute(
        "SELECT sender, service_sid FROM text WHERE phone = ? AND direction != 'inbound' ORDER BY n DESC LIMIT 1",
        (phone,),
    ).fetchone()
    ours = to or (last["sender"] if last else texts.our_number(store.settings))
    service = last["service_sid"] if last else store.settings.twilio_messaging_service_sid
    sid, at, count = texts.new_sid("MM" if pictures else "SM"), timestamp(), measure(body).number
    db.execute(
        "INSERT INTO text (sid, direction, phone, sender, recipient, body, segments, service_sid, callback, created, "
        "initial, sent_at, done_at, final, note) VALUES (?, 'inbound', ?, ?, ?, ?, ?, ?, '', ?, 'received', NULL, ?, "
        "'received', 'On its way to the service')",
        (sid, phone, phone, ours, body, count, service, at, at),
    )
    touch(db, "phone", phone, body, unread=0)
    params = _text_params(store, sid, phone, ours, body, count, service)
    params |= _keep_media(store, db, sid, pictures)
    if provoke.switch(store, "opt_out") and (word := _opt_out_type(body)):
        params["OptOutType"] = word
        db.execute(
            "UPDATE contact SET blocked = CASE ? WHEN 'STOP' THEN 1 WHEN 'START' THEN 0 ELSE blocked END "
            "WHERE kind = 'phone' AND address = ?",
            (word, phone),
        )
        texts.accept(store, db, to=phone, sender=ours, body=_AUTOMATIC[word], direction="outbound-reply")
    payload = json.dumps({"params": params, "token": secrets.token_hex(16)})
    delay = random.uniform(0.05, 0.2) * provoke.switch(store, "pace")  # noqa: S311 - a delay, not a secret
    db.execute("INSERT INTO outbox (due, kind, payload) VALUES (?, 'text', ?)", (at + delay, payload))
    return sid


def _keep_media(store: Store, db: sqlite3.Connection, sid: str, pictures: Sequence[Picture]) -> dict[str, str]:
    """Keep the pictures of a text; the fields that tell the service where they are, at the vendor's own address."""
    fields = {"NumMedia": str(len(pictures))}
    for number, picture in enumerate(pictures):
        media = texts.new_sid("ME")
        db.execute("INSERT INTO media VALUES (?, ?, ?, ?)", (media, sid, picture.kind, picture.data))
        account = store.settings.twilio_account_sid
        fields[f"MediaUrl{number}"] = (
            f"{TWILIO_API}/{texts.API_VERSION}/Accounts/{account}/Messages/{sid}/Media/{media}"
        )
        fields[f"MediaContentType{number}"] = picture.kind
    return fields


def _text_params(store: Store, sid: str, phone: str, ours: str, body: str, count: int, service: str) -> dict[str, str]:
    params = {
        "ToCountry": _country(ours),
        "ToState": "",
        "ToCity": "",
        "ToZip": "",
        "FromCountry": _country(phone),
        "FromState": "",
        "FromCity": "",
        "FromZip": "",
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "MessageSid": sid,
        "SmsStatus": "received",
        "NumMedia": "0",
        "NumSegments": str(count),
        "Body": body,
        "From": phone,
        "To": ours,
        "AccountSid": store.settings.twilio_account_sid,
        "ApiVersion": texts.API_VERSION,
    }
    return params | ({"MessagingServiceSid": service} if service else {})


def _country(number: str) -> str:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except phonenumbers.NumberParseException:
        return ""


def _opt_out_type(body: str) -> str:
    word = body.strip().upper()
    for kind, words in (("STOP", STOP_WORDS), ("START", START_WORDS), ("HELP", HELP_WORDS)):
        if word in words:
            return kind
    return ""


def obey_twiml(store: Store, params: dict[str, str], body: bytes) -> None:
    """Send what the service's TwiML answer asks for; anything that is not TwiML is Twilio error 12100: nothing."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - the service's own answer, from this machine
    except ET.ParseError:
        return
    replies = [(m.findtext("Body") or m.text or "").strip() for m in root.findall("Message")]
    with store.write() as db:
        for reply in filter(None, replies):
            texts.accept(store, db, to=params["From"], sender=params["To"], body=reply, direction="outbound-reply")


def note_text(store: Store, sid: str, words: str) -> None:
    """Record what became of a member's text (empty: the service has it)."""
    with store.write() as db:
        db.execute("UPDATE text SET note = ? WHERE sid = ?", (words, sid))


def note_mail(store: Store, mail_id: str, words: str) -> None:
    """Record what became of a member's mail (empty: the service has it)."""
    with store.write() as db:
        db.execute("UPDATE mail SET note = ? WHERE id = ?", (words, mail_id))


def mail_from(
    store: Store,
    sender: str,
    to: str,
    subject: str,
    text: str,
    *,
    headers: dict[str, str] | None = None,
    charset: str = "UTF-8",
    attachments: list[dict[str, str]] | None = None,
) -> str:
    """A member writes a mail to us. Returns its id.

    `sender` may carry a name; `charset` is how subject and text travel; an attachment is
    {"filename", "type", "content" (base64)}. Raises Invalid, naming the field.
    """
    mailbox, recipient = parseaddr(sender)[1].lower(), parseaddr(to)[1]
    if not mails.plausible(mailbox):
        raise Invalid("Write an address such as ana@example.org.", field="address")
    if not mails.plausible(recipient):
        raise Invalid("Write the address that this goes to.", field="to")
    if not text.strip():
        raise Invalid("Write something first.", field="text")
    try:
        (subject + text).encode(charset)
    except (LookupError, UnicodeEncodeError):
        raise Invalid("This text cannot be written in that charset.", field="charset") from None
    mail_id, at = opaque(), timestamp()
    message_id = f"<{secrets.token_hex(12)}@{mailbox.rpartition('@')[2]}>"
    all_headers = {
        "Received": f"from mail.{mailbox.rpartition('@')[2]} by mx.stand-in.invalid with ESMTPS; {texts.rfc2822(at)}",
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": formatdate(at),
        "Message-ID": message_id,
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative; boundary="0000000000"',
    } | (headers or {})
    payload = {
        "mail_id": mail_id,
        "at": at,
        "sender": sender,
        "mailbox": mailbox,
        "to": to,
        "recipient": recipient,
        "subject": subject,
        "text": text,
        "html": f'<div dir="auto">{escape(text)}</div>'.replace("\n", "<br>\n"),
        "headers": all_headers,
        "charset": charset,
        "attachments": attachments or [],
    }
    with store.write() as db:
        db.execute(
            "INSERT INTO mail (id, direction, mailbox, request, personalization, subject, created, done_at, final, "
            "seen, note) VALUES (?, 'inbound', ?, '', ?, ?, ?, ?, 'received', 1, 'On its way to the service')",
            (mail_id, mailbox, json.dumps(payload), subject, at, at),
        )
        touch(db, "mailbox", mailbox, subject or text, name=parseaddr(sender)[0], unread=0)
        db.execute("INSERT INTO outbox (due, kind, payload) VALUES (?, 'mail', ?)", (at, json.dumps(payload)))
    store.wake.set()
    return mail_id


def reply(store: Store, mail_id: str, text: str, *, quote: bool = True, automatic: bool = False, **rest: Any) -> str:
    """Answer a mail that came from us, to its Reply-To. Returns the answer's id; raises NotFound, Invalid.

    `quote` puts the original under the answer, as mail programs do; `automatic` marks it as an out-of-office answer.
    """
    row = store.one("SELECT * FROM mail WHERE id = ? AND direction = 'outbound'", mail_id)
    if row is None:
        raise NotFound("There is no such mail here any more.")
    if not text.strip():
        raise Invalid("Write something first.", field="text")
    mail = mails.rendered(store, row)
    headers = {"In-Reply-To": mail.message_id, "References": mail.message_id}
    if automatic:
        headers |= {"Auto-Submitted": "auto-replied", "Precedence": "auto_reply", "X-Autoreply": "yes"}
    headers |= rest.pop("headers", None) or {}
    if quote:
        text = f"{text}\n\n{_quoted(row, mail)}"
    subject = mail.subject if mail.subject.lower().startswith("re:") else f"Re: {mail.subject}"
    sender = formataddr((mail.to_name, row["mailbox"]))
    return mail_from(store, sender, mail.reply_to, subject, text, headers=headers, **rest)


def _quoted(row: Row, mail: mails.Rendered) -> str:
    on = formatdate(row["created"], localtime=False)
    lines = "\n".join(f"> {line}".rstrip() for line in mail.text.splitlines())
    return f"On {on}, {mail.sender} wrote:\n{lines}"


def multipart(payload: dict[str, Any]) -> tuple[str, bytes]:
    """(Content-Type, body) of the form that Inbound Parse posts for a mail."""
    charset = payload["charset"]
    files = payload["attachments"]
    fields: list[tuple[str, bytes]] = [
        ("headers", "\n".join(f"{k}: {v}" for k, v in payload["headers"].items()).encode()),
        ("dkim", f"{{@{payload['mailbox'].rpartition('@')[2]} : pass}}".encode()),
        ("to", payload["to"].encode()),
        ("html", payload["html"].encode(charset, "replace")),
        ("from", payload["sender"].encode()),
        ("text", payload["text"].encode(charset)),
        ("sender_ip", b"192.0.2.17"),
        ("spam_report", b"Spam detection software has looked at this mail."),
        ("envelope", json.dumps({"to": [payload["recipient"]], "from": payload["mailbox"]}).encode()),
        ("attachments", str(len(files)).encode()),
        ("subject", payload["subject"].encode(charset)),
        ("spam_score", b"0.011"),
        ("charsets", _charsets(charset)),
        ("SPF", b"pass"),
    ]
    if files:
        fields.append(("attachment-info", _attachment_info(files)))
    boundary = "xYzZY" + secrets.token_hex(12)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in fields
    ]
    for i, file in enumerate(files, 1):
        name = file["filename"].replace('"', "'").replace("\r", "").replace("\n", "")
        head = f'Content-Disposition: form-data; name="attachment{i}"; filename="{name}"'
        kind = f"Content-Type: {file.get('type') or 'application/octet-stream'}"
        parts.append(f"--{boundary}\r\n{head}\r\n{kind}\r\n\r\n".encode() + base64.b64decode(file["content"]) + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def _charsets(charset: str) -> bytes:
    fields = {"to": "UTF-8", "from": "UTF-8", "subject": charset, "text": charset, "html": charset}
    return json.dumps(fields).encode()


def _attachment_info(files: list[dict[str, str]]) -> bytes:
    info = {
        f"attachment{i}": {"filename": f["filename"], "name": f["filename"], "type": f.get("type", "")}
        for i, f in enumerate(files, 1)
    }
    return json.dumps(info).encode()
