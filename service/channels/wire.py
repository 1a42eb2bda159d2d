"""Many requests at once in one thread: libcurl waits for all of them, and a coroutine is what is done around each.

A thread for each request would spend more time on handing over the interpreter than on sending.
"""

import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any

import pycurl

from service.channels.transport import Connection, Interrupted, Reply, Unsent

MOST_WAIT = 0.01
"""Seconds of waiting for the network, so that whoever drives a wire looks at its other work in between."""


@dataclass(slots=True)
class Call:
    """One request that a coroutine awaits; the wire makes it and gives back the Reply.

    Raises Unsent or Interrupted in the coroutine.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    timeout: float | None = None

    def __await__(self) -> Generator["Call", Reply, Reply]:
        return (yield self)


Done = Callable[[Any, Exception | None, Reply | None], None]
"""Called with (what the coroutine returned, what it raised, the last answer that had come)."""


@dataclass(slots=True)
class _Flight:
    coroutine: Coroutine[Call, Reply, Any]
    done: Done
    connection: Connection
    reply: Reply | None = None


class Wire:
    """Up to `most` requests at a time on kept connections. Belongs to one thread."""

    def __init__(self, timeout: float, most: int) -> None:
        """`timeout` is in seconds, for one request from the name to the last byte."""
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, most)
        # libcurl says which sockets it waits for, and only those that are ready are looked at.
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._selector = DefaultSelector()
        self._timer_at: float | None = None
        self._idle = [Connection(timeout) for _ in range(most)]
        self._flying: dict[Any, _Flight] = {}

    @property
    def free(self) -> int:
        """How many more may begin."""
        return len(self._idle)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._flying)

    def begin(self, coroutine: Coroutine[Call, Reply, Any], done: Done) -> None:
        """Run a coroutine to its request and put that on the wire. `done` is called once, now or in a later `turn`."""
        flight = _Flight(coroutine, done, self._idle.pop())
        self._go_on(flight, lambda: coroutine.send(None))  # type: ignore[arg-type]

    def turn(self, seconds: float = MOST_WAIT) -> None:
        """Let what can go on go on; where nothing can, wait for it, at most `seconds` and MOST_WAIT."""
        if not self._flying:
            time.sleep(min(seconds, MOST_WAIT))
            return
        self._tick()
        if self._land():
            return
        wait = min(seconds, MOST_WAIT, max(0.0, (self._timer_at or float("inf")) - time.monotonic()))
        for key, ready in self._selector.select(wait):
            mask = (pycurl.CSELECT_IN if ready & EVENT_READ else 0) | (pycurl.CSELECT_OUT if ready & EVENT_WRITE else 0)
            self._multi.socket_action(key.fd, mask)
        self._tick()
        self._land()

    def _tick(self) -> None:
        """Tell libcurl that the time has come that it asked for."""
        if self._timer_at is not None and time.monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _watch(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        """libcurl begins, changes or ends its interest in a socket."""
        known = fd in self._selector.get_map()
        if what == pycurl.POLL_REMOVE:
            if known:
                self._selector.unregister(fd)
            return
        events = (EVENT_READ if what & pycurl.POLL_IN else 0) | (EVENT_WRITE if what & pycurl.POLL_OUT else 0)
        if not known:
            self._selector.register(fd, events)
        elif self._selector.get_key(fd).events != events:
            self._selector.modify(fd, events)

    def _land(self) -> bool:
        """Give their answers to the coroutines whose requests have ended; whether there was any."""
        landed = False
        more = True
        while more:
            more, good, bad = self._multi.info_read()
            for handle in good:
                self._end(handle, None)
            for handle, code, _ in bad:
                self._end(handle, code)
            landed = landed or bool(good or bad)
        return landed

    def _end(self, handle: Any, failed: int | None) -> None:
        flight = self._flying.pop(handle)
        self._multi.remove_handle(handle)
        try:
            flight.reply = reply = flight.connection.answer(failed)
        except (Unsent, Interrupted) as error:
            broken = error
            self._go_on(flight, lambda: flight.coroutine.throw(broken))
        else:
            self._go_on(flight, lambda: flight.coroutine.send(reply))

    def _go_on(self, flight: _Flight, step: Callable[[], Call]) -> None:
        try:
            call = step()
            flight.connection.prepare(call.method, call.url, call.headers, call.body, call.timeout)
        except StopIteration as end:
            self._over(flight, end.value, None)
        except Exception as error:
            self._over(flight, None, error)
        else:
            handle = flight.connection.handle
            self._flying[handle] = flight
            self._multi.add_handle(handle)

    def _over(self, flight: _Flight, value: Any, error: Exception | None) -> None:
        self._idle.append(flight.connection)
        flight.done(value, error, flight.reply)

    def close(self) -> None:
        """Close every connection. Nothing may be under way."""
        for connection in self._idle:
            connection.close()
        self._multi.close()
        self._selector.close()
