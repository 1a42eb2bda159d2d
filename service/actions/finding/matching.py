"""Which circles are open, with what a stranger may know of them, and which of them could suit somebody."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import clock
from service.actions import zones
from service.actions.belonging import places, words
from service.actions.belonging.places import Room
from service.actions.finding import reading
from service.models.gatherings import Circle, GroupSession, Openness, SessionState

MOST_SHOWN = 200
A_MATCH = 3
"""More than three are no help to somebody who is tired."""


@dataclass(frozen=True)
class Shown:
    """An open circle as strangers may know it."""

    circle: Circle
    next_at: datetime | None
    """The next meeting that is planned, else the one that the rhythm names; None where there is neither."""
    room: Room
    """Full says that newcomers wait in line."""


def open_circles(session: Session, slug: str | None = None) -> list[Shown]:
    """The circles that are open to strangers, by name (or the one of that address): four queries for all of them.

    Not those to which people are invited, nor one that rests: a mourning circle is not a place to arrive.
    """
    found = (
        select(Circle)
        .where(Circle.closed_at.is_(None), Circle.on_hold.is_(False), Circle.openness != Openness.INVITE)
        .order_by(Circle.name)
        .limit(MOST_SHOWN)
    )
    if slug is not None:
        found = found.where(Circle.slug == slug)
    return shown(session, session.scalars(found).all())


def shown(session: Session, circles: Sequence[Circle]) -> list[Shown]:
    """These circles with their next meetings and their room."""
    ids = [circle.id for circle in circles]
    coming = dict(
        session.execute(
            select(GroupSession.circle_id, func.min(GroupSession.starts_at))
            .where(
                GroupSession.circle_id.in_(ids),
                GroupSession.state == SessionState.PLANNED,
                GroupSession.starts_at > clock.now(),
            )
            .group_by(GroupSession.circle_id)
        ).all()
    )
    limited = [circle.id for circle in circles if circle.most_members is not None]
    taken, waiting = places.taken(session, limited), places.lines(session, limited)
    return [
        Shown(
            circle,
            coming.get(circle.id) or words.usual_next(circle),
            places.room(circle, taken.get(circle.id, 0), waiting.get(circle.id, 0)),
        )
        for circle in circles
    ]


def meetings(session: Session, circle_ids: Collection[UUID], each: int = 3) -> dict[UUID, list[GroupSession]]:
    """circle → its next meetings, soonest first; one query for all of them."""
    place = func.row_number().over(partition_by=GroupSession.circle_id, order_by=GroupSession.starts_at).label("place")
    coming = (
        select(GroupSession.id, place)
        .where(
            GroupSession.circle_id.in_(circle_ids),
            GroupSession.state == SessionState.PLANNED,
            GroupSession.ends_at > clock.now(),
        )
        .subquery()
    )
    found: dict[UUID, list[GroupSession]] = {}
    next_ones = select(GroupSession).join(coming, coming.c.id == GroupSession.id).where(coming.c.place <= each)
    for meeting in session.scalars(next_ones.order_by(GroupSession.starts_at)):
        found.setdefault(meeting.circle_id, []).append(meeting)
    return found


def themes(circles: Sequence[Shown], language: str = "") -> list[str]:
    """What the circles are about: those in this language first, each once."""
    ordered = sorted(circles, key=lambda s: s.circle.language != language)
    return list(dict.fromkeys(s.circle.theme.strip() for s in ordered if s.circle.theme.strip()))


def match(
    circles: Sequence[Shown], theme: str, when: Collection[str], zone: str, language: str
) -> tuple[list[Shown], bool]:
    """At most three circles that come nearest, best first, and whether the first is all that was asked for.

    `theme` is one of theirs or "" for any; `when` as `reading.when_of`, judged on the clock of `zone` ("": on each
    circle's own). Where nothing fits both, those that fit one of the two come; where nothing fits, none do.
    """
    scored = []
    for found in circles:
        about = not theme or found.circle.theme.strip().casefold() == theme.strip().casefold()
        suits = not when or fits(found, when, zone)
        if not (about or suits) or (not about and not when) or (not suits and not theme):
            continue
        scored.append(((about, suits, found.circle.language == language, found.room != Room.FULL), found))
    scored.sort(key=lambda pair: tuple(not part for part in pair[0]))
    exact = bool(scored) and scored[0][0][0] and scored[0][0][1]
    if exact:
        scored = [(s, f) for s, f in scored if s[0] and s[1]]
    return [found for _, found in scored[:A_MATCH]], exact


def fits(found: Shown, when: Collection[str], zone: str) -> bool:
    """Whether a circle meets at such a time, on the clock of `zone` ("": its own)."""
    if found.next_at is None:
        return False
    there = found.next_at.astimezone(zones.info(zone or found.circle.time_zone))
    return reading.suits(there.weekday(), there.hour, when)
