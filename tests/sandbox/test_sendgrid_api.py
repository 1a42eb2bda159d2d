"""Mails through the official `sendgrid` package: a thousand people in one request, each with a mail of their own."""

import gzip
import json
from typing import Any

import pytest
import requests
from python_http_client.exceptions import BadRequestsError, ForbiddenError, UnauthorizedError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail

from tests.sandbox.standin import API_KEY, Standin, request_body


def send(client: SendGridAPIClient, body: Any) -> Any:
    return client.client.mail.send.post(request_body=body)


def test_each_recipient_gets_a_mail_of_their_own(sendgrid: SendGridAPIClient, standin: Standin) -> None:
    answer = send(sendgrid, request_body("ana@members.example", "Ben@members.example"))
    assert answer.status_code == 202
    assert answer.body == b""
    assert len(answer.headers["X-Message-Id"]) == 22

    (ben,) = standin.mails("ben@members.example")
    assert ben["subject"] == "A story for N1"
    assert ben["text"] == "Hello N1, one line."
    assert ben["html"] == "<p>Hello <b>N1</b></p>"
    assert ben["reply_to"] == "reply+tok1@reply.circle.example"
    assert ben["custom_args"] == {"delivery": "d1"}
    assert ben["one_click_url"] == "https://never.example/u/tok1"
    headers = dict(ben["headers"])
    assert headers["From"] == "Hearthline <hello@circle.example>"
    assert headers["To"] == "Name 1 <Ben@members.example>"
    assert headers["List-Unsubscribe"] == "<https://never.example/u/tok1>"
    assert standin.mails("ana@members.example")[0]["text"] == "Hello N0, one line."


def test_substitutions_do_not_feed_one_another_and_the_longest_tag_wins(
    sendgrid: SendGridAPIClient, standin: Standin
) -> None:
    person = {"to": [{"email": "ana@members.example"}], "substitutions": {"-a-": "-b-", "-b-": "x", "-a-b": "long"}}
    body = request_body(personalizations=[person], content=[{"type": "text/plain", "value": "-a- -b- -a-b"}])
    send(sendgrid, body | {"reply_to": {"email": "r@reply.circle.example"}, "subject": "s"})
    assert standin.mails("ana@members.example")[0]["text"] == "-b- x long"


def test_the_mail_helper_works_too(sendgrid: SendGridAPIClient, standin: Standin) -> None:
    mail = Mail("hello@circle.example", ["ana@members.example", "ben@members.example"], "Hi", "text", "<p>html</p>")
    assert sendgrid.send(mail).status_code == 202
    assert standin.get("counts")["mails"] == {"ana@members.example": 1, "ben@members.example": 1}


def test_a_thousand_recipients_each_exactly_once(sendgrid: SendGridAPIClient, standin: Standin) -> None:
    people = [f"m{i}@members.example" for i in range(1000)]
    send(sendgrid, request_body(*people))
    assert standin.get("counts?contains=A%20story")["mails"] == dict.fromkeys(people, 1)
    assert standin.get("counts?contains=nothing")["mails"] == {}


def test_sandbox_mode_checks_and_sends_nothing(sendgrid: SendGridAPIClient, standin: Standin) -> None:
    body = request_body("ana@members.example", mail_settings={"sandbox_mode": {"enable": True}})
    assert send(sendgrid, body).status_code == 200
    assert standin.get("counts")["mails"] == {}


