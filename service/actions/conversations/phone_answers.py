"""What a text says about the phone that it comes from: that it is still its member's, or that it is not."""

from sqlalchemy.orm import Session

from service.actions import phones, understanding
from service.actions.conversations.saying import Incoming, answer, did, said_lately, to_person
from service.actions.understanding import Confirm, Intent, Question
from service.models.campaigns import Asks
from service.models.members import ChannelName

NOT_THEIRS = "wrong_number_done"


def hear(session: Session, incoming: Incoming) -> str | None:
    """Note that somebody is at this phone; what to answer where the text was about nothing else, None otherwise.

    Whoever writes "who is this?" or "wrong number" has been stopped before this. Any other words show that it is
    theirs; while we ask, words that may mean "stop" or "what is this?" do not, and a person reads them anyway.
    """
    if incoming.arrived.channel != ChannelName.SMS or not incoming.members:
        return None
    phone = phones.of(incoming.members, incoming.arrived.sender)
    if not phones.asked(phone):
        phones.heard(session, phone)
        return None
    if incoming.read.weak_opt_out or incoming.read.intent == Intent.HELP:
        return None
    said = understanding.reread(incoming.arrived.words, incoming.read, Question.CONFIRM).confirm
    another = any(asked.asks == Asks.YES_NO for asked in incoming.asked)  # an invite by mail may be meant
    if said == Confirm.NO and (another or incoming.member is None):
        return None  # of two who share a number it may be the other's
    if said == Confirm.NO:
        phones.denied(session, phone)
        return NOT_THEIRS
    phones.heard(session, phone)
    return "still_there_yes" if said == Confirm.YES and not another else None


def reply(session: Session, incoming: Incoming, template: str) -> None:
    """Say what was understood. That a number is somebody else's is put before a person."""
    did(incoming, "phone not theirs" if template == NOT_THEIRS else "phone confirmed")
    if template == NOT_THEIRS or not incoming.arrived.bare:
        to_person(incoming)
    if not said_lately(incoming, template):
        answer(session, incoming, template)
