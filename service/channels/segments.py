"""How many SMS segments a text takes and what it may cost, so that a coordinator sees it while writing.

GSM-7 holds 160 characters (153 in each part of a longer text), UCS-2 70 (67); one character outside GSM-7 turns the
whole text into UCS-2 (3GPP TS 23.038, TS 23.040).
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

import gsm0338

_ESCAPE = "\x1b"  # the table lists it, but alone it is no character
_COST = {unicodedata.lookup(name): 1 for name in gsm0338.charset.BASIC_CHARACTER_SET.values()}
_COST |= {unicodedata.lookup(name): 2 for name in gsm0338.charset.BASIC_CHARACTER_SET_EXTENSION.values()}
del _COST[_ESCAPE]

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′´`", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\t", " "),
        **dict.fromkeys("\u200b\u200c\u2060\ufeff\u00ad", ""),
        **dict.fromkeys("•·", "-"),
        "…": "...",
    }
)


@dataclass(frozen=True, slots=True)
class Measure:
    """The size of one text. `units` are septets or UTF-16 code units; `left` is what the last segment still holds."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int
    per_segment: int
    left: int
    offenders: list[str] = field(default_factory=list)
    """The characters, each once and in order, that keep the text out of GSM-7."""


def measure(text: str) -> Measure:
    """The segments that `text` takes. An empty text takes none. A character is never split over two segments."""
    offenders = [c for c in dict.fromkeys(text) if c not in _COST]
    if offenders:
        costs = [2 if ord(c) > 0xFFFF else 1 for c in text]
        segments, per_segment, left = _pack(costs, 70, 67)
        return Measure("UCS-2", sum(costs), segments, per_segment, left, offenders)
    costs = [_COST[c] for c in text]
    segments, per_segment, left = _pack(costs, 160, 153)
    return Measure("GSM-7", sum(costs), segments, per_segment, left)


def cheapest(text: str) -> str:
    """The text with plain letters for every character outside GSM-7: for counting where accents cost nothing."""
    return "".join(c if c in _COST else _plain_letter(c) for c in text.translate(_TYPOGRAPHY))


def _plain_letter(sign: str) -> str:
    first = unicodedata.normalize("NFKD", sign)[0]
    return first if first in _COST else "?"


def _pack(costs: list[int], alone: int, part: int) -> tuple[int, int, int]:
    """(segments, capacity of each, what is left in the last) for characters of these costs."""
    total = sum(costs)
    if total <= alone:
        return (1 if costs else 0), alone, alone - total
    segments, used = 1, 0
    for cost in costs:
        if used + cost > part:
            segments, used = segments + 1, 0
        used += cost
    return segments, part, part - used


def suggest(text: str) -> str | None:
    """The text with plain quotes, dashes and spaces, if that alone brings it back to GSM-7; else None.

    Letters are never touched: an accent belongs to the word, and its cost is shown instead.
    """
    if not measure(text).offenders:
        return None
    plain = text.translate(_TYPOGRAPHY)
    return plain if not measure(plain).offenders else None


PRICES_AS_OF = date(2026, 7, 1)
PRICES_USD: dict[str, Decimal] = {
    # The list price of one outgoing segment plus a typical carrier fee; a fair guess outside the US.
    "US": Decimal("0.0123"),
    "CA": Decimal("0.0150"),
    "GB": Decimal("0.0524"),
    "MX": Decimal("0.0700"),
}
_ELSEWHERE = Decimal("0.0900")


def estimate_cost(segments: int, country: str) -> Decimal:
    """About what `segments` cost in US dollars in a country (ISO code). An estimate of PRICES_AS_OF, not a quote.

    A country without a price of its own is reckoned at the dearer end of the price list.
    """
    return segments * PRICES_USD.get(country.upper(), _ELSEWHERE)