def _with(**change: Any) -> dict[str, Any]:
    body = request_body("ana@members.example")
    body["personalizations"][0] |= change
    return body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (request_body(personalizations=None), "personalizations"),
        (request_body(personalizations=[]), "personalizations"),
        (request_body(*[f"m{i}@x.example" for i in range(1001)]), "personalizations"),
        (_with(to=[]), "personalizations.0.to"),
        (_with(to=[{"email": "nobody"}]), "personalizations.0.to.0.email"),
        (_with(cc=[{"email": "ANA@members.example"}]), "personalizations.0"),
        (request_body("ana@members.example", "ana@members.example"), "personalizations.1"),
        (_with(substitutions={"-n-": 5}), "personalizations.0.substitutions.-n-"),
        (_with(substitutions={"-n-": "x" * 10_001}), "personalizations.0.substitutions"),
        (_with(custom_args={"d": 5}), "personalizations.0.custom_args.d"),
        (_with(custom_args={"d": "x" * 10_001}), "personalizations.0.custom_args"),
        (_with(headers={"Reply-To": "x@y.example"}), "personalizations.0.headers.Reply-To"),
        (_with(headers={"X-A": "a\r\nBcc: x@y.example"}), "personalizations.0.headers.X-A"),
        (_with(subject=""), "personalizations.0.subject"),
        (request_body("ana@members.example", **{"from": None}), "from.email"),
        (request_body("ana@members.example", **{"from": {"email": "x"}}), "from.email"),
        (request_body("ana@members.example", reply_to={"email": "x"}), "reply_to.email"),
        (request_body("ana@members.example", subject=None), "subject"),
        (request_body("ana@members.example", content=None), "content"),
        (request_body("ana@members.example", content=[{"type": "text/plain", "value": ""}]), "content.0.value"),
        (
            request_body(
                "ana@members.example",
                content=[{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}],
            ),
            "content",
        ),
        (request_body("ana@members.example", headers={"subject": "x"}), "headers.subject"),
        (request_body("ana@members.example", categories=[str(i) for i in range(11)]), "categories"),
        (request_body("ana@members.example", send_at=9_999_999_999), "send_at"),
        (request_body("ana@members.example", template_id="d-1"), "template_id"),
    ],
)
def test_what_sendgrid_refuses_names_the_field(
    sendgrid: SendGridAPIClient, standin: Standin, body: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadRequestsError) as caught:
        send(sendgrid, body)
    errors = caught.value.to_dict["errors"]
    assert field in [error["field"] for error in errors], errors
    assert all(error["message"] for error in errors)
    assert standin.get("counts")["mails"] == {}


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b""])
def test_what_is_no_json_object_is_a_bad_request(standin: Standin, raw: bytes) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    answer = requests.post(f"{standin.url}/v3/mail/send", data=raw, headers=headers, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"] == "Bad Request"


def test_a_gzipped_request_is_taken(standin: Standin) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json", "Content-Encoding": "gzip"}
    raw = gzip.compress(json.dumps(request_body("ana@members.example")).encode())
    assert requests.post(f"{standin.url}/v3/mail/send", data=raw, headers=headers, timeout=5).status_code == 202
    broken = requests.post(f"{standin.url}/v3/mail/send", data=raw[:40], headers=headers, timeout=5)
    assert broken.status_code == 400


def test_a_wrong_key_is_401_and_an_unverified_sender_403(sendgrid: SendGridAPIClient, standin: Standin) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        send(SendGridAPIClient("SG.wrong", host=standin.url), request_body("ana@members.example"))
    assert "authorization grant is invalid" in caught.value.to_dict["errors"][0]["message"]
    with pytest.raises(ForbiddenError):
        send(sendgrid, request_body("ana@members.example", **{"from": {"email": "me@elsewhere.example"}}))


def test_a_bounced_address_is_dropped_until_it_leaves_the_list(sendgrid: SendGridAPIClient, standin: Standin) -> None:
    standin.provoke("bounce", "email")
    for _ in range(2):
        send(sendgrid, request_body("ana@members.example"))
    assert [m["state"] for m in standin.mails("ana@members.example")] == ["bounce", "dropped"]
    listed = json.loads(sendgrid.client.suppression.bounces.get().body)
    assert [entry["email"] for entry in listed] == ["ana@members.example"]
    assert sendgrid.client.suppression.bounces._("ana@members.example").delete().status_code == 204
    send(sendgrid, request_body("ana@members.example"))
    assert standin.mails("ana@members.example")[-1]["state"] == "delivered"
