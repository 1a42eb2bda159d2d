"""A day in a coordinator's reply ("I'll ring Thursday") is offered as a promise; one that is kept brings the
conversation back to the top of the inbox on that day, whoever has it by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, zones
from service.actions.conversations import dates
from service.errors import Invalid, NotFound
from service.models.conversations import Conversation, ConversationState, Message
from service.models.inbox import Promise, PromiseState
from service.models.members import Member
from service.models.staff import Coordinator

OFFER_FOR = timedelta(hours=24)
FURTHEST = timedelta(days=366)


@dataclass(frozen=True)
class Due:
    """A promise whose day has come, as the Today page names it."""

    name: str
    promise: Promise


def offer(session: Session, conversation: Conversation, message: Message, coordinator: Coordinator) -> Promise | None:
    """Offer the first day that a reply names as a promise; None where it names none. An older offer is withdrawn."""
    for earlier in _offers(session, conversation.id):
        earlier.state = PromiseState.DECLINED
    found = dates.named(message.body, today(coordinator))
    if not found:
        return None
    promise = Promise(
        id=db.uuid7(), conversation_id=conversation.id, message_id=message.id, coordinator_id=coordinator.id,
        words=_line(message.body, found[0].words), due_on=found[0].day, due_at=_begins(found[0].day, coordinator),
        state=PromiseState.OFFERED, created_at=clock.now(),
    )  # fmt: skip
    session.add(promise)
    session.flush()
    return promise


def keep(promise_id: UUID, coordinator: Coordinator, day: date | None = None) -> Promise:
    """Make an offer a promise, or move one, to `day`. Raises NotFound, Invalid for a day that has passed."""
    with db.transaction() as session:
        promise = _require(session, coordinator, promise_id, PromiseState.OFFERED, PromiseState.OPEN)
        day = day or promise.due_on
        if not timedelta(0) <= day - today(coordinator) <= FURTHEST:
            raise Invalid("Choose today or a later day, within a year.", field="due_on")
        promise.state, promise.due_on, promise.due_at = PromiseState.OPEN, day, _begins(day, coordinator)
        promise.raised_at = None
        _settled(session, promise, coordinator, "promise.kept")
        return promise


def decline(promise_id: UUID, coordinator: Coordinator) -> Promise:
    """It was no promise. Raises NotFound."""
    with db.transaction() as session:
        promise = _require(session, coordinator, promise_id, PromiseState.OFFERED)
        promise.state = PromiseState.DECLINED
        return promise


def done(promise_id: UUID, coordinator: Coordinator) -> Promise:
    """It was done. Raises NotFound."""
    with db.transaction() as session:
        promise = _require(session, coordinator, promise_id, PromiseState.OPEN)
        promise.state, promise.settled_at, promise.settled_by = PromiseState.DONE, clock.now(), coordinator.id
        _settled(session, promise, coordinator, "promise.done")
        return promise


def _settled(session: Session, promise: Promise, coordinator: Coordinator, what: str) -> None:
    session.flush()
    conversation = session.get_one(Conversation, promise.conversation_id)
    reckon(session, conversation)
    audit.record(session, str(coordinator.id), what, conversation, due_on=promise.due_on.isoformat())


def reckon(session: Session, conversation: Conversation) -> None:
    """Write on the conversation when its first open promise is due."""
    conversation.promise_at = session.scalar(
        select(func.min(Promise.due_at)).where(
            Promise.conversation_id == conversation.id, Promise.state == PromiseState.OPEN
        )
    )


def require(promise_id: UUID, coordinator: Coordinator) -> Promise:
    """A promise or an offer, if this coordinator may read its conversation. Raises NotFound."""
    with db.reading() as session:
        return _require(session, coordinator, promise_id, *PromiseState)


def raise_due() -> int:
    """Bring back the conversations whose promised day has begun; how many promises. Run by the clock."""
    now = clock.now()
    with db.transaction() as session:
        due = list(
            session.scalars(
                select(Promise)
                .where(Promise.state == PromiseState.OPEN, Promise.due_at <= now, Promise.raised_at.is_(None))
                .order_by(Promise.due_at)
                .limit(500)
            )
        )
        ids = {promise.conversation_id for promise in due}
        for conversation in session.scalars(select(Conversation).where(Conversation.id.in_(ids))):
            conversation.state, conversation.snoozed_until = ConversationState.NEEDS_REPLY, None
            conversation.waiting_since = conversation.waiting_since or now
        for promise in due:
            promise.raised_at = now
        return len(due)


def of(session: Session, coordinator: Coordinator, conversation_id: UUID) -> tuple[list[Promise], list[Promise]]:
    """(open promises of a conversation, the soonest first; what is offered to the coordinator who wrote it)."""
    open_ = select(Promise).where(Promise.conversation_id == conversation_id, Promise.state == PromiseState.OPEN)
    offered = [p for p in _offers(session, conversation_id) if p.coordinator_id == coordinator.id]
    return list(session.scalars(open_.order_by(Promise.due_at, Promise.id))), offered


def due(session: Session, coordinator: Coordinator, limit: int = 8) -> list[Due]:
    """Promises whose day has come, the oldest first, within what this coordinator may read."""
    rows = session.execute(
        select(Promise, Member.first_name)
        .join(Conversation, Conversation.id == Promise.conversation_id)
        .outerjoin(Member, Member.id == Conversation.member_id)
        .where(
            Promise.state == PromiseState.OPEN, Promise.due_at <= clock.now(), access.access_conversations(coordinator)
        )
        .order_by(Promise.due_at, Promise.id)
        .limit(limit)
    )
    return [Due(name or "Somebody we do not know", promise) for promise, name in rows]


def is_due() -> ColumnElement[bool]:
    """A clause on Conversation: a promise in it is due."""
    return Conversation.promise_at.is_not(None) & (Conversation.promise_at <= clock.now())


def today(coordinator: Coordinator) -> date:
    """The day where the coordinator is."""
    return clock.now().astimezone(_zone(coordinator)).date()


def _offers(session: Session, conversation_id: UUID) -> Sequence[Promise]:
    return session.scalars(
        select(Promise)
        .where(
            Promise.conversation_id == conversation_id,
            Promise.state == PromiseState.OFFERED,
            Promise.created_at > clock.now() - OFFER_FOR,
        )
        .order_by(Promise.created_at)
    ).all()


def _require(session: Session, coordinator: Coordinator, promise_id: UUID, *states: PromiseState) -> Promise:
    promise = session.scalar(select(Promise).where(Promise.id == promise_id, Promise.state.in_(states)))
    if promise is None:
        raise NotFound("There is no such promise any more.")
    access.require_conversation(session, coordinator, promise.conversation_id)
    return promise


def _begins(day: date, coordinator: Coordinator) -> datetime:
    return datetime.combine(day, time(0), _zone(coordinator)).astimezone(UTC)


def _zone(coordinator: Coordinator) -> ZoneInfo:
    return zones.info(coordinator.time_zone)


def _line(body: str, words: str) -> str:
    """The line of the reply that names the day."""
    return next((line.strip() for line in body.splitlines() if words in line), words)[:300]
