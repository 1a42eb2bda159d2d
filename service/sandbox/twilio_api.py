"""The part of Twilio's API that a sender of texts uses: create, list, fetch, redact, cancel, delete Messages."""

import re
import sqlite3
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import phonenumbers
from flask import Blueprint, Response, current_app, jsonify, redirect, request, url_for

from service.sandbox import late, provoke, texts, twilio_list
from service.sandbox.provoke import Kind, Provocation
from service.sandbox.store import Row, Store, timestamp

api = Blueprint("twilio_api", __name__, url_prefix="/2010-04-01/Accounts/<account>")

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SENDER = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")


class TwilioError(Exception):
    """An answer in Twilio's error format; see https://www.twilio.com/docs/api/errors."""

    def __init__(self, status: int, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


@api.errorhandler(TwilioError)
def _answer_error(error: TwilioError) -> Response:
    return error_response(error)


def error_response(error: TwilioError) -> Response:
    """`{"code", "message", "more_info", "status"}`, as the vendor answers."""
    body = {
        "code": error.code,
        "message": error.message,
        "more_info": f"https://www.twilio.com/docs/errors/{error.code}",
        "status": error.status,
    }
    response = jsonify(body)
    response.status_code = error.status
    response.headers.update(error.headers)
    return response


def _store() -> Store:
    store: Store = current_app.extensions["sandbox"]
    return store


@api.url_value_preprocessor
def _authenticate(_: str | None, values: dict[str, Any] | None) -> None:
    account = (values or {}).pop("account", "")
    settings = _store().settings
    given = request.authorization
    known = bool(settings.twilio_account_sid and settings.twilio_auth_token)
    if (
        not known
        or given is None
        or (given.username, given.password) != (settings.twilio_account_sid, settings.twilio_auth_token)
        or account != settings.twilio_account_sid
    ):
        raise TwilioError(401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'})


@api.get(".json")
def account() -> Response:
    """The Account resource, as far as a check of credentials needs it."""
    sid = _store().settings.twilio_account_sid
    fields = {"sid": sid, "friendly_name": "Stand-in", "status": "active", "type": "Full"}
    return jsonify(fields | {"uri": f"/2010-04-01/Accounts/{sid}.json"})


@api.post("/Messages.json")
def create() -> Response:
    """Create a Message: 201 with the resource, or one of the vendor's errors."""
    store, form = _store(), request.form
    to, sender = _recipient(form.get("To", "")), _sender(store)
    body, callback = _body(form.get("Body", "")), _callback(form.get("StatusCallback", ""))
    _validity(form.get("ValidityPeriod", ""))
    send_at = _send_at()
    with store.write() as db:  # counted down in a transaction of its own: a refusal below must not undo it
        trouble = provoke.take(db, provoke.SMS, (to,), at_request=True)
    _refuse(trouble)
    with store.write() as db:
        blocked = db.execute("SELECT blocked FROM contact WHERE kind = 'phone' AND address = ?", (to,)).fetchone()
        if blocked and blocked["blocked"]:
            raise TwilioError(400, 21610, texts.ERRORS[21610])
        row = texts.accept(
            store,
            db,
            to=to,
            sender=sender,
            body=body,
            service_sid=form.get("MessagingServiceSid", ""),
            callback=callback,
            send_at=send_at,
        )
    response = jsonify(texts.resource(store.settings, row))
    response.status_code = 201
    return late.delayed(response, trouble)


def _refuse(trouble: Provocation | None) -> None:
    """Raise what a provocation wants raised before anything is taken."""
    if trouble is None:
        return
    if trouble.kind is Kind.RATE_LIMITED:
        wait = str(max(1, round(trouble.seconds)))
        raise TwilioError(429, 20429, "Too Many Requests", {"Retry-After": wait})
    if trouble.kind is Kind.SERVER_ERROR:
        raise TwilioError(500, 20500, "An internal server error has occurred")
    if trouble.kind is Kind.REFUSED:
        raise TwilioError(400, trouble.code, texts.error_message(trouble.code) or "Bad request")


def _recipient(given: str) -> str:
    to = re.sub(r"[\s().-]", "", given)
    if not to:
        raise TwilioError(400, 21604, "A 'To' phone number is required.")
    valid = bool(_E164.fullmatch(to))
    if valid:
        try:
            valid = phonenumbers.is_possible_number(phonenumbers.parse(to))
        except phonenumbers.NumberParseException:
            valid = False
    if not valid:
        raise TwilioError(400, 21211, f"Invalid 'To' Phone Number: {given[:40]}")
    return to


def _sender(store: Store) -> str:
    service, sender = request.form.get("MessagingServiceSid", ""), request.form.get("From", "")
    ours = texts.our_number(store.settings)
    if service:
        known = store.settings.twilio_messaging_service_sid
        if not _SERVICE.fullmatch(service) or (known and service != known):
            raise TwilioError(400, 21701, "The Messaging Service does not exist")
        return sender or ours
    if not sender:
        raise TwilioError(400, 21603, "A 'From' phone number is required.")
    configured = store.settings.twilio_from
    if not _SENDER.fullmatch(sender) or (configured and sender != configured):
        raise TwilioError(
            400,
            21606,
            f"The 'From' number {sender[:40]} is not a valid phone number, short code or alphanumeric sender.",
        )
    return sender


def _body(body: str) -> str:
    if not body.strip():
        raise TwilioError(400, 21602, "Message body is required.")
    if len(body) > texts.MAX_BODY:
        raise TwilioError(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
    return body


def _callback(url: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or "_" in host:
        raise TwilioError(400, 21609, f"The StatusCallback URL {url[:200]} is not a valid URL.")
    return url


def _validity(given: str) -> None:
    if given and not (given.isascii() and given.isdigit() and 1 <= int(given) <= 36000):
        raise TwilioError(400, 21624, "Invalid validity period value.")


def _send_at() -> float | None:
    """SendAt as seconds since 1970, if the message is to be scheduled."""
    given = request.form.get("SendAt", "")
    if request.form.get("ScheduleType", "") != "fixed" or not given:
        return None
    if not request.form.get("MessagingServiceSid"):
        raise TwilioError(400, 35118, "MessagingServiceSid is required to schedule a message")
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise TwilioError(400, 35111, "SendAt timestamp is not valid") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


@api.get("/Messages.json")
def index() -> Response:
    """List Messages, newest first, by To, From and DateSent, a page at a time."""
    try:
        return jsonify(twilio_list.listing(_store()))
    except ValueError as error:
        raise TwilioError(400, 20001, str(error)) from None


@api.get("/Messages/<message>/Media/<sid>")
def media_file(message: str, sid: str) -> Response:
    """A member's picture: for whoever has the credentials a redirect to where it lies, as the vendor does it."""
    _found_media(message, sid)
    return redirect(url_for("page.media", sid=sid), 307)  # type: ignore[return-value]


@api.delete("/Messages/<message>/Media/<sid>.json")
def delete_media(message: str, sid: str) -> tuple[str, int]:
    """Forget a member's picture: 204."""
    _found_media(message, sid)
    with _store().write() as db:
        db.execute("DELETE FROM media WHERE sid = ?", (sid,))
    return "", 204


def _found_media(message: str, sid: str) -> None:
    if _store().one("SELECT sid FROM media WHERE sid = ? AND text_sid = ?", sid, message) is None:
        raise TwilioError(404, 20404, f"The requested resource /Media/{sid} was not found")


@api.get("/Messages/<sid>.json")
def fetch(sid: str) -> Response:
    """One Message."""
    return jsonify(texts.resource(_store().settings, _found(sid)))


@api.post("/Messages/<sid>.json")
def update(sid: str) -> Response:
    """Redact the body (Body empty) or cancel a scheduled Message (Status=canceled)."""
    store, row = _store(), _found(sid)
    status = texts.status_of(row, timestamp())
    if request.form.get("Status") == "canceled":
        if status != "scheduled":
            raise TwilioError(400, 30409, "Cannot cancel this message: it is no longer scheduled")
        with store.write() as db:
            db.execute("UPDATE text SET canceled = 1 WHERE sid = ?", (sid,))
            db.execute("DELETE FROM outbox WHERE kind = 'status' AND payload LIKE ?", (f"%{sid}%",))
    elif "Body" in request.form:
        if request.form["Body"]:
            raise TwilioError(400, 20001, "Body can only be updated to the empty string")
        _must_be_finished(status)
        with store.write() as db:
            db.execute("UPDATE text SET body = '' WHERE sid = ?", (sid,))
            _forget_preview(db, row["phone"])
    return jsonify(texts.resource(store.settings, _found(sid)))


@api.delete("/Messages/<sid>.json")
def delete(sid: str) -> tuple[str, int]:
    """Delete a Message: 204. The page keeps an empty place, so that counts stay true."""
    row = _found(sid)
    _must_be_finished(texts.status_of(row, timestamp()))
    with _store().write() as db:
        db.execute("UPDATE text SET deleted = 1, body = '' WHERE sid = ?", (sid,))
        _forget_preview(db, row["phone"])
    return "", 204


@api.get("/Messages/<sid>/Media.json")
def media(sid: str) -> Response:
    """The media of a Message: what a member sent; ours carry none."""
    _found(sid)
    rows = _store().all("SELECT sid, kind FROM media WHERE text_sid = ? ORDER BY sid", sid)
    found = [{"sid": row["sid"], "content_type": row["kind"], "parent_sid": sid} for row in rows]
    return jsonify({"media_list": found, "page": 0, "page_size": 50, "next_page_uri": None, "previous_page_uri": None})


def _forget_preview(db: sqlite3.Connection, phone: str) -> None:
    db.execute("UPDATE contact SET preview = '' WHERE kind = 'phone' AND address = ?", (phone,))


def _must_be_finished(status: str) -> None:
    if status in ("queued", "accepted", "scheduled", "sending", "sent"):
        raise TwilioError(409, 20009, "Cannot change this resource before it is complete")


def _found(sid: str) -> Row:
    row = _store().one("SELECT * FROM text WHERE sid = ? AND deleted = 0", sid)
    if row is None:
        raise TwilioError(404, 20404, f"The requested resource {request.path} was not found")
    return row
