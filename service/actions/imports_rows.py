"""What a row of an import must be like: from its cells to a checked row, or errors that say what to do.

Nothing here touches the database, so that the rules can be read and tested in one place; they are those of DESIGN
section 11.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from uuid import UUID

from phonenumbers import SUPPORTED_REGIONS

from service import clock
from service.actions import contacts, zones
from service.actions.imports_file import COLUMNS, TOO_MANY_CELLS, RowError, did_you_mean
from service.actions.new_members import LANGUAGES
from service.errors import Invalid
from service.models.members import ChannelName, Topic

NAME_LENGTH = 80
SOURCE_LENGTH = 120
EARLIEST = 1990
"""No consent to be texted or emailed is older; a year before it is a slip of the pen."""
FORMULA = re.compile(r"'(?=[=+\-@\t\r])")
"""The apostrophe that our own export puts before what a spreadsheet would run as a formula."""
_SHORTENED = re.compile(r"\d([.,]\d+)?[eE]\+?\d+")
_BLANKS = re.compile(r"\s+")
Wrong = Callable[[str, str], None]
"""Told a column and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One checked row: addresses in their stored form, everything else as it is kept."""

    number: int
    first_name: str = field(repr=False)
    addresses: Mapping[ChannelName, str] = field(repr=False)
    topics: tuple[Topic, ...]
    circle_id: UUID | None
    time_zone: str
    """An IANA name, or "" where the file has none: it is guessed then."""
    locale: str
    country: str
    number_country: str
    """Of the phone number, which need not be where somebody lives."""
    consented_at: datetime | None
    """With `source` the proof of consent, for every address in the row."""
    source: str


class Circles:
    """Open circles by their slug or name, however it is capitalised."""

    def __init__(self, rows: Iterable[tuple[UUID, str, str]]) -> None:
        """`rows` are (id, slug, name)."""
        self._by_word: dict[str, set[UUID]] = {}
        self._names: list[str] = []
        for circle_id, slug, name in rows:
            self._names.append(name)
            for word in (slug, name):
                self._by_word.setdefault(_folded(word), set()).add(circle_id)

    def find(self, word: str) -> UUID:
        """The circle's id. Raises Invalid for an unknown name, and for one that two circles have."""
        found = self._by_word.get(_folded(word), set())
        if len(found) == 1:
            return next(iter(found))
        if found:
            raise Invalid("Two circles have this name. Use the short name from the circle's address.", field="circle")
        near = get_close_matches(word, self._names, n=1, cutoff=0.5)
        hint = "" if near else " Write it as the console does, or leave it empty."
        raise Invalid(did_you_mean("There is no open circle of this name", near) + hint, field="circle")


def check(number: int, values: Mapping[str, str], circles: Circles) -> Row | list[RowError]:
    """The row with these values (columns may be missing), or everything that is wrong with it."""
    problems: list[RowError] = []
    get = {column: _cell(values.get(column, "")) for column in COLUMNS}

    def wrong(column: str, message: str) -> None:
        problems.append(RowError(number, column, message))

    if TOO_MANY_CELLS in values:
        wrong("", values[TOO_MANY_CELLS])
        return problems
    if len(get["first_name"]) > NAME_LENGTH:
        wrong("first_name", f"Use at most {NAME_LENGTH} letters.")
    country = get["country"].upper()
    if country and country not in SUPPORTED_REGIONS:
        hint = " Great Britain is GB." if country in ("UK", "ENGLAND") else ""
        wrong("country", f"Write the country with two letters, such as US, GB or MX.{hint}")
        country = ""
    addresses = _addresses(get, country, wrong)
    topics = _topics(get["topics"], wrong)
    circle_id = None
    if get["circle"]:
        try:
            circle_id = circles.find(get["circle"])
        except Invalid as error:
            wrong("circle", error.message)
    time_zone = _time_zone(get["timezone"], wrong)
    number_country = contacts.country_of(addresses[ChannelName.SMS]) if ChannelName.SMS in addresses else ""
    country = country or number_country
    locale = _locale(get["locale"], country, wrong)
    consented_at = _consent(get, time_zone or zones.guess(country), wrong)
    if problems:
        return problems
    return Row(
        number=number,
        first_name=get["first_name"],
        addresses=addresses,
        topics=topics,
        circle_id=circle_id,
        time_zone=time_zone,
        locale=locale,
        country=country,
        number_country=number_country,
        consented_at=consented_at,
        source=get["consent_source"],
    )


