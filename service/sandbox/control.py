"""The stand-in's control API, for tests: look at what arrived, write as a member, make things go wrong.

JSON only, from this machine only, and never for a page of another site.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from service.errors import DomainError, Malformed
from service.sandbox import acts, inbound, mails, provoke, texts
from service.sandbox.store import Row, Store, reset, timestamp

api = Blueprint("control", __name__, url_prefix="/sandbox/api")
MOST = 10_000


def _store() -> Store:
    store: Store = current_app.extensions["sandbox"]
    return store


@api.errorhandler(DomainError)
def _answer_error(error: DomainError) -> tuple[Response, int]:
    return jsonify(error.as_dict()), error.status


def _body() -> dict[str, Any]:
    """The JSON object of a POST. A browser cannot send that content type across sites without asking first."""
    body = request.get_json(silent=True) if request.mimetype == "application/json" else None
    if not isinstance(body, dict):
        raise Malformed("Send a JSON object, as application/json.")
    return body


def _text(body: dict[str, Any], key: str, otherwise: str | None = None) -> str:
    value = body.get(key, otherwise)
    if not isinstance(value, str):
        raise Malformed(f"{key} must be a string.", field=key)
    return value


def _bytes(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        raise Malformed("content must be base64.", field="media") from None


def _number(body: dict[str, Any], key: str, kind: Callable[[Any], Any]) -> Any:
    value = body.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise Malformed(f"{key} must be a number or null.", field=key)
    return None if value is None else kind(value)


@api.post("/provoke")
def begin() -> Response:
    """{"kind", "channel", "address"?, "times"? (null: until removed), "code"?, "seconds"?} → {"id"}."""
    body = _body()
    number = provoke.add(
        _store(),
        _text(body, "kind"),
        channel=_text(body, "channel"),
        address=_text(body, "address", ""),
        times=_number(body, "times", int) if "times" in body else 1,
        code=_number(body, "code", int),
        seconds=_number(body, "seconds", float),
    )
    return jsonify({"id": number})


@api.get("/provoke")
def provocations() -> Response:
    """What still applies."""
    return jsonify({"provocations": [dict(row) for row in provoke.active(_store())]})


@api.delete("/provoke")
def end_all() -> tuple[str, int]:
    """End every provocation."""
    provoke.remove(_store())
    return "", 204


@api.post("/switches")
def switches() -> Response:
    """Turn switches, {"pace": 0, "repeats": 0.5, ...}; answers with all of them."""
    for key, value in _body().items():
        provoke.set_switch(_store(), key, float(_number({key: value}, key, float) or 0.0))
    return jsonify(provoke.switches(_store()))


@api.get("/messages")
def messages() -> Response:
    """The texts to or from a phone (?to=+1...), or all, oldest first: the Message resource and where it stands."""
    store, phone = _store(), request.args.get("to", "").strip()
    phone = f"+{phone}" if phone and not phone.startswith("+") else phone
    rows = store.all("SELECT * FROM text WHERE ? IN ('', phone) ORDER BY n LIMIT ?", phone, MOST)
    return jsonify({"messages": [texts.resource(store.settings, row) | {"note": row["note"]} for row in rows]})


@api.get("/mail")
def mail() -> Response:
    """The mails in a mailbox (?to=ana@...), or all, oldest first, as their recipients get them."""
    store, box = _store(), request.args.get("to", "").strip().lower()
    rows = store.all("SELECT * FROM mail WHERE ? IN ('', mailbox) ORDER BY n LIMIT ?", box, MOST)
    return jsonify({"mail": [_mail(store, row) for row in rows]})


def _mail(store: Store, row: Row) -> dict[str, Any]:
    view = mails.rendered(store, row)
    done = row["done_at"] is None or timestamp() >= row["done_at"]
    own = json.loads(row["personalization"])
    return {
        "id": row["id"],
        "direction": row["direction"],
        "mailbox": row["mailbox"],
        "from": view.sender,
        "reply_to": view.reply_to,
        "subject": view.subject,
        "text": view.text,
        "html": view.html,
        "headers": view.headers,
        "one_click_url": view.one_click_url,
        "custom_args": own.get("custom_args") or {},
        "request": row["request"],
        "state": row["final"] if done else "processed",
        "note": row["note"],
    }


@api.post("/reply-sms")
def reply_sms() -> Response:
    """{"from", "body", "to"?, "media"? [{"type", "content" (base64)}]}: a member texts. Returns {"sid"}."""
    body = _body()
    given = body.get("media") or []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Malformed("media must be a list of objects.", field="media")
    pictures = [inbound.Picture(_text(one, "type"), _bytes(_text(one, "content"))) for one in given]
    sid = inbound.text_from(_store(), _text(body, "from"), _text(body, "body"), _text(body, "to", ""), pictures)
    return jsonify({"sid": sid})


@api.post("/reply-email")
def reply_email() -> Response:
    """{"mail_id", "text", "quote"?, "automatic"?, "headers"?, "charset"?, "attachments"?}: a member answers a mail.

    Or {"from", "to", "subject", "text", ...}: somebody writes without a mail to answer. Returns {"mail_id"}.
    """
    body = _body()
    rest: dict[str, Any] = {key: body[key] for key in ("headers", "charset", "attachments") if key in body}
    if "mail_id" in body:
        rest |= {key: bool(body[key]) for key in ("quote", "automatic") if key in body}
        done = inbound.reply(_store(), _text(body, "mail_id"), _text(body, "text"), **rest)
    else:
        given = [_text(body, key) for key in ("from", "to", "subject", "text")]
        done = inbound.mail_from(_store(), given[0], given[1], given[2], given[3], **rest)
    return jsonify({"mail_id": done})


@api.post("/act")
def act() -> Response:
    """{"mail_id", "act": "open" | "one-click" | "spam-report"}. Returns {"status"}, the service's to a one-click."""
    body = _body()
    mail_id, what = _text(body, "mail_id"), _text(body, "act")
    if what == "one-click":
        return jsonify({"status": acts.one_click(_store(), mail_id).status})
    if what not in ("open", "spam-report"):
        raise Malformed("act must be open, one-click or spam-report.", field="act")
    (acts.opened if what == "open" else acts.report_spam)(_store(), mail_id)
    return jsonify({"status": 0})


@api.get("/counts")
def counts() -> Response:
    """How many texts and mails each recipient was sent, so that a test can prove "exactly once".

    `?contains=words` counts only texts with these words in the body, and mails with them in the subject.
    """
    store, words = _store(), request.args.get("contains", "")
    sent = store.all(
        "SELECT recipient, COUNT(*) AS n FROM text WHERE direction != 'inbound' AND INSTR(body, ?) GROUP BY recipient",
        words,
    )
    mailed = store.all(
        "SELECT mailbox, COUNT(*) AS n FROM mail WHERE direction = 'outbound' AND INSTR(subject, ?) GROUP BY mailbox",
        words,
    )
    waiting = store.one("SELECT COUNT(*) AS n FROM outbox")
    return jsonify(
        {
            "texts": {row["recipient"]: row["n"] for row in sent},
            "mails": {row["mailbox"]: row["n"] for row in mailed},
            "waiting": waiting["n"] if waiting else 0,
        }
    )


@api.post("/reset")
def forget() -> Response:
    """Forget everything: phones, mailboxes, messages, provocations, switches."""
    _body()
    reset(_store())
    return jsonify({})
