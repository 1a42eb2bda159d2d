"""A place in a circle: taken, asked for, waited for, given back. Nothing here asks why.

Everybody comes through `enter`, however they came: the join page, a text, their own page, a coordinator. It never
passes somebody who waits. Who has not confirmed within 72 hours keeps no place from others.
"""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session, joinedload

from service import clock, db
from service.actions import holds
from service.actions.consent import CONFIRM_WITHIN
from service.models.gatherings import AskFor, AskState, Circle, CircleMembership, Openness, PlaceAsk
from service.models.members import Member, MemberState

OPEN = (AskState.WAITING, AskState.OFFERED)
SHORTEST_WORD = 3
"""Letters of the shortest keyword (`circles.check_keyword`): a shorter word is not looked up."""
SLIPS_FROM = 4
"""Letters: in shorter words a slip makes another word."""
A_FEW = 3
"""Up to so many free places are called a few; nobody is told an exact number that makes them hurry."""


class Came(StrEnum):
    """What came of wanting to belong."""

    IN = "in"
    ALREADY = "already"
    WAITS = "waits"  # it is full: they stand in line
    ASKED = "asked"  # a coordinator answers
    INVITED_ONLY = "invited_only"
    CLOSED = "closed"


class Room(StrEnum):
    """How much room a circle has, in kind words rather than numbers."""

    PLENTY = "plenty"
    FEW = "few"
    ONE = "one"
    FULL = "full"


def enter(session: Session, member: Member, circle: Circle, *, invited: bool = False, chosen: bool = False) -> Came:
    """Give the member a place, or their place in the line. Asking twice changes nothing.

    `invited`: they have the code of an invitation. `chosen`: a coordinator wants them in, whatever the circle's rules.
    """
    # Two people at the same moment must not both get the last place: the second waits here for the first.
    session.execute(select(Circle.id).where(Circle.id == circle.id).with_for_update())
    place = place_of(session, member.id, circle.id)
    if place is not None and place.left_at is None:
        return Came.ALREADY
    if circle.closed_at is not None:
        return Came.CLOSED
    ask = _ask_of(session, member.id, circle.id)
    if chosen or (ask is not None and _offer_stands(ask)):
        return _give(session, member, circle, place, ask)
    if circle.openness == Openness.INVITE and not invited:
        return Came.INVITED_ONLY
    if circle.openness == Openness.ASK and not invited:
        return _wait(session, member, circle, ask, AskFor.WORD)
    if circle.most_members is not None and _no_room(session, circle):
        return _wait(session, member, circle, ask, AskFor.SEAT)
    return _give(session, member, circle, place, ask)


def leave(session: Session, member: Member, circle_id: UUID) -> bool:
    """Give up the place, or the place in line; whether there was one. What waits of the circle is taken back."""
    now = clock.now()
    place, ask = place_of(session, member.id, circle_id), _ask_of(session, member.id, circle_id)
    was_in = place is not None and place.left_at is None
    if place is not None and was_in:
        place.left_at, place.digest = now, False
    waited = ask is not None and ask.state in OPEN
    if ask is not None and waited:
        ask.state, ask.settled_at = AskState.WITHDRAWN, now
    if was_in:
        holds.take_back(session, [member.id])
    session.flush()
    return was_in or waited


def come_back(session: Session, member: Member, circle_id: UUID) -> bool:
    """Undo `leave` (OOPS): the place as it was, even if the circle has filled since; whether it is theirs again."""
    circle = session.get(Circle, circle_id)
    if circle is None or circle.closed_at is not None:
        return False
    place = place_of(session, member.id, circle_id)
    if place is not None and place.left_at is not None:
        place.left_at = None
    return place is not None


def taken(session: Session, circle_ids: Collection[UUID]) -> dict[UUID, int]:
    """circle → places that are taken or offered, for these circles; those without any are left out."""
    counted = _taken().where(CircleMembership.circle_id.in_(circle_ids)).group_by(CircleMembership.circle_id)
    found = {circle_id: int(number) for circle_id, number in session.execute(counted)}
    offered = (
        select(PlaceAsk.circle_id, func.count())
        .where(
            PlaceAsk.circle_id.in_(circle_ids),
            PlaceAsk.state == AskState.OFFERED,
            PlaceAsk.offered_until > clock.now(),
        )
        .group_by(PlaceAsk.circle_id)
    )
    for circle_id, number in session.execute(offered):
        found[circle_id] = found.get(circle_id, 0) + int(number)
    return found


def lines(session: Session, circle_ids: Collection[UUID]) -> dict[UUID, int]:
    """circle → how many wait for a place that comes free."""
    waiting = (
        select(PlaceAsk.circle_id, func.count())
        .join(Member, Member.id == PlaceAsk.member_id)
        .where(
            PlaceAsk.circle_id.in_(circle_ids),
            PlaceAsk.state == AskState.WAITING,
            PlaceAsk.waits_for == AskFor.SEAT,
            _here(PlaceAsk.asked_at),
        )
        .group_by(PlaceAsk.circle_id)
    )
    return {circle_id: int(number) for circle_id, number in session.execute(waiting)}


def room(circle: Circle, taken: int, waiting: int) -> Room:
    """How much room there is for somebody who comes now."""
    if circle.most_members is None:
        return Room.PLENTY
    free = circle.most_members - taken - waiting
    return Room.FULL if free <= 0 else Room.ONE if free == 1 else Room.FEW if free <= A_FEW else Room.PLENTY


