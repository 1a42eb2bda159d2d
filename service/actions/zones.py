"""Time zones as integers in the database, so that sending windows are judged there, for thousands at once."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import phonenumbers
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.models.members import Zone

COUNTRY = "country:"
_BY_COUNTRY = {
    "US": ("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
           "America/Anchorage", "Pacific/Honolulu"),
    "CA": ("America/St_Johns", "America/Halifax", "America/Toronto", "America/Winnipeg", "America/Edmonton",
           "America/Vancouver"),
    "MX": ("America/Mexico_City", "America/Cancun", "America/Hermosillo", "America/Tijuana"),
    "GB": ("Europe/London",),
    "IE": ("Europe/Dublin",),
    "ES": ("Europe/Madrid", "Atlantic/Canary"),
    "AU": ("Australia/Sydney", "Australia/Brisbane", "Australia/Adelaide", "Australia/Darwin", "Australia/Perth"),
    "NZ": ("Pacific/Auckland",),
}  # fmt: skip
"""The zones that a member may be in when only the country is known."""


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """Every IANA zone name."""
    return frozenset(available_timezones())


def valid(name: str) -> bool:
    """Whether `name` is an IANA zone or a `country:XX` key that we can keep."""
    return name in known() or (name.startswith(COUNTRY) and name.removeprefix(COUNTRY) in _BY_COUNTRY)


def guess(country: str, phone: str | None = None) -> str:
    """The zone key to use until the member says: from the number where it names one zone, else the country.

    A number's zones come as a tuple (toll-free: 42 of them); with more than one the whole country counts, and the
    window must be open in all of it.
    """
    if phone:
        try:
            from phonenumbers import timezone as phone_zones  # a megabyte that only those who take members in need

            found = phone_zones.time_zones_for_number(phonenumbers.parse(phone))
        except phonenumbers.NumberParseException:
            found = ()
        if len(found) == 1 and found[0] in known():
            return found[0]
    zones = _BY_COUNTRY.get(country, ())
    if len(zones) == 1:
        return zones[0]
    return f"{COUNTRY}{country}" if zones else "UTC"


def names_of(key: str) -> tuple[str, ...]:
    """The IANA zones behind a key."""
    if key.startswith(COUNTRY):
        return _BY_COUNTRY.get(key.removeprefix(COUNTRY), ("UTC",))
    return (key,)


def info(key: str) -> ZoneInfo:
    """A ZoneInfo to show times in; for a country its first zone, UTC when the key is unknown."""
    try:
        return ZoneInfo(names_of(key)[0])
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def offsets(key: str, at: datetime) -> tuple[int, int]:
    """The smallest and largest offset from UTC, in minutes, at that moment."""
    found = []
    for name in names_of(key):
        try:
            delta = at.astimezone(ZoneInfo(name)).utcoffset() or timedelta()
        except (ZoneInfoNotFoundError, ValueError):
            delta = timedelta()
        found.append(int(delta.total_seconds() // 60))
    return min(found), max(found)


def local_moment(key: str, local: str) -> datetime:
    """`2026-11-30T18:30` on the clock of `key`, as a UTC moment; in the latest zone of a country."""
    wall = datetime.fromisoformat(local)
    return max(wall.replace(tzinfo=ZoneInfo(name)).astimezone(UTC) for name in names_of(key))


def ensure(session: Session, keys: Iterable[str]) -> None:
    """Add rows for zone keys that are not in the table yet."""
    wanted = {key for key in keys if key}
    missing = wanted - set(session.scalars(select(Zone.name).where(Zone.name.in_(wanted))))
    for key in missing:
        low, high = offsets(key, clock.now())
        session.add(Zone(name=key, offset_min=low, offset_max=high))
    session.flush()


def refresh() -> int:
    """Bring every zone's offsets up to date (daylight saving). Returns how many changed; run by the clock."""
    now = clock.now()
    with db.transaction() as session:
        ensure(
            session, [f"{COUNTRY}{c}" for c in _BY_COUNTRY] + [z for zs in _BY_COUNTRY.values() for z in zs] + ["UTC"]
        )
        changed = []
        for zone in session.scalars(select(Zone)):
            low, high = offsets(zone.name, now)
            if (zone.offset_min, zone.offset_max) != (low, high):
                changed.append({"name": zone.name, "offset_min": low, "offset_max": high})
        if changed:
            session.execute(update(Zone), changed)
    return len(changed)
