"""The rules of when, as pure functions over integers and moments, so that they can be tested in every time zone."""

import random
from datetime import datetime, timedelta

DAY = 24 * 60
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

    Where no such moment exists (zones further apart than the window is long) the window of the smallest offset
    counts alone: sending late in the day is better than never.
    """
    if end - start >= DAY or open_now(now, offset_min, offset_max, start, end):
        return now
    if offset_max - offset_min >= end - start:
        offset_max = offset_min
        if open_now(now, offset_min, offset_max, start, end):
            return now
    wait = (start - local_minute(now, offset_min)) % DAY
    return now.replace(second=0, microsecond=0) + timedelta(minutes=wait or DAY)


def backoff(attempts: int, retry_after: float | None = None) -> float:
    """Seconds to wait before the next attempt, after `attempts` have failed: exponential, with half of it random."""
    wait = min(FIRST_BACKOFF * 2.0 ** max(attempts - 1, 0), 3600.0)
    wait = wait / 2 + random.random() * wait / 2  # noqa: S311  spreading load, not a secret
    return max(wait, retry_after or 0.0)


def cap_opens(
    now: datetime,
    sent_day: int,
    sent_week: int,
    daily: int,
    weekly: int,
    newest: datetime | None,
    oldest: datetime | None,
) -> datetime | None:
    """When a member may get the next message under the caps, or None when that is now. A cap of 0 is no cap.

    `sent_day` and `sent_week` count messages of the last 24 hours and 7 days, `newest` and `oldest` bound the week.
    """
    waits = []
    if daily and sent_day >= daily and newest:
        waits.append(newest + timedelta(days=1))
    if weekly and sent_week >= weekly and oldest:
        waits.append(oldest + timedelta(days=7))
    later = [w for w in waits if w > now]
    return max(later) if later else None
