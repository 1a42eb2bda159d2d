"""Two automatic systems that answer one another for ever: noticed after three rounds, and left to a person.

A person may well send several short answers in a row (YES, OOPS, NO), so it is not their number that tells, but that
nothing changes: the same words again, or the same answer again. And nobody gets more than MOST answers in an hour.
"""

from itertools import takewhile
from typing import TYPE_CHECKING

from service.actions.conversations import lately
from service.actions.conversations.lately import Line
from service.models.campaigns import Purpose

if TYPE_CHECKING:
    from service.actions.conversations.saying import Incoming

ROUNDS = lately.ROUNDS
MOST = lately.MOST
WITHIN = lately.HOUR
ALWAYS = frozenset(["stopped_with_line"])
"""What goes out all the same: it carries the line for somebody in danger."""
VARIES = frozenset(["tool_card", "writing_so_far", "story_card"])
"""Says something else each time: four cards in an hour lead somewhere, and so does a story in many pieces."""


def going_round(incoming: "Incoming", template: str) -> bool:
    """Whether `template` would be the fourth of a row that leads nowhere, or one too many in an hour."""
    given = _answers(incoming)
    if len(given) >= MOST:
        return True
    if len(given) < ROUNDS:
        return False
    if template not in VARIES and all(answer.template == template for answer in given[:ROUNDS]):
        return True
    heard, words = incoming.lately.heard(incoming.message.id), _fold(incoming.message.body)
    return len(heard) == ROUNDS and all(_fold(said) == words for said in heard)


def _answers(incoming: "Incoming") -> list[Line]:
    """Our automatic answers of the last hour, newest first, since a person last wrote."""
    lines = takewhile(lambda line: line.coordinator_id is None, incoming.lately.lines(WITHIN))
    return [line for line in lines if line.purpose == Purpose.ANSWER]


def _fold(words: str) -> str:
    return " ".join(words.casefold().split())
