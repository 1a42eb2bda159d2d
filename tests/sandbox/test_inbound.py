"""What members write reaches the service: signed, as Twilio and Inbound Parse hand it over, until it is taken."""

import base64
import json
import time

import pytest
import requests
from sendgrid import SendGridAPIClient
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.sandbox.standin import ACCOUNT, OURS, TOKEN, Service, Standin, request_body

ANA = "+12125550123"
BOX = "ana@members.example"
MESSAGE = "/webhooks/twilio/message"
INBOUND = "/webhooks/sendgrid/inbound"


def say(standin: Standin, body: str, phone: str = ANA) -> str:
    return str(standin.post("reply-sms", **{"from": phone, "body": body})["sid"])


def answered_mail(sendgrid: SendGridAPIClient, standin: Standin) -> str:
    sendgrid.client.mail.send.post(request_body=request_body(BOX))
    return str(standin.mails(BOX)[0]["id"])


def test_a_text_arrives_with_twilios_fields_and_signature(service: Service, standin: Standin) -> None:
    sid = say(standin, "I'm in & glad — 100% 🌊")
    (post,) = service.wait(MESSAGE)
    assert post.signed
    form = post.form
    assert form["Body"] == "I'm in & glad — 100% 🌊"
    assert (form["MessageSid"], form["SmsSid"], form["AccountSid"]) == (sid, sid, ACCOUNT)
    assert (form["From"], form["To"], form["FromCountry"]) == (ANA, OURS, "US")
    assert (form["NumMedia"], form["NumSegments"], form["SmsStatus"]) == ("0", "1", "received")
    assert "OptOutType" not in form
    (text,) = standin.texts(ANA)
    assert (text["direction"], text["status"]) == ("inbound", "received")


def picture(standin: Standin, data: bytes, words: str = "") -> requests.Response:
    """Ana sends a picture."""
    media = [{"type": "image/png", "content": base64.b64encode(data).decode()}]
    body = {"from": ANA, "body": words, "media": media}
    return requests.post(f"{standin.url}/sandbox/api/reply-sms", json=body, timeout=10)


def test_a_picture_lies_at_the_api_for_whoever_has_the_credentials(
    twilio: Client, service: Service, standin: Standin
) -> None:
    sid = picture(standin, b"\x89PNG").json()["sid"]
    (post,) = service.wait(MESSAGE)
    assert post.signed
    assert (post.form["NumMedia"], post.form["MediaContentType0"], post.form["Body"]) == ("1", "image/png", "")
    url = post.form["MediaUrl0"]
    assert url.startswith(f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}/Media/ME")
    here = standin.url + url.removeprefix("https://api.twilio.com")
    assert requests.get(here, timeout=10).status_code == 401
    there = requests.get(here, auth=(ACCOUNT, TOKEN), timeout=10, allow_redirects=False)
    assert there.status_code == 307
    assert requests.get(f"{standin.url}{there.headers['Location']}", timeout=10).content == b"\x89PNG"
    (media,) = twilio.messages(sid).media.list()
    assert media.content_type == "image/png"
    assert twilio.messages(sid).media(media.sid).delete()
    assert requests.get(here, auth=(ACCOUNT, TOKEN), timeout=10).status_code == 404
    assert twilio.messages(sid).media.list() == []


def test_a_picture_may_come_without_words_and_not_beyond_5_mb(service: Service, standin: Standin) -> None:
    assert picture(standin, b"\0" * (5 * 1024 * 1024 + 1)).status_code == 422
    assert standin.post("reply-sms", **{"from": ANA, "body": "words", "media": []})["sid"].startswith("SM")
    for media in ("x", [1], [{"type": "image/png", "content": "no base64!"}], [{"type": "image/png"}]):
        body = {"from": ANA, "body": "", "media": media}
        assert requests.post(f"{standin.url}/sandbox/api/reply-sms", json=body, timeout=10).status_code == 400, media


def test_an_answer_goes_to_the_number_that_wrote_last(twilio: Client, service: Service, standin: Standin) -> None:
    twilio.messages.create(to=ANA, from_=OURS, body="1 to 5?")
    say(standin, "4")
    (post,) = service.wait(MESSAGE)
    assert (post.form["To"], post.form["Body"]) == (OURS, "4")


