"""What somebody means by a few words about a theme or a time. None are kept: a theme is always a circle's own."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
HOURS = ("morning", "afternoon", "evening")
DAWN, NOON, EVENING = 5, 12, 17
STEM = 4
"""From so many letters on, a word of the table stands for longer ones that begin with it."""
_HOUR = re.compile(r"\b(\d{1,2})(?:[:.]\d{2})?\s?(am|pm|h)?\b")
_LITTLE = frozenset(
    "and or the a an of for to in on with my i am im about new people who".split()
    + "y o el la los las un una de del para en con mi".split()
)


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "themes.toml").read_text(encoding="utf-8"))


def fold(words: str) -> str:
    """Small letters without accents, and nothing but letters, digits and single spaces (and a colon within a time)."""
    plain = unicodedata.normalize("NFKD", words.casefold().replace("’", "'"))
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^a-z0-9:']+", " ", kept).split())


def leaves_open(words: str) -> bool:
    """Whether somebody says that anything suits."""
    return fold(words) in _tables()["any"]["words"]


def has_enough(words: str) -> bool:
    """Whether somebody would rather not go on."""
    return fold(words) in _tables()["enough"]["words"]


def theme_of(words: str, themes: Sequence[str]) -> str:
    """The one of the circles' themes that these words come nearest to; "" when they are near none."""
    said = fold(words)
    if not said:
        return ""
    tokens, groups = _tokens(said), _groups(said)
    best, most = "", 0
    for theme in themes:
        own = fold(theme)
        near = 3 * len(tokens & _tokens(own)) + 2 * len(groups & _groups(own)) + (5 if said == own else 0)
        if near > most:
            best, most = theme, near
    return best


def _tokens(folded: str) -> set[str]:
    return {word for word in folded.split() if word not in _LITTLE and len(word) > 2}


def _groups(folded: str) -> set[str]:
    return {group for group, words in _tables()["groups"].items() if any(_says(folded, word) for word in words)}


def _says(folded: str, word: str) -> bool:
    longer = "[a-z]*" if len(word) >= STEM else ""
    return re.search(rf"\b{re.escape(word)}{longer}\b", folded) is not None


def when_of(words: str) -> frozenset[str]:
    """The days and times of day in these words: any of DAYS and HOURS, `weekend`, `weekday`; empty for none."""
    folded = fold(words)
    named = {
        name for name, spellings in _tables()["times"].items() if any(re.search(rf"\b{s}\b", folded) for s in spellings)
    }
    for hour, half in _HOUR.findall(folded):
        named |= _of_hour(int(hour), half)
    return frozenset(named)


def _of_hour(hour: int, half: str) -> set[str]:
    if hour > 23:
        return set()
    # "after 6" is an evening: hardly anybody meets at six in the morning.
    if (half == "pm" and hour < 12) or (not half and 1 <= hour <= 8):
        hour += 12
    return {time_of_day(hour)}


def time_of_day(hour: int) -> str:
    """`morning`, `afternoon` or `evening` for an hour of 0 to 23; the small hours belong to the evening before."""
    return "morning" if DAWN <= hour < NOON else "afternoon" if NOON <= hour < EVENING else "evening"


def suits(weekday: int, hour: int, wanted: Iterable[str]) -> bool:
    """Whether a meeting on a weekday (Monday is 0) at an hour is among what was wanted; nothing wanted: always."""
    wanted = set(wanted)
    days = wanted & {*DAYS, "weekend", "weekday"}
    hours = wanted & set(HOURS)
    of_day = {DAYS[weekday], "weekend" if weekday >= 5 else "weekday"}
    return (not days or bool(days & of_day)) and (not hours or time_of_day(hour) in hours)
