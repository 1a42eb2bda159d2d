"""What nobody meant to send, through the signed webhooks as the providers post it: kept and read by a person, nothing
lost, nothing twice, and nobody behind it kept waiting.
"""

import base64
import itertools
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from twilio.request_validator import RequestValidator

from service import clock, config, db
from service.actions import conversations
from service.actions.conversations import processing
from service.config import Settings
from service.models.campaigns import CampaignKind, DeliveryState
from service.models.conversations import ConversationState, Direction, Message, WebhookEvent
from service.models.inbox import Attachment, FileState
from tests.flows.talk import Talk, conversation, messages
from tests.flows.world import add_member
from tests.web.test_webhooks import post_sendgrid, post_twilio

ANA, BEN = "+12025550123", "+12025550145"
MAIL = "ana@example.org"
MB = 1024 * 1024
_numbers = itertools.count(1)


def text(client: FlaskClient, body: str, phone: str = ANA, sid: str = "", **more: str) -> Any:
    form = {
        "MessageSid": sid or f"SM{next(_numbers):032x}", "AccountSid": "AC" + "0" * 32, "From": phone,
        "To": "+15005550006", "Body": body, "NumMedia": "0", "NumSegments": "1", "ApiVersion": "2010-04-01",
    } | more  # fmt: skip
    return post_twilio(client, "/webhooks/twilio/message", form)


@pytest.fixture
def key(configure: Callable[..., Settings], app: Flask) -> ec.EllipticCurvePrivateKey:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    configure(sendgrid_webhook_public_key=base64.b64encode(public).decode())
    return private


def mail(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, *, words: bytes = b"", html: bytes = b"",
    charset: str = "UTF-8", files: tuple[tuple[str, str, bytes], ...] = (), message_id: str = "", **more: bytes,
) -> Any:  # fmt: skip
    """Inbound Parse's multipart, as SendGrid posts it."""
    message_id = message_id or f"<m{next(_numbers)}@example.org>"
    fields = {
        "headers": f"From: {MAIL}\nTo: hello@x.example\nSubject: Hello\nMessage-ID: {message_id}\n".encode(),
        "dkim": b"{@example.org : pass}", "SPF": b"pass", "to": b"hello@x.example", "from": MAIL.encode(),
        "text": words, "html": html, "subject": b"Hello", "spam_score": b"0.1",
        "envelope": json.dumps({"to": ["hello@x.example"], "from": MAIL}).encode(),
        "charsets": json.dumps({"to": "UTF-8", "subject": "UTF-8", "text": charset, "html": charset}).encode(),
        "attachments": str(len(files)).encode(),
    } | more  # fmt: skip
    boundary = "xYzZY"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in fields.items()
    ]
    for number, (name, kind, data) in enumerate(files, 1):
        head = f'Content-Disposition: form-data; name="attachment{number}"; filename="{name}"\r\nContent-Type: {kind}'
        parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return post_sendgrid(client, key, "/webhooks/sendgrid/inbound", body, f"multipart/form-data; boundary={boundary}")


def heard() -> list[Message]:
    """What came in, once everything is worked off; none of it is left over."""
    for _ in range(6):
        conversations.process_inbound()
    with db.reading() as session:
        left = session.scalar(select(func.count()).where(WebhookEvent.processed_at.is_(None)))
    assert left == 0
    return [m for m in messages() if m.direction == Direction.IN]


# Texts


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("", ""),
        ("   \n\t ", "   \n\t "),
        ("a" * 1600, "a" * 1600),
        ("ñ" * 1600, "ñ" * 1600),
        ("😀" * 800, "😀" * 800),
        ("hello\0\x01\x1b[31m there\x7f", "hello[31m there"),
        ("one\r\ntwo\u2028three", "one\ntwo\nthree"),
        ("مرحبا، كيف الحال؟", "مرحبا، كيف الحال؟"),
        ("שלום \u202eevil\u202c", "שלום \u202eevil\u202c"),
        ("e" + "\u0301" * 1500, None),
        ("<script>alert(1)</script> {{ 7*7 }} ${x} %s", "<script>alert(1)</script> {{ 7*7 }} ${x} %s"),
        ("'; DROP TABLE messages; --", "'; DROP TABLE messages; --"),
    ],
    ids=[
        "empty",
        "blank",
        "1600",
        "1600 wide",
        "emoji",
        "controls",
        "breaks",
        "arabic",
        "bidi",
        "marks",
        "html",
        "sql",
    ],
)
def test_any_text_is_kept_and_read(client: FlaskClient, body: str, kept: str | None) -> None:
    ana = add_member("Ana", ANA)
    begun = time.process_time()  # the work, not the wait for others on this machine
    assert text(client, body).status_code == 200
    [message] = heard()
    assert time.process_time() - begun < 5
    assert message.body.strip() == (kept.strip() if kept is not None else message.body.strip())
    assert conversation(ana).last_in_at is not None
    assert text(client, "and somebody behind it", phone=BEN).status_code == 200
    assert len(heard()) == 2


