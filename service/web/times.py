"""Moments as people read them: in the viewer's own time zone and language, with the exact time underneath."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from flask import Flask, g

from service import clock
from service.web import languages


def init_app(app: Flask) -> None:
    """Offer the filters `local`, `day`, `clocktime` and `ago`, and `zone_name()`, to the templates."""
    app.jinja_env.filters.update(local=local, day=day, clocktime=clocktime, ago=ago, isoutc=isoutc)
    app.jinja_env.globals["zone_name"] = zone_name


def viewer_zone() -> ZoneInfo:
    """The signed-in coordinator's zone, or the one a page set with `g.zone` for its member, else UTC."""
    me = g.get("me")
    return zone(g.get("zone") or (me.time_zone if me is not None else "UTC"))


def zone(name: str) -> ZoneInfo:
    """A zone by its IANA name; UTC for one that does not exist."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; "" and folders are the others
        return ZoneInfo("UTC")


def _in(name: str | None) -> ZoneInfo:
    return zone(name) if name else viewer_zone()


def local(moment: datetime, tz: str | None = None) -> str:
    """`"Tue 24 Nov, 19:00"` (the year only if it is another one), as the viewer's language writes it."""
    there = moment.astimezone(_in(tz))
    locale = languages.locale()
    this_year = there.year == clock.now().astimezone(there.tzinfo).year
    pattern = locale.datetime_skeletons["MMMEd" if this_year else "yMMMEd"]
    return f"{format_datetime(there, pattern.pattern, locale=locale)}, {format_time(there, 'short', locale=locale)}"


def day(moment: datetime | date, tz: str | None = None) -> str:
    """`"Tuesday, 24 November 2026"` in the viewer's language."""
    there = moment.astimezone(_in(tz)) if isinstance(moment, datetime) else moment
    return format_date(there, "full", locale=languages.locale())


def clocktime(moment: datetime, tz: str | None = None) -> str:
    """The time of day alone, such as `"19:00"` or `"7:00 PM"`."""
    return format_time(moment.astimezone(_in(tz)), "short", locale=languages.locale())


def ago(moment: datetime) -> str:
    """`"3 minutes ago"` or `"in 2 days"`."""
    return format_timedelta(moment - clock.now(), add_direction=True, locale=languages.locale())


def isoutc(moment: datetime) -> str:
    """The machine-readable form for `<time datetime>`."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def zone_name(tz: str | None = None) -> str:
    """The zone that times are shown in, by name: for the line "Times are in Europe/London"."""
    return _in(tz).key.replace("_", " ")
