"""The part of SendGrid's v3 API that a sender of mail uses: mail/send, the scopes of the key, and suppressions."""

import gzip
import json
import zlib
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from service.sandbox import late, mails, provoke, sendgrid_check
from service.sandbox.provoke import Kind, Provocation
from service.sandbox.sendgrid_check import Problem
from service.sandbox.store import Store, timestamp
from service.sandbox.webhooks import opaque

api = Blueprint("sendgrid_api", __name__, url_prefix="/v3")
LARGEST = 30_000_000
"""Bytes of one request; SendGrid's limit is 30 MB with attachments."""
_SUPPRESSIONS = ("bounces", "spam_reports", "unsubscribes", "blocks", "invalid_emails")


def errors(status: int, *found: Problem) -> Response:
    """`{"errors": [{"message", "field", "help"}]}`, as the vendor answers."""
    response = jsonify({"errors": [problem.as_dict() for problem in found]})
    response.status_code = status
    return response


def _store() -> Store:
    store: Store = current_app.extensions["sandbox"]
    return store


@api.before_request
def _authenticate() -> Response | None:
    key, given = _store().settings.sendgrid_api_key, request.headers.get("Authorization", "")
    if not given:
        return errors(401, Problem("Permission denied, wrong credentials", None))
    if not key or given != f"Bearer {key}":
        return errors(401, Problem("The provided authorization grant is invalid, expired, or revoked", None))
    return None


@api.get("/scopes")
def scopes() -> Response:
    """What the API key may do."""
    return jsonify({"scopes": ["mail.send", "suppression.read", "suppression.delete"]})


@api.post("/mail/send")
def send() -> Response:
    """Take a mail for each recipient: 202 with X-Message-Id, 200 in sandbox mode, or the vendor's errors."""
    store = _store()
    payload = _payload()
    if isinstance(payload, Response):
        return payload
    if found := sendgrid_check.problems(payload):
        return errors(400, *found)
    if not sendgrid_check.verified_sender(payload, store.settings.sendgrid_from):
        return errors(
            403,
            Problem(
                "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is "
                "resolved.",
                "from",
            ),
        )
    if ((payload.get("mail_settings") or {}).get("sandbox_mode") or {}).get("enable") is True:
        return Response(status=200)
    message_id = opaque()
    with store.write() as db:
        trouble = provoke.take(db, provoke.EMAIL, _recipients(payload), at_request=True)
        if refusal := _refusal(trouble):
            return refusal
        mails.accept(store, db, payload, message_id)
    response = Response(status=202)
    response.headers["X-Message-Id"] = message_id
    return late.delayed(response, trouble)


def _recipients(payload: dict[str, Any]) -> set[str]:
    return {who["email"].lower() for group in payload["personalizations"] for who in group["to"]}


def _payload() -> dict[str, Any] | Response:
    """The JSON of the request, or the refusal."""
    raw = request.get_data(cache=False)
    if request.headers.get("Content-Encoding", "").lower() == "gzip":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error):
            return errors(400, Problem("Bad Request", None))
    if len(raw) > LARGEST:
        return errors(413, Problem("content too large", None))
    if request.mimetype != "application/json":
        return errors(415, Problem("Content-Type should be application/json.", None))
    try:
        payload = json.loads(raw)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        return errors(400, Problem("Bad Request", None))
    return payload


def _refusal(trouble: Provocation | None) -> Response | None:
    """What a provocation wants answered before anything is taken."""
    if trouble is None:
        return None
    if trouble.kind is Kind.RATE_LIMITED:
        response = errors(429, Problem("too many requests", None))
        wait = max(1, round(trouble.seconds))
        response.headers["Retry-After"] = str(wait)
        response.headers["X-RateLimit-Limit"] = "600"
        response.headers["X-RateLimit-Remaining"] = "0"
        response.headers["X-RateLimit-Reset"] = str(int(timestamp()) + wait)
        return response
    if trouble.kind is Kind.SERVER_ERROR:
        return errors(500, Problem("internal server error", None))
    if trouble.kind is Kind.REFUSED:
        status = trouble.code if trouble.code in (400, 401, 403, 404, 413, 503) else 400
        return errors(status, Problem("Provoked refusal", None))
    return None


@api.get("/suppression/<name>")
def suppressed(name: str) -> Response:
    """The addresses on one of SendGrid's lists."""
    if name not in _SUPPRESSIONS:
        return errors(404, Problem("not found", None))
    rows = _store().all("SELECT email, reason, created FROM suppression WHERE list = ? ORDER BY created DESC", name)
    return jsonify([dict(row) for row in rows])


@api.delete("/suppression/<name>/<email>")
def unsuppress(name: str, email: str) -> Response:
    """Take an address off one of SendGrid's lists: 204."""
    with _store().write() as db:
        gone = db.execute("DELETE FROM suppression WHERE list = ? AND email = ?", (name, email.lower())).rowcount
    return Response(status=204) if gone else errors(404, Problem("resource not found", None))
