"""Texts through Twilio: the official client on kept libcurl connections, one in each of a few threads.

Twilio has no idempotency key, so every failure is sorted by one question first: can the request have left?
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread, local
from typing import Any
from urllib.parse import quote, urlencode

from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.http import HttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from service import logs
from service.channels.base import Outcome, Result, SendError, Text
from service.channels.errors import outcome_of_code, slows_down
from service.channels.transport import Connection, Interrupted, Reply, Unsent, basic_auth, form, retry_after
from service.config import Settings

log = logs.get("twilio")

MOST_LISTED = 1000
"""How many messages to one recipient are looked through at most when an unknown one is settled."""


@dataclass(frozen=True, slots=True)
class ProviderMessage:
    """A message as Twilio lists it. `created_at` is UTC."""

    sid: str
    to: str = field(repr=False)
    sender: str | None
    body: str = field(repr=False)
    status: str
    created_at: datetime | None
    error_code: str | None


class KeptHttpClient(HttpClient):  # type: ignore[misc]
    """The transport under the official client: one kept connection, our base address, nothing followed."""

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=False, timeout=timeout)
        self._base_url = base_url
        self._connection = Connection(timeout)
        self.reply: Reply | None = None
        """The last answer; the client's exceptions hold no headers."""

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Make the request at our base address. Raises Unsent or Interrupted."""
        self.reply = None
        target = self._base_url + url[url.index("/", 9) :]  # whatever host the library thinks of
        if asked := {name: value for name, value in (params or {}).items() if value is not None}:
            target += ("&" if "?" in target else "?") + urlencode(asked, doseq=True)
        sent = dict(headers or {})
        if auth:
            sent["Authorization"] = basic_auth(*auth)
        body = form(data or {})
        if method.upper() == "POST":
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        self.reply = self._connection.request(method.upper(), target, sent, body, timeout)
        return Response(self.reply.status, self.reply.body.decode("utf-8", "replace"), self.reply.headers)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class _Line:
    """One official client with its own connection, for one thread."""

    def __init__(self, settings: Settings, validity_period: int | None = None) -> None:
        self.http = KeptHttpClient(settings.twilio_api_url, settings.send_timeout)
        self.client = Client(settings.twilio_account_sid, settings.twilio_auth_token, http_client=self.http)
        self._messages = self.client.messages
        self._callback = settings.base_url + "/webhooks/twilio/status?d="
        self._fixed: dict[str, Any] = {}
        if settings.twilio_messaging_service_sid:
            self._fixed["messaging_service_sid"] = settings.twilio_messaging_service_sid
        else:
            self._fixed["from_"] = settings.twilio_from
        if validity_period is not None:
            self._fixed["validity_period"] = validity_period

    def send(self, text: Text) -> Result:
        """Send one text and say what became of it; never raises."""
        # The fragment is read by Twilio and not sent to us: 5 more tries, on every kind of failure.
        callback = f"{self._callback}{quote(text.callback_token)}#rc=5&rp=all"
        self.http.reply = None
        try:
            message = self._messages.create(to=text.to, body=text.body, status_callback=callback, **self._fixed)
        except Exception as error:
            return _as_send_error(error, self.http.reply).result(text.delivery_id)
        if not message.sid:
            return Result(text.delivery_id, Outcome.UNKNOWN, code="unreadable")
        return Result(text.delivery_id, Outcome.ACCEPTED, provider_id=message.sid)


Started = Callable[[Sequence[int]], Mapping[int, float] | Collection[int] | None]
"""Records that texts are about to leave; see `TwilioSender.send`."""


class _Job:
    """One call of `send`: what its threads give back, and whether they should still begin anything."""

    def __init__(self, most: int, gap: float) -> None:
        self.results: SimpleQueue[Result] = SimpleQueue()
        self.halted = False
        self.slots = Semaphore(most)
        self._timing = Lock()
        self._gap = gap
        self._last = 0.0

    def wait_for(self, moment: float) -> None:
        """Sleep until `moment`. What is late does not crowd: it keeps about the distance that was meant."""
        with self._timing:
            begins = max(moment, self._last + 0.95 * self._gap)
            self._last = begins
        while (left := begins - time.monotonic()) > 0 and not self.halted:
            time.sleep(min(left, 0.1))


class TwilioSender:
    """Sends texts on `twilio_concurrency` threads, each with a kept connection. Made once per worker."""

    def __init__(self, settings: Settings, *, validity_period: int | None = None) -> None:
        """`validity_period` is how many seconds a text may wait at Twilio (1–36,000; None: Twilio's ten hours)."""
        self._settings = settings
        self._validity = validity_period
        self._tasks: SimpleQueue[tuple[_Job, Text, float] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._starting = Lock()
        self._own = local()

    def send(
        self,
        texts: Sequence[Text],
        *,
        started: Started | None = None,
        stop: Callable[[], bool] | None = None,
        group: int | None = None,
        most: int | None = None,
        gap: float = 0.0,
    ) -> Iterator[Result]:
        """Send texts concurrently, giving results in the order in which they come.

        `started` is called in this thread with the ids of the next `group` (default: one per thread) just before
        they may leave, to record that durably; if it returns ids, only those leave, and with a moment (monotonic
        seconds) for each, none before it: late ones keep a distance of about `gap` seconds. Every id that it was
        given and kept has exactly one result. At `most` as many requests are under way at a time (default: one per
        thread). `stop` is asked between groups: once it is true nothing more begins, and what was recorded but not
        begun comes back as RETRY with the code "not_started".
        """
        self._start_threads()
        most = min(most or self._settings.twilio_concurrency, self._settings.twilio_concurrency)
        job, waiting, out = _Job(most, gap), iter(texts), 0
        size = group or most
        most_out = max(size, most)
        try:
            while True:
                # Paced texts trickle: what has come of the earlier ones is given on before waiting for the next turn.
                while size < most and not job.results.empty():
                    yield job.results.get()
                    out -= 1
                while out <= most_out and not job.halted and (size >= most or job.results.empty()):
                    if stop is not None and stop():
                        job.halted = True
                    elif batch := list(islice(waiting, size)):
                        out += self._hand_over(job, batch, started)
                    else:
                        break
                if not out:
                    return
                yield job.results.get()
                out -= 1
        finally:
            job.halted = True

    def _hand_over(self, job: _Job, batch: list[Text], started: Started | None) -> int:
        """Record and queue a batch; how many were queued."""
        allowed = started([text.delivery_id for text in batch]) if started else None
        going = batch if allowed is None else [text for text in batch if text.delivery_id in allowed]
        moments = allowed if isinstance(allowed, Mapping) else {}
        for text in going:
            self._tasks.put((job, text, moments.get(text.delivery_id, 0.0)))
        return len(going)

    def find(self, to: str, since: datetime) -> list[ProviderMessage]:
        """The messages to `to` (E.164) that Twilio has, created at or after `since`. Raises SendError.

        Asked by recipient alone: the date sent is empty while a message waits, so it cannot be asked for.
        """
        line = self._line()
        try:
            listed = list(line.client.messages.stream(to=to, limit=MOST_LISTED, page_size=200))
        except Exception as error:
            raise _as_send_error(error, line.http.reply, writes=False) from error
        found = [_provider_message(message) for message in listed]
        return [m for m in found if m.created_at is None or m.created_at >= since]

    def redact(self, sid: str) -> None:
        """Empty the body of a message at Twilio. Raises SendError, for one that is not final yet as well."""
        line = self._line()
        try:
            line.client.messages(sid).update(body="")
        except Exception as error:
            raise _as_send_error(error, line.http.reply, writes=False) from error

    def delete(self, sid: str) -> None:
        """Delete a message at Twilio; one that is gone already is fine. Raises SendError."""
        line = self._line()
        try:
            line.client.messages(sid).delete()
        except Exception as error:
            if line.http.reply is None or line.http.reply.status != 404:
                raise _as_send_error(error, line.http.reply, writes=False) from error

    def close(self) -> None:
        """Let the threads finish the request they are in, and end them."""
        with self._starting:
            for _ in self._threads:
                self._tasks.put(None)
            for thread in self._threads:
                thread.join(self._settings.send_timeout + 1)
            self._threads.clear()

    def _line(self) -> _Line:
        """This thread's own line, for everything but sending."""
        if not hasattr(self._own, "line"):
            self._own.line = _Line(self._settings)
        line: _Line = self._own.line
        return line

    def _start_threads(self) -> None:
        with self._starting:
            while len(self._threads) < self._settings.twilio_concurrency:
                thread = Thread(target=self._work, name=f"twilio-{len(self._threads)}", daemon=True)
                thread.start()
                self._threads.append(thread)

    def _work(self) -> None:
        line = _Line(self._settings, self._validity)
        while (task := self._tasks.get()) is not None:
            job, text, moment = task
            if moment and not job.halted:
                job.wait_for(moment)
            if job.halted:
                job.results.put(Result(text.delivery_id, Outcome.RETRY, code="not_started"))
            else:
                with job.slots:
                    job.results.put(line.send(text))
        line.http.close()


def _as_send_error(error: Exception, reply: Reply | None, *, writes: bool = True) -> SendError:
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


def _provider_message(message: Any) -> ProviderMessage:
    code = message.error_code
    return ProviderMessage(
        sid=message.sid,
        to=message.to,
        sender=message.from_,
        body=message.body or "",
        status=str(message.status),
        created_at=message.date_created,
        error_code=None if code in (None, "") else str(code),
    )
