"""On which day a rhythm begins, or goes on: today, if its hour is still far enough ahead for most who would be asked.

A day is one of every member's own calendar, so somewhere it is over sooner than elsewhere. Counted are the clocks of
those who would be asked, not that of whoever sets the rhythm up: these may be far apart.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import clock
from service.actions import audience as audiences
from service.actions import zones
from service.actions.audience import Audience
from service.actions.campaigns.run import zones_in_use
from service.actions.checkins import days
from service.actions.checkins.kinds import KINDS
from service.models.campaigns import Campaign
from service.models.checkins import Rhythm
from service.models.members import ChannelName, Member

NOTICE = timedelta(minutes=30)
"""So long before most members' hour a day can still begin: time to look at its campaign, and to call it off."""


@dataclass(frozen=True)
class Beginning:
    """What a coordinator hears about the next day of a rhythm."""

    day: date
    today: bool
    """Whether that is the day that most members have now."""
    let_go: bool
    """Whether today would be one of its days, but its hour is over or too near."""
    over_somewhere: bool
    """Whether the hour has passed for some already: theirs leaves as soon as it may."""


def next_day(session: Session, rhythm: Rhythm) -> date:
    """The first day from now on that no campaign was made for yet and that can still begin."""
    people = _people(session, rhythm)
    return next(day for day in _open_days(session, rhythm, people) if _ahead(people, rhythm, day))


def told(session: Session, rhythm_id: UUID) -> Beginning | None:
    """What there is to say about the next day; None while it rests, and once it has ended."""
    rhythm = session.get_one(Rhythm, rhythm_id)
    if rhythm.next_on is None:
        return None
    people = _people(session, rhythm)
    today = _today(people.most_common(1)[0][0])
    first = next(day for day in _open_days(session, rhythm, people) if day >= today)
    soonest = min(_moment(zone, rhythm, rhythm.next_on) for zone in people)
    return Beginning(rhythm.next_on, rhythm.next_on == today, first == today < rhythm.next_on, soonest < clock.now())


def _open_days(session: Session, rhythm: Rhythm, people: Iterable[str]) -> Iterator[date]:
    """Its days behind the last that was made, from the earliest date that any of these has now."""
    made = session.scalar(select(func.max(Campaign.occurs_on)).where(Campaign.rhythm_id == rhythm.id))
    earliest = min(_today(zone) for zone in people)
    return days.from_day(rhythm, max(earliest, made + timedelta(days=1)) if made else earliest)


def _today(zone: str) -> date:
    return clock.now().astimezone(zones.info(zone)).date()


def _ahead(people: Counter[str], rhythm: Rhythm, day: date) -> bool:
    """Whether the hour of this day is far enough ahead for at least half of those who would be asked."""
    soonest = clock.now() + NOTICE
    waiting = sum(count for zone, count in people.items() if _moment(zone, rhythm, day) >= soonest)
    return 2 * waiting >= people.total()


def _moment(zone: str, rhythm: Rhythm, day: date) -> datetime:
    return zones.local_moment(zone, f"{day.isoformat()}T{rhythm.local_time}")


def _people(session: Session, rhythm: Rhythm) -> Counter[str]:
    """How many would be asked in each zone; where that is nobody yet, one for every zone in use."""
    channels = tuple(ChannelName(c) for c in rhythm.channels.split(",") if c)
    audience = Audience(channels, KINDS[rhythm.kind].topic, rhythm.circle_id)
    found: Counter[str] = Counter()
    for channel in channels:
        zone = audiences.recipients(audience, channel, Member.time_zone).subquery().c.time_zone
        for name, count in session.execute(select(zone, func.count()).group_by(zone)):
            found[name or "UTC"] += count
    return found or Counter(zones_in_use(session))
