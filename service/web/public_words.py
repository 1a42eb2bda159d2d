"""What the members' pages call things, in the language of the page: topics, countries, zones, errors, what was done."""

from collections.abc import Iterable
from datetime import time
from zoneinfo import available_timezones

from babel.dates import format_time

from service import config
from service.actions import crisis, zones
from service.actions.preferences import Done, Line
from service.errors import DomainError
from service.models.members import ChannelName, Topic
from service.web import languages
from service.web.languages import gettext as _

_AREAS = ("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")


def topics() -> list[tuple[Topic, str, str]]:
    """Each topic with its name and what it is, in the order of the pages."""
    return [
        (
            Topic.STORIES,
            _("Hope stories"),
            _("Short true stories: “I used to feel like that, and here's what helped.”"),
        ),
        (Topic.CHECKINS, _("Check-ins"), _("“How are you today, 1 to 5?” A person reads the answers.")),
        (Topic.SESSIONS, _("Session invites"), _("When a circle meets, with an easy way to say yes or no.")),
        (Topic.TOOLS, _("Tools"), _("A breathing exercise, a way to say no: small things for hard moments.")),
        (Topic.CIRCLE, _("News of your circle"), _("Only if you are in one.")),
    ]


def topic_name(topic: Topic) -> str:
    """The name of one topic."""
    return next(name for known, name, _what in topics() if known == topic)


def channel_name(channel: ChannelName) -> str:
    """`text` or `email`, for the middle of a sentence."""
    return _("text message") if channel == ChannelName.SMS else _("email")


def countries() -> list[tuple[str, str]]:
    """Where somebody may live: the countries that we text first, then those with crisis lines, then anywhere."""
    served = list(config.current().countries)
    others = [c for c in crisis.countries() if c not in served]
    names = languages.locale().territories
    return [(c, names.get(c, c)) for c in [*served, *others]] + [("", _("Somewhere else"))]


def time_zones() -> list[tuple[str, str]]:
    """Time zones for a select: those of the countries that we text first, then all others, by name."""
    near = [z for c in config.current().countries for z in zones.names_of(f"{zones.COUNTRY}{c}") if z != "UTC"]
    rest = sorted(z for z in available_timezones() if z.startswith(_AREAS) and z not in near)
    return [(z, z.replace("_", " ")) for z in [*near, *rest]]


def zone_label(key: str) -> str:
    """A zone key as a person reads it; a `country:US` key says that it is a guess."""
    if key.startswith(zones.COUNTRY):
        code = key.removeprefix(zones.COUNTRY)
        return _("Not sure yet (%(country)s)") % {"country": languages.locale().territories.get(code, code)}
    return key.replace("_", " ")


def said(error: DomainError) -> str:
    """What went wrong, in the language of the page. Messages with a value in them are found by their code."""
    if languages.language() == "en":
        return error.message
    return {
        "country_not_served": _("We cannot text numbers of that country yet. Give us an email address instead."),
        "phone_unreadable": _("We cannot read this number. Begin with + and the country code."),
    }.get(error.error_code) or _(error.message)


def done(lines: Iterable[Line], locale: str) -> list[str]:
    """What was changed, one sentence each, for the line that confirms it."""
    return [_done(line, locale) for line in lines]


def _done(line: Line, locale: str) -> str:
    if line.done in (Done.TOPIC_ON, Done.TOPIC_WAITS, Done.TOPIC_OFF):
        topic, _colon, channel = line.about.partition(":")
        words = {
            Done.TOPIC_ON: _("On: %(topic)s by %(channel)s."),
            Done.TOPIC_WAITS: _("On as soon as you have confirmed: %(topic)s by %(channel)s."),
            Done.TOPIC_OFF: _("Off: %(topic)s by %(channel)s."),
        }[line.done]
        return words % {"topic": topic_name(Topic(topic)), "channel": channel_name(ChannelName(channel))}
    if line.done == Done.OFTEN:
        return often(int(line.about))
    if line.done == Done.WINDOW:
        start, end = (clock_of(int(part), locale) for part in line.about.split("-"))
        return _("Messages come between %(start)s and %(end)s.") % {"start": start, "end": end}
    if line.done == Done.TIME_ZONE:
        return _("Times are in %(zone)s.") % {"zone": zone_label(line.about)}
    return {
        Done.LANGUAGE: _("Language saved."),
        Done.DISCREET: _("Discreet mode is on.") if line.about == "on" else _("Discreet mode is off."),
        Done.NEWS: _("You hear when others felt what you shared.")
        if line.about == "on"
        else _("You don't hear any more how many felt what you shared."),
        Done.NOTES: _("Now and then a kind note may come.")
        if line.about == "on"
        else _("No notes from other members."),
        Done.CHANNEL: _("Saved where messages should go."),
        Done.LEFT_OUT: _("Saved what stories should not be about."),
    }[line.done]


def often(per_week: int) -> str:
    """How often, as a sentence."""
    if per_week == 0:
        return _("As often as there is something, at most once a day.")
    if per_week == 1:
        return _("At most one message a week.")
    return _("At most %(count)s messages a week.") % {"count": per_week}


def clock_of(minute: int, locale: str) -> str:
    """Minutes after midnight as a time of day, such as `10:00 AM`."""
    return format_time(time(minute // 60 % 24, minute % 60), "short", locale=languages.locale(locale))
