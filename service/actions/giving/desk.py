"""The desk: everything that members passed on and a person has still to decide about, in one queue.

What shows risk or speaks of self-harm comes first, then what has waited longest; what waits for
its author, or for a second reader after oneself, is last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Subquery, and_, case, exists, func, literal, null, or_, select, union_all
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit
from service.actions.giving.gifts import OPEN
from service.models.content import Story, StoryState
from service.models.conversations import Conversation
from service.models.gatherings import Circle
from service.models.giving import Gift, GiftState, Giving
from service.models.members import Member, MemberState
from service.models.staff import AuditEntry, Coordinator

PAGE = 30
AUDIT_EVERY = timedelta(hours=1)
STORY_STATES = (StoryState.REVIEW, StoryState.SECOND_REVIEW)
URGENT, USUAL, OTHERS = 2, 1, 0
"""Where a thing stands in the queue."""


@dataclass(frozen=True)
class Waiting:
    """One thing that waits, without its words: those are read on its own page."""

    id: UUID
    kind: Giving
    at: datetime
    weight: int
    state: GiftState
    circle: str
    language: str
    mentions_self_harm: bool
    under_flag: bool
    first_reader: UUID | None
    answered: bool
    """Whether its author has written since they were asked."""


def queue(
    session: Session, coordinator: Coordinator, *, kind: Giving | None = None, circle_id: UUID | None = None,
    after: UUID | None = None, limit: int = PAGE,
) -> list[Waiting]:  # fmt: skip
    """A page of what waits for this coordinator, after the one with that id, if it still waits."""
    all_ = _everything(coordinator)
    found = (
        select(all_, Circle.name)
        .outerjoin(Circle, Circle.id == all_.c.circle_id)
        .order_by(all_.c.weight.desc(), all_.c.at, all_.c.id)
        .limit(limit)
    )
    if kind is not None:
        found = found.where(all_.c.kind == kind)
    if circle_id is not None:
        found = found.where(all_.c.circle_id == circle_id)
    if after is not None and (edge := _edge(session, all_, after)) is not None:
        found = found.where(edge)
    return [
        Waiting(
            row.id, row.kind, row.at, row.weight, row.state, row.name or "", row.language, row.mentions_self_harm,
            row.under_flag, row.first_reader, row.answered,
        )
        for row in session.execute(found)
    ]  # fmt: skip


def count(session: Session, coordinator: Coordinator) -> int:
    """How many things wait for this coordinator. Small: only what is open."""
    all_ = _everything(coordinator)
    return session.scalar(select(func.count()).select_from(all_).where(all_.c.weight > OTHERS)) or 0


def circles(session: Session, coordinator: Coordinator) -> list[Circle]:
    """The circles to filter by: those of which something waits."""
    waiting = exists().where(Gift.circle_id == Circle.id, Gift.state.in_(OPEN))
    found = select(Circle).where(waiting, access.access_circles(coordinator)).order_by(Circle.name)
    return list(session.scalars(found))


def author(session: Session, coordinator: Coordinator, gift: Gift) -> Member | None:
    """Who wrote it, for those who may see them."""
    return session.scalar(select(Member).where(Member.id == gift.member_id, access.access_members(coordinator)))


def note_reading(gift_id: UUID, coordinator: Coordinator) -> None:
    """Reading a member's words is audited, once an hour for each reader."""
    with db.transaction() as session:
        gift = access.require_gift(session, coordinator, gift_id)
        lately = select(AuditEntry.id).where(
            AuditEntry.subject_type == "Gift",
            AuditEntry.subject_id == str(gift.id),
            AuditEntry.actor == str(coordinator.id),
            AuditEntry.action == "gift.read",
            AuditEntry.at > clock.now() - AUDIT_EVERY,
        )
        if session.scalar(lately.limit(1)) is None:
            audit.record(session, str(coordinator.id), "gift.read", gift)


def _everything(coordinator: Coordinator) -> Subquery:
    parts: Sequence[Any] = [_gifts(coordinator)]
    if access.sees_everything(coordinator):
        parts = [*parts, _stories()]
    return union_all(*parts).subquery("waiting")


def _gifts(coordinator: Coordinator) -> Any:
    wrote = exists().where(Conversation.member_id == Gift.member_id, Conversation.last_in_at > Gift.asked_at)
    answered = and_(Gift.state == GiftState.ASKED, wrote)
    flagged = Member.held_at.is_not(None)
    waits_for_others = or_(and_(Gift.state == GiftState.ASKED, ~wrote), Gift.first_reader == coordinator.id)
    weight = case(
        (waits_for_others, OTHERS), (or_(Gift.mentions_self_harm, flagged), URGENT),
        else_=USUAL,
    )  # fmt: skip
    return (
        select(
            Gift.id, Gift.kind, Gift.passed_at.label("at"), weight.label("weight"), Gift.state, Gift.circle_id,
            Gift.language, Gift.mentions_self_harm, flagged.label("under_flag"), Gift.first_reader,
            answered.label("answered"),
        )
        .join(Member, Member.id == Gift.member_id)
        .where(Gift.state.in_(OPEN), Member.state == MemberState.ACTIVE, access.access_gifts(coordinator))
    )  # fmt: skip


def _stories() -> Any:
    """Stories have a page of their own; here they only stand in line."""
    flagged = Member.held_at.is_not(None)
    weight = case((or_(Story.mentions_self_harm, flagged), URGENT), else_=USUAL)
    return (
        select(
            Story.id, literal(Giving.STORY, Gift.kind.type), Story.created_at, weight.cast(Integer),
            literal(GiftState.REVIEW, Gift.state.type), null(), Story.language, Story.mentions_self_harm, flagged,
            null(), literal(False),
        )
        .outerjoin(Member, Member.id == Story.author_id)
        .where(Story.state.in_(STORY_STATES))
    )  # fmt: skip


def _edge(session: Session, all_: Subquery, after: UUID) -> ColumnElement[bool] | None:
    row = session.execute(select(all_.c.weight, all_.c.at).where(all_.c.id == after)).first()
    if row is None:
        return None
    later = or_(all_.c.at > row.at, and_(all_.c.at == row.at, all_.c.id > after))
    return or_(all_.c.weight < row.weight, and_(all_.c.weight == row.weight, later))
