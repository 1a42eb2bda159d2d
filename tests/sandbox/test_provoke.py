"""Every way in which a provider can fail, as the service would meet it."""

import time

import pytest
import requests
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.sandbox.standin import ACCOUNT, API_KEY, OURS, TOKEN, Service, Standin, request_body

ANA, BEN = "+12125550123", "+12125550124"
BOX = "ana@members.example"
STATUS = "/webhooks/twilio/status"


def text(twilio: Client, service: Service, to: str = ANA) -> str:
    callback = f"{service.url}{STATUS}?d=1"
    return str(twilio.messages.create(to=to, from_=OURS, body="Hi", status_callback=callback).sid)


def mail(sendgrid: SendGridAPIClient, *people: str) -> None:
    sendgrid.client.mail.send.post(request_body=request_body(*(people or (BOX,))))


@pytest.mark.parametrize(("kind", "code"), [("undelivered", 30005), ("undelivered", 30003), ("failed", 30008)])
def test_a_text_that_never_arrives(twilio: Client, service: Service, standin: Standin, kind: str, code: int) -> None:
    standin.provoke(kind, "sms", code=code)
    sid = text(twilio, service)
    expected = 1 if kind == "failed" else 2
    posts = service.wait(STATUS, expected)
    final = [post.form for post in posts if post.form["MessageStatus"] == kind]
    assert [form["ErrorCode"] for form in final] == [str(code)]
    fetched = twilio.messages(sid).fetch()
    assert (fetched.status, fetched.error_code) == (kind, code)
    assert fetched.error_message
    text(twilio, service)  # "the next one" is over
    assert [t["status"] for t in standin.texts(ANA)] == [kind, "delivered"]


def test_a_provocation_for_one_phone_leaves_the_others_alone(
    twilio: Client, service: Service, standin: Standin
) -> None:
    standin.provoke("undelivered", "sms", address=BEN, times=None)
    for to in (ANA, BEN, BEN):
        text(twilio, service, to)
    assert [t["status"] for t in standin.texts(ANA)] == ["delivered"]
    assert [t["status"] for t in standin.texts(BEN)] == ["undelivered", "undelivered"]
    requests.delete(f"{standin.url}/sandbox/api/provoke", timeout=5)
    text(twilio, service, BEN)
    assert standin.texts(BEN)[-1]["status"] == "delivered"


def test_429_takes_nothing_and_says_when_to_come_back(standin: Standin) -> None:
    standin.provoke("429", "sms", times=2, seconds=7)
    standin.provoke("429", "email", seconds=7)
    url = f"{standin.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    form = {"To": ANA, "From": OURS, "Body": "Hi"}
    answers = [requests.post(url, data=form, auth=(ACCOUNT, TOKEN), timeout=5) for _ in range(3)]
    assert [a.status_code for a in answers] == [429, 429, 201]
    assert answers[0].json()["code"] == 20429
    assert answers[0].headers["Retry-After"] == "7"
    headers = {"Authorization": f"Bearer {API_KEY}"}
    answer = requests.post(f"{standin.url}/v3/mail/send", json=request_body(BOX), headers=headers, timeout=5)
    assert answer.status_code == 429
    assert 5 <= int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 8
    assert standin.get("counts")["texts"] == {ANA: 1}
    assert standin.get("counts")["mails"] == {}


def test_500_takes_nothing(twilio: Client, sendgrid: SendGridAPIClient, service: Service, standin: Standin) -> None:
    standin.provoke("500", "sms")
    standin.provoke("500", "email")
    with pytest.raises(TwilioRestException) as caught:
        text(twilio, service)
    assert caught.value.status == 500
    with pytest.raises(HTTPError) as refused:
        mail(sendgrid)
    assert refused.value.status_code == 500
    counts = standin.get("counts")
    assert (counts["texts"], counts["mails"]) == ({}, {})


@pytest.mark.parametrize("code", [21211, 21408, 21610, 21614, 30034])
def test_refused_with_a_code(twilio: Client, service: Service, standin: Standin, code: int) -> None:
    standin.provoke("refused", "sms", code=code)
    with pytest.raises(TwilioRestException) as caught:
        text(twilio, service)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_slow_is_taken_and_answered_late(twilio: Client, service: Service, standin: Standin) -> None:
    standin.provoke("slow", "sms", seconds=0.6)
    begun = time.monotonic()
    text(twilio, service)
    assert time.monotonic() - begun >= 0.6


