"""Two automatic systems that answer one another for ever: noticed after three rounds, and left to a person.

A person may well send several short answers in a row (YES, OOPS, NO), so it is not their number that tells, but that
nothing changes: the same words again, or the same answer again. And nobody gets more than MOST answers in an hour.
"""

from itertools import takewhile

from service.actions.conversations import lately
from service.actions.conversations.lately import Lately, Line
from service.models.campaigns import Purpose
from service.models.conversations import Message

ROUNDS = lately.ROUNDS
MOST = lately.MOST
WITHIN = lately.HOUR
ALWAYS = frozenset(["stopped_with_line"])
"""What goes out all the same: it carries the line for somebody in danger."""
VARIES = frozenset(["tool_card", "writing_so_far", "story_card"])
"""Says something else each time: four cards in an hour lead somewhere, and so does a story in many pieces."""


def going_round(said: Lately, message: Message, template: str) -> bool:
    """Whether `template`, as an answer to `message`, would be the fourth of a row that leads nowhere, or one too many
    in an hour. `said` is what we said in that conversation.
    """
    given = _answers(said)
    if len(given) >= MOST:
        return True
    if len(given) < ROUNDS:
        return False
    if template not in VARIES and all(answer.template == template for answer in given[:ROUNDS]):
        return True
    heard, words = said.heard(message.id), _fold(message.body)
    return len(heard) == ROUNDS and all(_fold(earlier) == words for earlier in heard)


def _answers(said: Lately) -> list[Line]:
    """Our automatic answers of the last hour, newest first, since a person last wrote."""
    lines = takewhile(lambda line: line.coordinator_id is None, said.lines(WITHIN))
    return [line for line in lines if line.purpose == Purpose.ANSWER]


def _fold(words: str) -> str:
    return " ".join(words.casefold().split())
