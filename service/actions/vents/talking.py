"""VENT by text and by mail. Risk has been judged and a stop has been honoured before any of this is read.

A vent is answered once, kindly and without advice; it waits on the page of vents until a person has read it, and goes
to the inbox only where the member asks for an answer, or somebody is worried.
"""

from sqlalchemy.orm import Session

from service.actions.conversations import duty, undo
from service.actions.conversations.saying import Incoming, answer, to_person
from service.actions.giving.kinds import begun_by
from service.actions.giving.writing import DROP, PASS, PASS_NAMED
from service.actions.tools.topics import folded
from service.actions.understanding import RSVP_ANSWERS
from service.actions.vents import forgetting, keeping, offering, wording
from service.models.giving import Writing
from service.models.members import Member, MemberState
from service.models.vents import Vent

SAID_IN_A_VENT = "said in a vent"
"""The reason by which `conversations.narrowing` marks words that elsewhere would be taken for a stop."""


def hear(session: Session, incoming: Incoming) -> str | None:
    """A word about a vent, or one more piece of the one that is open; what it did, or None."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    said = folded(incoming.arrived.words)
    if said in wording.OPENS:
        return _open(session, incoming, member)
    if not incoming.known.vents:
        return _mail(session, incoming, member)
    if (asked := wording.KEEP.fullmatch(said)) is not None:
        return _keep_for(session, incoming, member, asked[1])
    for words, act in ((wording.ANSWER, _wants_answer), (wording.OFFER, offering.ask)):
        if said in words:
            return act(session, incoming, member)
    vent = keeping.open_one(session, member.id)
    if len(said) == 1 and said.isalpha():
        return _letter(session, incoming, member, said, vent)
    if vent is None:
        return _mail(session, incoming, member)
    if said in wording.CLOSES and not _answers_newer(incoming, vent):
        return _close(session, incoming, member, vent)
    if said in DROP and not _writes_something_newer(session, vent):
        gone = forgetting.forget(session, vent)
        answer(session, incoming, "vent_gone", {"later": not gone})
        return "keyword VENT DROP"
    return _piece(session, incoming, member, vent) if _is_piece(incoming, vent, said) else None


def keep_quietly(session: Session, incoming: Incoming) -> bool:
    """Keep a piece where something else answers: a flag, or a person who is here. Whether it was one."""
    member = incoming.member
    vent = keeping.open_one(session, member.id) if member and incoming.known.vents else None
    if vent is None or not _is_piece(incoming, vent, folded(incoming.arrived.words)):
        return False
    keeping.add(session, vent, incoming.message, incoming.arrived.words)
    return True


def _open(session: Session, incoming: Incoming, member: Member) -> str:
    vent = keeping.begin(session, member.id, incoming.arrived.channel)
    vent.letters = "keep"
    answer(session, incoming, "vent_open")
    return "keyword VENT"


def _mail(session: Session, incoming: Incoming, member: Member) -> str | None:
    """A mail whose subject is the word, and whose body is already what they want to say."""
    arrived = incoming.arrived
    if not arrived.subject or arrived.bare or folded(arrived.subject) not in wording.OPENS:
        return None
    if incoming.message.automatic or arrived.held is not None:
        return None
    return _piece(session, incoming, member, keeping.begin(session, member.id, arrived.channel))


def _piece(session: Session, incoming: Incoming, member: Member, vent: Vent) -> str:
    vent = keeping.add(session, vent, incoming.message, incoming.arrived.words)
    if SAID_IN_A_VENT in incoming.read.reasons:
        to_person(incoming)  # it could have been meant as a stop after all: a person looks, and nothing is silenced
    if vent.heard_at is None:
        vent.heard_at = vent.last_at
        undo.remember(session, member, incoming.message, "vent", {"id": str(vent.id)})
        answer(session, incoming, "vent_heard", _until(vent, member))
    return "vent"


def _letter(session: Session, incoming: Incoming, member: Member, letter: str, vent: Vent | None) -> str | None:
    """A, B or C: how long it is kept, or what it is to become."""
    if vent is not None and vent.letters == "keep" and letter in keeping.CHOICES:
        keeping.keep_for(vent, keeping.CHOICES[letter])
        answer(session, incoming, "vent_kept", _until(vent, member))
        return "keyword VENT KEEP"
    kept = keeping.last_kept(session, member.id)
    return offering.choose(session, incoming, member, kept, letter) if kept and kept.letters == "offer" else None


def _keep_for(session: Session, incoming: Incoming, member: Member, days: str | None) -> str | None:
    vent = keeping.open_one(session, member.id) or keeping.last_kept(session, member.id)
    if vent is None:
        return None
    if days is not None and int(days) in keeping.DAYS:
        keeping.keep_for(vent, int(days))
    answer(session, incoming, "vent_kept", _until(vent, member))
    return "keyword VENT KEEP"


def _close(session: Session, incoming: Incoming, member: Member, vent: Vent) -> str:
    keeping.close(vent)
    answer(session, incoming, "vent_closed", _until(vent, member) | {"said": vent.pieces > 0})
    return "keyword DONE"


def _wants_answer(session: Session, incoming: Incoming, member: Member) -> str | None:
    vent = keeping.last_kept(session, member.id)
    if vent is None:
        return None
    keeping.close(vent)
    vent.answer_wanted_at = incoming.message.at
    to_person(incoming)
    answer(session, incoming, "vent_answer", {"when": duty.when_words(session, member)})
    return "keyword ASK FOR ANSWER"


def _until(vent: Vent, member: Member) -> dict[str, object]:
    return {"until": duty.day_words(vent.forget_at, member)}


def _is_piece(incoming: Incoming, vent: Vent, said: str) -> bool:
    """Whether it reads like something that they want to say, and not like a command or an answer to something newer."""
    read, arrived = incoming.read, incoming.arrived
    if incoming.message.automatic or arrived.held is not None or not arrived.words.strip():
        return False
    if arrived.bare and (read.keyword or said.isdigit() or said in PASS | PASS_NAMED or begun_by(said) is not None):
        return False
    return not _answers_newer(incoming, vent)


def _answers_newer(incoming: Incoming, vent: Vent) -> bool:
    """Whether it may be meant for a question of ours that came after the vent's last piece."""
    if not incoming.asked or incoming.asked[0].at <= vent.last_at:
        return False
    read = incoming.read
    return bool(incoming.arrived.bare or read.checkin or read.rsvp in RSVP_ANSWERS)


def _writes_something_newer(session: Session, vent: Vent) -> bool:
    writing = session.get(Writing, vent.member_id)
    return writing is not None and writing.last_at > vent.last_at
