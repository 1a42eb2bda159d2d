"""Texts through Twilio: the official client on kept libcurl connections, many requests at once in one thread."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Lock, Thread, local
from typing import Any
from urllib.parse import quote

from twilio.rest import Client  # type: ignore[import-untyped]

from service.channels.base import Outcome, Result, Text
from service.channels.transport import Reply
from service.channels.twilio_http import KeptHttpClient, WireHttpClient, as_send_error
from service.channels.wire import MOST_WAIT, Wire
from service.config import Settings

GIVE_ON_AT, GIVE_ON_EVERY = 64, 0.05
"""Results are handed over when there are so many, or after so many seconds."""
STOP_EVERY = 0.25
"""Seconds between two looks whether to stop, while nothing comes back from the provider."""
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


class _Line:
    """One official client with its own connection, for everything but sending."""

    def __init__(self, settings: Settings) -> None:
        self.http = KeptHttpClient(settings.twilio_api_url, settings.send_timeout)
        self.client = Client(settings.twilio_account_sid, settings.twilio_auth_token, http_client=self.http)


class _Post:
    """The official client for sending, on a wire."""

    def __init__(self, settings: Settings, validity_period: int | None) -> None:
        http = WireHttpClient(settings.twilio_api_url)
        self._messages = Client(settings.twilio_account_sid, settings.twilio_auth_token, http_client=http).messages
        self._callback = settings.base_url + "/webhooks/twilio/status?d="
        self._fixed: dict[str, Any] = {}
        if settings.twilio_messaging_service_sid:
            self._fixed["messaging_service_sid"] = settings.twilio_messaging_service_sid
        else:
            self._fixed["from_"] = settings.twilio_from
        if validity_period is not None:
            self._fixed["validity_period"] = validity_period

    def create(self, text: Text) -> Any:
        """The coroutine that sends one text."""
        # The fragment is read by Twilio and not sent to us: 5 more tries, on every kind of failure.
        callback = f"{self._callback}{quote(text.callback_token)}#rc=5&rp=all"
        return self._messages.create_async(to=text.to, body=text.body, status_callback=callback, **self._fixed)


def _result(delivery_id: int, message: Any, error: Exception | None, reply: Reply | None) -> Result:
    """What became of one text."""
    if error is not None:
        return as_send_error(error, reply).result(delivery_id)
    if not message.sid:
        return Result(delivery_id, Outcome.UNKNOWN, code="unreadable")
    return Result(delivery_id, Outcome.ACCEPTED, provider_id=message.sid)


Started = Callable[[Sequence[int]], Mapping[int, float] | Collection[int] | None]
"""Records that texts are about to leave; see `TwilioSender.send`."""


class _Job:
    """One call of `send`: what comes back from it, and whether it should still begin anything."""

    def __init__(self, most: int, gap: float) -> None:
        self.results: SimpleQueue[list[Result]] = SimpleQueue()
        self.halted = False
        self.found: list[Result] = []
        """Results that are not in `results` yet: they are given on together."""
        self.out = 0
        self._most = most
        self._gap = gap
        self._last = 0.0
        self._given_at = 0.0

    def waits(self, moment: float) -> float:
        """Seconds until the next text, meant for `moment`, may begin. What is late keeps about the distance meant."""
        if self.out >= self._most:
            return MOST_WAIT
        if not moment:
            return 0.0
        begins = max(moment, self._last + 0.95 * self._gap)
        wait = begins - time.monotonic()
        if wait <= 0:
            self._last = begins
        return max(wait, 0.0)

    def ended(self, delivery_id: int, message: Any, error: Exception | None, reply: Reply | None) -> None:
        """Note what became of one text."""
        self.out -= 1
        self.found.append(_result(delivery_id, message, error, reply))

    def give_on(self, *, all_: bool) -> None:
        """Hand the results over to whoever called `send`: some together, so that it is woken now and then only."""
        now = time.monotonic()
        if self.found and (all_ or len(self.found) >= GIVE_ON_AT or now - self._given_at >= GIVE_ON_EVERY):
            self.results.put(self.found)
            self.found = []
            self._given_at = now


_Task = tuple[_Job, Text, float]


class TwilioSender:
    """Sends texts in a thread of its own, up to `twilio_concurrency` at a time. Made once per worker."""

    def __init__(self, settings: Settings, *, validity_period: int | None = None) -> None:
        """`validity_period` is how many seconds a text may wait at Twilio (1–36,000; None: Twilio's ten hours)."""
        self._settings = settings
        self._validity = validity_period
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread: Thread | None = None
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

        `started` is called in the caller's thread with the ids of the next `group` (default: as many as may be under
        way) just before they may leave, to record that durably; if it returns ids, only those leave, and with a
        moment (monotonic seconds) for each, none before it: late ones keep a distance of about `gap` seconds. Every
        id that it was given and kept has exactly one result. At `most` as many requests are under way at a time
        (default: `twilio_concurrency`). `stop` is asked between groups: once it is true nothing more begins, and what
        was recorded but not begun comes back as RETRY with the code "not_started".
        """
        self._start()
        most = min(most or self._settings.twilio_concurrency, self._settings.twilio_concurrency)
        job, waiting, out = _Job(most, gap), iter(texts), 0
        size = group or most
        most_out = max(size, most)
        try:
            while True:
                # Paced texts trickle: what has come of the earlier ones is given on before waiting for the next turn.
                while size < most and not job.results.empty():
                    found = job.results.get()
                    out -= len(found)
                    yield from found
                while out <= most_out and not job.halted and (size >= most or job.results.empty()):
                    if stop is not None and stop():
                        job.halted = True
                    elif batch := list(islice(waiting, size)):
                        out += self._hand_over(job, batch, started)
                    else:
                        break
                if not out:
                    return
                found = self._next(job, stop)
                out -= len(found)
                yield from found
        finally:
            job.halted = True

    def _next(self, job: _Job, stop: Callable[[], bool] | None) -> list[Result]:
        """Wait for the next results. Raises RuntimeError when the thread has died: what is open is then unknown.

        A provider that hangs must not hold up a stop: nothing more begins while its requests run into their time-outs.
        """
        while True:
            with suppress(Empty):
                return job.results.get(timeout=STOP_EVERY)
            if stop is not None and stop():
                job.halted = True
            if self._thread is None or not self._thread.is_alive():
                raise RuntimeError("the sending thread has ended")

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
            raise as_send_error(error, line.http.reply, writes=False) from error
        found = [_provider_message(message) for message in listed]
        return [m for m in found if m.created_at is None or m.created_at >= since]

    def redact(self, sid: str) -> None:
        """Empty the body of a message at Twilio. Raises SendError, for one that is not final yet as well."""
        line = self._line()
        try:
            line.client.messages(sid).update(body="")
        except Exception as error:
            raise as_send_error(error, line.http.reply, writes=False) from error

    def delete(self, sid: str) -> None:
        """Delete a message at Twilio; one that is gone already is fine. Raises SendError."""
        line = self._line()
        try:
            line.client.messages(sid).delete()
        except Exception as error:
            if line.http.reply is None or line.http.reply.status != 404:
                raise as_send_error(error, line.http.reply, writes=False) from error

    def close(self) -> None:
        """Let the requests that are under way come to their end, and end the thread."""
        with self._starting:
            if self._thread is not None:
                self._tasks.put(None)
                self._thread.join(self._settings.send_timeout + 1)
                self._thread = None

    def _line(self) -> _Line:
        """This thread's own line, for everything but sending."""
        if not hasattr(self._own, "line"):
            self._own.line = _Line(self._settings)
        line: _Line = self._own.line
        return line

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._work, name="twilio-wire", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        wire = Wire(self._settings.send_timeout, self._settings.twilio_concurrency)
        post = _Post(self._settings, self._validity)
        waiting: deque[_Task] = deque()
        jobs: set[_Job] = set()
        going = True
        while going or wire.busy:
            going = self._fetch(waiting, block=not waiting and not wire.busy) and going
            if not going:
                for job, _, _ in waiting:
                    job.halted = True
            pause = _begin(waiting, jobs, wire, post)
            if wire.busy or pause:
                wire.turn(pause or MOST_WAIT)
            for job in jobs:
                job.give_on(all_=job.halted or not wire.busy)
            jobs = {job for job in jobs if job.out or job.found}
        wire.close()

    def _fetch(self, waiting: deque[_Task], *, block: bool) -> bool:
        """Take over what was handed to this thread; whether there may be more one day."""
        with suppress(Empty):
            while (task := self._tasks.get(block)) is not None:
                waiting.append(task)
                block = False
            return False
        return True


def _begin(waiting: deque[_Task], jobs: set[_Job], wire: Wire, post: _Post) -> float:
    """Begin what may begin now; how many seconds until the next may, 0.0 where nothing waits."""
    while waiting:
        job, text, moment = waiting[0]
        if job.halted:
            job.found.append(Result(text.delivery_id, Outcome.RETRY, code="not_started"))
        elif pause := job.waits(moment) if wire.free else MOST_WAIT:
            return pause
        else:
            job.out += 1
            wire.begin(post.create(text), partial(job.ended, text.delivery_id))
        jobs.add(job)
        waiting.popleft()
    return 0.0


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
