"""JOIN by text message: first the question whether somebody is 18 or over, then the request to confirm.

JOIN proves the number, but says nothing about what is agreed to; the request to confirm says it, and YES to that is
the consent (docs/decisions/0008-joining.md).
"""

from datetime import timedelta
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import consent, contacts, outbox
from service.actions.belonging import places
from service.actions.new_members import ask, claim_question, join_circle, new_member, welcome
from service.models.conversations import Conversation, ConversationState, Joining, Message
from service.models.gatherings import Circle, Openness
from service.models.members import ChannelName, ConsentKind, Member, Topic

ANSWER_WITHIN = timedelta(hours=72)
SMS = ChannelName.SMS


class TextJoin(StrEnum):
    """What came of a JOIN by text."""

    ASKED_ADULT = "asked_adult"  # we asked whether they are 18 or over
    ASKED_YES = "asked_yes"  # we asked to confirm
    BACK = "back"  # a member who had stopped, or had never confirmed, is in; the welcome is on its way
    ALREADY = "already"  # nothing to do; the caller answers
    PERSON = "person"  # two members on this number, or one who has died: a person answers
    CLOSED = "closed"  # the circle has closed; the caller says so
    INVITED_ONLY = "invited_only"  # people come into this circle by an invitation; the caller says so
    COUNTRY = "country"  # a country that we do not text; nothing can be sent


def join_by_text(
    session: Session,
    phone: str,
    words: str,
    *,
    event_id: int | None,
    language: str,
    conversation: Conversation | None = None,
) -> TextJoin:
    """JOIN, perhaps with a circle's keyword or an invitation's code (`words` is the whole text). Sends what it says
    that it sent.

    `phone` is the sender; `event_id` the stored webhook. JOIN lifts a stop of this number (rule of conversation 8).
    """
    phone = contacts.normal(SMS, phone)
    circle, invited = _circle(session, words)
    known = contacts.find_members(session, SMS, phone)
    if len(known) > 1 or any(m.state in consent.GONE for m in known):
        return TextJoin.PERSON
    if known:
        return _known_joins(session, known[0], circle, invited, event_id)
    if circle is not None and circle.closed_at is not None:
        return TextJoin.CLOSED
    if circle is not None and circle.openness == Openness.INVITE and not invited:
        return TextJoin.INVITED_ONLY
    if contacts.country_of(phone) not in config.current().countries:
        return TextJoin.COUNTRY
    consent.unsuppress(session, SMS, phone)
    digest = db.blind_index(SMS, phone)
    session.execute(delete(Joining).where(Joining.index_hash == digest))
    session.add(
        Joining(
            index_hash=digest,
            phone=phone,
            circle_id=circle.id if circle else None,
            language=language,
            event_id=event_id,
            at=clock.now(),
        )
    )
    country = contacts.country_of(phone)
    outbox.say_to(session, SMS, phone, "ask_adult", country=country, language=language, conversation=conversation)
    return TextJoin.ASKED_ADULT


def finish_join_by_text(
    session: Session, phone: str, *, event_id: int | None, conversation: Conversation | None = None
) -> Member | None:
    """ADULT or MAYOR: makes the member and asks to confirm. None when nothing was asked in the last 72 hours."""
    phone = contacts.normal(SMS, phone)
    joining = session.get(Joining, db.blind_index(SMS, phone))
    if joining is None or clock.now() - joining.at > ANSWER_WITHIN or contacts.find_members(session, SMS, phone):
        return None
    country = contacts.country_of(phone)
    circle = session.get(Circle, joining.circle_id) if joining.circle_id else None
    member = new_member(
        session,
        addresses={SMS: phone},
        topics=Topic,
        locale=f"{joining.language}-{country}",
        country=country,
        circle_id=joining.circle_id,
        invited=circle is not None and circle.openness == Openness.INVITE,  # without its code they were not asked
    )
    session.delete(joining)
    if conversation is not None:
        _adopt(session, conversation, member)
    claim_question(session, SMS, phone)  # it is taken even if it was before: they asked us, in their own hand
    question = ask(session, member, SMS)
    consent.record(
        session,
        member.id,
        ConsentKind.REQUESTED,
        channel=SMS,
        topics=Topic,
        source="text: JOIN and ADULT",
        wording=question.body if question else "",
        evidence=_evidence(event_id),
    )
    return member


def decline_join(session: Session, phone: str) -> bool:
    """Somebody who is under 18, or would rather not: forgets the JOIN; whether there was one."""
    digest = db.blind_index(SMS, contacts.normal(SMS, phone))
    gone = session.execute(delete(Joining).where(Joining.index_hash == digest))
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def _known_joins(
    session: Session, member: Member, circle: Circle | None, invited: bool, event_id: int | None
) -> TextJoin:
    if circle is not None:
        join_circle(session, member, circle.id, invited=invited)
    elif (kept := places.offered(session, member.id)) is not None:  # JOIN alone takes the place that is kept for them
        join_circle(session, member, kept.circle_id)
    address = member.address(SMS)
    assert address is not None
    stopped = consent.suppressed(session, SMS, address.value)
    if address.verified_at is None and address.asked_at is None and not stopped:  # never told what it would agree to
        claim_question(session, SMS, address.value)
        ask(session, member, SMS)
        return TextJoin.ASKED_YES
    if consent.start(session, member, SMS, source="text: JOIN", evidence=_evidence(event_id)):
        welcome(session, member, SMS)
        return TextJoin.BACK
    return TextJoin.ALREADY


def _circle(session: Session, words: str) -> tuple[Circle | None, bool]:
    """The circle whose keyword or code follows JOIN, and whether it was the code of an invitation.

    Which words mean JOIN is for `understanding` to know.
    """
    parts = words.split()
    found = places.by_word(session, parts[-1], near=True) if len(parts) == 2 else None
    return found or (None, False)


def _adopt(session: Session, conversation: Conversation, member: Member) -> None:
    """What the number wrote before it was a member's belongs to the member from now on."""
    conversation.member_id = member.id
    conversation.unknown_from = conversation.address_hash = None
    if conversation.state == ConversationState.HELD:
        conversation.state = ConversationState.NEEDS_REPLY if conversation.unread else ConversationState.RESOLVED
    for message in session.scalars(select(Message).where(Message.conversation_id == conversation.id)):
        message.member_id = member.id
    session.flush()


def _evidence(event_id: int | None) -> str:
    return f"webhook event {event_id}" if event_id is not None else ""
