"""What a coordinator does with a conversation: reply, note, assign, snooze, resolve, say whose it is."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, consent, holds, outbox
from service.actions.conversations import promises, threads
from service.errors import Conflict, Invalid, NotFound
from service.models.campaigns import Purpose
from service.models.conversations import Conversation, ConversationState, Direction, Flag, Message, Note, RiskTier
from service.models.inbox import Promise
from service.models.members import ChannelName, Member, MemberState
from service.models.staff import Coordinator

LONGEST = 1600
"""Characters of a text message at the provider."""


def reply(
    conversation_id: UUID,
    coordinator: Coordinator,
    body: str,
    *,
    channel: ChannelName | None = None,
    resolve: bool = False,
    seen: UUID | None = None,
) -> UUID:
    """Send a person's words at once on the member's channel; returns the message's id.

    `seen` is the newest message that the coordinator had before them: raises Conflict when somebody has written
    since, so that two people do not answer at once. Raises Invalid where the member cannot be written to.
    """
    body = body.strip()
    if not body:
        raise Invalid("Write a few words first.", field="body")
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        _unless_overtaken(session, conversation, seen)
        used = channel or conversation.channel
        if used == ChannelName.SMS and len(body) > LONGEST:
            raise Invalid(f"A text holds {LONGEST} characters; this has {len(body)}. Shorten it.", field="body")
        message = send(session, conversation, coordinator, used, body)
        promises.offer(session, conversation, message, coordinator)
        conversation.assigned_to = conversation.assigned_to or coordinator.id
        conversation.unread = 0
        if resolve and conversation.risk is None:
            _close(conversation)
        elif conversation.state == ConversationState.NEEDS_REPLY and conversation.risk is None:
            conversation.waiting_since = None
            conversation.state = ConversationState.RESOLVED
        audit.record(session, str(coordinator.id), "conversation.reply", conversation)
        return message.id


def _unless_overtaken(session: Session, conversation: Conversation, seen: UUID | None) -> None:
    known = session.get(Message, seen) if seen else None
    if known is None:
        return
    newest = session.scalar(
        select(Message)
        .where(
            Message.conversation_id == conversation.id,
            Message.direction == Direction.OUT,
            Message.coordinator_id.is_not(None),
            Message.at >= known.at,
        )
        .order_by(Message.at.desc())
        .limit(1)
    )
    if newest is not None and newest.at > known.at:
        raise Conflict("Somebody has answered in the meantime. Your words are still here; look before you send them.")


def send(
    session: Session, conversation: Conversation, coordinator: Coordinator, channel: ChannelName, body: str
) -> Message:
    """Queue a person's words; what comes back goes to a person. Raises Invalid where nothing may be sent."""
    member = session.get(Member, conversation.member_id) if conversation.member_id else None
    if member is None:
        if not conversation.unknown_from or conversation.channel != channel:
            raise Invalid("We have no address for this conversation. Say first whose it is.", field="body")
        if consent.suppressed(session, channel, conversation.unknown_from):
            raise Invalid("This address asked us to stop, so nothing can be sent to it.", field="body")
        return outbox.write_to(
            session, channel, conversation.unknown_from, body, purpose=Purpose.REPLY, conversation=conversation,
            coordinator_id=coordinator.id,
        )  # fmt: skip
    address = member.address(channel)
    if address is None:
        raise Invalid(f"{member.first_name} has no address for this channel. Choose the other one.", field="channel")
    if member.state == MemberState.DIED or consent.suppressed(session, channel, address.value):
        raise Invalid(
            f"{member.first_name} asked us to stop on this channel, so nothing can be sent. "
            "If they have written START since, or told you themselves, undo the stop on their page.",
            field="body",
        )
    member.last_human_at = clock.now()
    return outbox.write(session, member, channel, body, purpose=Purpose.REPLY, coordinator_id=coordinator.id)


def add_note(conversation_id: UUID, coordinator: Coordinator, body: str) -> UUID:
    """Keep a note for the other coordinators; it is never sent. Raises Invalid when it is empty."""
    if not body.strip():
        raise Invalid("Write the note first.", field="note")
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        note = Note(
            id=db.uuid7(),
            conversation_id=conversation.id,
            coordinator_id=coordinator.id,
            body=body.strip(),
            at=clock.now(),
        )
        session.add(note)
        session.flush()
        return note.id


