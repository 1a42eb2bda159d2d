"""Email through SendGrid: the official client, one per thread, on a kept libcurl connection.

A request carries one body and up to 1000 recipients, so that what is common is written, sent and read once.
"""

import re
from threading import local
from typing import Any

import orjson
import python_http_client
from sendgrid import SendGridAPIClient

from service import clock, links, logs
from service.channels.base import EmailRecipient, EmailRequest, Outcome, Result
from service.channels.batches import halve, reply_address, reply_parts, split
from service.channels.errors import outcome_of_sendgrid_status
from service.channels.transport import Connection, Interrupted, Reply, Unsent, retry_after
from service.config import Settings

log = logs.get("sendgrid")

LARGEST = 19_000_000
"""Bytes of one request; the vendor takes 20 MB."""

_TRACKING = {
    # A rewritten link or a hidden picture would tell others what a member reads.
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


class _Answer:
    """A reply in the shape in which the official client reads one."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def getcode(self) -> int:
        return self._reply.status

    def read(self) -> bytes:
        return self._reply.body

    def info(self) -> dict[str, str]:
        return self._reply.headers


class _Wire:
    """The kept connection of one thread, and the body that leaves with the next request."""

    def __init__(self, timeout: float) -> None:
        self.connection = Connection(timeout)
        self.body = b""


class KeptClient(python_http_client.Client):  # type: ignore[misc]
    """The official client's transport, with its one request method going over a kept connection.

    The body lies ready on the wire, already encoded: the client would write it once more into a log line.
    """

    wire: _Wire

    def _build_client(self, name: str | None = None) -> "KeptClient":
        path = [*self._url_path, name] if name else self._url_path
        client = KeptClient(self.host, request_headers=dict(self.request_headers), version=self._version, url_path=path)
        client.wire = self.wire
        return client

    def _make_request(self, opener: Any, request: Any, timeout: float | None = None) -> _Answer:
        headers = dict(request.header_items())
        reply = self.wire.connection.request(request.get_method(), request.full_url, headers, self.wire.body, timeout)
        return _Answer(reply)


class _Line:
    """One official client with its own connection, for one thread."""

    def __init__(self, settings: Settings) -> None:
        api = SendGridAPIClient(settings.sendgrid_api_key, host=settings.sendgrid_api_url)
        client = KeptClient(api.host, request_headers=api._default_headers, version=3)
        client.wire = _Wire(settings.send_timeout)
        api.client = client
        self.api, self.wire = api, client.wire

    def post(self, body: bytes) -> Reply:
        """POST /v3/mail/send. Raises Unsent or Interrupted."""
        self.wire.body = body
        try:
            answer = self.api.client.mail.send.post(request_body={})
        finally:
            self.wire.body = b""
        return Reply(answer.status_code, answer.headers, answer.body)


class SendGridSender:
    """Sends email requests; may be shared by threads, each of which gets a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = local()
        self._lines: list[_Line] = []

    def send(self, request: EmailRequest) -> list[Result]:
        """Send one request and give a result for each of its recipients; never raises for what the provider does.

        A request beyond the vendor's limits leaves as several, each with an id of its own (see `batches.split`).
        """
        results: list[Result] = []
        waiting = split(request)
        while waiting:
            part = waiting.pop(0)
            body = orjson.dumps(payload(part, self._settings))
            divisible = len(part.recipients) > 1
            if divisible and len(body) > LARGEST:
                waiting[:0] = halve(part)
                continue
            try:
                reply = self._line().post(body)
            except Unsent:
                results += _all(part, Outcome.RETRY, "not_connected")
            except Interrupted:
                results += _all(part, Outcome.UNKNOWN, "interrupted")
            else:
                if divisible and reply.status == 413:
                    waiting[:0] = halve(part)
                else:
                    results += _judge(part, reply)
        return results

    def close(self) -> None:
        """Close every connection."""
        for line in self._lines:
            line.wire.connection.close()
        self._lines.clear()
        self._own = local()

    def _line(self) -> _Line:
        if not hasattr(self._own, "line"):
            self._own.line = _Line(self._settings)
            self._lines.append(self._own.line)
        line: _Line = self._own.line
        return line


def payload(request: EmailRequest, settings: Settings) -> dict[str, Any]:
    """The JSON of one mail/send, for a request within the limits (`batches.split`)."""
    reply_to, swap = _reply_to(request)
    content: dict[str, Any] = {
        "personalizations": [_personalization(request, r, swap) for r in request.recipients],
        "from": {"email": settings.sendgrid_from, **({"name": request.from_name} if request.from_name else {})},
        "subject": request.subject,
        "content": [{"type": "text/plain", "value": request.text}, {"type": "text/html", "value": request.html}],
        "tracking_settings": _TRACKING,
    }
    if reply_to:
        content["reply_to"] = {"email": reply_to}
    if request.category:
        content["categories"] = [request.category]
    return content


def _personalization(request: EmailRequest, recipient: EmailRecipient, swap: str) -> dict[str, Any]:
    # The delivery's number and nothing else: what stands here is kept long at the vendor.
    one: dict[str, Any] = {
        "to": [{"email": recipient.to}],
        "custom_args": {"d": str(recipient.delivery_id), "r": request.request_id},
    }
    if recipient.first_name and (name := _UNSAFE_NAME.sub(" ", recipient.first_name).strip()):
        one["to"][0]["name"] = name
    if recipient.headers:
        one["headers"] = recipient.headers
    if swap:
        one["substitutions"] = {**recipient.substitutions, swap: reply_parts(reply_address(request, recipient))[1]}
    elif recipient.substitutions:
        one["substitutions"] = recipient.substitutions
    return one


_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f,;<>\"@]+")


