"""Single messages: answers, confirmations, a person's replies, pages. Each is stored with its delivery, then sent
by the same engine as a campaign, on the queue that nothing big ever waits in.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.actions import crisis
from service.models.campaigns import PRIORITY, Delivery, Purpose
from service.models.conversations import Conversation, Direction, Message
from service.models.members import ChannelName, Member

NEUTRAL = {
    "en": {"circle": "the group", "title": "a note", "sender": "The team", "subject": "A note for you"},
    "es": {"circle": "el grupo", "title": "una nota", "sender": "El equipo", "subject": "Una nota para ti"},
}
"""What discreet members read in place of names that would tell others what this is about."""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja for our own texts in `templates/`; nothing is escaped, since texts are not HTML."""
    return Environment(
        loader=FileSystemLoader(config.TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  texts and Markdown; HTML is made and cleaned in channels.email
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def wording(name: str, language: str, context: Mapping[str, Any]) -> str:
    """Our own text `name` (such as `sms/help.txt`) in a language, English where there is no other."""
    stem, dot, suffix = name.rpartition(".")
    names = [f"{stem}.{language}{dot}{suffix}", name] if language != "en" else [name]
    return environment().select_template(names).render(**context).strip()


def facts(country: str, language: str, first_name: str = "", *, discreet: bool = False) -> dict[str, Any]:
    """What every text may speak of. In discreet mode the organisation goes by a neutral name."""
    settings = config.current()
    lines = crisis.lines(country, language)
    return {
        "org_name": NEUTRAL.get(language, NEUTRAL["en"])["sender"] if discreet else settings.org_name,
        "help_contact": settings.org_help_contact or settings.org_name,
        "first_name": first_name,
        "country": country,
        "language": language,
        "crisis_line": lines.line,
        "youth_line": lines.youth_line,
        "emergency_number": lines.emergency_number,
    }


def words_for(channel: ChannelName, template: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """(subject, body) of our own text on a channel; an email without a template of its own uses the text's words."""
    language = str(context["language"])
    if channel == ChannelName.SMS:
        return "", wording(f"sms/{template}.txt", language, context)
    try:
        return (
            wording(f"email/{template}/subject.txt", language, context),
            wording(f"email/{template}/body.md", language, context),
        )
    except TemplateNotFound:
        return "", wording(f"sms/{template}.txt", language, context)


def say(
    session: Session,
    member: Member,
    template: str,
    channel: ChannelName,
    purpose: Purpose = Purpose.ANSWER,
    context: Mapping[str, Any] | None = None,
    *,
    answers: Message | None = None,
) -> Message:
    """Queue one of our own texts to a member. `context` adds to `facts`; `answers` is the message it replies to."""
    facts_ = facts(member.country, member.language, member.first_name, discreet=member.discreet) | dict(context or {})
    subject, body = words_for(channel, template, facts_)
    return write(session, member, channel, body, subject=subject, purpose=purpose, template=template, answers=answers)


def write(
    session: Session,
    member: Member,
    channel: ChannelName,
    body: str,
    *,
    subject: str = "",
    purpose: Purpose = Purpose.REPLY,
    template: str | None = None,
    coordinator_id: UUID | None = None,
    answers: Message | None = None,
) -> Message:
    """Queue a message of these exact words to a member; it belongs to the member's conversation."""
    thread = _thread_of(session, member, channel, answers)
    if not subject and answers is not None and answers.subject:
        subject = answers.subject if answers.subject.lower().startswith("re:") else f"Re: {answers.subject}"
    message = Message(
        id=db.uuid7(),
        conversation_id=thread.id,
        member_id=member.id,
        direction=Direction.OUT,
        channel=channel,
        purpose=purpose,
        subject=subject or None,
        body=body,
        template=template,
        in_reply_to=answers.in_reply_to if answers else None,
        coordinator_id=coordinator_id,
        automatic=coordinator_id is None,
        at=clock.now(),
    )
    session.add(message)
    address = member.address(channel)
    thread.last_out_at = message.at
    session.add(_delivery(message, channel, purpose, member_id=member.id, address_id=address.id if address else None))
    queue.ring_after(session, "drain_replies")
    return message


def say_to_many(
    session: Session,
    to: Sequence[tuple[Member, UUID]],
    template: str,
    channel: ChannelName,
    purpose: Purpose,
    context: Callable[[Member], Mapping[str, Any]],
) -> None:
    """Queue one of our own texts to many members, each at the address of that id: a few statements for all of them.

    Called in the midst of a claim, so it touches no conversation that exists: whoever takes a message in holds that row
    and waits for deliveries that the claim holds.
    """
    if not to:
        return
    threads = _conversations_of(session, [member.id for member, _ in to], channel)
    deliveries = []
    for member, address_id in to:
        facts_ = facts(member.country, member.language, member.first_name, discreet=member.discreet)
        facts_ |= context(member)
        subject, body = words_for(channel, template, facts_)
        message = Message(
            id=db.uuid7(),
            conversation_id=threads[member.id],
            member_id=member.id,
            direction=Direction.OUT,
            channel=channel,
            purpose=purpose,
            subject=subject or None,
            body=body,
            template=template,
            automatic=True,
            at=clock.now(),
        )
        session.add(message)
        deliveries.append(_about(message, channel, purpose) | {"member_id": member.id, "address_id": address_id})
    session.flush()
    session.execute(insert(Delivery), deliveries)
    queue.ring_after(session, "drain_replies")


def _conversations_of(session: Session, member_ids: Sequence[UUID], channel: ChannelName) -> dict[UUID, UUID]:
    """member → their one conversation; those that do not exist yet are made, by whoever is first."""
    now = clock.now()
    mine = select(Conversation.member_id, Conversation.id).where(Conversation.member_id.in_(member_ids))
    found = {member_id: id_ for member_id, id_ in session.execute(mine) if member_id}
    missing = [
        {"id": db.uuid7(), "member_id": member_id, "channel": channel, "created_at": now, "last_out_at": now}
        for member_id in member_ids
        if member_id not in found
    ]
    if not missing:
        return found
    session.execute(db.insert(Conversation).on_conflict_do_nothing(index_elements=["member_id"]), missing)
    return {member_id: id_ for member_id, id_ in session.execute(mine) if member_id}


def say_to(
    session: Session,
    channel: ChannelName,
    to: str,
    template: str,
    *,
    country: str,
    language: str,
    purpose: Purpose = Purpose.ANSWER,
    context: Mapping[str, Any] | None = None,
    conversation: Conversation | None = None,
) -> Message:
    """Queue one of our own texts to an address that is not (yet) a member's, or to a coordinator."""
    facts_ = facts(country, language) | dict(context or {})
    subject, body = words_for(channel, template, facts_)
    return write_to(
        session, channel, to, body, subject=subject, purpose=purpose, template=template, conversation=conversation
    )


def write_to(
    session: Session,
    channel: ChannelName,
    to: str,
    body: str,
    *,
    subject: str = "",
    purpose: Purpose,
    template: str | None = None,
    conversation: Conversation | None = None,
    coordinator_id: UUID | None = None,
) -> Message:
    """Queue a message of these exact words straight to an address."""
    message = Message(
        id=db.uuid7(),
        conversation_id=conversation.id if conversation else None,
        direction=Direction.OUT,
        channel=channel,
        purpose=purpose,
        subject=subject or None,
        body=body,
        template=template,
        coordinator_id=coordinator_id,
        automatic=coordinator_id is None,
        at=clock.now(),
    )
    session.add(message)
    if conversation is not None:
        conversation.last_out_at = message.at
    delivery = _delivery(message, channel, purpose)
    delivery.direct_to = to
    delivery.direct_hash = db.blind_index(channel, to)
    session.add(delivery)
    queue.ring_after(session, "drain_replies")
    return message


def _thread_of(session: Session, member: Member, channel: ChannelName, answers: Message | None) -> Conversation:
    """The conversation of the message that is answered, which is at hand, if it is the member's."""
    known = session.get(Conversation, answers.conversation_id) if answers and answers.conversation_id else None
    return known if known and known.member_id == member.id else conversation_of(session, member, channel)


def conversation_of(session: Session, member: Member, channel: ChannelName) -> Conversation:
    """The member's one conversation, made when it does not exist yet."""
    found = session.scalar(select(Conversation).where(Conversation.member_id == member.id))
    if found is None:
        found = Conversation(id=db.uuid7(), member_id=member.id, channel=channel, created_at=clock.now(), unread=0)
        session.add(found)
        session.flush()
    return found


def thread_of(session: Session, member_id: UUID) -> UUID | None:
    """The id of the member's one conversation, if there is one."""
    return session.scalar(select(Conversation.id).where(Conversation.member_id == member_id))


def _delivery(
    message: Message,
    channel: ChannelName,
    purpose: Purpose,
    *,
    member_id: UUID | None = None,
    address_id: UUID | None = None,
) -> Delivery:
    return Delivery(member_id=member_id, address_id=address_id, **_about(message, channel, purpose))


def _about(message: Message, channel: ChannelName, purpose: Purpose) -> dict[str, Any]:
    now = clock.now()
    return {
        "message_id": message.id,
        "channel": channel,
        "purpose": purpose,
        "queue": "replies",
        "priority": PRIORITY[purpose],
        "due_at": now,
        "created_at": now,
        "updated_at": now,
    }
