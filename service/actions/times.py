"""Days and hours in a member's own time zone and language: "Tuesday 1 December", "7:00 pm"."""

from datetime import datetime

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

from service.actions import zones


def _locale(locale: str) -> Locale:
    try:
        return Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")


def day(moment: datetime, zone: str, locale: str) -> str:
    """`Tuesday 1 December`, or `martes 1 de diciembre`."""
    local = moment.astimezone(zones.info(zone))
    pattern = "EEEE d 'de' MMMM" if locale.startswith("es") else "EEEE d MMMM"
    return format_date(local, pattern, locale=_locale(locale))


def hour(moment: datetime, zone: str, locale: str) -> str:
    """`7:00 pm`, or `19:00` where people write it so."""
    local = moment.astimezone(zones.info(zone))
    if locale.startswith("es"):
        return format_time(local, "H:mm", locale=_locale(locale))
    return format_time(local, "h:mm a", locale=Locale.parse("en")).lower().replace("\u202f", " ")


def short(moment: datetime, zone: str, locale: str) -> str:
    """For a text message: `Tue 1 Dec, 7:00 pm`."""
    local = moment.astimezone(zones.info(zone))
    date_ = format_date(local, "EEE d MMM", locale=_locale(locale)).replace(".", "")
    return f"{date_}, {hour(moment, zone, locale)}"
