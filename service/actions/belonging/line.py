"""The line before a circle: a coordinator's yes, and free places offered one after the other.

An offer asks for nothing: whoever does not answer in three days loses nothing but that place, and may ask again.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import access, audit, times
from service.actions import audience as audiences
from service.actions.belonging import notes, places, telling, words
from service.errors import Conflict, Forbidden, NotFound
from service.models.gatherings import AskFor, AskState, Circle, CircleMembership, GroupSession, PlaceAsk, SessionState
from service.models.members import ChannelName, Member, MemberState, Topic
from service.models.staff import Coordinator

OFFER_STANDS = timedelta(days=3)
"""Long enough for a weekend, short enough for those behind."""
LOOK_AT = 50
"""So many of a line are looked at in one round: most of them can be reached."""
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Without vowels, so that no code is a word; without digits, which people mistake for letters."""
CODE_LENGTH = 8


def offer_places() -> int:
    """Let offers that nobody took lapse, and offer every free place to the first who waits; how many were offered.

    The clock's chore. Each circle is a transaction of its own, with its offers and the notes that tell of them: a
    repeat, or a second worker, finds nothing left to do.
    """
    with db.reading() as session:
        waiting = select(PlaceAsk.circle_id).where(PlaceAsk.waits_for == AskFor.SEAT, PlaceAsk.state.in_(places.OPEN))
        ids = list(session.scalars(waiting.distinct()))
    return sum(_offer(circle_id) for circle_id in ids)


def _offer(circle_id: UUID) -> int:
    now = clock.now()
    with db.transaction() as session:
        session.execute(select(Circle.id).where(Circle.id == circle_id).with_for_update())
        circle = session.get_one(Circle, circle_id, populate_existing=True)
        session.execute(
            update(PlaceAsk)
            .where(PlaceAsk.circle_id == circle_id, PlaceAsk.state == AskState.OFFERED, PlaceAsk.offered_until <= now)
            .values(state=AskState.LAPSED, settled_at=now)
            .execution_options(synchronize_session=False)
        )
        if circle.closed_at is not None or circle.on_hold:
            return 0
        first = _first(session, circle_id, _free(session, circle))
        for ask, member in first:
            ask.state, ask.offered_until = AskState.OFFERED, now + OFFER_STANDS
            _tell(session, circle, member, ask)
        return len(first)


def _free(session: Session, circle: Circle) -> int:
    if circle.most_members is None:
        return LOOK_AT  # the limit was lifted: whoever still waits may come
    return max(0, circle.most_members - places.taken(session, [circle.id]).get(circle.id, 0))


def _first(session: Session, circle_id: UUID, free: int) -> list[tuple[PlaceAsk, Member]]:
    """The first of the line who can be told now. Others (a break, a flag, no address) keep their place in it."""
    if not free:
        return []
    elsewhere = select(PlaceAsk.member_id).where(
        PlaceAsk.state == AskState.OFFERED, PlaceAsk.offered_until > clock.now()
    )
    rows = session.execute(
        select(PlaceAsk, Member)
        .join(Member, Member.id == PlaceAsk.member_id)
        .where(
            PlaceAsk.circle_id == circle_id,
            PlaceAsk.waits_for == AskFor.SEAT,
            PlaceAsk.state == AskState.WAITING,
            Member.state == MemberState.ACTIVE,
            PlaceAsk.member_id.not_in(elsewhere),  # one offer at a time: JOIN alone takes it
        )
        .order_by(PlaceAsk.asked_at, PlaceAsk.id)
        .limit(LOOK_AT)
    ).all()
    reached = reachable(session, [member.id for _, member in rows])
    return [(ask, member) for ask, member in rows if member.id in reached][:free]


def reachable(session: Session, member_ids: Collection[UUID]) -> set[UUID]:
    """Those of these members to whom news of circles may go on some channel."""
    if not member_ids:
        return set()
    channels = tuple(c for c in ChannelName if c in config.current().enabled_channels)
    audience = audiences.Audience(channels, topic=Topic.CIRCLE, member_ids=tuple(member_ids))
    return {row[0] for channel in channels for row in session.execute(audiences.recipients(audience, channel))}


