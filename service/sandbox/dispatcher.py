"""Empties the outbox: a thread that looks for what is due, and a few that post it.

The outbox is a table, so that a restart of the stand-in delays callbacks and loses none.
"""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from service.logs import get
from service.sandbox import inbound, webhooks
from service.sandbox.post import Answer
from service.sandbox.store import Row, Store, timestamp

log = get("sandbox")
POSTERS = 6
LOOK_EVERY = 0.05
"""Seconds between looks at the outbox when nothing wakes the dispatcher earlier."""
AT_ONCE = 400
IN_FLIGHT = 2000
"""Rows taken at one look, and in flight altogether; the others wait in the table, so memory stays small."""
EVENTS_EVERY = 0.3
"""SendGrid gathers events and posts them together; so does the stand-in, for this many seconds."""
EVENTS_AT_ONCE = 250
EVENTS_GIVE_UP = 24 * 3600
MAIL_GIVE_UP = 3 * 24 * 3600
"""Seconds after which SendGrid stops trying to deliver an event, or a mail to Inbound Parse."""


@dataclass
class Dispatcher:
    """The running threads; `stop()` ends them. What is in the outbox stays there."""

    store: Store
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(POSTERS, "sandbox-post"))
    stopping: threading.Event = field(default_factory=threading.Event)
    in_flight: set[int] = field(default_factory=set)
    posted: list[tuple[int, float | None]] = field(default_factory=list)
    """Rows that have been posted, each with the seconds until it is to be tried again (None: never)."""
    guard: threading.Lock = field(default_factory=threading.Lock)
    events_at: float = -EVENTS_EVERY
    thread: threading.Thread | None = None

    def stop(self) -> None:
        """Finish what is being posted and end."""
        self.stopping.set()
        self.store.wake.set()
        if self.thread:
            self.thread.join()
        self.pool.shutdown(wait=True)
        _settle(self)


def start(store: Store) -> Dispatcher:
    """Begin to post what is due."""
    dispatcher = Dispatcher(store)
    dispatcher.thread = threading.Thread(target=_run, args=(dispatcher,), name="sandbox-dispatcher", daemon=True)
    dispatcher.thread.start()
    return dispatcher


def _run(dispatcher: Dispatcher) -> None:
    store = dispatcher.store
    while not dispatcher.stopping.is_set():
        store.wake.clear()
        try:
            _settle(dispatcher)
            _submit_due(dispatcher)
        except Exception:  # the thread must outlive any surprise, or callbacks would silently end
            log.exception("dispatcher_failed")
            dispatcher.stopping.wait(1)
        store.wake.wait(LOOK_EVERY)


def _submit_due(dispatcher: Dispatcher) -> None:
    """Hand everything that is due to the posters, events in batches."""
    with dispatcher.guard:
        busy = set(dispatcher.in_flight)
    if len(busy) >= IN_FLIGHT:
        return
    at = timestamp()
    sql = "SELECT * FROM outbox WHERE due <= ? AND kind {} 'event' ORDER BY due, n LIMIT ?"
    rows = dispatcher.store.all(sql.format("!="), at, AT_ONCE + len(busy))
    if time.monotonic() - dispatcher.events_at >= EVENTS_EVERY:  # whatever becomes of the clock on the wall
        dispatcher.events_at = time.monotonic()
        rows += dispatcher.store.all(sql.format("="), at, AT_ONCE + len(busy))
    fresh = [row for row in rows if row["n"] not in busy]
    for row in fresh:
        if row["kind"] != "event":
            _submit(dispatcher, [row], _POSTS[row["kind"]])
    events = [row for row in fresh if row["kind"] == "event"]
    for i in range(0, len(events), EVENTS_AT_ONCE):
        _submit(dispatcher, events[i : i + EVENTS_AT_ONCE], _post_events)


