"""Texts through the official client: each answer that Twilio may give, and each way in which it may give none."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import clock
from service.channels.base import Outcome, Result, SendError, Text
from service.channels.errors import TWILIO_CODES
from service.channels.transport import form
from service.channels.twilio import TwilioSender
from service.config import Settings

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def created(request: Any, sid: str | None = None, **changes: Any) -> dict[str, Any]:
    """A Message resource as Twilio answers a create."""
    return {
        "account_sid": "AC" + "0" * 32, "api_version": "2010-04-01", "body": request.form["Body"],
        "date_created": "Tue, 03 Mar 2026 12:00:00 +0000", "date_sent": None,
        "date_updated": "Tue, 03 Mar 2026 12:00:00 +0000", "direction": "outbound-api", "error_code": None,
        "error_message": None, "from": None, "messaging_service_sid": "MG" + "2" * 32, "num_media": "0",
        "num_segments": "1", "price": None, "price_unit": None, "sid": sid or f"SM{next(_numbers):032x}",
        "status": "accepted", "subresource_uris": {}, "to": request.form["To"], "uri": "/2010-04-01/x.json", **changes,
    }  # fmt: skip


def refusal(code: int, status: int = 400) -> dict[str, Any]:
    return {"code": code, "message": "words of theirs", "more_info": "https://www.twilio.com", "status": status}


def text(number: int = 1, body: str = "Hi Ana, how are you today?") -> Text:
    return Text(number, f"+1202555{number:04d}", body, f"token-{number}")


@pytest.fixture
def make(provider: Any, configure: Callable[..., Settings]) -> Iterator[Callable[..., TwilioSender]]:
    senders: list[TwilioSender] = []

    def new(**changes: Any) -> TwilioSender:
        settings = {"twilio_api_url": provider.url, "twilio_concurrency": 2, "send_timeout": 1.0} | changes
        senders.append(TwilioSender(configure(**settings)))
        return senders[-1]

    provider.answer = lambda request: provider.Answer(201, created(request))
    yield new
    provider.released.set()
    for sender in senders:
        sender.close()


def one(sender: TwilioSender, body: str = "Hi") -> Result:
    (result,) = sender.send([text(7, body)])
    assert result.delivery_id == 7
    return result


def test_a_text_is_accepted_with_the_fields_that_twilio_publishes(make: Any, provider: Any) -> None:
    result = one(make(), "Mañana a las 7 & más ✨")
    assert result == Result(7, Outcome.ACCEPTED, provider_id=result.provider_id)
    assert result.provider_id
    assert result.provider_id.startswith("SM")
    (request,) = provider.requests
    assert request.path == f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.form == {
        "To": "+12025550007",
        "Body": "Mañana a las 7 & más ✨",
        "MessagingServiceSid": "MG" + "2" * 32,
        "StatusCallback": "http://localhost:8000/webhooks/twilio/status?d=token-7#rc=5&rp=all",
    }


def test_without_a_messaging_service_the_number_is_named(make: Any, provider: Any) -> None:
    one(make(twilio_messaging_service_sid="", twilio_from="+15005550006"))
    assert provider.requests[0].form["From"] == "+15005550006"
    assert "MessagingServiceSid" not in provider.requests[0].form


@pytest.mark.parametrize(("code", "outcome"), TWILIO_CODES.items())
def test_each_code_of_the_taxonomy(make: Any, provider: Any, code: str, outcome: Outcome) -> None:
    provider.always(400, refusal(int(code)))
    result = one(make())
    assert (result.outcome, result.code) == (outcome, code)
    assert result.slow_down == (code in {"20429", "21611", "30001", "30022", "63017"})


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (429, refusal(20429, 429), {"Retry-After": "3"}, Result(7, Outcome.RETRY, None, "20429", 3.0, True)),
        (429, b"slow down", {}, Result(7, Outcome.RETRY, None, "429", None, True)),
        (503, b"", {"Retry-After": "2.5"}, Result(7, Outcome.RETRY, None, "503", 2.5)),
        (503, b"", {}, Result(7, Outcome.UNKNOWN, None, "503")),
        (500, refusal(20500, 500), {}, Result(7, Outcome.UNKNOWN, None, "20500")),
        (502, b"<html>bad gateway</html>", {}, Result(7, Outcome.UNKNOWN, None, "502")),
        (504, b"", {"Retry-After": "1"}, Result(7, Outcome.UNKNOWN, None, "504")),
        (408, b"", {}, Result(7, Outcome.UNKNOWN, None, "408")),
        (401, refusal(20003, 401), {}, Result(7, Outcome.CONFIGURATION, None, "20003")),
        (403, refusal(99999, 403), {}, Result(7, Outcome.CONFIGURATION, None, "99999")),
        (404, b"not here", {}, Result(7, Outcome.CONFIGURATION, None, "404")),
        (302, b"", {"Location": "http://127.0.0.1:9/"}, Result(7, Outcome.CONFIGURATION, None, "302")),
        (400, refusal(12345), {}, Result(7, Outcome.FAILED, None, "12345")),
        (400, b"not json", {}, Result(7, Outcome.FAILED, None, "400")),
        (201, b"{ not json", {}, Result(7, Outcome.UNKNOWN, None, "unreadable")),
        (201, {"status": "queued"}, {}, Result(7, Outcome.UNKNOWN, None, "unreadable")),
        (201, [], {}, Result(7, Outcome.UNKNOWN, None, "unreadable")),
        (204, b"", {}, Result(7, Outcome.UNKNOWN, None, "unreadable")),
    ],
)  # fmt: skip
def test_each_status_of_the_taxonomy(
    make: Any, provider: Any, status: int, body: Any, headers: dict[str, str], expected: Result
) -> None:
    provider.always(status, body, headers)
    assert one(make()) == expected
    assert len(provider.requests) == 1


def test_an_error_in_the_newer_format_is_read_too(make: Any, provider: Any) -> None:
    problem = {"type": "https://www.twilio.com/docs/errors/21610", "title": "Stopped", "status": 400, "code": 21610}
    provider.always(400, problem)
    assert one(make()).outcome is Outcome.STOPPED


def test_retry_after_may_be_a_date(make: Any, provider: Any) -> None:
    provider.always(503, b"", {"Retry-After": format_datetime(NOON + timedelta(seconds=40), usegmt=True)})
    with clock.frozen_at(NOON):
        assert one(make()).retry_after == 40


@pytest.mark.parametrize("how", ["close", "reset", "half", "hang"])
def test_an_answer_that_does_not_come_leaves_the_outcome_unknown(make: Any, provider: Any, how: str) -> None:
    provider.answer = lambda request: provider.Answer(201, created(request), how=how)
    result = one(make(send_timeout=0.4))
    assert (result.outcome, result.code) == (Outcome.UNKNOWN, "interrupted")
    assert len(provider.requests) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_kept_connection_that_breaks_is_never_sent_over_again(make: Any, provider: Any, how: str) -> None:
    """libcurl by itself repeats a request whose kept connection closed without a word: the text would go twice."""
    sender = make(twilio_concurrency=1)
    assert one(sender).outcome is Outcome.ACCEPTED
    provider.answer = lambda request: provider.Answer(201, created(request), how=how)
    assert one(sender).outcome is Outcome.UNKNOWN
    assert len(provider.requests) == 2
    assert provider.requests[0].client == provider.requests[1].client
    provider.answer = lambda request: provider.Answer(201, created(request))
    assert one(sender).outcome is Outcome.ACCEPTED


def test_a_connection_that_idled_out_costs_nothing(make: Any, provider: Any) -> None:
    sender = make(twilio_concurrency=1)
    provider.answer = lambda request: provider.Answer(201, created(request), {"Connection": "close"})
    assert [one(sender).outcome for _ in range(3)] == [Outcome.ACCEPTED] * 3


def test_where_nobody_listens_nothing_has_left(make: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connecting is refused
        sender = make(twilio_api_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert one(sender) == Result(7, Outcome.RETRY, code="not_connected")


def test_where_nobody_accepts_in_time_nothing_has_left(make: Any) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        result = one(make(twilio_api_url=f"http://127.0.0.1:{full.getsockname()[1]}", send_timeout=0.5))
        assert result == Result(7, Outcome.RETRY, code="not_connected")
        for other in waiting:
            other.close()


def test_tls_that_fails_means_that_nothing_has_left(make: Any, provider: Any) -> None:
    sender = make(twilio_api_url=provider.url.replace("http://", "https://"))
    assert one(sender) == Result(7, Outcome.RETRY, code="not_connected")
    assert provider.requests == []


def test_in_tests_nothing_beyond_this_machine_is_reached(make: Any) -> None:
    began = time.monotonic()
    assert one(make(twilio_api_url="http://192.0.2.1")) == Result(7, Outcome.RETRY, code="not_connected")
    assert time.monotonic() - began < 4  # a connection that is tried takes as long as its time-out


def test_a_text_that_cannot_be_written_as_utf8_fails_alone(make: Any, provider: Any) -> None:
    results = list(make().send([text(1, "\ud800"), text(2)]))
    assert {r.delivery_id: r.outcome for r in results} == {1: Outcome.FAILED, 2: Outcome.ACCEPTED}
    assert len(provider.requests) == 1


def test_many_texts_go_concurrently_over_few_connections_and_each_once(make: Any, provider: Any) -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def slowly(request: Any) -> Any:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.005)
        with lock:
            busy -= 1
        return provider.Answer(201, created(request))

    provider.answer = slowly
    results = list(make(twilio_concurrency=8).send([text(n) for n in range(200)]))
    assert sorted(r.delivery_id for r in results) == list(range(200))
    assert len({r.provider_id for r in results}) == 200
    assert sorted(r.form["To"] for r in provider.requests) == sorted(text(n).to for n in range(200))
    assert 5 <= most <= 8
    assert provider.connections <= 8


def test_every_text_is_recorded_before_it_leaves_and_only_what_was_kept_leaves(make: Any, provider: Any) -> None:
    recorded: list[int] = []

    def started(ids: Any) -> list[int]:
        recorded.extend(ids)
        return [i for i in ids if i % 3]  # every third was taken back, by an opt-out say

    def answer(request: Any) -> Any:
        assert int(request.form["To"][-4:]) in recorded
        return provider.Answer(201, created(request))

    provider.answer = answer
    results = list(make().send([text(n) for n in range(30)], started=started))
    assert sorted(r.delivery_id for r in results) == [n for n in range(30) if n % 3]
    assert recorded == list(range(30))


def test_a_group_that_was_wholly_taken_back_does_not_end_the_sending(make: Any) -> None:
    results = list(make().send([text(n) for n in range(12)], started=lambda ids: [i for i in ids if i >= 8]))
    assert sorted(r.delivery_id for r in results) == [8, 9, 10, 11]


def test_told_to_stop_it_gives_back_what_has_not_begun(make: Any, provider: Any) -> None:
    def slowly(request: Any) -> Any:
        time.sleep(0.02)
        return provider.Answer(201, created(request))

    provider.answer = slowly
    seen: list[Result] = []
    begun: list[int] = []
    sending = make().send(
        [text(n) for n in range(100)], started=begun.extend, stop=lambda: len(seen) >= 6, group=10
    )  # fmt: skip
    for result in sending:
        seen.append(result)
    assert sorted(r.delivery_id for r in seen) == sorted(begun)
    assert len(begun) < 100
    gone = {r.delivery_id for r in seen if r.outcome is Outcome.ACCEPTED}
    back = {r.delivery_id for r in seen if r == Result(r.delivery_id, Outcome.RETRY, code="not_started")}
    assert gone | back == set(begun)
    assert back
    assert {int(r.form["To"][-4:]) for r in provider.requests} == gone


def test_a_closed_sender_ends_its_threads(make: Any) -> None:
    before = threading.active_count()
    sender = make()
    one(sender)
    sender.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("twilio-")]
    assert threading.active_count() <= before + 2


def listed(sid: str, minutes: int, body: str = "Hi", **changes: Any) -> dict[str, Any]:
    request = type("R", (), {"form": {"Body": body, "To": "+12025550007"}})
    moment = format_datetime(NOON + timedelta(minutes=minutes))
    return created(request, sid=sid, date_created=moment, **changes)


def pages(provider: Any, *rows: list[dict[str, Any]]) -> None:
    def answer(request: Any) -> Any:
        page = int(request.query.get("Page", 0))
        following = f"{request.path}?To=%2B12025550007&Page={page + 1}" if page + 1 < len(rows) else None
        return provider.Answer(200, {"messages": rows[page], "next_page_uri": following, "page": page, "page_size": 2})

    provider.answer = answer


def test_finding_what_was_sent_asks_by_recipient_alone_and_turns_every_page(make: Any, provider: Any) -> None:
    pages(
        provider,
        [listed("SM1", 5, status="sent"), listed("SM2", 0, "Hello", error_code=30003)],
        [listed("SM3", -5)],
    )
    found = make().find("+12025550007", NOON)
    assert [(m.sid, m.body, m.status, m.error_code) for m in found] == [
        ("SM1", "Hi", "sent", None),
        ("SM2", "Hello", "accepted", "30003"),
    ]
    assert found[0].created_at == NOON + timedelta(minutes=5)
    assert [r.query.get("To") for r in provider.requests] == ["+12025550007"] * 2
    assert not any("date" in name.lower() for r in provider.requests for name in r.query)


@pytest.mark.parametrize(("status", "outcome"), [(500, Outcome.UNKNOWN), (429, Outcome.RETRY)])
def test_a_list_that_fails_is_never_taken_for_an_empty_one(
    make: Any, provider: Any, status: int, outcome: Outcome
) -> None:
    provider.always(status, b"")
    with pytest.raises(SendError) as caught:
        make().find("+12025550007", NOON)
    assert caught.value.outcome is outcome


@pytest.mark.parametrize("body", [b"{ not json", {}, {"messages": None}, b""])
def test_a_list_that_cannot_be_read_is_never_taken_for_an_empty_one(make: Any, provider: Any, body: Any) -> None:
    provider.always(200, body)
    with pytest.raises(SendError):
        make().find("+12025550007", NOON)


def test_redacting_and_deleting(make: Any, provider: Any) -> None:
    sid = "SM" + "a" * 32
    provider.answer = lambda request: (
        provider.Answer(204)
        if request.method == "DELETE"
        else provider.Answer(200, listed(sid, 0, "", status="delivered"))
    )
    sender = make()
    sender.redact(sid)
    sender.delete(sid)
    assert [(r.method, r.path.rsplit("/", 1)[1]) for r in provider.requests] == [
        ("POST", f"{sid}.json"),
        ("DELETE", f"{sid}.json"),
    ]
    assert provider.requests[0].form == {"Body": ""}
    provider.always(404, refusal(20404, 404))
    sender.delete(sid)
    with pytest.raises(SendError):
        sender.redact(sid)


def test_a_base_address_with_a_path_is_kept(make: Any, provider: Any) -> None:
    one(make(twilio_api_url=provider.url + "/stand-in/"))
    assert urlsplit(provider.requests[0].path).path.startswith("/stand-in/2010-04-01/Accounts/")


@given(
    st.dictionaries(st.sampled_from(["To", "Body", "Tag"]), st.one_of(st.text(), st.integers(), st.lists(st.text())))
)
def test_forms_are_written_as_the_standard_library_writes_them(data: dict[str, Any]) -> None:
    assert form(data) == urlencode(data, doseq=True).encode()


def test_the_words_of_a_text_are_in_no_representation() -> None:
    assert "how are you" not in repr(text())
    assert "+1202" not in repr(text())
    assert json.dumps(str(SendError(Outcome.STOPPED, "21610"))) == '"stopped (21610)"'
