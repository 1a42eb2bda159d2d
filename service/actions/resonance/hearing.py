"""ME TOO by text or mail: to the latest story or prompt, while that is open (rules of conversation 1, 8 and 12).

Risk has been judged and a stop has been honoured before any of this is read.
"""

import unicodedata
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock
from service.actions.conversations import undo
from service.actions.conversations.questions import MAIL_OPEN, NEVER_LEFT, Asked
from service.actions.conversations.saying import Incoming, answer, to_person
from service.actions.delivery.history import QUESTION_OPEN
from service.actions.resonance import counting
from service.actions.resonance.counting import Thing
from service.actions.safety import raise_flag
from service.actions.tools.topics import folded
from service.models.campaigns import Asks
from service.models.content import Prompt, Story
from service.models.conversations import RiskTier
from service.models.members import Member

LOOSE = frozenset(
    ["me 2", "me2", "me three", "x2", "x 2", "+1", "1+", "idem", "ditto", "same", "same same", "likewise", "me as well",
     "and me", "also me", "me also", "so do i", "so am i", "so true", "felt it too", "i feel this", "felt this",
     "feel this", "i felt that", "igual", "igualmente", "lo mismo", "y yo", "y a mi", "y yo tambien", "tal cual",
     "siento lo mismo", "me pasa", "me pasa igual", "me too", "metoo", "yo tambien", "a mi tambien", "yo tb", "tambien"]
)  # fmt: skip
"""Folded messages that mean ME TOO while that is what we asked last, and may mean anything else at other times."""
HANDS = frozenset("🙋🙌✋🖐☝")
"""A raised hand."""
SHORT = 3
"""Words. In a longer message a hint of having had enough is one, whatever else it says."""
AGAINST = "ME TOO to a story of suicide or assault"


def says_so(incoming: Incoming) -> bool:
    """Whether the words are a ME TOO by themselves, whatever was asked."""
    return incoming.read.me_too


def loosely(incoming: Incoming) -> bool:
    """Whether a short message means ME TOO where that was our last question: `x2`, `same`, a raised hand."""
    return _is_loose(incoming.arrived.words)


def expected(incoming: Incoming) -> bool:
    """Whether this is a ME TOO, and no more, to what we asked last: `felt this` is then no hint of a stop."""
    asked = incoming.asked[0].asks if incoming.asked else None
    short = says_so(incoming) and len(incoming.arrived.words.split()) <= SHORT
    return asked == Asks.ME_TOO and (short or loosely(incoming))


def _is_loose(words: str) -> bool:
    if folded(words) in LOOSE:
        return True
    signs = [c for c in words if not c.isspace() and unicodedata.category(c) not in ("Mn", "Cf", "Sk", "Me")]
    hands = [c for c in signs if c in HANDS]
    return bool(hands) and all(c in HANDS or c in "♀♂" for c in signs)


def take(session: Session, incoming: Incoming, member: Member, asked: Asked) -> str | None:
    """Keep it as the answer to this question; what it did, or None where the thing takes no ME TOO (any more)."""
    thing = thing_of(session, asked)
    if thing is None or not takes(thing):
        return None
    felt = counting.record(session, thing, member, incoming.message.id, incoming.message.at)
    undo.remember(session, member, incoming.message, "me_too", {"id": str(felt.id)})
    if felt.told:
        answer(session, incoming, "me_too_count", {"count": felt.told})
    else:
        answer(session, incoming, "me_too_noted")
    return "me too"


def thing_of(session: Session, asked: Asked) -> Thing | None:
    """The story or prompt that a question is about."""
    if asked.story_id is not None:
        return session.get(Story, asked.story_id)
    return session.get(Prompt, asked.prompt_id) if asked.prompt_id else None


def takes(thing: Thing) -> bool:
    """Whether ME TOO may be said to it: never to a story of suicide or assault."""
    return isinstance(thing, Prompt) or thing.me_too_allowed


def against(session: Session, incoming: Incoming, member: Member) -> str | None:
    """A ME TOO to a story that takes none, because it is of suicide or assault, says something about the member
    themselves: a concern, put before a person at once (rule of conversation 12).
    """
    story = _latest_story(session, incoming)
    if story is None or story.me_too_allowed:
        return None
    raise_flag(session, incoming.conversation, member, incoming.message, RiskTier.CONCERN, [AGAINST])
    to_person(incoming)
    return "me too: a concern"


def _latest_story(session: Session, incoming: Incoming) -> Story | None:
    """The story that the member had last, sent or asked for, unless a prompt came after it: ME TOO is about the
    latest.
    """
    known, only = incoming.known, incoming.arrived.answers_campaign
    since = clock.now() - (MAIL_OPEN if incoming.arrived.answers_delivery or only else QUESTION_OPEN)
    sent = next((row for row in known.sent if row.sending_at > since and _asks_for_it(row, only)), None)
    read = None if only else known.story_read
    if read is not None and read.at > (sent.sending_at if sent else since):
        return session.get(Story, read.story_id)
    return session.get(Story, sent.story_id) if sent and sent.story_id else None


def _asks_for_it(sent: Any, only: UUID | None) -> bool:
    """Whether a text or mail of a campaign (the one that is answered, where that is known) was a story or a prompt."""
    if sent.state in NEVER_LEFT or (only is not None and sent.campaign_id != only):
        return False
    return sent.story_id is not None or sent.asks == Asks.ME_TOO