def _tell(session: Session, circle: Circle, member: Member, ask: PlaceAsk) -> None:
    assert ask.offered_until is not None
    until = times.day(ask.offered_until, member.time_zone or circle.time_zone, member.locale)
    context = telling.about(session, member, circle, ChannelName.EMAIL) | {"until": until}
    # It is no note of the circle: they do not belong to it yet, and what is for its members would pass them by.
    notes.one(
        session, "circle_offer", f"{circle.name}: a place is free (automatic)", member, context,
        circle=None, expires_at=ask.offered_until,
    )  # fmt: skip


@dataclass(frozen=True)
class AtTheDoor:
    """A circle before which somebody waits for a coordinator's yes."""

    circle: Circle
    count: int
    since: datetime


def at_the_door(session: Session, coordinator: Coordinator) -> list[AtTheDoor]:
    """Circles within reach for which somebody waits for a yes, the longest wait first. A full circle's line waits for
    nobody's decision, so it is not among them.
    """
    since = func.min(PlaceAsk.asked_at)
    rows = session.execute(
        select(Circle, func.count(), since)
        .join(PlaceAsk, PlaceAsk.circle_id == Circle.id)
        .join(Member, Member.id == PlaceAsk.member_id)
        .where(
            PlaceAsk.waits_for == AskFor.WORD,
            PlaceAsk.state == AskState.WAITING,
            Member.state == MemberState.ACTIVE,
            access.access_circles(coordinator),
        )
        .group_by(Circle.id)
        .order_by(since)
    )
    return [AtTheDoor(circle, int(count), asked) for circle, count, asked in rows]


@dataclass(frozen=True)
class Waiting:
    """Somebody in the line, as a coordinator sees it."""

    ask: PlaceAsk
    member: Member


def of_circle(session: Session, circle_id: UUID) -> list[Waiting]:
    """Who waits for a circle, in the order of asking. Whoever has not confirmed yet is not in line."""
    rows = session.execute(
        select(PlaceAsk, Member)
        .join(Member, Member.id == PlaceAsk.member_id)
        .where(PlaceAsk.circle_id == circle_id, PlaceAsk.state.in_(places.OPEN), Member.state == MemberState.ACTIVE)
        .order_by(PlaceAsk.asked_at, PlaceAsk.id)
        .limit(200)
    )
    return [Waiting(ask, member) for ask, member in rows]


def let_in(ask_id: UUID, coordinator: Coordinator) -> str:
    """A coordinator says yes, or lets somebody in although it is full; they are told. Returns their first name.

    The name comes with a star where nothing of ours may reach them now: then a person tells them. Raises NotFound,
    Conflict for a wish that is settled.
    """
    with db.transaction() as session:
        ask, circle = _open_ask(session, ask_id, coordinator)
        member = session.get_one(Member, ask.member_id)
        if places.enter(session, member, circle, chosen=True) == places.Came.CLOSED:
            raise Conflict("This circle has closed. Open it again first.")
        ask.state, ask.settled_at, ask.settled_by = AskState.IN, clock.now(), coordinator.id
        audit.record(session, str(coordinator.id), "circle.let_in", ask)
        place = places.place_of(session, member.id, circle.id)
        if place is not None and place.welcomed_at is None:
            place.welcomed_at = clock.now()
            context = telling.about(session, member, circle, ChannelName.EMAIL)
            notes.one(session, "circle_welcome", f"{circle.name}: welcome (automatic)", member, context, circle=circle)
        return member.first_name if member.id in reachable(session, [member.id]) else f"{member.first_name}*"


