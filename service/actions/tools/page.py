"""The tools on a member's signed page: the cards of their language, and whether one helped. What they asked for is not
shown there, for links are passed on (rule of conversation 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.actions.leaving import existing
from service.actions.tools import cards, choosing, helped
from service.actions.tools.series import Offer, offered
from service.actions.tools.topics import name_of, topics_of
from service.db import reading, transaction
from service.errors import Conflict
from service.models.content import Tool
from service.models.members import MemberState


@dataclass(frozen=True)
class Shelf:
    """What the page shows."""

    cards: Sequence[tuple[Tool, list[str]]]
    """Each with the names of its topics."""
    series: Sequence[Offer]


def shelf(member_id: UUID) -> Shelf:
    """The cards that may be sent in the member's language, the most helpful first. Raises NotFound."""
    with reading() as session:
        member = existing(session, member_id)
        language = member.language
        found = choosing.ranked(session, language)
        return Shelf(
            [(tool, [name_of(topic, language) for topic in topics_of(tool)]) for tool in found],
            offered(session, language),
        )


def answer(member_id: UUID, tool_id: UUID, yes: bool) -> None:
    """Keep whether a card helped. Raises NotFound, and Conflict for somebody who has left, or a card that rests."""
    with transaction() as session:
        member = existing(session, member_id)
        if member.state != MemberState.ACTIVE:
            raise Conflict("This is not open to you right now.")
        tool = cards.get(session, tool_id)
        if cards.is_over(tool):
            raise Conflict("This card is being read again. Please try another one.")
        helped.note(session, tool.id, member.id, yes)
