"""OFFER: a vent becomes a story or a shared feeling only by the member's own act, and only after PASS."""

from sqlalchemy.orm import Session

from service.actions.conversations.saying import Incoming, answer
from service.actions.giving import writing
from service.actions.giving.kinds import KINDS
from service.actions.vents import keeping
from service.models.giving import Giving, Writing
from service.models.members import Member
from service.models.vents import Vent

BECOMES = {"a": Giving.STORY, "b": Giving.FEELING}


def ask(session: Session, incoming: Incoming, member: Member) -> str | None:
    """Ask what it is to become; None where there is nothing to offer."""
    vent = keeping.last_kept(session, member.id)
    if vent is None:
        return None
    keeping.close(vent)
    vent.letters = "offer"
    answer(session, incoming, "vent_offer")
    return "keyword OFFER"


def choose(session: Session, incoming: Incoming, member: Member, vent: Vent, letter: str) -> str | None:
    """A or B: what was said is the first piece of it now, and waits for PASS. The vent itself stays as it was."""
    giving = BECOMES.get(letter)
    if giving is None:
        return None
    half = session.get(Writing, member.id)
    if half is not None and half.pieces and writing.still_open(half):
        answer(session, incoming, "writing_open", writing.facts_of(half, member))
        return "keyword OFFER"
    if len(vent.words) > KINDS[giving].longest:
        answer(session, incoming, "vent_offer_long", {"most": KINDS[giving].longest})
        return "keyword OFFER"
    vent.letters = ""
    made = writing.start(session, member, incoming.arrived.channel, giving)
    made.words, made.pieces = vent.words, 1
    answer(session, incoming, "writing_so_far", writing.facts_of(made, member))
    return f"keyword OFFER {giving}"
