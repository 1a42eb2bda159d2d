"""How a circle is spoken of: its rhythm in plain words, its next meeting on somebody's clock, its name to a member."""

from datetime import UTC, datetime, time, timedelta

from babel.core import Locale
from babel.dates import get_day_names
from dateutil.rrule import rrulestr

from service import clock
from service.actions import times, zones
from service.actions.outbox import NEUTRAL
from service.models.gatherings import Circle
from service.models.members import Member

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ORDINALS = {
    "en": {"1": "first", "2": "second", "3": "third", "4": "fourth", "-1": "last"},
    "es": {"1": "primer", "2": "segundo", "3": "tercer", "4": "cuarto", "-1": "último"},
}


def rhythm(circle: Circle, language: str) -> str:
    """`Tuesdays at 7:00 pm` or `los martes a las 19:00`, on the circle's own clock; "" for what is not that simple."""
    parts = dict(part.split("=", 1) for part in circle.rrule.upper().split(";") if "=" in part)
    frequency, days = parts.get("FREQ"), [d for d in parts.get("BYDAY", "").split(",") if d]
    if set(parts) - {"FREQ", "BYDAY", "INTERVAL", "WKST"} or not days:
        return ""
    hour = _hour(circle, language)
    if frequency == "WEEKLY" and all(d in DAYS for d in days):
        return _weekly(days, parts.get("INTERVAL", "1"), hour, language)
    if frequency == "MONTHLY" and len(days) == 1 and parts.get("INTERVAL", "1") == "1":
        return _monthly(days[0], hour, language)
    return ""


def _weekly(days: list[str], interval: str, hour: str, language: str) -> str:
    names = [_day_name(day, language) for day in days]
    if language == "es":
        often = {"1": "", "2": "cada dos semanas, "}.get(interval, f"cada {interval} semanas, ")
        return f"{often}los {' y '.join(n if n.endswith('s') else n + 's' for n in names)} a las {hour}"
    often = {"1": "", "2": "every second week, "}.get(interval, f"every {interval} weeks, ")
    return f"{often}{' and '.join(n + 's' for n in names)} at {hour}"


def _monthly(day: str, hour: str, language: str) -> str:
    which, name = _ORDINALS[language if language == "es" else "en"].get(day[:-2]), day[-2:]
    if which is None or name not in DAYS:
        return ""
    if language == "es":
        return f"el {which} {_day_name(name, language)} de cada mes a las {hour}"
    return f"the {which} {_day_name(name, language)} of each month at {hour}"


def _day_name(day: str, language: str) -> str:
    return str(get_day_names("wide", locale=Locale.parse("es" if language == "es" else "en"))[DAYS.index(day)])


def _hour(circle: Circle, language: str) -> str:
    hour, minute = (int(part) for part in circle.starts_time.split(":"))
    return times.hour(datetime.combine(clock.now().date(), time(hour, minute), UTC), "UTC", language)


def weekdays(moment: datetime, zone: str, language: str) -> str:
    """`Tuesday`, or `martes` as in "los martes"."""
    name = _day_name(DAYS[moment.astimezone(zones.info(zone)).weekday()], language)
    return name if language != "es" or name.endswith("s") else f"{name}s"


def name_for(circle: Circle, member: Member) -> str:
    """The circle's name; of a discreet member only "the group"."""
    return neutral(member.language) if member.discreet else circle.name


def neutral(language: str) -> str:
    """`the group`, for those who may be overlooked."""
    return NEUTRAL.get(language, NEUTRAL["en"])["circle"]


def usual_next(circle: Circle) -> datetime | None:
    """When the rhythm says that the circle meets next, for one whose meetings are not planned yet."""
    if not circle.rrule:
        return None
    zone, now = zones.info(circle.time_zone), clock.now()
    hour, minute = (int(part) for part in circle.starts_time.split(":"))
    here = now.astimezone(zone)
    first = here.replace(hour=hour, minute=minute, second=0, microsecond=0, tzinfo=None) - timedelta(days=1)
    try:
        found = rrulestr(circle.rrule, dtstart=first).after(here.replace(tzinfo=None))
    except (ValueError, KeyError, TypeError):
        return None
    return found.replace(tzinfo=zone).astimezone(UTC) if found else None


def in_zone(moment: datetime, circle: Circle, zone: str, language: str) -> str:
    """`Tue 1 Dec, 7:00 pm`, on the reader's clock; on the circle's, with its place, where theirs is not known."""
    if zone and not zone.startswith(zones.COUNTRY) and zone != "UTC":
        return times.short(moment, zone, language)
    city = circle.time_zone.rsplit("/", 1)[-1].replace("_", " ")
    return f"{times.short(moment, circle.time_zone, language)} ({city})"
