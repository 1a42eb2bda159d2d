"""How many segments a text is billed as, so that the stand-in says what Twilio would say.

GSM 03.38: 160 septets alone, 153 joined; one character outside it makes the whole text UCS-2: 70 and 67.
"""

from typing import NamedTuple

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")


class Segments(NamedTuple):
    """`number` segments of `units` septets (GSM-7) or UTF-16 units (UCS-2)."""

    number: int
    units: int
    encoding: str


def measure(body: str) -> Segments:
    """Measure a text; an empty one counts as one segment, as it does for Twilio."""
    if all(c in _BASIC or c in _EXTENDED for c in body):
        return _fill([2 if c in _EXTENDED else 1 for c in body], 160, 153, "GSM-7")
    return _fill([2 if ord(c) > 0xFFFF else 1 for c in body], 70, 67, "UCS-2")


def _fill(costs: list[int], alone: int, joined: int, encoding: str) -> Segments:
    units = sum(costs)
    if units <= alone:
        return Segments(1, units, encoding)
    count, room = 1, joined
    for cost in costs:  # neither an escape pair nor a surrogate pair may be torn between two segments
        if cost > room:
            count, room = count + 1, joined
        room -= cost
    return Segments(count, units, encoding)
