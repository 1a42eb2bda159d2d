"""The days of a rhythm: some days of each week or of every second one, or a day of the month."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice

from dateutil.rrule import MONTHLY, WEEKLY, rrule

from service.models.checkins import Every, Rhythm

LAST_MONTH_DAY = 28
"""Every month has it."""


def from_day(rhythm: Rhythm, day: date) -> Iterator[date]:
    """The rhythm's days from `day` on, without end."""
    first = datetime.combine(rhythm.starts_on, time())
    if rhythm.every == Every.MONTH:
        rule = rrule(MONTHLY, dtstart=first, bymonthday=rhythm.month_day or 1)
    else:
        days = [int(number) for number in rhythm.days.split(",") if number] or [rhythm.starts_on.weekday()]
        # Weeks begin on Monday; the week of the first day is the first of every two.
        monday = first - timedelta(days=first.weekday())
        rule = rrule(WEEKLY, dtstart=monday, interval=2 if rhythm.every == Every.TWO_WEEKS else 1, byweekday=days)
    begin = max(first, datetime.combine(day, time()))
    return (moment.date() for moment in rule.xafter(begin, inc=True))


def next_days(rhythm: Rhythm, day: date, count: int) -> list[date]:
    """The next `count` days from `day` on."""
    return list(islice(from_day(rhythm, day), count))
