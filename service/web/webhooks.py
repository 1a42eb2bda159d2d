"""What Twilio and SendGrid send us: verified against PUBLIC_URL, stored once, answered at once, worked on later.

A wrong signature is 403, something unreadable 400, a repeat 2xx. Nothing here needs Redis.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from flask import Blueprint, Response, request

from service import config, logs
from service.actions import conversations
from service.actions.conversations import store
from service.channels import events, inbound_email, inbound_text, signatures
from service.channels.inbound_parts import parse_multipart
from service.errors import DomainError, Forbidden
from service.web.limits import limiter
from service.web.security import csrf

bp = Blueprint("webhooks", __name__, url_prefix="/webhooks")
csrf.exempt(bp)
limiter.exempt(bp)  # the signature decides; a provider may send as much as it likes
log = logs.get("webhooks")

EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@bp.post("/twilio/message")
def twilio_message() -> Response:
    """A member's text. Answered with empty TwiML: what we say goes out by the ordinary way."""
    form = _twilio_form()
    with _reading("twilio"):
        text = inbound_text.parse(form)
    raw = json.dumps({"form": form})
    conversations.keep([store.Incoming("twilio", store.TEXT, text.dedupe_key, raw)])
    return Response(EMPTY_TWIML, mimetype="text/xml")


@bp.post("/twilio/status")
def twilio_status() -> Response:
    """A receipt for one of our texts; `d` names the delivery, signed."""
    form = _twilio_form()
    with _reading("twilio"):
        status = inbound_text.parse_status(form)
    raw = json.dumps({"form": form, "token": request.args.get("d", "")})
    conversations.keep([store.Incoming("twilio", store.TEXT_STATUS, status.dedupe_key, raw)])
    return Response(status=204)


@bp.post("/sendgrid/events")
def sendgrid_events() -> Response:
    """A batch of events about our emails, each stored by its own id."""
    body = _sendgrid_body(config.current().sendgrid_webhook_public_key)
    with _reading("sendgrid"):
        entries = events.entries_of(body)
    conversations.keep(
        [
            store.Incoming("sendgrid", store.EMAIL_EVENT, events.id_of(entry), orjson.dumps(entry).decode())
            for entry in entries
        ]
    )
    return Response(status=204)


@bp.post("/sendgrid/inbound")
def sendgrid_inbound() -> Response:
    """A member's email (Inbound Parse). The signature covers the raw bytes, so they are checked before parsing."""
    body = _sendgrid_body(config.current().inbound_key)
    content_type = request.headers.get("Content-Type", "")
    with _reading("sendgrid"):
        fields, files = parse_multipart(body, content_type)
        mail = inbound_email.parse(fields, files)
    raw = json.dumps({"content_type": content_type, "body": base64.b64encode(body).decode()})
    conversations.keep([store.Incoming("sendgrid", store.EMAIL, mail.dedupe_key, raw)])
    return Response(status=204)


def _twilio_form() -> dict[str, str]:
    settings = config.current()
    header = request.headers.get(signatures.TWILIO_HEADER)
    extra = request.headers.get(signatures.TWILIO_SETTINGS_HEADER)
    if not signatures.verify_twilio(settings.twilio_auth_token, _public_url(), request.form, header, extra):
        _refused("twilio")
    return {key: request.form[key] for key in request.form}


def _sendgrid_body(public_key: str) -> bytes:
    body = request.get_data(cache=False)
    signature = request.headers.get(signatures.SENDGRID_SIGNATURE_HEADER)
    timestamp = request.headers.get(signatures.SENDGRID_TIMESTAMP_HEADER)
    if not signatures.verify_sendgrid(public_key, body, signature, timestamp):
        _refused("sendgrid")
    return body


@contextmanager
def _reading(provider: str) -> Iterator[None]:
    """What cannot be read is refused, and logged without anything of its content."""
    try:
        yield
    except DomainError as error:
        log.warning("a webhook could not be read", provider=provider, path=request.path, code=error.error_code)
        raise


def _refused(provider: str) -> None:
    log.warning("a webhook without a valid signature was refused", provider=provider, path=request.path)
    raise Forbidden("The signature is missing or wrong. Check the token or key, and that PUBLIC_URL is this address.")


def _public_url() -> str:
    """The address that the provider called, as it knows it: what a proxy made of it does not count."""
    query = request.query_string.decode()
    return config.current().base_url + request.path + (f"?{query}" if query else "")
