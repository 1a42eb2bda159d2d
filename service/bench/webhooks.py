"""Webhooks: signed receipts against the real web server, stored and committed before they are answered."""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from service import links
from service.bench.figures import Figure
from service.bench.load import Call, fire
from service.bench.processes import until
from service.bench.world import World, free_port
from service.channels import signatures
from service.errors import Unavailable

IN_FLIGHT = 32
PER_SECOND = {"sqlite": 2_000, "postgresql": 1_500}
P99 = 50


def measure(world: World) -> list[Figure]:
    """Signed receipts of texts per second, and in how many milliseconds 99 of 100 are answered."""
    count = world.sizes.calls
    world.tell("signing receipts", 0, 1)
    path = f"{world.settings.base_url}/webhooks/twilio/status"
    signed = [_receipt(world, path, number) for number in range(count + 200)]
    check = _check_alone(world, min(count, 3_000))
    world.tell("an empty server", 0, 1)
    empty = _empty(world, signed[:count])
    with serving(world):
        fire(signed[count:], IN_FLIGHT)
        world.tell("receipts", 0, 1)
        fired = fire(signed[:count], IN_FLIGHT)
    if fired.statuses != {204: count}:
        raise Unavailable(f"Not every receipt was taken: {fired.statuses}, {fired.failed} failed.")
    note = f"{count:,} receipts, {IN_FLIGHT} in flight; the check of a signature alone: {check:,.0f}/s per core"
    database = world.database
    return [
        Figure(
            "webhooks", database, "stored and committed", fired.rate, "requests/s", "granian, empty answer", empty,
            PER_SECOND[database], note=note,
        ),
        Figure("webhooks", database, "answered within (p99)", fired.p99, "ms", goal=P99, at_least=False),
    ]  # fmt: skip


@contextmanager
def serving(world: World) -> Iterator[None]:
    """The real web server as long as the block, ready to answer."""
    with world.run("service.cli", "web") as child:
        until(lambda: _answers(f"{world.settings.base_url}/healthz"), child, what="the web server")
        yield


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own server
            return bool(answer.status < 300)
    except OSError:
        return False


def signed_form(world: World, url: str, form: dict[str, str]) -> Call:
    """A form post to `url` as Twilio signs it."""
    signature = RequestValidator(world.settings.twilio_auth_token).compute_signature(url, form)
    headers = (f"{signatures.TWILIO_HEADER}: {signature}", "Content-Type: application/x-www-form-urlencoded")
    return Call(url, headers, urlencode(form).encode())


def member_text(world: World, phone: str, words: str) -> Call:
    """A text that a member writes."""
    sid = f"SM{uuid4().hex}"
    form = {
        "AccountSid": world.settings.twilio_account_sid, "ApiVersion": "2010-04-01", "Body": words, "From": phone,
        "FromCountry": "US", "MessageSid": sid, "NumMedia": "0", "NumSegments": "1", "SmsMessageSid": sid,
        "MessagingServiceSid": world.settings.twilio_messaging_service_sid, "SmsSid": sid, "SmsStatus": "received",
        "To": "+12015550199",
    }  # fmt: skip
    return signed_form(world, f"{world.settings.base_url}/webhooks/twilio/message", form)


def _receipt(world: World, url: str, number: int) -> Call:
    sid = f"SM{uuid4().hex}"
    form = {
        "AccountSid": world.settings.twilio_account_sid, "ApiVersion": "2010-04-01", "From": "+12015550199",
        "MessageSid": sid, "MessageStatus": "delivered", "SmsSid": sid, "SmsStatus": "delivered", "To": "+12015550100",
        "MessagingServiceSid": world.settings.twilio_messaging_service_sid, "RawDlrDoneDate": "2611021200",
    }  # fmt: skip
    # No delivery has this number: that it is looked up and not found is the business of the worker.
    return signed_form(world, f"{url}?d={links.delivery_token(10**12 + number)}", form)


def _check_alone(world: World, count: int) -> float:
    """Signatures per second that one core checks."""
    url = f"{world.settings.base_url}/webhooks/twilio/status?d=abc"
    call = _receipt(world, url.partition("?")[0], 1)
    form = dict(parse_qsl(call.body.decode()))
    header = call.headers[0].partition(": ")[2]
    began = time.process_time()
    for _ in range(count):
        signatures.verify_twilio(world.settings.twilio_auth_token, call.url, form, header)
    return count / (time.process_time() - began)


def _empty(world: World, calls: list[Call]) -> float:
    """Requests per second that the same server answers when it does nothing with them."""
    port = free_port()
    with world.run("service.bench.empty", str(port)) as child:
        url = f"http://127.0.0.1:{port}/"
        until(lambda: _answers(url), child, what="the empty server")
        return fire([Call(url, call.headers, call.body) for call in calls], IN_FLIGHT).rate