def test_bytes_that_are_no_utf_8_stop_nothing(client: FlaskClient) -> None:
    """The provider never posts such a form; whoever does is refused, and whoever comes behind is heard."""
    add_member("Ana", ANA)
    form = {"MessageSid": f"SM{next(_numbers):032x}", "From": ANA, "To": "+15005550006", "NumMedia": "0"}
    body = b"caf\xe9 \xff\xfe tonight"
    settings = config.current()
    url = settings.base_url + "/webhooks/twilio/message"
    signed = form | {"Body": body.decode("utf-8", "replace")}
    signature = RequestValidator(settings.twilio_auth_token).compute_signature(url, signed)
    answer = client.post(
        "/webhooks/twilio/message", data=f"{urlencode(form)}&Body={quote_from_bytes(body)}",
        headers={"X-Twilio-Signature": signature}, content_type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert answer.status_code == 403
    assert text(client, "hello").status_code == 200
    assert [m.body for m in heard()] == ["hello"]


def test_a_text_beyond_all_measure_is_cut_and_one_beyond_30_mb_is_refused(client: FlaskClient) -> None:
    add_member("Ana", ANA)
    assert text(client, "x" * 200_000).status_code == 200
    assert len(heard()[0].body) == 16_000
    assert text(client, "x" * 31 * MB).status_code == 413
    assert len(heard()) == 1


# Mail


@pytest.mark.parametrize(
    ("charset", "data", "kept"),
    [
        ("iso-8859-1", "Mañana iré, gracias".encode("iso-8859-1"), "Mañana iré, gracias"),
        ("windows-1252", "“Thank you” – it’s good".encode("cp1252"), "“Thank you” – it’s good"),
        ("iso-2022-jp", "ありがとう".encode("iso-2022-jp"), "ありがとう"),
        ("koi8-r", "Спасибо".encode("koi8-r"), "Спасибо"),
        ("UTF-8", b"caf\xe9 \xff tonight", None),
        ("no-such-charset", b"Thank you", "Thank you"),
        ("utf-16", "Thank you".encode("utf-16"), "Thank you"),
        ("rot13", b"Thank you", "Thank you"),
        ("UTF-8", "مرحبا، شكرا".encode(), "مرحبا، شكرا"),
        ("UTF-8", b"Thank\0 you\x1b", "Thank you"),
    ],
)
def test_mail_in_any_charset(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, charset: str, data: bytes, kept: str | None
) -> None:
    add_member("Ana", None, MAIL)
    assert mail(client, key, words=data, charset=charset).status_code == 204
    [message] = heard()
    assert message.body == kept if kept else "tonight" in message.body


def test_mail_without_words_and_mail_of_html_alone(client: FlaskClient, key: ec.EllipticCurvePrivateKey) -> None:
    ana = add_member("Ana", None, MAIL)
    assert mail(client, key).status_code == 204
    html = b"<style>p{}</style><p>I will <b>come</b>.</p><script>alert(1)</script><img src=x onerror=alert(1)>"
    assert mail(client, key, html=html).status_code == 204
    assert [m.body for m in heard()] == ["", "I will come."]
    assert conversation(ana).state == ConversationState.NEEDS_REPLY


def test_mail_of_30_mb_is_taken_listed_and_its_files_are_never_opened(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey
) -> None:
    add_member("Ana", None, MAIL)
    files = (
        ("holiday.jpg", "image/jpeg", b"\xff\xd8\xff" + b"\0" * (14 * MB)),
        ("../../etc/passwd.exe", "application/x-msdownload", b"MZ" + b"\0" * (14 * MB)),
        ("page.html", "text/html", b"<script>alert(1)</script>"),
    )
    begun = time.thread_time()
    assert mail(client, key, words=b"Pictures from the sea", files=files).status_code == 204
    assert [m.body for m in heard()] == ["Pictures from the sea"]
    assert time.thread_time() - begun < 30
    with db.reading() as session:
        kept = {a.name: (a.size, a.state, a.kind) for a in session.scalars(select(Attachment))}
    assert {size for size, _, _ in kept.values()} == {14 * MB + 3, 14 * MB + 2, 25}
    assert {state for _, state, _ in kept.values()} == {FileState.LISTED}
    too_much = (("more.bin", "application/octet-stream", b"\0" * (31 * MB)),)
    assert mail(client, key, words=b"Even more", files=too_much).status_code == 413
    assert len(heard()) == 1


def test_a_form_that_is_no_mail_is_refused_and_what_trips_over_a_bug_is_asked_for_again(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "multipart/form-data; boundary=xYzZY"
    for body in (b"", b"--xYzZY--\r\n", b"\0\xff" * 1000):
        assert post_sendgrid(client, key, "/webhooks/sendgrid/inbound", body, kind).status_code in (400, 403)
    add_member("Ana", None, MAIL)
    from service.channels import inbound_email

    monkeypatch.setattr(inbound_email, "new_words", lambda _: 1 // 0)
    client.application.testing = False
    kept = "<again@example.org>"
    assert mail(client, key, words=b"I have to tell you something", message_id=kept).status_code == 500
    monkeypatch.undo()
    assert mail(client, key, words=b"I have to tell you something", message_id=kept).status_code == 204
    assert [m.body for m in heard()] == ["I have to tell you something"]


def test_a_mail_nested_beyond_reason_does_not_stop_the_next(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey
) -> None:
    add_member("Ana", None, MAIL)
    deep = b"<div>" * 20_000 + b"deep words" + b"</div>" * 20_000
    marks = ("On Tue, 3 Nov 2026 at 10:00, Ana <ana@example.org> wrote:\n> " * 3000).encode()
    begun = time.thread_time()
    assert mail(client, key, html=deep).status_code == 204
    assert mail(client, key, words=marks).status_code == 204
    assert mail(client, key, words=b"hello").status_code == 204
    bodies = [m.body for m in heard()]
    assert "deep words" in bodies[0]
    assert bodies[2] == "hello"
    assert time.thread_time() - begun < 20


# Again, and out of order


def test_replays_in_any_order_change_nothing(client: FlaskClient, key: ec.EllipticCurvePrivateKey) -> None:
    ana = add_member("Ana", ANA, MAIL)
    one, two = "SM" + "a" * 32, "SM" + "b" * 32
    for sid, words in ((two, "second"), (one, "first"), (two, "second"), (one, "first"), (one, "first")):
        assert text(client, words, sid=sid).status_code == 200
        heard()
    for _ in range(3):
        assert mail(client, key, words=b"by mail", message_id="<same@example.org>").status_code == 204
        heard()
    assert sorted(m.body for m in heard()) == ["by mail", "first", "second"]
    assert conversation(ana).unread == 3


def test_a_stop_that_overtakes_an_answer_still_counts(client: FlaskClient) -> None:
    """Two texts of one member arrive in the wrong order: what was asked last is what counts for a stop, always."""
    ana = add_member("Ana", ANA)
    text(client, "STOP")
    text(client, "yes see you there")
    heard()
    with db.reading() as session:
        from service.actions import consent
        from service.models.members import ChannelName, Member

        assert consent.suppressed(session, ChannelName.SMS, ANA)
        assert session.get_one(Member, ana.id).state == "left"


def test_receipts_that_come_before_and_after_each_other(client: FlaskClient, talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.send(CampaignKind.TOOL, "Breathe.")
    sent = talk.last
    from service import links
    from service.models.campaigns import Delivery

    token = links.delivery_token(sent.delivery_id)
    for status in ("delivered", "sent", "queued", "sending", "delivered", "no-such-status"):
        form = {"MessageSid": "SM" + "c" * 32, "MessageStatus": status, "From": "+15005550006", "To": ANA}
        path = f"/webhooks/twilio/status?d={token}"
        assert post_twilio(client, path, form).status_code == 204
    processing.process_inbound()
    with db.reading() as session:
        assert session.get_one(Delivery, sent.delivery_id).state == DeliveryState.DELIVERED


def test_a_flood_loses_nothing_and_keeps_its_order(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    for number in range(120):
        assert text(client, f"line {number}").status_code == 200
    bodies = [m.body for m in heard()]
    assert sorted(bodies, key=lambda b: int(b.split()[1])) == [f"line {n}" for n in range(120)]
    assert conversation(ana).unread == 120
    assert clock.now() - timedelta(minutes=5) < (conversation(ana).last_in_at or clock.now())