def place_of(session: Session, member_id: UUID, circle_id: UUID) -> CircleMembership | None:
    """The member's place in a circle, also one that they left."""
    return session.scalar(
        select(CircleMembership).where(CircleMembership.circle_id == circle_id, CircleMembership.member_id == member_id)
    )


@dataclass(frozen=True)
class Belongs:
    """Where a member belongs, and where they wait; by name of the circle."""

    places: list[CircleMembership]
    asks: list[PlaceAsk]


def of_member(session: Session, member_id: UUID) -> Belongs:
    """The member's places and open wishes, with their circles."""
    places = (
        select(CircleMembership)
        .join(Circle, Circle.id == CircleMembership.circle_id)
        .options(joinedload(CircleMembership.circle))
        .where(CircleMembership.member_id == member_id, CircleMembership.left_at.is_(None))
        .order_by(Circle.name)
    )
    asks = (
        select(PlaceAsk)
        .join(Circle, Circle.id == PlaceAsk.circle_id)
        .options(joinedload(PlaceAsk.circle))
        .where(PlaceAsk.member_id == member_id, PlaceAsk.state.in_(OPEN))
        .order_by(Circle.name)
    )
    return Belongs(list(session.scalars(places)), list(session.scalars(asks)))


def by_word(session: Session, word: str, *, near: bool = False) -> tuple[Circle, bool] | None:
    """The circle that a word on a phone stands for, and whether it is the code of an invitation. Closed ones too.

    `near` forgives a slip of the thumb (KITCHN), where only one keyword comes near. Codes forgive none.
    """
    wanted = word.strip(" .,!?\"'").upper()
    if len(wanted) < SHORTEST_WORD:
        return None
    found = session.scalar(select(Circle).where(or_(Circle.keyword == wanted, Circle.invite_code == wanted)).limit(1))
    if found is None and near and len(wanted) >= SLIPS_FROM:
        keywords = session.scalars(select(Circle.keyword).where(Circle.closed_at.is_(None))).all()
        close = get_close_matches(wanted, keywords, n=2, cutoff=0.8)
        found = session.scalar(select(Circle).where(Circle.keyword == close[0])) if len(close) == 1 else None
    return (found, found.invite_code == wanted) if found else None


def offered(session: Session, member_id: UUID) -> PlaceAsk | None:
    """The free place that is being kept for this member, if there is one."""
    return session.scalar(
        select(PlaceAsk)
        .options(joinedload(PlaceAsk.circle))
        .where(
            PlaceAsk.member_id == member_id,
            PlaceAsk.state == AskState.OFFERED,
            PlaceAsk.offered_until > clock.now(),
        )
        .order_by(PlaceAsk.offered_until)
        .limit(1)
    )


def forget_line(session: Session, circle_id: UUID) -> list[UUID]:
    """Nobody waits any more for a circle that has closed; who did."""
    waiting = list(
        session.scalars(select(PlaceAsk.member_id).where(PlaceAsk.circle_id == circle_id, PlaceAsk.state.in_(OPEN)))
    )
    session.execute(
        update(PlaceAsk)
        .where(PlaceAsk.circle_id == circle_id, PlaceAsk.state.in_(OPEN))
        .values(state=AskState.WITHDRAWN, settled_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    return waiting


def _no_room(session: Session, circle: Circle) -> bool:
    used = taken(session, [circle.id]).get(circle.id, 0) + lines(session, [circle.id]).get(circle.id, 0)
    return circle.most_members is not None and used >= circle.most_members


def _taken() -> Select[UUID, int]:
    return (
        select(CircleMembership.circle_id, func.count())
        .join(Member, Member.id == CircleMembership.member_id)
        .where(CircleMembership.left_at.is_(None), _here(CircleMembership.joined_at))
    )


def _here(since: Any) -> ColumnElement[bool]:
    """SQL: whether the member has confirmed, or may still."""
    asked = clock.now() - CONFIRM_WITHIN
    return or_(Member.state == MemberState.ACTIVE, and_(Member.state == MemberState.PENDING, since > asked))


def _ask_of(session: Session, member_id: UUID, circle_id: UUID) -> PlaceAsk | None:
    return session.scalar(select(PlaceAsk).where(PlaceAsk.circle_id == circle_id, PlaceAsk.member_id == member_id))


def _offer_stands(ask: PlaceAsk) -> bool:
    return ask.state == AskState.OFFERED and ask.offered_until is not None and ask.offered_until > clock.now()


def _give(
    session: Session, member: Member, circle: Circle, place: CircleMembership | None, ask: PlaceAsk | None
) -> Came:
    now = clock.now()
    if place is None:
        session.add(CircleMembership(circle_id=circle.id, member_id=member.id, joined_at=now))
    else:
        place.left_at, place.joined_at = None, now
        place.welcomed_at = place.door_told_at = place.anniversary_on = None
    if ask is not None and ask.state in OPEN:
        ask.state, ask.settled_at = AskState.IN, now
    session.flush()
    return Came.IN


def _wait(session: Session, member: Member, circle: Circle, ask: PlaceAsk | None, what: AskFor) -> Came:
    came = Came.ASKED if what == AskFor.WORD else Came.WAITS
    if ask is not None and ask.state in OPEN and ask.waits_for == what:
        return came  # whoever asks again keeps their place in the line
    if ask is None:
        ask = PlaceAsk(id=db.uuid7(), circle_id=circle.id, member_id=member.id)
        session.add(ask)
    ask.waits_for, ask.state, ask.asked_at = what, AskState.WAITING, clock.now()
    ask.told_at = ask.offered_until = ask.settled_at = ask.settled_by = None
    session.flush()
    return came
