"""The rules of when, as pure functions over integers and moments, so that they can be tested in every time zone."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

DAY = 24 * 60
LATEST = 21 * 60
"""After nine in the evening, local time, nobody is written to (47 CFR 64.1200(c)(1))."""
MAX_ATTEMPTS = 8
FIRST_BACKOFF = 15.0
"""Seconds before the second attempt; doubled each time, with jitter, to at most an hour."""


def local_minute(now: datetime, offset: int) -> int:
    """Minutes after midnight on a clock that is `offset` minutes ahead of UTC."""
    return (now.hour * 60 + now.minute + offset) % DAY


def open_now(now: datetime, offset_min: int, offset_max: int, start: int, end: int) -> bool:
    """Whether the window (minutes after midnight, start ≤ local < end) is open at both offsets.

    With both open and the offsets less than a day apart, everything between them is open too, unless the window
    is longer than what is left of the day: the pair is then further apart than the window is long.
    """
    low, high = local_minute(now, offset_min), local_minute(now, offset_max)
    inside = start <= low < end and start <= high < end
    return inside and (high - low == offset_max - offset_min)


def next_opening(now: datetime, offset_min: int, offset_max: int, start: int, end: int) -> datetime:
    """The first moment from `now` on at which the window is open at both offsets; `now` itself if it is.

    Where no such moment exists (zones further apart than the window is long) the window counts in one of them alone,
    in the one that leaves the others in their day: later than they chose is better than never, night is not.
    """
    if end - start >= DAY or open_now(now, offset_min, offset_max, start, end):
        return now
    apart = offset_max - offset_min
    if apart >= end - start:
        if start + apart < LATEST:
            offset_max, end = offset_min, min(end, LATEST - apart)  # and no later than the others' evening
        else:
            offset_min = offset_max
        if open_now(now, offset_min, offset_max, start, end):
            return now
    wait = (start - local_minute(now, offset_min)) % DAY
    return now.replace(second=0, microsecond=0) + timedelta(minutes=wait or DAY)


def backoff(attempts: int, retry_after: float | None = None) -> float:
    """Seconds to wait before the next attempt, after `attempts` have failed: exponential, with half of it random."""
    wait = min(FIRST_BACKOFF * 2.0 ** max(attempts - 1, 0), 3600.0)
    wait = wait / 2 + random.random() * wait / 2  # noqa: S311  spreading load, not a secret
    return max(wait, retry_after or 0.0)


def cap_opens(now: datetime, sent: Sequence[datetime], daily: int, weekly: int) -> datetime | None:
    """When a member may get the next message under the caps, or None when that is now. A cap of 0 is no cap.

    `sent` are the moments of what they got before; days and weeks are counted back from `now`.
    """
    waits = []
    for cap, span in ((daily, timedelta(days=1)), (weekly, timedelta(days=7))):
        inside = sorted(moment for moment in sent if moment > now - span)
        if cap and len(inside) >= cap:
            waits.append(inside[-cap] + span)  # then one fewer than the cap is left inside
    return max(waits, default=None)