class Seen:
    """The addresses of the rows so far, to find those that come twice."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def again(self, row: Row) -> list[RowError]:
        """What this row repeats of an earlier one; a row without errors is remembered."""
        errors = [
            RowError(row.number, _column(channel), f"This is in row {first} already. Keep one of the two rows.")
            for channel, value in row.addresses.items()
            if (first := self._rows.get(value)) is not None
        ]
        if not errors:
            self._rows.update((value, row.number) for value in row.addresses.values())
        return errors


def _column(channel: ChannelName) -> str:
    return "phone" if channel == ChannelName.SMS else "email"


def _cell(value: str) -> str:
    """Tidied: one line, NFC, without control characters or an apostrophe that guards against formulas."""
    if value.isascii() and value.isalnum():
        return value
    value = FORMULA.sub("", _BLANKS.sub(" ", value).strip(), count=1)
    return unicodedata.normalize("NFC", "".join(c for c in value if unicodedata.category(c) != "Cc"))


def _addresses(get: Mapping[str, str], country: str, wrong: Wrong) -> dict[ChannelName, str]:
    found: dict[ChannelName, str] = {}
    if not get["phone"] and not get["email"]:
        wrong("phone", "A phone number or an email address is needed, or both.")
    if _SHORTENED.fullmatch(get["phone"]):
        wrong("phone", "The spreadsheet has shortened this number. Format the column as text, and type it again.")
    elif get["phone"]:
        try:
            found[ChannelName.SMS] = contacts.phone(get["phone"], country)
        except Invalid as error:
            wrong("phone", _about_phone(error))
    if get["email"]:
        try:
            found[ChannelName.EMAIL] = contacts.email(get["email"])
        except Invalid as error:
            wrong("email", error.message)
    return found


def _about_phone(error: Invalid) -> str:
    if error.error_code != "country_not_served":
        return error.message
    return (
        "Numbers of this country cannot be texted from here. Leave the number out and give an email address, or have "
        "the country added to SMS_COUNTRIES."
    )


def _topics(text: str, wrong: Wrong) -> tuple[Topic, ...]:
    words = [word.strip().lower() for word in text.split(";") if word.strip()]
    unknown = [word for word in words if word not in _TOPICS]
    if unknown:
        known = ";".join(_TOPICS)
        wrong(
            "topics", f"“{unknown[0][:40]}” is not a topic. Write some of {known}, or leave it empty for all of them."
        )
    return tuple(topic for topic in Topic if topic in words) if words else tuple(Topic)


_TOPICS = {topic.value: topic for topic in Topic}
_ZONES: dict[str, str] = {}


def _time_zone(text: str, wrong: Wrong) -> str:
    if not text or text in zones.known():
        return text
    if not _ZONES:
        _ZONES.update((name.lower(), name) for name in zones.known())
    name = _ZONES.get(text.lower().replace(" ", "_"))
    if name is None:
        near = get_close_matches(text, zones.known(), n=1)
        example = "" if near else " Write it like America/New_York, or leave it empty: it is guessed then."
        wrong("timezone", did_you_mean("This time zone does not exist", near) + example)
    return name or ""


def _locale(text: str, country: str, wrong: Wrong) -> str:
    language, _, region = text.replace("_", "-").partition("-")
    language, region = language.lower() or LANGUAGES[0], region.upper()
    if language not in LANGUAGES or (region and region not in SUPPORTED_REGIONS):
        wrong("locale", "Write en or es.")
    region = region or country
    return f"{language}-{region}" if region else language


def _consent(get: Mapping[str, str], zone: str, wrong: Wrong) -> datetime | None:
    """When consent was given. A time without an offset is one on the member's own clock."""
    when, source = get["consented_at"], get["consent_source"]
    if bool(when) != bool(source):
        missing = "consent_source" if when else "consented_at"
        wrong(missing, "A proof of consent needs both: when it was given, and how. Fill in both, or neither.")
        return None
    if not when:
        return None
    if len(source) > SOURCE_LENGTH:
        wrong("consent_source", f"Use at most {SOURCE_LENGTH} letters, such as “paper form, open day”.")
    try:
        moment = datetime.fromisoformat(when)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zones.info(zone))
        future = moment > clock.now()
    except (ValueError, OverflowError):
        wrong("consented_at", "Write the day like 2026-03-31, or with a time: 2026-03-31T18:30:00Z.")
        return None
    if moment.year < EARLIEST:
        wrong("consented_at", "Write the year with four digits.")
        return None
    if future:
        wrong("consented_at", "This is in the future. Write when consent was given.")
        return None
    return moment


def _folded(word: str) -> str:
    return _BLANKS.sub(" ", word).strip().casefold()