def test_unanswered_is_taken_all_the_same(sendgrid: SendGridAPIClient, service: Service, standin: Standin) -> None:
    """A caller that gives up cannot know; the message is there, its callbacks come, and a list finds it."""
    standin.provoke("unanswered", "sms", seconds=1.5)
    standin.provoke("unanswered", "email", seconds=1.5)
    hasty = Client(ACCOUNT, TOKEN, http_client=TwilioHttpClient(timeout=0.4))
    hasty.api.base_url = standin.url
    with pytest.raises(requests.exceptions.ReadTimeout):
        text(hasty, service)
    assert {p.form["MessageStatus"] for p in service.wait(STATUS, 2)} == {"sent", "delivered"}
    assert len(hasty.messages.list(to=ANA)) == 1
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(f"{standin.url}/v3/mail/send", json=request_body(BOX), headers=headers, timeout=0.4)
    service.events(2)
    assert standin.get("counts")["mails"] == {BOX: 1}


def test_unanswered_drops_the_line_on_a_patient_caller(service: Service, standin: Standin) -> None:
    standin.provoke("unanswered", "sms", seconds=0.2)
    url = f"{standin.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    with pytest.raises(requests.exceptions.RequestException):
        requests.post(url, data={"To": ANA, "From": OURS, "Body": "Hi"}, auth=(ACCOUNT, TOKEN), timeout=3)


def test_silent_is_delivered_without_a_word(
    twilio: Client, sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    standin.provoke("silent", "sms")
    standin.provoke("silent", "email")
    text(twilio, service)
    mail(sendgrid)
    time.sleep(0.8)
    assert service.posts == []
    assert standin.texts(ANA)[0]["status"] == "delivered"
    assert standin.mails(BOX)[0]["state"] == "delivered"


def test_repeated_comes_three_times(
    twilio: Client, sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    standin.provoke("repeated", "sms")
    standin.provoke("repeated", "email")
    text(twilio, service)
    assert len(service.wait(STATUS, 6)) == 6
    mail(sendgrid)
    events = service.events(6)
    assert len({event["sg_event_id"] for event in events}) == 2


def test_disordered_tells_the_end_first(twilio: Client, service: Service, standin: Standin) -> None:
    standin.post("switches", pace=0.5)
    standin.provoke("disordered", "sms")
    text(twilio, service)
    assert [p.form["MessageStatus"] for p in service.wait(STATUS, 2)] == ["delivered", "sent"]


@pytest.mark.parametrize(
    ("kind", "events", "fields"),
    [
        ("bounce", {"processed", "bounce"}, {"type": "bounce", "bounce_classification": "Invalid Address"}),
        ("blocked", {"processed", "bounce"}, {"type": "blocked", "bounce_classification": "Reputation"}),
        ("dropped", {"dropped"}, {"reason": "Invalid"}),
        ("deferred", {"processed", "deferred", "delivered"}, {"attempt": "1"}),
        ("spam-report", {"processed", "delivered", "spamreport"}, {}),
        ("unsubscribe", {"processed", "delivered", "unsubscribe"}, {}),
    ],
)
def test_what_can_become_of_a_mail(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin, kind: str, events: set[str], fields: dict[str, str]
) -> None:
    standin.provoke(kind, "email", address=BOX)
    mail(sendgrid, "ben@members.example", BOX)
    got = [e for e in service.events(len(events) + 2) if e["email"] == BOX]
    assert {e["event"] for e in got} == events
    assert any(fields.items() <= e.items() for e in got)
    assert all(e["delivery"] == "d1" and "sg_message_id" in e for e in got)


def test_a_late_bounce_has_no_message_id(sendgrid: SendGridAPIClient, service: Service, standin: Standin) -> None:
    standin.provoke("late-bounce", "email")
    mail(sendgrid)
    (bounce,) = [e for e in service.events(3) if e["event"] == "bounce"]
    assert "sg_message_id" not in bounce
    assert bounce["delivery"] == "d0"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "nonsense", "channel": "sms"}, "kind"),
        ({"kind": "bounce", "channel": "sms"}, "kind"),
        ({"kind": "undelivered", "channel": "email"}, "kind"),
        ({"kind": "429", "channel": "fax"}, "channel"),
        ({"kind": "429", "channel": "sms", "times": 0}, "times"),
        ({"kind": "slow", "channel": "sms", "seconds": 9999}, "seconds"),
        ({"kind": "failed", "channel": "sms", "code": 7}, "code"),
        ({"kind": "failed", "channel": "sms", "code": "x"}, "code"),
        ({"channel": "sms"}, "kind"),
    ],
)
def test_nonsense_is_refused_by_name(standin: Standin, body: dict[str, object], field: str) -> None:
    answer = requests.post(f"{standin.url}/sandbox/api/provoke", json=body, timeout=5)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["field"] == field
    assert standin.get("provoke")["provocations"] == []
