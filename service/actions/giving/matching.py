"""For whom a note could be: a fair spread over those who said that they would like one. A coordinator chooses.

Newcomers come first, then whoever got the fewest, then whoever waited longest. One query for a language, whatever the
number of notes; it reads no number and no address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from service import clock, config
from service.actions import audience
from service.actions.delivery.facts import AFTER_LOSS
from service.models.encouragement import CarriedNote, NoteWish
from service.models.giving import Gift
from service.models.members import ChannelName, Member, Topic

NEWCOMER = timedelta(days=60)
APART = timedelta(days=14)
"""Between two notes to one person."""
SUGGESTED = 3
LOOKED_AT = 40
TOPIC = Topic.CIRCLE
"""Notes come where the news of one's circle comes: who has that off everywhere gets none."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who could get a note: enough to choose by, and nothing to reach them with."""

    id: UUID
    first_name: str
    joined_at: datetime | None
    newcomer: bool
    got: int
    """Notes so far."""


def suggest(session: Session, waiting: Sequence[Gift]) -> dict[UUID, list[Candidate]]:
    """gift → the few whom it suits best. Nobody is the first suggestion of two notes while there is somebody else."""
    by_language = {
        language: _candidates(session, language, LOOKED_AT + len(waiting))
        for language in {gift.language for gift in waiting}
    }
    had = _pairs(session, {gift.member_id for gift in waiting})
    taken: set[UUID] = set()
    suggested = {}
    for gift in waiting:
        fit = [
            c
            for c in by_language[gift.language]
            if c.id != gift.member_id and (gift.member_id, c.id) not in had
        ]  # fmt: skip
        fit.sort(key=lambda c: c.id in taken)
        suggested[gift.id] = fit[:SUGGESTED]
        taken.update(c.id for c in fit[:1])
    return suggested


def fits(session: Session, gift: Gift, member_id: UUID) -> bool:
    """Whether this note may go to this person now: judged again when somebody is chosen."""
    if member_id == gift.member_id or (gift.member_id, member_id) in _pairs(session, {gift.member_id}):
        return False
    return session.execute(_willing(gift.language).where(Member.id == member_id)).first() is not None


def _candidates(session: Session, language: str, most: int) -> list[Candidate]:
    return [Candidate(*row) for row in session.execute(_willing(language).limit(most))]


def _pairs(session: Session, authors: Iterable[UUID]) -> set[tuple[UUID, UUID]]:
    rows = select(CarriedNote.author_id, CarriedNote.member_id).where(CarriedNote.author_id.in_(list(authors)))
    return {(author, member) for author, member in session.execute(rows)}


def _willing(language: str) -> Any:
    """SELECT a Candidate's columns of everybody of a language who may get a note now, in the order of who is next."""
    now = clock.now()
    got = (
        select(CarriedNote.member_id, func.count().label("notes"), func.max(CarriedNote.chosen_at).label("last"))
        .group_by(CarriedNote.member_id)
        .subquery()
    )
    long_ago = (now - AFTER_LOSS).date()  # unless they asked since (rule of conversation 12)
    asked_since = func.date(NoteWish.receives_at) >= Member.loss_on
    new = Member.joined_at > now - NEWCOMER
    channels = tuple(c for c in ChannelName if c in config.current().enabled_channels)
    return (
        select(
            Member.id, Member.first_name, Member.joined_at, func.coalesce(new, False),
            func.coalesce(got.c.notes, 0),
        )
        .join(NoteWish, and_(NoteWish.member_id == Member.id, NoteWish.receives))
        .outerjoin(got, got.c.member_id == Member.id)
        .where(
            Member.locale.like(f"{language}%"),
            or_(got.c.last.is_(None), got.c.last < now - APART),
            or_(Member.loss_on.is_(None), Member.loss_on <= long_ago, asked_since),
            audience.reachable(Member, channels, TOPIC),
        )
        .order_by(
            case((new, 0), else_=1), func.coalesce(got.c.notes, 0), got.c.last.is_not(None), got.c.last,
            NoteWish.receives_at, Member.id,
        )
    )  # fmt: skip
