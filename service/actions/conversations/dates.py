"""The day that somebody names: "I'll ring Thursday", "te llamo el jueves", "on 3 Dec", "in two weeks".

In English and Spanish. Only what points forward and can be told for certain: a question, a past day, a habit ("on
Tuesdays") and 3/12, which is two different days on two sides of an ocean, name none. Missing a day costs a click;
inventing one costs trust.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

FURTHEST = 183
"""Days ahead; what would be further away was more likely meant as a day that has passed."""
LONGEST = 5000
"""Characters that are looked at."""


@dataclass(frozen=True, slots=True)
class Named:
    """A day, and the words that name it."""

    day: date
    words: str


_EN_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_EN_SHORT = "mon tue wed thu fri sat sun".split()
_ES_DAYS = "lunes martes miercoles jueves viernes sabado domingo".split()
_WEEKDAY = {name: n for names in (_EN_DAYS, _EN_SHORT, _ES_DAYS) for n, name in enumerate(names)}
_WEEKDAY |= {"tues": 1, "weds": 2, "thur": 3, "thurs": 3}
_EN_MONTHS = "january february march april may june july august september october november december".split()
_ES_MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
_MONTH = {name: n for names in (_EN_MONTHS, _ES_MONTHS) for n, name in enumerate(names, 1)}
_MONTH |= {name[:3]: n for n, name in enumerate(_EN_MONTHS, 1)} | {"sept": 9, "setiembre": 9}
_EN_NUMBERS = "a one two three four five six seven eight nine ten".split()
_ES_NUMBERS = "uno dos tres cuatro cinco seis siete ocho nueve diez".split()
_NUMBER = {"a": 1, "an": 1, "un": 1, "una": 1, "couple of": 2, "a couple of": 2, "un par de": 2}
_NUMBER |= {w: n for n, w in enumerate(_EN_NUMBERS[1:], 1)} | {w: n for n, w in enumerate(_ES_NUMBERS, 1)}

_COUNT = r"(?P<count>\d{1,2}|" + "|".join(sorted(_NUMBER, key=len, reverse=True)) + ")"
_EN_MONTH = (
    r"(?P<month>" + "|".join(sorted([*_EN_MONTHS, *(m[:3] for m in _EN_MONTHS), "sept"], key=len)[::-1]) + r")\b"
)
_ES_MONTH = r"(?P<month>" + "|".join([*_ES_MONTHS, "setiembre"]) + r")\b"
_EN_DAY = "|".join(_EN_DAYS)
_EN_ANY = "|".join(sorted([*_EN_DAYS, *_EN_SHORT, "tues", "weds", "thur", "thurs"], key=len)[::-1])
_ES_DAY = "|".join(_ES_DAYS)
_YEAR = r"(?:,? (?:of |de |del )?(?P<year>20\d\d))?"
_CLOCK = r"(?! ?(?::|am\b|pm\b|h\b|\d))"

_SHORT_MONTH = re.compile(rf"\b({'|'.join(m[:3] for m in _EN_MONTHS)}|sept)\.")
_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;]?")
_PROMISE = re.compile(
    r"\b(?:i'?ll|i will|we'?ll|we will|i'?m going to|i am going to|we'?re going to|let me|will (?:ring|call|text|write|"
    r"email|phone|check|ask)|talk|speak|(?:call|ring|text) you|"
    r"(?:te|le|os|les|lo|la) (?:\w+o|\w+re|\w+mos)|voy a|vamos a|hablamos|nos vemos|\w{3,}are|\w{3,}ire|quedamos)\b"
)


def named(words: str, today: date) -> list[Named]:
    """The days from `today` on that `words` name, in the order in which they stand there, each once. Never raises."""
    found: dict[date, Named] = {}
    words = words[:LONGEST]
    folded = _SHORT_MONTH.sub(r"\1 ", _fold(words))
    for sentence in _SENTENCE.finditer(folded):
        if sentence.group().endswith("?"):
            continue
        for start, end, day in sorted(_in_sentence(sentence.group(), today)):
            if 0 <= (day - today).days <= FURTHEST:
                begins = sentence.start() + start
                found.setdefault(day, Named(day, words[begins : sentence.start() + end].strip()))
    return list(found.values())


def _fold(words: str) -> str:
    """Small letters without accents, one for one, so that places stay the same."""
    return "".join(unicodedata.normalize("NFD", c)[0].lower()[:1] or c for c in words.replace("’", "'"))


def _in_sentence(sentence: str, today: date) -> Iterator[tuple[int, int, date]]:
    """(start, end, day) of each day named; what a longer expression has taken is not read again."""
    taken: list[tuple[int, int]] = []
    for pattern, reckon, needs_promise in _WAYS:
        for match in pattern.finditer(sentence):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            taken.append(match.span())
            if needs_promise and not _PROMISE.search(sentence):
                continue
            day = reckon(match, today)
            if day is not None:
                yield match.start(), match.end(), day


def _ahead(days: int) -> Callable[[re.Match[str], date], date | None]:
    return lambda match, today: today + timedelta(days=days)


def _none(match: re.Match[str], today: date) -> date | None:
    return None


def _coming(match: re.Match[str], today: date) -> date | None:
    """The next day of that name after today."""
    return today + timedelta(days=(_WEEKDAY[match["day"]] - today.weekday() - 1) % 7 + 1)


def _of_next_week(match: re.Match[str], today: date) -> date | None:
    monday = today + timedelta(days=7 - today.weekday())
    return monday + timedelta(days=_WEEKDAY[match["day"]] if "day" in match.re.groupindex else 0)


def _days_on(match: re.Match[str], today: date) -> date | None:
    count = match["count"]
    number = int(count) if count.isdigit() else _NUMBER[count]
    return today + timedelta(days=number * (7 if match["unit"].startswith(("week", "semana")) else 1))


def _of_month(match: re.Match[str], today: date) -> date | None:
    number, month = int(match["number"]), _MONTH[match["month"]]
    years = [int(match["year"])] if match["year"] else [today.year, today.year + 1]
    return next((day for year in years if (day := _date(year, month, number)) and day >= today), None)


def _of_this_month(match: re.Match[str], today: date) -> date | None:
    number = int(match["number"])
    later = today.replace(day=1) + timedelta(days=32)
    days = (_date(today.year, today.month, number), _date(later.year, later.month, number))
    return next((day for day in days if day and day >= today), None)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _way(
    pattern: str, reckon: Callable[[re.Match[str], date], date | None], *, promise: bool = False
) -> tuple[re.Pattern[str], Callable[[re.Match[str], date], date | None], bool]:
    return re.compile(rf"\b(?:{pattern})"), reckon, promise


_WAYS = (
    # What points back, or to no day at all, takes its words first.
    _way(rf"(?:last|every|each|past) (?:{_EN_ANY})\b|(?:{_EN_DAY})s\b|since (?:{_EN_DAY})\b", _none),
    _way(rf"(?:{_ES_DAY}) (?:pasado|anterior)\b|(?:los|cada|todos los|desde el) (?:{_ES_DAY})\b", _none),
    _way(r"(?:esta|por la|de la|cada|toda la|la|una) manana\b(?! manana)", _none),
    # Whole dates.
    _way(rf"(?:on )?(?:the )?(?P<number>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_EN_MONTH}{_YEAR}", _of_month),
    _way(rf"(?:on )?{_EN_MONTH} {{1,2}}(?:the )?(?P<number>\d{{1,2}})(?:st|nd|rd|th)?\b{_YEAR}{_CLOCK}", _of_month),
    _way(rf"(?:el )?(?:dia )?(?P<number>\d{{1,2}}) de {_ES_MONTH}{_YEAR}", _of_month),
    _way(r"on the (?P<number>\d{1,2})(?:st|nd|rd|th)\b", _of_this_month),
    _way(rf"el dia (?P<number>\d{{1,2}})\b{_CLOCK}", _of_this_month),
    # Reckoned from today.
    _way(r"(?:the )?day after tomorrow\b|pasado manana\b", _ahead(2)),
    _way(r"tomorrow\b|manana\b", _ahead(1)),
    _way(rf"in (?:about )?{_COUNT} (?P<unit>days?|weeks?)\b", _days_on),
    _way(rf"(?:en|dentro de) (?:unos? )?{_COUNT} (?P<unit>dias?|semanas?)\b", _days_on),
    _way(rf"(?:on )?next (?P<day>{_EN_ANY})\b", _of_next_week),
    _way(rf"(?P<day>{_EN_DAY}) next week\b", _of_next_week),
    _way(rf"(?:el )?(?P<day>{_ES_DAY}) de la (?:semana que viene|proxima semana)\b", _of_next_week),
    _way(r"next week\b|(?:la )?(?:semana que viene|proxima semana)\b", _of_next_week),
    _way(rf"(?:on|this|by|until|till) (?P<day>{_EN_ANY})\b", _coming),
    _way(rf"(?P<day>{_EN_DAY})\b", _coming),
    _way(rf"(?:(?:el|este|proximo|hasta el) )+(?P<day>{_ES_DAY})\b(?: que viene| proximo)?", _coming),
    _way(r"today\b|tonight\b|this (?:morning|afternoon|evening)\b|hoy\b|esta (?:tarde|noche)\b", _ahead(0),
         promise=True),
)  # fmt: skip
"""Longer expressions first."""
