"""Tools: short cards for hard moments, found by topic, ranked by whether they helped, alone or as a series over days.

`asking` reads what members write; it is imported by name, for it needs the conversations.
"""

from service.actions.tools.cards import (
    SOON,
    ToolDetails,
    current,
    expiring,
    get,
    is_over,
    listed,
    restore,
    retire,
    save,
)
from service.actions.tools.helped import Standing, note, standings

__all__ = [
    "SOON",
    "Standing",
    "ToolDetails",
    "current",
    "expiring",
    "get",
    "is_over",
    "listed",
    "note",
    "restore",
    "retire",
    "save",
    "standings",
]
