"""The rules of when, in every time zone there is: windows, caps, back-off. They are pure, so each is checked against a
clock on the wall of the member's own room.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.actions import zones
from service.actions.delivery.rules import (
    FIRST_BACKOFF,
    LATEST,
    backoff,
    cap_opens,
    local_minute,
    next_opening,
    open_now,
)

WINDOW = (600, 1080)
ZONES = sorted(zones.known())
COUNTRIES = [f"{zones.COUNTRY}{c}" for c in zones._BY_COUNTRY]
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))
WINDOWS = st.tuples(st.integers(0, 23 * 60), st.integers(60, 24 * 60)).map(lambda w: (w[0], min(w[0] + w[1], 24 * 60)))
MINUTE = timedelta(minutes=1)


def on_the_wall(moment: datetime, zone: str) -> int:
    """Minutes after midnight on a clock in the zone."""
    local = moment.astimezone(ZoneInfo(zone))
    return local.hour * 60 + local.minute


@given(MOMENTS, st.sampled_from(ZONES), WINDOWS)
def test_the_window_is_open_when_the_clock_on_the_wall_says_so(
    now: datetime, zone: str, window: tuple[int, int]
) -> None:
    low, high = zones.offsets(zone, now)
    assert open_now(now, low, high, *window) == (window[0] <= on_the_wall(now, zone) < window[1])


@given(MOMENTS, st.sampled_from(ZONES))
@example(datetime(2026, 3, 8, 6, 30, tzinfo=UTC), "America/New_York")  # the night in which an hour is missing
@example(datetime(2026, 11, 1, 4, 30, tzinfo=UTC), "America/New_York")  # and the one with an hour twice
@example(datetime(2026, 10, 3, 14, 0, tzinfo=UTC), "Australia/Lord_Howe")  # half an hour of daylight saving
@example(datetime(2026, 6, 1, 3, 0, tzinfo=UTC), "Asia/Kathmandu")  # 5:45
@example(datetime(2026, 6, 1, 3, 0, tzinfo=UTC), "Pacific/Kiritimati")  # +14
def test_looking_again_when_told_always_ends_inside_the_window_within_a_day(now: datetime, zone: str) -> None:
    moment = now
    for _ in range(4):  # a change of the clock in between costs one more look
        opens = next_opening(moment, *zones.offsets(zone, moment), *WINDOW)
        assert opens >= moment
        if opens == moment:
            break
        moment = opens
    assert WINDOW[0] <= on_the_wall(moment, zone) < WINDOW[1]
    assert moment - now <= timedelta(hours=26)


@given(MOMENTS, st.integers(-12 * 60, 14 * 60), WINDOWS)
def test_the_opening_is_the_first_minute_that_is_open(now: datetime, offset: int, window: tuple[int, int]) -> None:
    opens = next_opening(now, offset, offset, *window)
    assert open_now(opens, offset, offset, *window)
    if opens > now:
        assert not open_now(now, offset, offset, *window)
        assert not open_now(opens - MINUTE, offset, offset, *window)
        assert opens - now <= timedelta(days=1)
        assert opens.second == 0


@given(MOMENTS, st.sampled_from(COUNTRIES))
def test_where_only_the_country_is_known_the_window_is_open_in_all_of_it(now: datetime, country: str) -> None:
    low, high = zones.offsets(country, now)
    opens = next_opening(now, low, high, *WINDOW)
    for offset in range(low, high + 1, 15):
        assert WINDOW[0] <= local_minute(opens, offset) < WINDOW[1]


@given(MOMENTS, st.sampled_from(COUNTRIES), WINDOWS)
def test_open_at_both_ends_means_open_everywhere_between(now: datetime, country: str, window: tuple[int, int]) -> None:
    low, high = zones.offsets(country, now)
    between = [window[0] <= local_minute(now, offset) < window[1] for offset in range(low, high + 1, 15)]
    assert open_now(now, low, high, *window) == all(between)


@given(MOMENTS, st.integers(8 * 60, 19 * 60), st.integers(60, 5 * 60))
def test_a_window_that_never_opens_everywhere_still_opens_and_in_nobodys_night(
    now: datetime, start: int, length: int
) -> None:
    """A member's own hour, in a country six hours wide: the moment may be late for some, but is never at night."""
    low, high = -600, -240
    opens = next_opening(now, low, high, start, start + length)
    assert opens - now <= timedelta(days=1)
    if length <= high - low:
        for offset in (low, high):
            assert local_minute(opens, offset) >= start - (high - low)
            assert local_minute(opens, offset) < max(LATEST, start + length)


def test_the_whole_day_is_always_open() -> None:
    now = datetime(2026, 5, 5, 3, 3, tzinfo=UTC)
    assert next_opening(now, -600, -240, 0, 1440) == now


SENT = st.lists(st.integers(0, 9 * 24 * 60 - 1), max_size=12, unique=True)


@given(SENT, st.integers(0, 3), st.integers(0, 6))
def test_caps_open_exactly_when_one_more_keeps_them(minutes_ago: list[int], daily: int, weekly: int) -> None:
    now = datetime(2026, 5, 5, 12, tzinfo=UTC)
    sent = [now - minutes * MINUTE for minutes in minutes_ago]

    def keeps(moment: datetime) -> bool:
        day = sum(s > moment - timedelta(days=1) for s in sent)
        week = sum(s > moment - timedelta(days=7) for s in sent)
        return (not daily or day < daily) and (not weekly or week < weekly)

    opens = cap_opens(now, sent, daily, weekly)
    assert keeps(opens or now)
    if opens:
        assert opens > now
        assert not keeps(now)
        assert not keeps(opens - timedelta(seconds=1))


def test_two_a_day_means_the_third_waits_for_the_older_of_the_two() -> None:
    now = datetime(2026, 5, 5, 12, tzinfo=UTC)
    sent = [now - timedelta(hours=20), now - timedelta(hours=1)]
    assert cap_opens(now, sent, 2, 0) == now + timedelta(hours=4)


@given(st.integers(1, 50), st.one_of(st.none(), st.floats(0, 7200)))
def test_back_off_doubles_with_jitter_up_to_an_hour_and_waits_as_long_as_asked(
    attempts: int, asked: float | None
) -> None:
    full = min(FIRST_BACKOFF * 2 ** (attempts - 1), 3600.0)
    wait = backoff(attempts, asked)
    assert wait >= (asked or 0.0)
    assert full / 2 <= wait <= max(full, asked or 0.0)


def test_back_off_differs_from_one_message_to_the_next() -> None:
    assert len({backoff(3) for _ in range(20)}) > 10


@pytest.mark.parametrize("zone", ["country:US", "country:AU", "country:MX", "America/St_Johns", "no/such/zone"])
def test_offsets_are_minutes_and_the_smaller_first(zone: str) -> None:
    low, high = zones.offsets(zone, datetime(2026, 7, 1, tzinfo=UTC))
    assert -720 <= low <= high <= 840
