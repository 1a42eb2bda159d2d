"""What members write and coordinators see, for the tests of the console: texts that arrive, conversations, circles."""

import itertools
import json
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from service import clock, db
from service.actions import conversations
from service.actions.conversations import store
from service.models.conversations import Conversation, Flag, Message
from service.models.gatherings import Circle, CircleStaff
from service.models.members import Member
from service.models.staff import Coordinator

ANA, BEN = "+12025550123", "+12025550145"
_numbers = itertools.count(1)


def text(phone: str, words: str, media: tuple[str, ...] = (), **more: str) -> None:
    """A text arrives, as the provider's webhook stores it (with `more` form fields), and everything that follows
    happens."""
    sid = f"SM{next(_numbers):032d}"
    form = {"MessageSid": sid, "From": phone, "To": "+12025550100", "Body": words, "NumMedia": str(len(media))} | more
    for at, kind in enumerate(media):
        form |= {f"MediaUrl{at}": f"https://api.example.org/media/ME{at}", f"MediaContentType{at}": kind}
    store.keep([store.Incoming("twilio", store.TEXT, sid, json.dumps({"form": form}))])
    conversations.process_inbound()


def conversation_of(member: Member) -> Conversation:
    """The member's conversation as it is now."""
    with db.reading() as session:
        return session.scalars(select(Conversation).where(Conversation.member_id == member.id)).one()


def conversation_of_id(id_: Any) -> Conversation:
    """A conversation as it is now."""
    with db.reading() as session:
        return session.get_one(Conversation, id_)


def held() -> Conversation:
    """The one conversation with nobody's address."""
    with db.reading() as session:
        return session.scalars(select(Conversation).where(Conversation.member_id.is_(None))).one()


def messages(conversation: Conversation) -> list[Message]:
    """Everything said in it, oldest first."""
    with db.reading() as session:
        found = select(Message).where(Message.conversation_id == conversation.id).order_by(Message.at, Message.id)
        return list(session.scalars(found))


def flag() -> Flag:
    """The one flag there is."""
    with db.reading() as session:
        return session.scalars(select(Flag)).one()


def coordinator(email: str) -> Coordinator:
    """The coordinator with this address."""
    with db.reading() as session:
        return session.scalars(select(Coordinator).where(Coordinator.email == email)).one()


def give_circle(person: Coordinator, circle: Circle) -> None:
    """Make somebody look after a circle."""
    with db.transaction() as session:
        session.add(CircleStaff(circle_id=circle.id, coordinator_id=person.id))


def change(model: type[Any], id_: Any, **values: Any) -> None:
    """Set values of one row, as time or another page would have."""
    with db.transaction() as session:
        row = session.get_one(model, id_)
        for name, value in values.items():
            setattr(row, name, value)


def ago(**span: float) -> Any:
    """A moment in the past."""
    return clock.now() - timedelta(**span)