def assign(conversation_id: UUID, coordinator: Coordinator, to: UUID | None) -> None:
    """Give a conversation to somebody, or to nobody."""
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        if to is not None and session.get(Coordinator, to) is None:
            raise NotFound("There is no such coordinator.")
        conversation.assigned_to = to
        audit.record(session, str(coordinator.id), "conversation.assign", conversation)


def resolve(conversation_id: UUID, coordinator: Coordinator) -> None:
    """Nothing is left to do. Raises Conflict while a flag is open: that is cleared with an outcome first."""
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        if conversation.risk is not None:
            raise Conflict("A safety flag is open. Clear it first, with a few words on what came of it.")
        _close(conversation)
        audit.record(session, str(coordinator.id), "conversation.resolve", conversation)


def _close(conversation: Conversation) -> None:
    conversation.state = ConversationState.RESOLVED
    conversation.waiting_since = None
    conversation.snoozed_until = None
    conversation.unread = 0


def reopen(conversation_id: UUID, coordinator: Coordinator) -> None:
    """Put it before people again."""
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        conversation.state = ConversationState.NEEDS_REPLY
        conversation.waiting_since = clock.now()


def snooze(conversation_id: UUID, coordinator: Coordinator, until: datetime | None) -> None:
    """Out of sight until `until`, or, without it, until they write.

    Raises Conflict while a flag is open and Invalid for a moment that has passed.
    """
    if until is not None and until <= clock.now():
        raise Invalid("Choose a later time.", field="until")
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        if conversation.risk is not None:
            raise Conflict("A safety flag is open, so this stays in sight. Clear the flag first.")
        conversation.state = ConversationState.SNOOZED
        conversation.snoozed_until = until


def mark_read(conversation_id: UUID, coordinator: Coordinator) -> None:
    """Note that somebody has read it: the unread mark goes, and the audit trail knows who read."""
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        conversation.unread = 0
        threads.note_reading(session, coordinator, conversation)


def note_reading(conversation_id: UUID, coordinator: Coordinator) -> None:
    """Only the audit's part of it: that the words were shown to somebody, whether or not their browser says so."""
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        threads.note_reading(session, coordinator, conversation)


def belongs_to(conversation_id: UUID, coordinator: Coordinator, member_id: UUID) -> UUID:
    """A person says whose a held conversation is; its messages join the member's own. Returns that conversation."""
    with db.transaction() as session:
        held = access.require_conversation(session, coordinator, conversation_id)
        member = session.get(Member, member_id)
        if member is None or held.member_id is not None:
            raise NotFound("There is no such member, or this conversation has a member already.")
        own = outbox.conversation_of(session, member, held.channel)
        session.execute(
            update(Message)
            .where(Message.conversation_id == held.id)
            .values(conversation_id=own.id, member_id=member.id)
            .execution_options(synchronize_session=False)
        )
        _hand_over(session, held, own, member)
        own.state = ConversationState.NEEDS_REPLY
        own.waiting_since = own.waiting_since or held.waiting_since or clock.now()
        own.last_in_at = max(filter(None, (own.last_in_at, held.last_in_at)), default=None)
        own.last_out_at = max(filter(None, (own.last_out_at, held.last_out_at)), default=None)
        held.state = ConversationState.RESOLVED
        held.tags = "moved"
        audit.record(session, str(coordinator.id), "conversation.match", own, held=str(held.id))
        return own.id


def _hand_over(session: Session, held: Conversation, own: Conversation, member: Member) -> None:
    """What was noted, promised and flagged while nobody knew whose words these were belongs to the member now."""
    for model in (Note, Promise):
        session.execute(
            update(model)
            .where(model.__table__.c.conversation_id == held.id)
            .values(conversation_id=own.id)
            .execution_options(synchronize_session=False)
        )
    promises.reckon(session, held)
    promises.reckon(session, own)
    session.execute(
        update(Flag)
        .where(Flag.conversation_id == held.id)
        .values(conversation_id=own.id, member_id=member.id)
        .execution_options(synchronize_session=False)
    )
    if held.risk is not None:
        own.risk = max(filter(None, (own.risk, held.risk)), key=list(RiskTier).index)
        held.risk = None
        member.held_at = member.held_at or clock.now()
        holds.take_back(session, [member.id])
