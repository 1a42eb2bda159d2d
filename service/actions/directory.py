"""Members as coordinators find them: in pages, by filters, by name, and by exact number or address.

Numbers and addresses are encrypted: they are found by their blind index only, whole or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased, selectinload

from service import db
from service.actions import contacts
from service.actions.access import access_circles, access_members
from service.errors import NotFound
from service.models.gatherings import Circle, CircleMembership
from service.models.members import (
    Address,
    ChannelName,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Topic,
)
from service.models.staff import Coordinator

PAGE = 50
SHELVES: dict[str, tuple[MemberState, ...]] = {
    "here": (MemberState.ACTIVE,),
    "waiting": (MemberState.PENDING,),
    "gone": (MemberState.LEFT, MemberState.DIED),
    "all": (MemberState.ACTIVE, MemberState.PENDING, MemberState.LEFT, MemberState.DIED),
}
"""Tabs of the list. Who was erased is on none: there is nothing left to see."""


@dataclass(frozen=True)
class Filters:
    """What a list of members is narrowed to."""

    shelf: str = "all"
    name: str = ""
    """The beginning of the first name."""
    topic: Topic | None = None
    """Only who gets this topic (on `channel`, if one is named)."""
    channel: ChannelName | None = None
    """Only who has an address on this channel."""
    circle_id: UUID | None = None
    sharing_with: UUID | None = None
    """Only this member and those who share a number or address with them."""


@dataclass(frozen=True)
class Page:
    """One page of the list, by name. `before` and `after` are the ids to go on from, None at that end."""

    members: Sequence[Member]
    circles: dict[UUID, list[str]]
    """Circle names by member, as far as the coordinator may see them."""
    before: UUID | None
    after: UUID | None


def page(
    session: Session,
    coordinator: Coordinator,
    filters: Filters,
    *,
    after: UUID | None = None,
    before: UUID | None = None,
    limit: int = PAGE,
) -> Page:
    """The members behind (or in front of) the one with that id, in the order of their names. Keyset, never OFFSET."""
    statement = _narrowed(select(Member), coordinator, filters).options(selectinload(Member.addresses))
    edge = session.get(Member, before or after) if before or after else None
    if edge is not None:
        statement = statement.where(_beyond(edge, backwards=before is not None))
    order = (Member.first_name, Member.id)
    backwards = before is not None and edge is not None
    statement = statement.order_by(*(column.desc() for column in order)) if backwards else statement.order_by(*order)
    found = list(session.scalars(statement.limit(limit + 1)))
    more = len(found) > limit
    found = found[:limit]
    if backwards:
        found.reverse()
    first, last = (found[0].id, found[-1].id) if found else (None, None)
    return Page(
        members=found,
        circles=_circle_names(session, coordinator, [m.id for m in found]),
        before=first if (more if backwards else edge is not None) else None,
        after=last if (True if backwards else more) else None,
    )


def counts(session: Session, coordinator: Coordinator) -> dict[str, int]:
    """Members on each shelf."""
    grouped = select(Member.state, func.count()).where(access_members(coordinator)).group_by(Member.state)
    by_state: dict[MemberState, int] = {row[0]: row[1] for row in session.execute(grouped)}
    return {shelf: sum(by_state.get(s, 0) for s in states) for shelf, states in SHELVES.items()}


def by_address(session: Session, coordinator: Coordinator, typed: str) -> list[UUID]:
    """Whose number or email address this is, of those whom the coordinator may see; a phone may be shared."""
    hits = [
        and_(Address.channel == channel, Address.index_hash == db.blind_index(channel, contacts.normal(channel, typed)))
        for channel in ChannelName
    ]
    mine = select(Member.id).join(Address, Address.member_id == Member.id).where(access_members(coordinator))
    return list(session.scalars(mine.where(or_(*hits)).distinct().order_by(Member.id)))


def looks_like_address(typed: str) -> bool:
    """Whether what was typed into the search is meant as a number or an address, not as a name."""
    return "@" in typed or sum(c.isdigit() for c in typed) >= 5


def require(session: Session, coordinator: Coordinator, member_id: UUID) -> Member:
    """The member, if this coordinator may see them. Raises NotFound: what is hidden is not even confirmed."""
    found = session.scalar(select(Member).where(Member.id == member_id, access_members(coordinator)))
    if found is None:
        raise NotFound("There is no such member, or they are in another circle.")
    return found


def circles(session: Session, coordinator: Coordinator) -> list[Circle]:
    """Open circles that the coordinator may see, by name."""
    mine = select(Circle).where(Circle.closed_at.is_(None), access_circles(coordinator))
    return list(session.scalars(mine.order_by(Circle.name)))


def _narrowed(statement: Select[Any], coordinator: Coordinator, filters: Filters) -> Select[Any]:
    clauses: list[ColumnElement[bool]] = [
        access_members(coordinator),
        Member.state.in_(SHELVES.get(filters.shelf, SHELVES["all"])),
    ]
    if filters.name:
        clauses.append(_named(filters.name))
    if filters.circle_id:
        clauses.append(_in_circle(coordinator, filters.circle_id))
    if filters.topic:
        clauses.append(_gets(filters.topic, filters.channel))
    elif filters.channel:
        clauses.append(exists().where(Address.member_id == Member.id, Address.channel == filters.channel))
    if filters.sharing_with:
        clauses.append(_sharing(filters.sharing_with))
    return statement.where(*clauses)


def _named(beginning: str) -> ColumnElement[bool]:
    """SQLite folds ASCII alone: a capital É is found by the other two."""
    tried = {beginning, beginning.capitalize(), beginning.title()}
    return or_(
        func.lower(Member.first_name).startswith(beginning.lower(), autoescape=True),
        *[Member.first_name.startswith(word, autoescape=True) for word in sorted(tried)],
    )


def _in_circle(coordinator: Coordinator, circle_id: UUID) -> ColumnElement[bool]:
    seen = select(Circle.id).where(Circle.id == circle_id, access_circles(coordinator))
    return exists().where(
        CircleMembership.member_id == Member.id,
        CircleMembership.circle_id.in_(seen),
        CircleMembership.left_at.is_(None),
    )


def _gets(topic: Topic, channel: ChannelName | None) -> ColumnElement[bool]:
    clauses = [
        Subscription.member_id == Member.id,
        Subscription.topic == topic,
        Subscription.state == SubscriptionState.ACTIVE,
    ]
    if channel:
        clauses.append(Subscription.channel == channel)
    return exists().where(*clauses)


def _sharing(member_id: UUID) -> ColumnElement[bool]:
    theirs = aliased(Address)
    return exists().where(
        Address.member_id == Member.id,
        theirs.member_id == member_id,
        theirs.channel == Address.channel,
        theirs.index_hash == Address.index_hash,
    )


def _beyond(edge: Member, *, backwards: bool) -> ColumnElement[bool]:
    name, key = Member.first_name, Member.id
    if backwards:
        return or_(name < edge.first_name, and_(name == edge.first_name, key < edge.id))
    return or_(name > edge.first_name, and_(name == edge.first_name, key > edge.id))


def _circle_names(session: Session, coordinator: Coordinator, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    names: dict[UUID, list[str]] = {}
    places = (
        select(CircleMembership.member_id, Circle.name)
        .join(Circle, Circle.id == CircleMembership.circle_id)
        .where(CircleMembership.member_id.in_(ids), CircleMembership.left_at.is_(None), access_circles(coordinator))
        .order_by(Circle.name)
    )
    for member_id, name in session.execute(places):
        names.setdefault(member_id, []).append(name)
    return names
