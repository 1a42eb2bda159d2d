"""What a member sees and does on the page of their own circles. The link proves who they are, and no more than that:
nothing is shown there but their circles, with the neutral name for those who may be overlooked.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from service import db
from service.actions import consent
from service.actions.belonging import places, telling
from service.actions.belonging.places import Came
from service.actions.finding import matching
from service.actions.finding.matching import Shown
from service.actions.leaving import existing
from service.errors import Conflict, NotFound
from service.models.gatherings import Circle, CircleMembership, GroupSession, PlaceAsk
from service.models.members import ChannelName, Member, MemberState


@dataclass(frozen=True)
class Place:
    """A circle to which the member belongs, with its next meetings, soonest first."""

    membership: CircleMembership
    circle: Circle
    meetings: list[GroupSession]


@dataclass(frozen=True)
class View:
    """Everything on the page."""

    member: Member
    places: list[Place]
    asks: list[PlaceAsk]
    others: list[Shown]
    """Open circles in which they are not."""


def view(member_id: UUID) -> View:
    """The member's circles. Raises NotFound for somebody who is gone."""
    with db.reading() as session:
        member = _present(session, member_id)
        belongs = places.of_member(session, member.id)
        coming = matching.meetings(session, [place.circle_id for place in belongs.places])
        taken = {place.circle_id for place in belongs.places} | {ask.circle_id for ask in belongs.asks}
        return View(
            member,
            [Place(place, place.circle, coming.get(place.circle_id, [])) for place in belongs.places],
            belongs.asks,
            [found for found in matching.open_circles(session) if found.circle.id not in taken],
        )


def join(member_id: UUID, circle_id: UUID, channel: ChannelName) -> Came:
    """Come in, or take the place that was kept. They are told on `channel`, the one that the link went to.

    Raises NotFound, Conflict for a member who has not confirmed or has left.
    """
    with db.transaction() as session:
        member, circle = _present(session, member_id), session.get(Circle, circle_id)
        if circle is None:
            raise NotFound("There is no open circle of this name.")
        if member.state != MemberState.ACTIVE:
            raise Conflict("Please confirm first, or text or mail us START. Then the circles are open to you.")
        came = places.enter(session, member, circle)
        address = member.address(channel)
        if address is not None and not consent.suppressed(session, channel, address.value):
            telling.tell(session, member, channel)
        return came


def leave(member_id: UUID, circle_id: UUID) -> bool:
    """Leave a circle or its line; whether they were in one. Raises NotFound."""
    with db.transaction() as session:
        return places.leave(session, _present(session, member_id), circle_id)


def want_week(member_id: UUID, circle_id: UUID, *, on: bool) -> None:
    """Get the circle's week, or not any more. Raises NotFound for a circle in which they are not."""
    with db.transaction() as session:
        place = places.place_of(session, _present(session, member_id).id, circle_id)
        if place is None or place.left_at is not None:
            raise NotFound("You are not in this circle.")
        place.digest = on


def _present(session: Session, member_id: UUID) -> Member:
    member = existing(session, member_id)
    if member.state in consent.GONE:
        raise NotFound("These settings are no longer here.")
    return member