def _submit(dispatcher: Dispatcher, rows: list[Row], job: Callable[[Store, list[Row]], float | None]) -> None:
    numbers = [row["n"] for row in rows]
    with dispatcher.guard:
        dispatcher.in_flight.update(numbers)

    def run() -> None:
        again: float | None = 5.0
        try:
            again = job(dispatcher.store, rows)
        except Exception:
            log.exception("post_failed", kind=rows[0]["kind"])
        finally:
            with dispatcher.guard:
                dispatcher.posted += [(n, again) for n in numbers]

    dispatcher.pool.submit(run)


def _settle(dispatcher: Dispatcher) -> None:
    """Take what has been posted out of the outbox, or put it off, all in one transaction."""
    with dispatcher.guard:
        posted, dispatcher.posted = dispatcher.posted, []
    if not posted:
        return
    at = timestamp()
    done = [(n,) for n, again in posted if again is None]
    later = [(at + again, n) for n, again in posted if again is not None]
    with dispatcher.store.write() as db:
        db.executemany("DELETE FROM outbox WHERE n = ?", done)
        db.executemany("UPDATE outbox SET due = ?, attempt = attempt + 1 WHERE n = ?", later)
    with dispatcher.guard:
        dispatcher.in_flight.difference_update(n for n, _ in posted)


# Each job posts its rows and returns None when they are done with, or the seconds until the next attempt.


def _post_status(store: Store, rows: list[Row]) -> float | None:
    payload, attempt = json.loads(rows[0]["payload"]), rows[0]["attempt"]
    url, overrides = webhooks.split_overrides(payload["url"])
    answer = webhooks.post_twilio(store.settings, url, payload["params"], payload["token"])
    return _back_off(attempt) if overrides.retry(answer, attempt) else None


def _post_text(store: Store, rows: list[Row]) -> float | None:
    payload, attempt = json.loads(rows[0]["payload"]), rows[0]["attempt"]
    url, overrides = webhooks.split_overrides(store.settings.base_url + webhooks.TWILIO_MESSAGE)
    answer = webhooks.post_twilio(store.settings, url, payload["params"], payload["token"])
    again = overrides.retry(answer, attempt)
    inbound.note_text(store, payload["params"]["MessageSid"], _words(answer, again))
    if answer.ok:
        inbound.obey_twiml(store, payload["params"], answer.body)
    return _back_off(attempt) if again else None


def _post_mail(store: Store, rows: list[Row]) -> float | None:
    payload, attempt = json.loads(rows[0]["payload"]), rows[0]["attempt"]
    content_type, body = inbound.multipart(payload)
    answer = webhooks.post_inbound_mail(store, content_type, body)
    # SendGrid tries again after a 5xx or no answer for three days; a 4xx makes it give the mail up.
    again = (answer.status >= 500 or answer.status == 0) and answer.failure != "elsewhere"
    again = again and timestamp() - payload["at"] < MAIL_GIVE_UP
    inbound.note_mail(store, payload["mail_id"], _words(answer, again))
    return _back_off(attempt) if again else None


def _post_events(store: Store, rows: list[Row]) -> float | None:
    body = ("[" + ",\r\n".join(row["payload"] for row in rows) + "]").encode()
    answer = webhooks.post_events(store, body)
    oldest = min(json.loads(row["payload"])["timestamp"] for row in rows)
    if answer.ok or answer.failure == "elsewhere" or timestamp() - oldest > EVENTS_GIVE_UP:
        return None
    return _back_off(max(row["attempt"] for row in rows))


_POSTS: dict[str, Callable[[Store, list[Row]], float | None]] = {
    "status": _post_status,
    "text": _post_text,
    "mail": _post_mail,
}


def _back_off(attempt: int) -> float:
    """Seconds: 0.5, 1, 2, 4 ... 60."""
    return min(60.0, 0.5 * 2.0 ** min(attempt, 10))


def _words(answer: Answer, again: bool) -> str:
    """What became of a member's message, for the page; empty: it arrived."""
    if answer.ok:
        return ""
    if answer.failure == "elsewhere":
        return "Not handed over: the service's address is not on this machine"
    what = f"the service answered {answer.status}" if answer.status else "the service does not answer"
    return f"Trying again: {what}" if again else f"Not handed over: {what}"
