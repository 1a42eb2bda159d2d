"""The transports under the official Twilio client, and what an answer or the lack of one means.

Twilio has no idempotency key, so every failure is sorted by one question first: can the request have left?
"""

import logging
from typing import Any
from urllib.parse import urlencode

from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.http import AsyncHttpClient, HttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]

from service import logs
from service.channels.base import Outcome, SendError
from service.channels.errors import outcome_of_code, slows_down
from service.channels.transport import Connection, Interrupted, Reply, Unsent, basic_auth, form, retry_after
from service.channels.wire import Call

log = logs.get("twilio")


class KeptHttpClient(HttpClient):  # type: ignore[misc]
    """The transport under the official client: one kept connection, our base address, nothing followed."""

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=False, timeout=timeout)
        self._base_url = base_url
        self._connection = Connection(timeout)
        self.reply: Reply | None = None
        """The last answer; the client's exceptions hold no headers."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """Make the request at our base address. Raises Unsent or Interrupted."""
        self.reply = None
        call = _call(self._base_url, method, url, *args, **kwargs)
        self.reply = self._connection.request(call.method, call.url, call.headers, call.body, call.timeout)
        return _response(self.reply)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class WireHttpClient(AsyncHttpClient):  # type: ignore[misc]
    """The same for many requests at once: each is given to the wire that drives the client's coroutine."""

    def __init__(self, base_url: str) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=True)
        self._base_url = base_url

    async def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """Make the request at our base address. Raises Unsent or Interrupted."""
        return _response(await _call(self._base_url, method, url, *args, **kwargs))


def _call(
    base_url: str,
    method: str,
    url: str,
    params: dict[str, object] | None = None,
    data: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    timeout: float | None = None,
    allow_redirects: bool = False,
) -> Call:
    """A request of the official client as it goes on the wire."""
    target = base_url + url[url.index("/", 9) :]  # whatever host the library thinks of
    if asked := {name: value for name, value in (params or {}).items() if value is not None}:
        target += ("&" if "?" in target else "?") + urlencode(asked, doseq=True)
    sent = dict(headers or {})
    if auth:
        sent["Authorization"] = basic_auth(*auth)
    if method.upper() == "POST":
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    return Call(method.upper(), target, sent, form(data or {}), timeout)


def _response(reply: Reply) -> Response:
    return Response(reply.status, reply.body.decode("utf-8", "replace"), reply.headers)


def as_send_error(error: Exception, reply: Reply | None, *, writes: bool = True) -> SendError:
    """Sort whatever a call of the official client raised. `reply` is the answer that had come, if one had.

    `writes` is False for calls that send nothing to anybody: those are always safe to make again.
    """
    if isinstance(error, Unsent):
        return SendError(Outcome.RETRY, "not_connected")
    if isinstance(error, Interrupted):
        return SendError(Outcome.UNKNOWN if writes else Outcome.RETRY, "interrupted")
    if isinstance(error, TwilioException) and reply is not None:
        return _judge(reply, getattr(error, "code", None))
    if reply is not None:
        return SendError(Outcome.UNKNOWN if writes else Outcome.RETRY, "unreadable")
    log.error("call_failed", kind=type(error).__name__)
    return SendError(Outcome.FAILED, type(error).__name__)  # nothing was asked of Twilio: this text cannot be put


def _judge(reply: Reply, code: object) -> SendError:
    """The taxonomy of answers other than 2xx; see `errors.TWILIO_CODES`."""
    status = reply.status
    # For a body without a code the client repeats the status.
    known = str(code) if code is not None and str(code) != str(status) else None
    wait = retry_after(reply.headers)
    if status == 429 or known == "20429":
        return SendError(Outcome.RETRY, known or "429", retry_after=wait, slow_down=True)
    if status == 503 and wait is not None:
        return SendError(Outcome.RETRY, known or "503", retry_after=wait)
    if status >= 500 or status == 408:
        return SendError(Outcome.UNKNOWN, known or str(status))
    if known is None and (status in (401, 403, 404, 405) or 300 <= status < 400):
        return SendError(Outcome.CONFIGURATION, str(status))
    outcome = outcome_of_code(known)
    if outcome is Outcome.FAILED and status in (401, 403):
        outcome = Outcome.CONFIGURATION
    return SendError(outcome, known or str(status), retry_after=wait, slow_down=slows_down(known))