def _reply_to(request: EmailRequest) -> tuple[str, str]:
    """The reply address of a request, and the part of it that is substituted for each recipient, if any.

    A request has one reply address. The vendor substitutes in it, and the part that is substituted is itself a
    signed token of the batch, so a reply finds its way even where that did not happen
    (docs/decisions/0004-reply-to-in-batches.md).
    """
    addresses = {reply_address(request, recipient) for recipient in request.recipients}
    if len(addresses) == 1:
        return next(iter(addresses)) or "", ""
    first = request.recipients[0]
    prefix, _, domain = reply_parts(reply_address(request, first))
    shared = reply_parts(request.reply_to)
    swap = shared[1] if shared[2] == domain else ""
    swap = swap or links.reply_token("batch", str(first.delivery_id))
    return f"{prefix}{swap}@{domain}", swap


def _all(request: EmailRequest, outcome: Outcome, code: str | None, **more: Any) -> list[Result]:
    return [Result(r.delivery_id, outcome, code=code, **more) for r in request.recipients]


def _judge(request: EmailRequest, reply: Reply) -> list[Result]:
    """A result for each recipient from one answer; what 4xx and 5xx mean is in `errors.py`."""
    status = reply.status
    if 200 <= status < 300:
        message_id = reply.headers.get("x-message-id") or None
        return _all(request, Outcome.ACCEPTED, None, provider_id=message_id)
    wait = _wait(reply)
    if status == 429:
        return _all(request, Outcome.RETRY, "429", retry_after=wait, slow_down=True)
    if status == 503 and "retry-after" in reply.headers:
        return _all(request, Outcome.RETRY, "503", retry_after=wait)
    if status == 400:
        return _judge_refusal(request, reply)
    return _all(request, outcome_of_sendgrid_status(status), str(status))


_PLACE = re.compile(r"personalizations[.\[](\d+)\]?(.*)")


def _judge_refusal(request: EmailRequest, reply: Reply) -> list[Result]:
    """A 400 refuses the whole request; if it names recipients, only those fail and the rest may be sent again."""
    offenders: dict[int, Result] = {}
    fields = list(_fields(reply.body))
    for named in fields:
        place = _PLACE.match(named)
        if place and int(place[1]) < len(request.recipients):
            index, address = int(place[1]), ".to" in place[2]
            outcome, code = (Outcome.UNREACHABLE, "invalid_address") if address else (Outcome.FAILED, "400")
            offenders[index] = Result(request.recipients[index].delivery_id, outcome, code=code)
    if offenders:
        return [
            offenders.get(index) or Result(recipient.delivery_id, Outcome.RETRY, code="not_started")
            for index, recipient in enumerate(request.recipients)
        ]
    log.warning("mail_refused", fields=fields[:5], request=request.request_id)
    ours = any(field.startswith(("from", "reply_to", "categories", "tracking_settings")) for field in fields)
    return _all(request, Outcome.CONFIGURATION if ours else Outcome.FAILED, "400")


def _fields(body: bytes) -> list[str]:
    """The `field` of each error in a refusal; empty when the body cannot be read."""
    try:
        errors = orjson.loads(body)["errors"]
        return [str(error.get("field") or "") for error in errors]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return []


def _wait(reply: Reply) -> float | None:
    """Seconds to wait: X-RateLimit-Reset is a moment in Unix seconds, Retry-After a number of seconds or a date."""
    try:
        return max(0.0, float(reply.headers["x-ratelimit-reset"]) - clock.now().timestamp())
    except (KeyError, ValueError):
        return retry_after(reply.headers)