def decline(ask_id: UUID, coordinator: Coordinator) -> UUID:
    """A coordinator says that it cannot be this circle; returns the member's id. No machine writes about that."""
    with db.transaction() as session:
        ask, _ = _open_ask(session, ask_id, coordinator)
        ask.state, ask.settled_at, ask.settled_by = AskState.DECLINED, clock.now(), coordinator.id
        audit.record(session, str(coordinator.id), "circle.decline", ask)
        return ask.member_id


def _open_ask(session: Session, ask_id: UUID, coordinator: Coordinator) -> tuple[PlaceAsk, Circle]:
    ask = session.get(PlaceAsk, ask_id, with_for_update=True)
    if ask is None:
        raise NotFound("Nobody asks here any more.")
    circle = access.require_circle(session, coordinator, ask.circle_id)
    if ask.state not in places.OPEN:
        raise Conflict("This was settled meanwhile.")
    return ask, circle


def new_code(circle_id: UUID, coordinator: Coordinator) -> str:
    """A new code for a circle's invitations; the one before opens nothing any more. Raises NotFound."""
    with db.transaction() as session:
        circle = access.require_circle(session, coordinator, circle_id)
        circle.invite_code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        audit.record(session, str(coordinator.id), "circle.code", circle)
        return circle.invite_code


class Closed(NamedTuple):
    """What the end of a circle brought."""

    called_off: int
    """Sessions."""
    waited: int
    """People who stood in its line; they are told."""
    told: bool
    """Whether its members are told; not of a circle that rests, since somebody died: a person does that."""


def close(circle_id: UUID, coordinator: Coordinator) -> Closed:
    """End a circle: nobody comes in any more, its sessions are called off, its members and its line are told kindly.

    Raises NotFound, Forbidden, Conflict when it is closed.
    """
    _whole(coordinator)
    with db.transaction() as session:
        circle = access.require_circle(session, coordinator, circle_id)
        if circle.closed_at is not None:
            raise Conflict("This circle is closed already.")
        circle.closed_at = clock.now()
        called_off = _call_off(session, circle)
        waited = places.forget_line(session, circle.id)
        name = f"{circle.name}: closed, to those who waited (automatic)"
        for discreet in (False, True):
            ids = list(session.scalars(select(Member.id).where(Member.id.in_(waited), Member.discreet.is_(discreet))))
            context = {
                language: {"circle": words.neutral(language) if discreet else circle.name}
                for language in notes.LANGUAGES
            }
            notes.note(session, "circle_closed", name, ids, context, circle=None)
        if not circle.on_hold:
            _tell_members(session, circle)
        audit.record(session, str(coordinator.id), "circle.close", circle, sessions=called_off, waited=len(waited))
        return Closed(called_off, len(waited), told=not circle.on_hold)


def _tell_members(session: Session, circle: Circle) -> None:
    belongs = (CircleMembership.circle_id == circle.id, CircleMembership.left_at.is_(None))
    ids = list(session.scalars(select(CircleMembership.member_id).where(*belongs)))
    context = {language: {"circle": notes.CIRCLE} for language in notes.LANGUAGES}
    notes.note(session, "circle_ended", f"{circle.name}: closed (automatic)", ids, context, circle=circle)


def reopen(circle_id: UUID, coordinator: Coordinator) -> None:
    """Open a closed circle again; sessions are to be planned anew. Raises NotFound, Forbidden."""
    _whole(coordinator)
    with db.transaction() as session:
        circle = access.require_circle(session, coordinator, circle_id)
        circle.closed_at = None
        audit.record(session, str(coordinator.id), "circle.reopen", circle)


def _whole(coordinator: Coordinator) -> None:
    if not access.sees_everything(coordinator):
        raise Forbidden("Circles are closed by coordinators of the whole community. Ask one of them.")


def _call_off(session: Session, circle: Circle) -> int:
    done = session.execute(
        update(GroupSession)
        .where(
            GroupSession.circle_id == circle.id,
            GroupSession.state == SessionState.PLANNED,
            GroupSession.starts_at > clock.now(),
        )
        .values(state=SessionState.CANCELLED)
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]