def test_a_text_waits_until_the_service_is_back(service: Service, standin: Standin) -> None:
    service.answers[MESSAGE] = [(500, ""), (404, "")]
    say(standin, "are you there?")
    posts = service.wait(MESSAGE, 3)
    assert [post.answered for post in posts] == [500, 404, 204]
    assert len({post.headers["I-Twilio-Idempotency-Token"] for post in posts}) == 1
    time.sleep(0.2)
    assert standin.texts(ANA)[0]["note"] == ""


def test_a_text_that_was_never_taken_says_so(service: Service, standin: Standin) -> None:
    service.answers[MESSAGE] = [(500, "")]
    say(standin, "hello?")
    service.wait(MESSAGE)
    time.sleep(0.1)
    assert "the service answered 500" in standin.texts(ANA)[0]["note"]


def test_twiml_is_obeyed(service: Service, standin: Standin) -> None:
    service.answers[MESSAGE] = [
        (200, '<?xml version="1.0"?><Response><Message>One</Message><Message><Body>Two</Body></Message></Response>')
    ]
    say(standin, "hi")
    deadline = time.monotonic() + 5
    while len(standin.texts(ANA)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [(t["body"], t["direction"]) for t in standin.texts(ANA)][1:] == [
        ("One", "outbound-reply"),
        ("Two", "outbound-reply"),
    ]


def test_opt_out_handling_is_off_until_switched_on(twilio: Client, service: Service, standin: Standin) -> None:
    say(standin, "STOP")
    service.wait(MESSAGE)
    assert twilio.messages.create(to=ANA, from_=OURS, body="You're out. Take care.").sid
    assert len(standin.texts(ANA)) == 2

    standin.post("switches", opt_out=1)
    say(standin, " stop ")
    form = service.wait(MESSAGE, 2)[1].form
    assert form["OptOutType"] == "STOP"
    assert "unsubscribed" in standin.texts(ANA)[-1]["body"]
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    assert (caught.value.status, caught.value.code) == (400, 21610)

    say(standin, "HELP")
    assert service.wait(MESSAGE, 3)[2].form["OptOutType"] == "HELP"
    say(standin, "please stop writing")  # only a word alone counts
    assert "OptOutType" not in service.wait(MESSAGE, 4)[3].form
    say(standin, "Start")
    assert service.wait(MESSAGE, 5)[4].form["OptOutType"] == "START"
    assert twilio.messages.create(to=ANA, from_=OURS, body="Welcome back").sid


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "12", "body": "x"}, "phone"),
        ({"from": ANA, "body": "  "}, "body"),
        ({"from": ANA, "body": "x" * 1601}, "body"),
    ],
)
def test_what_cannot_be_a_text_is_refused(standin: Standin, body: dict[str, str], field: str) -> None:
    answer = requests.post(f"{standin.url}/sandbox/api/reply-sms", json=body, timeout=5)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_an_answer_to_a_mail_comes_through_inbound_parse(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    mail_id = answered_mail(sendgrid, standin)
    standin.post("reply-email", mail_id=mail_id, text="Me too. Thank you — ¡gracias!")
    (post,) = service.wait(INBOUND)
    assert post.signed
    parts = {name: value.decode() for name, (_, value) in post.parts.items()}
    assert set(parts) == set(
        "headers dkim to html from text sender_ip spam_report envelope attachments subject spam_score charsets "
        "SPF".split()
    )
    assert json.loads(parts["envelope"]) == {"to": ["reply+tok0@reply.circle.example"], "from": BOX}
    assert parts["from"] == "Name 0 <ana@members.example>"
    assert parts["subject"] == "Re: A story for N0"
    assert parts["text"].startswith("Me too. Thank you — ¡gracias!\n\nOn ")
    assert "> Hello N0, one line." in parts["text"]
    assert json.loads(parts["charsets"])["text"] == "UTF-8"
    assert (parts["SPF"], parts["attachments"]) == ("pass", "0")
    headers = dict(line.split(": ", 1) for line in parts["headers"].splitlines())
    sent = dict(standin.mails(BOX)[0]["headers"])
    assert headers["In-Reply-To"] == headers["References"] == sent["Message-ID"]
    assert headers["Message-ID"].startswith("<")


def test_an_answer_may_be_latin_1_robotic_and_have_attachments(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    standin.post(
        "reply-email",
        mail_id=answered_mail(sendgrid, standin),
        text="Mañana vuelvo",
        quote=False,
        automatic=True,
        charset="iso-8859-1",
        attachments=[{"filename": "a.txt", "type": "text/plain", "content": base64.b64encode(b"bytes").decode()}],
    )
    (post,) = service.wait(INBOUND)
    parts = post.parts
    assert parts["text"][1] == "Mañana vuelvo".encode("iso-8859-1")
    assert json.loads(parts["charsets"][1])["text"] == "iso-8859-1"
    assert b"Auto-Submitted: auto-replied" in parts["headers"][1]
    assert parts["attachments"][1] == b"1"
    assert parts["attachment1"] == ("a.txt", b"bytes")
    assert json.loads(parts["attachment-info"][1])["attachment1"]["filename"] == "a.txt"


def test_a_stranger_writes_a_mail(service: Service, standin: Standin) -> None:
    standin.post(
        "reply-email",
        **{"from": "Zoë <zoe@new.example>", "to": "hello@reply.circle.example", "subject": "Hi", "text": "Hi"},
    )
    (post,) = service.wait(INBOUND)
    assert json.loads(post.parts["envelope"][1]) == {"to": ["hello@reply.circle.example"], "from": "zoe@new.example"}
    assert standin.mails("zoe@new.example")[0]["direction"] == "inbound"


def test_inbound_parse_tries_again_after_5xx_and_gives_up_after_4xx(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    service.answers[INBOUND] = [(503, ""), (204, ""), (403, "")]
    mail_id = answered_mail(sendgrid, standin)
    standin.post("reply-email", mail_id=mail_id, text="one")
    assert [p.answered for p in service.wait(INBOUND, 2)] == [503, 204]
    standin.post("reply-email", mail_id=mail_id, text="two")
    service.wait(INBOUND, 3)
    time.sleep(0.8)
    assert len(service.to(INBOUND)) == 3
    assert standin.mails(BOX)[-1]["note"] == "Not handed over: the service answered 403"


def test_one_click_posts_once_without_cookies_or_redirects(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    body = request_body(BOX)
    body["personalizations"][0]["headers"]["List-Unsubscribe"] = f"<mailto:u@x.example>, <{service.url}/u/-token->"
    sendgrid.client.mail.send.post(request_body=body)
    mail_id = standin.mails(BOX)[0]["id"]
    service.answers["/u/tok0"] = [(302, "")]
    assert standin.post("act", mail_id=mail_id, act="one-click") == {"status": 302}
    (post,) = service.to("/u/tok0")
    assert post.body == b"List-Unsubscribe=One-Click"
    assert "Cookie" not in post.headers


def test_one_click_never_leaves_this_machine(sendgrid: SendGridAPIClient, standin: Standin) -> None:
    mail_id = answered_mail(sendgrid, standin)  # its List-Unsubscribe names another host
    assert standin.post("act", mail_id=mail_id, act="one-click") == {"status": 0}


def test_a_spam_report_and_an_open_become_events(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    mail_id = answered_mail(sendgrid, standin)
    service.events(2)
    standin.post("act", mail_id=mail_id, act="open")  # opens are not told unless switched on
    standin.post("act", mail_id=mail_id, act="spam-report")
    assert service.events(3)[-1]["event"] == "spamreport"
    requests.delete(
        f"{standin.url}/v3/suppression/spam_reports/{BOX}", timeout=5, headers={"Authorization": "Bearer SG.tests"}
    )
    standin.post("switches", opens=1)
    sendgrid.client.mail.send.post(request_body=request_body(BOX))
    second = standin.mails(BOX)[-1]["id"]
    standin.post("act", mail_id=second, act="open")
    standin.post("act", mail_id=second, act="open")
    opened = [e for e in service.events(6) if e["event"] == "open"]
    assert len(opened) == 1
    assert opened[0]["delivery"] == "d0"
