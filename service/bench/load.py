"""Requests made as fast as one core can: libcurl's multi interface, with kept connections and nothing else.

It is the ceiling of sending, and what calls the webhooks.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pycurl

from service.bench.figures import percentile


@dataclass(frozen=True, slots=True)
class Call:
    """One POST."""

    url: str
    headers: tuple[str, ...]
    body: bytes = field(repr=False)


@dataclass(slots=True)
class Fired:
    """What became of many calls."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list, repr=False)
    """Seconds of each request, from its start to the last byte of its answer."""
    statuses: dict[int, int] = field(default_factory=dict)
    failed: int = 0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.times) / self.seconds if self.seconds else 0.0

    @property
    def p99(self) -> float:
        """Milliseconds in which 99 of 100 were answered."""
        return 1000 * percentile(self.times, 0.99)


def fire(calls: Iterable[Call], in_flight: int, *, seconds: float = 120) -> Fired:
    """Make all `calls`, `in_flight` at a time, for at most `seconds`."""
    waiting, multi, fired = iter(calls), pycurl.CurlMulti(), Fired()
    handles = [_handle() for _ in range(in_flight)]
    began = time.perf_counter()
    out = sum(_next(multi, handle, waiting) for handle in handles)
    while out and time.perf_counter() - began < seconds:
        while multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        _, done, failed = multi.info_read()
        for handle in done:
            status = handle.getinfo(pycurl.RESPONSE_CODE)
            fired.statuses[status] = fired.statuses.get(status, 0) + 1
            fired.times.append(handle.getinfo(pycurl.TOTAL_TIME))
        fired.failed += len(failed)
        for handle in [*done, *(entry[0] for entry in failed)]:
            multi.remove_handle(handle)
            out -= 1 - _next(multi, handle, waiting)
        if not done and not failed:
            multi.select(0.2)
    fired.seconds = time.perf_counter() - began
    multi.close()
    for handle in handles:
        handle.close()
    return fired


def pace(calls: Sequence[Call], per_second: float, *, most: int = 2_000, seconds: float = 600) -> Fired:
    """Make `per_second` calls a second, each in its turn, whatever has become of those before: members do not wait for
    one another. A call's seconds count from when it was due, also where `most` were in flight and it had to wait.
    """
    multi, fired, waiting = pycurl.CurlMulti(), Fired(), iter(calls)
    idle: list[Any] = []
    due: dict[Any, float] = {}
    began = now = time.perf_counter()
    turns = iter([began + number / per_second for number in range(len(calls))])
    turn = next(turns, None)
    while (turn is not None or due) and now - began < seconds:
        while turn is not None and turn <= now and len(due) < most:
            handle = idle.pop() if idle else _handle()
            due[handle] = turn
            _next(multi, handle, waiting)
            turn = next(turns, None)
        while multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        _, done, failed = multi.info_read()
        now = time.perf_counter()
        for handle in [*done, *(entry[0] for entry in failed)]:
            multi.remove_handle(handle)
            idle.append(handle)
            fired.times.append(now - due.pop(handle))
        for handle in done:
            status = handle.getinfo(pycurl.RESPONSE_CODE)
            fired.statuses[status] = fired.statuses.get(status, 0) + 1
        fired.failed += len(failed)
        if not done and not failed:
            multi.select(0.2 if turn is None else min(0.2, max(0.0, turn - now)))
    fired.seconds = now - began
    multi.close()
    for handle in [*idle, *due]:
        handle.close()
    return fired


def _handle() -> Any:
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.PROXY, "")  # everything here is loopback
    handle.setopt(pycurl.TIMEOUT, 30)
    handle.setopt(pycurl.WRITEFUNCTION, len)
    return handle


def _next(multi: Any, handle: Any, waiting: Any) -> int:
    """Put the next call on a handle; 1, or 0 when there is none."""
    call = next(waiting, None)
    if call is None:
        return 0
    handle.setopt(pycurl.URL, call.url)
    handle.setopt(pycurl.HTTPHEADER, [*call.headers, "Expect:"])
    handle.setopt(pycurl.POSTFIELDS, call.body)
    multi.add_handle(handle)
    return 1
