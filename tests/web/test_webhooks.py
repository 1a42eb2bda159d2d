"""Webhooks: nothing without a valid signature, nothing twice, nothing lost, and no member's words in a log."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from twilio.request_validator import RequestValidator

from service import config, db
from service.models.conversations import WebhookEvent

TEXT = {
    "MessageSid": "SM0123456789abcdef0123456789abcdef", "SmsSid": "SM0123456789abcdef0123456789abcdef",
    "AccountSid": "AC" + "0" * 32, "From": "+12025550123", "To": "+15005550006", "Body": "the words of a member",
    "NumMedia": "0", "NumSegments": "1", "FromCountry": "US", "ApiVersion": "2010-04-01", "NewFieldOfTomorrow": "x",
}  # fmt: skip
STATUS = {
    "MessageSid": "SM" + "a" * 32, "MessageStatus": "delivered", "AccountSid": "AC" + "0" * 32,
    "From": "+15005550006", "To": "+12025550123", "ApiVersion": "2010-04-01",
}  # fmt: skip


def post_twilio(client: FlaskClient, path: str, form: dict[str, str], **headers: str) -> Any:
    settings = config.current()
    signature = RequestValidator(settings.twilio_auth_token).compute_signature(settings.base_url + path, form)
    return client.post(path, data=form, headers={"X-Twilio-Signature": signature} | headers)


def stored() -> list[WebhookEvent]:
    with db.reading() as session:
        return list(session.scalars(select(WebhookEvent)))


def test_a_text_is_stored_once_and_a_replay_changes_nothing(client: FlaskClient) -> None:
    for _ in range(3):
        answer = post_twilio(client, "/webhooks/twilio/message", TEXT)
        assert answer.status_code == 200
        assert answer.mimetype == "text/xml"
        assert b"<Response/>" in answer.data
    [event] = stored()
    assert event.event_id == TEXT["MessageSid"]
    assert json.loads(event.raw or "")["form"]["Body"] == "the words of a member"


def test_without_a_valid_signature_nothing_is_stored(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.post("/webhooks/twilio/message", data=TEXT).status_code == 403
    assert (
        post_twilio(client, "/webhooks/twilio/message", TEXT, **{"X-Twilio-Signature": "d3Jvbmc="}).status_code == 403
    )
    changed = TEXT | {"Body": "other words"}
    signature = RequestValidator(config.current().twilio_auth_token).compute_signature(
        config.current().base_url + "/webhooks/twilio/message", TEXT
    )
    answer = client.post("/webhooks/twilio/message", data=changed, headers={"X-Twilio-Signature": signature})
    assert answer.status_code == 403
    assert answer.get_json()["error"]["code"] == "forbidden"
    assert stored() == []
    assert "words" not in capsys.readouterr().err


def test_a_malformed_text_is_400_and_logged_without_content(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {k: v for k, v in TEXT.items() if k not in ("MessageSid", "SmsSid")}
    assert post_twilio(client, "/webhooks/twilio/message", broken).status_code == 400
    assert "the words of a member" not in capsys.readouterr().err
    assert stored() == []


def test_receipts_are_stored_once_for_each_status(client: FlaskClient) -> None:
    for status in ("sent", "delivered", "delivered", "sent"):
        path = "/webhooks/twilio/status?d=token"
        assert post_twilio(client, path, STATUS | {"MessageStatus": status}).status_code == 204
    assert len(stored()) == 2


@pytest.fixture
def key(configure: Any, app: Flask) -> ec.EllipticCurvePrivateKey:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    configure(sendgrid_webhook_public_key=base64.b64encode(public).decode())
    return private


def post_sendgrid(client: FlaskClient, key: ec.EllipticCurvePrivateKey, path: str, body: bytes, kind: str) -> Any:
    stamp = "1700000000"
    signature = base64.b64encode(key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
    }
    return client.post(path, data=body, headers=headers, content_type=kind)


def test_a_batch_of_events_keeps_each_once_and_loses_none_to_a_bad_one(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey
) -> None:
    events = [
        {"email": "a@example.org", "event": "delivered", "sg_event_id": "one", "timestamp": 1700000000, "d": "7"},
        "not an event",
        {"email": "b@example.org", "event": "bounce", "type": "bounce", "sg_event_id": "two", "timestamp": 1700000001},
    ]
    for _ in range(2):
        body = json.dumps(events).encode()
        assert post_sendgrid(client, key, "/webhooks/sendgrid/events", body, "application/json").status_code == 204
    assert {e.event_id for e in stored()} == {"one", "two"}


def test_events_that_are_no_list_or_not_signed_are_refused(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey
) -> None:
    assert post_sendgrid(client, key, "/webhooks/sendgrid/events", b'{"a":1}', "application/json").status_code == 400
    other = ec.generate_private_key(ec.SECP256R1())
    assert post_sendgrid(client, other, "/webhooks/sendgrid/events", b"[]", "application/json").status_code == 403
    assert client.post("/webhooks/sendgrid/events", data=b"[]").status_code == 403
    assert stored() == []


def test_redis_down_costs_nothing(client: FlaskClient) -> None:
    assert config.current().redis_url.endswith(":9/0")  # nobody answers there
    assert post_twilio(client, "/webhooks/twilio/message", TEXT).status_code == 200
    assert len(stored()) == 1


def test_no_webhook_answers_a_get(client: FlaskClient) -> None:
    for path in ("twilio/message", "twilio/status", "sendgrid/events", "sendgrid/inbound"):
        assert client.get(f"/webhooks/{path}").status_code == 405
