"""People who join, for the tests of consents: with the words that the page would have shown them."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import db
from service.actions import consent, contacts, members
from service.models.conversations import Message
from service.models.members import ChannelName, ConsentEvent, Member, SubscriptionState, Topic

PHONE = "+12025550123"
EMAIL = "ana@example.org"
SMS, MAIL = ChannelName.SMS, ChannelName.EMAIL
WORDS = ("2026-11/sms.US.en", "2026-11/email.any.en")


def asks_to_join(phone: str = PHONE, email: str = EMAIL, **changes: Any) -> members.JoinResult:
    """Somebody sends the join page with both boxes ticked."""
    filled = {"first_name": "Ana", "adult": True, "agreed": True, "wordings": WORDS, "ip": "203.0.113.7"}
    return members.join(members.JoinRequest(phone=phone, email=email, **(filled | changes)))


def joined(phone: str = PHONE, email: str = EMAIL, **changes: Any) -> Member:
    """A member who has confirmed every address."""
    asks_to_join(phone, email, **changes)
    with db.transaction() as session:
        member = found(session, SMS, phone) if phone else found(session, MAIL, email)
        for address in member.addresses:
            assert consent.confirm(session, member, address.channel, source="test: YES")
        return member


def found(session: Session, channel: ChannelName, value: str) -> Member:
    """The only member with an address."""
    (member,) = contacts.find_members(session, channel, value)
    return member


def on(session: Session, member: Member, channel: ChannelName) -> set[Topic]:
    """The topics that are active."""
    return {s.topic for s in member.subscriptions if s.channel == channel and s.state == SubscriptionState.ACTIVE}


def ledger(session: Session, member: Member) -> list[ConsentEvent]:
    """The member's lines, oldest first."""
    return list(
        session.scalars(select(ConsentEvent).where(ConsentEvent.member_id == member.id).order_by(ConsentEvent.id))
    )


def sent(session: Session) -> list[str | None]:
    """The templates of everything that we have written, oldest first."""
    return list(session.scalars(select(Message.template).order_by(Message.id)))
