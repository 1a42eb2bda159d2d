"""What comes back to the service: signed, repeated, disordered, retried, and not lost by a restart."""

import time
from datetime import UTC, datetime

import pytest
from sendgrid import SendGridAPIClient
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.rest import Client

from service import clock
from service.config import Settings
from service.sandbox import keys
from service.sandbox.app import create_sandbox
from service.sandbox.webhooks import split_overrides
from tests.sandbox.standin import ACCOUNT, OURS, TOKEN, Service, Standin, request_body, serving

ANA = "+12125550123"
STATUS = "/webhooks/twilio/status"
EVENTS = "/webhooks/sendgrid/events"


def text(twilio: Client, service: Service, fragment: str = "") -> str:
    callback = f"{service.url}{STATUS}?d=a-token{fragment}"
    return str(twilio.messages.create(to=ANA, from_=OURS, body="Hi", status_callback=callback).sid)


def test_sent_and_delivered_are_told_signed_over_the_exact_url(twilio: Client, service: Service) -> None:
    sid = text(twilio, service, "#rc=5&rp=all")
    posts = service.wait(STATUS, 2)
    assert all(post.signed for post in posts)
    assert {post.path for post in posts} == {f"{STATUS}?d=a-token"}
    assert {post.form["MessageStatus"] for post in posts} == {"sent", "delivered"}
    for post in posts:
        assert post.form["MessageSid"] == post.form["SmsSid"] == sid
        assert (post.form["To"], post.form["From"], post.form["AccountSid"]) == (ANA, OURS, ACCOUNT)
        assert post.form["MessageStatus"] == post.form["SmsStatus"]
        assert post.headers["I-Twilio-Idempotency-Token"]
    (delivered,) = [post.form for post in posts if post.form["MessageStatus"] == "delivered"]
    assert "RawDlrDoneDate" in delivered


def test_without_a_callback_address_nothing_is_told(twilio: Client, service: Service, standin: Standin) -> None:
    twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    time.sleep(0.3)
    assert service.posts == []
    assert standin.get("counts")["waiting"] == 0


def test_callbacks_can_come_twice_and_in_the_wrong_order(twilio: Client, service: Service, standin: Standin) -> None:
    standin.post("switches", pace=0.5, repeats=1, disorder=1)
    text(twilio, service)
    posts = service.wait(STATUS, 4)
    order = [post.form["MessageStatus"] for post in posts]
    assert sorted(order) == ["delivered", "delivered", "sent", "sent"]
    assert order[0] == "delivered"
    assert len({p.headers["I-Twilio-Idempotency-Token"] for p in posts}) == 2


def test_the_fragment_asks_for_retries(twilio: Client, service: Service) -> None:
    service.answers[STATUS] = [(503, ""), (404, "")]
    text(twilio, service, "#rc=5&rp=all")
    posts = service.wait(STATUS, 4)
    assert all(post.signed for post in posts)
    done = [post.form["MessageStatus"] for post in posts if post.answered == 204]
    assert sorted(done) == ["delivered", "sent"]


def test_without_the_fragment_an_answer_is_final(twilio: Client, service: Service, standin: Standin) -> None:
    service.answers[STATUS] = [(503, ""), (503, "")]
    text(twilio, service)
    service.wait(STATUS, 2)
    time.sleep(1.0)
    assert len(service.to(STATUS)) == 2
    assert standin.get("counts")["waiting"] == 0


@pytest.mark.parametrize(
    ("url", "retries", "policy"),
    [
        ("https://a.example/x?d=1", 1, {"ct"}),
        ("https://a.example/x?d=1#rc=5&rp=all", 5, {"all"}),
        ("https://a.example/x?d=1#rc=2&rp=5xx,rt", 2, {"5xx", "rt"}),
        ("https://a.example/x?d=1#rc=99", 5, {"ct"}),
        ("https://a.example/x?d=1#rc=many", 1, {"ct"}),
    ],
)
def test_connection_overrides(url: str, retries: int, policy: set[str]) -> None:
    bare, overrides = split_overrides(url)
    assert bare == "https://a.example/x?d=1"
    assert (overrides.retries, set(overrides.policy)) == (retries, policy)


