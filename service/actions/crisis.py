"""Crisis lines by country, from a small hand-checked table; an unknown country gets the international directory.

Never a default country: a number that does not answer is worse than none (facts on safety).
"""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).with_name("crisis_lines.toml")
STALE_AFTER_DAYS = 365


@dataclass(frozen=True)
class CrisisLines:
    """What to tell somebody of one country, in one language."""

    country: str
    line: str
    """Ready for the middle of a sentence: `call or text 988 (any time, free)`."""
    sentence: str
    """A whole sentence, for emails and pages."""
    youth_line: str
    emergency_number: str
    """`911`, `999`, or `your local emergency number`."""
    verified_at: date


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, object]]:
    data = tomllib.loads(TABLE.read_text("utf-8"))
    return {str(row["country"]): row for row in data["country"]} | {"": data["fallback"]}


def lines(country: str, language: str) -> CrisisLines:
    """The lines of a country (ISO code); of an unknown one, the directory (country `""`)."""
    row = _table().get(country.upper()) or _table()[""]
    lang = "es" if language.startswith("es") else "en"
    verified = row["verified_at"]
    if not isinstance(verified, date):
        raise TypeError(f"{TABLE.name}: verified_at of {country or 'the fallback'} is not a date")
    return CrisisLines(
        country=str(row.get("country", "")),
        line=str(row[f"short_{lang}"]),
        sentence=str(row[f"text_{lang}"]),
        youth_line=str(row[f"youth_{lang}"]),
        emergency_number=str(row.get(f"emergency_number_{lang}") or row["emergency_number"]),
        verified_at=verified,
    )


def countries() -> list[str]:
    """Countries with lines of their own."""
    return sorted(c for c in _table() if c)
