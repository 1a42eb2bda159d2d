"""Somebody has it, hands it over, and says what came of it: only then do the member's messages go on."""

from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import audit
from service.actions.delivery.claims import release
from service.actions.safety.paging import on_duty_now
from service.actions.safety.raising import rest_stories
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.conversations import Conversation, Flag, RiskTier
from service.models.members import Member
from service.models.staff import Coordinator, Role


def acknowledge(flag_id: UUID, coordinator_id: UUID) -> Flag:
    """Somebody has it: the pages stop. Only ever called from a button or an answered page, never from a GET."""
    with db.transaction() as session:
        flag = _get(session, flag_id)
        if flag.acknowledged_at is None:
            flag.acknowledged_at = clock.now()
            flag.acknowledged_by = coordinator_id
            audit.record(session, str(coordinator_id), "flag.acknowledge", flag)
        return flag


def take_over(flag_id: UUID, coordinator_id: UUID) -> Flag:
    """Whoever had it cannot go on, and this person does. Both names stay in the audit trail. Raises Conflict when it
    has been cleared.
    """
    with db.transaction() as session:
        flag = _get(session, flag_id)
        if flag.cleared_at is not None:
            raise Conflict("This flag has been cleared already.")
        before, flag.acknowledged_by = flag.acknowledged_by, coordinator_id
        flag.acknowledged_at = flag.acknowledged_at or clock.now()
        audit.record(session, str(coordinator_id), "flag.taken_over", flag, before=str(before) if before else None)
        return flag


def may_clear(session: Session, flag: Flag, coordinator: Coordinator) -> bool:
    """Whether this person may say what came of it: who has it, who is on duty, and the leads; anybody while nobody has
    it, who has it then (docs/decisions/0013-who-clears-a-flag.md).
    """
    if flag.acknowledged_by in (None, coordinator.id) or coordinator.role in (Role.ADMIN, Role.SAFEGUARDING):
        return True
    return coordinator.id in {person.id for person in on_duty_now(session, clock.now())}


def clear(flag_id: UUID, coordinator_id: UUID, outcome: str) -> None:
    """End a flag with what came of it; the member's messages go on.

    Raises Invalid without an outcome, Conflict when it has been cleared, Forbidden while somebody else has it.
    """
    if not outcome.strip():
        raise Invalid("Write in a few words what came of it: whoever is on duty next will read it.", field="outcome")
    with db.transaction() as session:
        flag = _get(session, flag_id)
        if flag.cleared_at is not None:
            raise Conflict("This flag has been cleared already.")
        coordinator = session.get(Coordinator, coordinator_id)
        if coordinator is not None and not may_clear(session, flag, coordinator):
            raise Forbidden("Somebody else has it and knows what came of it. Ask them, or take it over first.")
        now = clock.now()
        flag.cleared_at, flag.cleared_by, flag.outcome = now, coordinator_id, outcome.strip()
        flag.acknowledged_at = flag.acknowledged_at or now
        flag.acknowledged_by = flag.acknowledged_by or coordinator_id
        session.flush()
        conversation = session.get(Conversation, flag.conversation_id)
        others = open_flags(session, conversation_id=flag.conversation_id)
        if conversation is not None:
            conversation.risk = max((f.tier for f in others), key=list(RiskTier).index, default=None)
        if flag.member_id and not others and not _flagged_elsewhere(session, flag.member_id):
            session.execute(update(Member).where(Member.id == flag.member_id).values(held_at=None))
            release(session, flag.member_id, "held")
            rest_stories(session, flag.member_id, rest=False)
        audit.record(session, str(coordinator_id), "flag.clear", flag)


def _flagged_elsewhere(session: Session, member_id: UUID) -> bool:
    """Whether a flag is open for this member in another conversation, such as a mail that was held."""
    found = select(Flag.id).where(Flag.member_id == member_id, Flag.cleared_at.is_(None)).limit(1)
    return session.scalar(found) is not None


def open_flags(session: Session, *, conversation_id: UUID | None = None) -> list[Flag]:
    """Flags that are not cleared, the most urgent and oldest first."""
    statement = select(Flag).where(Flag.cleared_at.is_(None))
    if conversation_id:
        statement = statement.where(Flag.conversation_id == conversation_id)
    flags = session.scalars(statement.order_by(Flag.opened_at))
    return sorted(flags, key=lambda f: (f.tier != RiskTier.IMMINENT, f.opened_at))


def unacknowledged(session: Session) -> int:
    """How many flags nobody has taken yet: the red line on every page."""
    statement = select(func.count()).where(Flag.cleared_at.is_(None), Flag.acknowledged_at.is_(None))
    return session.scalar(statement) or 0


def _get(session: Session, flag_id: UUID) -> Flag:
    flag = session.get(Flag, flag_id)
    if flag is None:
        raise NotFound("There is no such flag.")
    return flag