def test_events_come_in_signed_batches_with_custom_args_flat(
    sendgrid: SendGridAPIClient, service: Service, settings: Settings
) -> None:
    body = request_body("ana@members.example", "ben@members.example", categories=["story"])
    message_id = sendgrid.client.mail.send.post(request_body=body).headers["X-Message-Id"]
    events = service.events(4)
    assert sorted((e["email"], e["event"]) for e in events) == [
        ("ana@members.example", "delivered"),
        ("ana@members.example", "processed"),
        ("ben@members.example", "delivered"),
        ("ben@members.example", "processed"),
    ]
    for event in events:
        assert event["delivery"] == ("d0" if event["email"].startswith("ana") else "d1")
        assert event["request_id"] == "r1"
        assert event["category"] == "story"
        assert event["sg_message_id"].startswith(f"{message_id}.recvd-")
        assert event["smtp-id"].startswith("<")
        assert isinstance(event["timestamp"], int)
    assert len({event["sg_event_id"] for event in events}) == 4

    posts = service.to(EVENTS)
    assert all(post.signed for post in posts)
    public, _ = keys.ensure(settings.data_path)
    post = posts[0]
    assert EventWebhook(public).verify_signature(
        post.body.decode(),
        post.headers["X-Twilio-Email-Event-Webhook-Signature"],
        post.headers["X-Twilio-Email-Event-Webhook-Timestamp"],
    )


def test_a_repeated_event_is_the_very_same_event(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    standin.post("switches", repeats=1)
    sendgrid.client.mail.send.post(request_body=request_body("ana@members.example"))
    events = service.events(4)
    assert len({event["sg_event_id"] for event in events}) == 2


def test_events_wait_until_the_service_answers(sendgrid: SendGridAPIClient, service: Service) -> None:
    service.answers[EVENTS] = [(500, ""), (403, "")]
    sendgrid.client.mail.send.post(request_body=request_body("ana@members.example"))
    assert {event["event"] for event in service.events(2)} == {"processed", "delivered"}
    assert [post.answered for post in service.to(EVENTS)][:2] == [500, 403]


def test_events_come_as_well_while_the_clock_stands_or_is_set_back(
    sendgrid: SendGridAPIClient, service: Service
) -> None:
    for hour in (13, 13, 12):
        before = len([e for post in service.to(EVENTS) for e in post.events])
        with clock.frozen_at(datetime(2026, 11, 24, hour, tzinfo=UTC)):
            sendgrid.client.mail.send.post(request_body=request_body("ana@members.example"))
            assert len(service.events(before + 2)) == before + 2


def test_two_thousand_events_arrive_in_batches(sendgrid: SendGridAPIClient, service: Service) -> None:
    people = [f"m{i}@members.example" for i in range(1000)]
    sendgrid.client.mail.send.post(request_body=request_body(*people))
    events = service.events(2000, seconds=15)
    assert len({event["sg_event_id"] for event in events}) == 2000
    assert max(len(post.events) for post in service.to(EVENTS)) > 100


def test_a_restart_keeps_phones_and_mailboxes_and_loses_no_callback(settings: Settings, service: Service) -> None:
    app = create_sandbox(settings)
    url, stop = serving(app)
    first = Standin(url, app)
    first.post("switches", pace=2, repeats=0, disorder=0)
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = url
    sid = text(client, service)
    stop()
    assert service.posts == []

    app = create_sandbox(settings)
    url, stop = serving(app)
    try:
        again = Standin(url, app)
        assert [t["sid"] for t in again.texts(ANA)] == [sid]
        assert {p.form["MessageStatus"] for p in service.wait(STATUS, 2)} == {"sent", "delivered"}
    finally:
        stop()


def test_keys_are_made_once_and_readable_by_their_owner_only(settings: Settings) -> None:
    first = keys.ensure(settings.data_path)
    assert keys.ensure(settings.data_path) == first
    assert first[0] != first[1]
    for path in (settings.data_path / "sandbox").glob("*"):
        assert path.stat().st_mode & 0o777 == 0o600
