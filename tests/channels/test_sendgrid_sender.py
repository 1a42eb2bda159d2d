"""Emails through the official client: what a request looks like, how it is divided, and what each answer means."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from service import clock, links
from service.channels import sendgrid
from service.channels.base import EmailRecipient, EmailRequest, Outcome, Result
from service.channels.sendgrid import SendGridSender
from service.config import Settings

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
# From the published schema of mail/send.
TOP_LEVEL = {
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id",
    "headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings",
    "tracking_settings",
}  # fmt: skip
PERSONAL = {
    "from", "to", "cc", "bcc", "subject", "headers", "substitutions", "dynamic_template_data", "custom_args", "send_at",
}  # fmt: skip
RESERVED = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
}  # fmt: skip


def follows_the_schema(mail: dict[str, Any]) -> None:
    """The rules of the published schema and its notes that a request of ours could break."""
    assert set(mail) <= TOP_LEVEL
    assert 1 <= len(mail["personalizations"]) <= 1000
    addresses = [to["email"].lower() for p in mail["personalizations"] for to in p["to"]]
    assert max(Counter(addresses).values()) == 1
    assert mail["subject"]
    assert [c["type"] for c in mail["content"]] == ["text/plain", "text/html"]
    assert all(c["value"] for c in mail["content"])
    assert len(mail.get("categories", [])) <= 10
    for personal in mail["personalizations"]:
        assert set(personal) <= PERSONAL
        assert all(set(to) <= {"email", "name"} for to in personal["to"])
        assert not {h.lower() for h in personal.get("headers", {})} & RESERVED
        strings = {**personal.get("substitutions", {}), **personal["custom_args"], **personal.get("headers", {})}
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in strings.items())
        assert sum(len((k + v).encode()) for k, v in personal.get("substitutions", {}).items()) <= 10_000
    tracking = mail["tracking_settings"]
    assert not any(tracking[kind]["enable"] for kind in ("click_tracking", "open_tracking", "subscription_tracking"))
    assert tracking["click_tracking"]["enable_text"] is False


def person(number: int, **changes: Any) -> EmailRecipient:
    values: dict[str, Any] = {
        "delivery_id": number,
        "to": f"m{number}@example.org",
        "first_name": "Ana",
        "substitutions": {"tokenforname": "Ana"},
        "headers": {
            "List-Unsubscribe": f"<https://hearth.example/u/{number}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    }
    return EmailRecipient(**(values | changes))


def mail(recipients: list[EmailRecipient], **changes: Any) -> EmailRequest:
    values: dict[str, Any] = {
        "request_id": "req-1", "subject": "Hi tokenforname",
        "text": "Hi tokenforname", "html": "<p>Hi tokenforname</p>",
        "recipients": recipients, "from_name": "Hearthline", "category": "story",
    }  # fmt: skip
    return EmailRequest(**(values | changes))


@pytest.fixture
def make(provider: Any, configure: Callable[..., Settings]) -> Iterator[Callable[..., SendGridSender]]:
    senders: list[SendGridSender] = []

    def new(**changes: Any) -> SendGridSender:
        senders.append(SendGridSender(configure(**({"sendgrid_api_url": provider.url, "send_timeout": 1.0} | changes))))
        return senders[-1]

    provider.always(202, None, {"X-Message-Id": "14c5d75ce93"})
    yield new
    provider.released.set()
    for sender in senders:
        sender.close()


def outcomes(results: list[Result]) -> dict[int, Outcome]:
    assert len({r.delivery_id for r in results}) == len(results)
    return {r.delivery_id: r.outcome for r in results}


def test_one_request_carries_everybody_and_each_ones_own_parts(make: Any, provider: Any) -> None:
    results = make().send(mail([person(1), person(2, first_name=None, substitutions={"tokenforname": "friend"})]))
    assert results == [Result(n, Outcome.ACCEPTED, provider_id="14c5d75ce93") for n in (1, 2)]
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/v3/mail/send")
    assert request.headers["authorization"] == "Bearer SG.for-tests"
    assert request.headers["content-type"] == "application/json"
    follows_the_schema(request.json)
    first, second = request.json["personalizations"]
    assert first["to"] == [{"email": "m1@example.org", "name": "Ana"}]
    assert second["to"] == [{"email": "m2@example.org"}]
    assert first["custom_args"] == {"d": "1", "r": "req-1"}
    assert second["substitutions"] == {"tokenforname": "friend"}
    assert first["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert request.json["from"] == {"email": "hello@hearthline.example", "name": "Hearthline"}
    assert request.json["categories"] == ["story"]
    assert "reply_to" not in request.json


def test_a_name_cannot_add_another_recipient(make: Any, provider: Any) -> None:
    make().send(mail([person(1, first_name='Ana" <x@evil.example>, B;\r\nBcc: y')]))
    name = provider.requests[0].json["personalizations"][0]["to"][0]["name"]
    assert not set(name) & set('",;<>@\r\n')


def test_an_address_goes_once_in_a_request_and_every_delivery_still_leaves(make: Any, provider: Any) -> None:
    shared = [person(1), person(2, to="M1@Example.org"), person(3), person(4, to="m1@example.org")]
    assert outcomes(make().send(mail(shared))) == dict.fromkeys((1, 2, 3, 4), Outcome.ACCEPTED)
    for request in provider.requests:
        follows_the_schema(request.json)
    sent = [p["custom_args"] for r in provider.requests for p in r.json["personalizations"]]
    assert sorted(args["d"] for args in sent) == ["1", "2", "3", "4"]
    assert {args["r"] for args in sent} == {"req-1.1", "req-1.2", "req-1.3"}


def test_more_than_a_thousand_go_as_several_requests(make: Any, provider: Any) -> None:
    results = make().send(mail([person(n) for n in range(2300)]))
    assert outcomes(results) == dict.fromkeys(range(2300), Outcome.ACCEPTED)
    assert [len(r.json["personalizations"]) for r in provider.requests] == [1000, 1000, 300]
    assert provider.connections == 1


def test_each_member_has_a_reply_address_of_their_own_in_one_request(make: Any, provider: Any) -> None:
    sender = make()
    own = {n: links.reply_token("d", str(n)) for n in (1, 2, 3)}
    sender.send(mail([person(n, reply_to=f"reply+{own[n]}@replies.example") for n in own]))
    (request,) = provider.requests
    follows_the_schema(request.json)
    local, domain = request.json["reply_to"]["email"].split("@")
    tag = local.removeprefix("reply+")
    assert domain == "replies.example"
    assert len(local) <= 64  # RFC 5321
    assert links.read_reply_token(tag) == ("batch", "1")  # where nothing is substituted the batch is still known
    for n, personal in zip(own, request.json["personalizations"], strict=True):
        assert personal["substitutions"][tag] == own[n]
        assert personal["substitutions"]["tokenforname"] == "Ana"


def test_an_address_of_the_request_is_for_those_without_one_and_names_the_batch(make: Any, provider: Any) -> None:
    sender = make()
    campaign = f"reply+{links.reply_token('c', 'a' * 32)}@replies.example"
    sender.send(mail([person(1), person(2)], reply_to=campaign))
    assert provider.requests[0].json["reply_to"] == {"email": campaign}
    own = f"reply+{links.reply_token('d', '2')}@replies.example"
    sender.send(mail([person(1), person(2, reply_to=own)], reply_to=campaign))
    request = provider.requests[1].json
    assert request["reply_to"] == {"email": campaign}
    tag = campaign.split("@")[0].removeprefix("reply+")
    swapped = [p["substitutions"][tag] for p in request["personalizations"]]
    assert [f"reply+{token}@replies.example" for token in swapped] == [campaign, own]


def test_who_has_more_than_the_vendor_substitutes_gets_a_request_alone(make: Any, provider: Any) -> None:
    long = "ñ" * 4_600
    results = make().send(mail([person(1), person(2, substitutions={"tokenforname": long}), person(3)]))
    assert outcomes(results) == dict.fromkeys((1, 2, 3), Outcome.ACCEPTED)
    together, alone = (r.json for r in provider.requests)
    follows_the_schema(together)
    follows_the_schema(alone)
    assert [p["custom_args"]["d"] for p in together["personalizations"]] == ["1", "3"]
    assert alone["subject"] == f"Hi {long}"
    assert alone["content"][1]["value"] == f"<p>Hi {long}</p>"
    assert "substitutions" not in alone["personalizations"][0]


def test_the_batch_token_fits_the_longest_delivery_number(make: Any) -> None:
    make()
    assert len("reply+" + links.reply_token("batch", str(2**63 - 1))) <= 64


def test_one_recipient_or_a_shared_address_is_named_as_it_is(make: Any, provider: Any) -> None:
    sender = make()
    sender.send(mail([person(1, reply_to="reply+abc@replies.example")]))
    sender.send(mail([person(1, reply_to="team@hearth.example"), person(2, reply_to="team@hearth.example")]))
    assert [r.json["reply_to"]["email"] for r in provider.requests] == [
        "reply+abc@replies.example", "team@hearth.example",
    ]  # fmt: skip


def test_reply_addresses_that_one_request_cannot_carry_go_in_several(make: Any, provider: Any) -> None:
    addresses = ["reply+a1@one.example", "reply+b2@two.example", "team@one.example", None, "reply+c3@one.example"]
    results = make().send(mail([person(n, reply_to=a) for n, a in enumerate(addresses)]))
    assert len(results) == 5
    assert [len(r.json["personalizations"]) for r in provider.requests] == [2, 1, 1, 1]
    for request in provider.requests:
        follows_the_schema(request.json)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, Result(1, Outcome.ACCEPTED)),
        (202, {"X-Message-Id": "abc"}, Result(1, Outcome.ACCEPTED, "abc")),
        (401, {}, Result(1, Outcome.CONFIGURATION, None, "401")),
        (403, {}, Result(1, Outcome.CONFIGURATION, None, "403")),
        (404, {}, Result(1, Outcome.CONFIGURATION, None, "404")),
        (405, {}, Result(1, Outcome.CONFIGURATION, None, "405")),
        (415, {}, Result(1, Outcome.CONFIGURATION, None, "415")),
        (302, {"Location": "http://127.0.0.1:9"}, Result(1, Outcome.CONFIGURATION, None, "302")),
        (413, {}, Result(1, Outcome.FAILED, None, "413")),
        (422, {}, Result(1, Outcome.FAILED, None, "422")),
        (408, {}, Result(1, Outcome.UNKNOWN, None, "408")),
        (429, {"X-RateLimit-Reset": str(int(NOON.timestamp()) + 30)}, Result(1, Outcome.RETRY, None, "429", 30, True)),
        (429, {"Retry-After": "4"}, Result(1, Outcome.RETRY, None, "429", 4, True)),
        (429, {}, Result(1, Outcome.RETRY, None, "429", None, True)),
        (503, {"Retry-After": "7"}, Result(1, Outcome.RETRY, None, "503", 7)),
        (503, {}, Result(1, Outcome.UNKNOWN, None, "503")),
        (500, {}, Result(1, Outcome.UNKNOWN, None, "500")),
        (504, {}, Result(1, Outcome.UNKNOWN, None, "504")),
    ],
)
def test_each_status_of_the_taxonomy(
    make: Any, provider: Any, status: int, headers: dict[str, str], expected: Result
) -> None:
    provider.always(status, {"errors": [{"message": "theirs", "field": None, "help": None}]}, headers)
    with clock.frozen_at(NOON):
        assert make().send(mail([person(1)])) == [expected]
    assert len(provider.requests) == 1


def test_a_refusal_that_names_recipients_fails_only_those(make: Any, provider: Any) -> None:
    errors = [
        {"message": "Does not contain a valid address.", "field": "personalizations.1.to.0.email", "help": "…"},
        {"message": "too long", "field": "personalizations.3.substitutions", "help": None},
        {"message": "beyond", "field": "personalizations.44.to", "help": None},
    ]
    provider.always(400, {"errors": errors})
    results = make().send(mail([person(n) for n in range(5)]))
    assert results == [
        Result(0, Outcome.RETRY, code="not_started"),
        Result(1, Outcome.UNREACHABLE, code="invalid_address"),
        Result(2, Outcome.RETRY, code="not_started"),
        Result(3, Outcome.FAILED, code="400"),
        Result(4, Outcome.RETRY, code="not_started"),
    ]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"errors": [{"field": "from.email", "message": "not verified"}]}, Outcome.CONFIGURATION),
        ({"errors": [{"field": "content.0.value", "message": "empty"}]}, Outcome.FAILED),
        ({"errors": [{"field": None, "message": "?"}]}, Outcome.FAILED),
        ({"errors": None}, Outcome.FAILED),
        ([], Outcome.FAILED),
        (b"not json", Outcome.FAILED),
    ],
)
def test_a_refusal_of_the_whole(make: Any, provider: Any, body: Any, outcome: Outcome) -> None:
    provider.always(400, body)
    assert outcomes(make().send(mail([person(1), person(2)]))) == dict.fromkeys((1, 2), outcome)


def test_a_request_that_is_too_large_is_halved_until_it_fits(make: Any, provider: Any) -> None:
    def answer(request: Any) -> Any:
        few = len(request.json["personalizations"]) <= 2
        return provider.Answer(202 if few else 413)

    provider.answer = answer
    assert outcomes(make().send(mail([person(n) for n in range(8)]))) == dict.fromkeys(range(8), Outcome.ACCEPTED)
    taken = [r.json for r in provider.requests if len(r.json["personalizations"]) <= 2]
    ids = [p["custom_args"]["r"] for m in taken for p in m["personalizations"]]
    assert sorted(set(ids)) == ["req-1.1.1", "req-1.1.2", "req-1.2.1", "req-1.2.2"]


def test_what_we_know_to_be_too_large_is_not_tried(make: Any, provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendgrid, "LARGEST", 3_000)
    results = make().send(mail([person(n) for n in range(30)]))
    assert outcomes(results) == dict.fromkeys(range(30), Outcome.ACCEPTED)
    assert all(len(r.body) <= 3_000 for r in provider.requests)
    assert len(provider.requests) >= 3


def test_a_large_body_arrives_whole(make: Any, provider: Any) -> None:
    story = "".join(f"<p>{n} – ñandú</p>" for n in range(150_000))
    make(send_timeout=10).send(mail([person(1)], html=story))
    assert provider.requests[0].json["content"][1]["value"] == story
    assert len(provider.requests[0].body) > 2_000_000


@pytest.mark.parametrize("how", ["close", "reset", "hang"])
def test_an_answer_that_does_not_come_leaves_all_of_them_unknown(make: Any, provider: Any, how: str) -> None:
    sender = make(send_timeout=0.4)
    sender.send(mail([person(1)]))
    provider.always(202, None, {}, how)
    results = sender.send(mail([person(2), person(3)]))
    assert results == [Result(n, Outcome.UNKNOWN, code="interrupted") for n in (2, 3)]
    assert len(provider.requests) == 2


def test_when_one_part_is_refused_the_others_keep_their_own_outcome(make: Any, provider: Any) -> None:
    provider.answer = lambda request: provider.Answer(202 if len(provider.requests) == 1 else 500)
    results = make().send(mail([person(1), person(2, to="m1@example.org")]))
    assert outcomes(results) == {1: Outcome.ACCEPTED, 2: Outcome.UNKNOWN}


def test_where_nobody_listens_nothing_has_left(make: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sender = make(sendgrid_api_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert sender.send(mail([person(1)])) == [Result(1, Outcome.RETRY, code="not_connected")]


def test_threads_share_a_sender_and_not_a_connection(make: Any, provider: Any) -> None:
    sender = make()
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        for n in range(5):
            sender.send(mail([person(number * 100 + n)], request_id=f"t{number}-{n}"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [p["custom_args"] for r in provider.requests for p in r.json["personalizations"]]
    assert sorted(a["r"] for a in sent) == sorted(f"t{t}-{n}" for t in range(4) for n in range(5))
    assert provider.connections <= 4


def test_no_words_and_no_address_are_in_a_representation() -> None:
    shown = repr(mail([person(1)]))
    assert "@" not in shown
    assert "tokenforname" not in shown
