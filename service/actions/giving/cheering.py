"""What members say about notes by text and by mail: that they would like one, or none, THANKS, a break, one taken back.

Each is a whole message. CHEER itself begins a note in `writing`.
"""

from sqlalchemy.orm import Session

from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer
from service.actions.giving import carrying, gifts, matching, note_words, wishes
from service.actions.tools.topics import folded
from service.models.giving import Giving
from service.models.members import Member, MemberState, SubscriptionState


def hear(session: Session, incoming: Incoming) -> str | None:
    """What it did, or None where this is about something else."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    said = folded(incoming.arrived.words)
    if said in note_words.WANTED:
        return _wish(session, incoming, member, True)
    if said in note_words.NO_NOTES:
        return _wish(session, incoming, member, False)
    if said in note_words.WITHDRAWN:
        return _withdraw(session, incoming, member)
    givers = said in note_words.GIVERS_BREAK and wishes.gives(session, member.id)
    if said in note_words.BREAK or givers:
        return _break(session, incoming, member)
    return _thanks(session, incoming, member) if incoming.read.keyword == "THANKS" else None


def _wish(session: Session, incoming: Incoming, member: Member, on: bool) -> str:
    before = wishes.receives(session, member.id)
    wishes.receive(session, member.id, on, f"{incoming.arrived.channel}: {'CHEER ME' if on else 'NO NOTES'}")
    if before != on:
        undo.remember(session, member, incoming.message, "note_wish", {"before": before})
    if on:
        answer(session, incoming, "note_wish_on", {"off": not _comes_at_all(member)})
    else:
        answer(session, incoming, "note_wish_off")
    return "keyword CHEER ME" if on else "keyword NO NOTES"


def _comes_at_all(member: Member) -> bool:
    """Whether what notes come with is on anywhere."""
    return any(s.topic == matching.TOPIC and s.state != SubscriptionState.STOPPED for s in member.subscriptions)


def _break(session: Session, incoming: Incoming, member: Member) -> str:
    if wishes.give(session, member.id, False):
        undo.remember(session, member, incoming.message, "note_break", {})
    answer(session, incoming, "note_break")
    return "keyword TAKING A BREAK"


def _withdraw(session: Session, incoming: Incoming, member: Member) -> str | None:
    gift = gifts.last_of(session, member.id, Giving.NOTE)
    if gift is None:
        return None
    left = carrying.has_left(session, gift)
    gifts.take_back(session, gift)
    answer(session, incoming, "note_withdrawn", {"left": left})
    return "keyword WITHDRAW NOTE"


def _thanks(session: Session, incoming: Incoming, member: Member) -> str | None:
    """THANKS for a note; for anything else it goes its usual way."""
    note = carrying.arrived(session, member, incoming.arrived.answers_campaign)
    if note is None:
        return None
    carrying.thank(session, note)
    undo.remember(session, member, incoming.message, "note_thanks", {"note": str(note.id)})
    answer(session, incoming, "note_thanked")
    return "keyword THANKS"
