"""Risk: one automatic answer at once, a person paged until somebody says "I have it", and nothing else to that
member until someone has cleared it. Every step keeps its time.
"""

from service.actions.safety.clearing import acknowledge, clear, may_clear, open_flags, take_over, unacknowledged
from service.actions.safety.paging import (
    EVERYBODY_AFTER,
    PAGE_AGAIN,
    TAKES_IT,
    answered_page,
    on_duty_now,
    page,
    page_again,
    raise_daily,
)
from service.actions.safety.raising import ANSWER_EVERY, raise_flag

__all__ = [
    "ANSWER_EVERY",
    "EVERYBODY_AFTER",
    "PAGE_AGAIN",
    "TAKES_IT",
    "acknowledge",
    "answered_page",
    "clear",
    "may_clear",
    "on_duty_now",
    "open_flags",
    "page",
    "page_again",
    "raise_daily",
    "raise_flag",
    "take_over",
    "unacknowledged",
]
