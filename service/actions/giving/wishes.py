"""Who gives notes and who would like one: both only because they said so. And the limits that protect givers."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions import times
from service.actions.giving import carried
from service.models.encouragement import CarriedNote, NoteWish
from service.models.giving import Gift, GiftState, Giving
from service.models.members import Member

MOST_WAITING = 1
"""Notes of one giver that a person here has not read yet."""
MOST_A_WEEK = 2
"""Giving is a gift to the giver only while it stays light."""
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Opening:
    """Whether something may be begun: the text that says why not yet, or what the text that begins it needs."""

    refused: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def receives(session: Session, member_id: UUID) -> bool:
    """Whether a member would like a note now and then."""
    wish = session.get(NoteWish, member_id)
    return wish is not None and wish.receives


def gives(session: Session, member_id: UUID) -> bool:
    """Whether a member gives notes, and takes no break from it."""
    wish = session.get(NoteWish, member_id)
    return wish is not None and wish.gives


def receive(session: Session, member_id: UUID, on: bool, source: str) -> bool:
    """Keep whether they would like notes, with when and where they said so; whether that changed anything. After a no
    nothing leaves that somebody chose before.

    Saying yes again renews the moment: somebody who asks after a loss has asked (rule of conversation 12).
    """
    wish = _row(session, member_id)
    changed = wish.receives != on
    if changed or on:
        wish.receives, wish.receives_at, wish.receives_source = on, clock.now(), source[:120]
        session.flush()
    if changed and not on:
        carried.end(session, _on_their_way(session, member_id))
    return changed


def _on_their_way(session: Session, member_id: UUID) -> list[UUID]:
    """The campaigns of notes to this member that are not over yet."""
    open_ = select(CarriedNote.campaign_id).where(CarriedNote.member_id == member_id, CarriedNote.settled_at.is_(None))
    return list(session.scalars(open_))


def give(session: Session, member_id: UUID, on: bool) -> bool:
    """Keep whether they give; whether that changed anything."""
    wish = _row(session, member_id)
    changed = wish.gives != on
    wish.gives = on
    wish.gives_at = clock.now() if changed else wish.gives_at
    session.flush()
    return changed


def may_give(session: Session, member: Member) -> Opening:
    """CHEER: begins a note, and says once that this is a yes to giving; or says when there is room for the next."""
    found = room(session, member)
    return found if found.refused else Opening(facts={"first": give(session, member.id, True)})


def room(session: Session, member: Member) -> Opening:
    """Whether there is room for one more note of a giver, or what says from when there is. Changes nothing."""
    now = clock.now()
    lately = select(Gift.state, Gift.passed_at).where(
        Gift.member_id == member.id,
        Gift.kind == Giving.NOTE,
        Gift.state != GiftState.TAKEN_BACK,
        (Gift.passed_at > now - WEEK) | Gift.state.in_([GiftState.REVIEW, GiftState.ASKED]),
    )
    found = session.execute(lately.order_by(Gift.passed_at)).all()
    waiting = [at for state, at in found if state in (GiftState.REVIEW, GiftState.ASKED)]
    week = [at for _, at in found if at > now - WEEK]
    if len(week) >= MOST_A_WEEK:  # said first: to be read soon would make no room
        day = times.day(week[-MOST_A_WEEK] + WEEK, member.time_zone, member.locale)
        return Opening("note_later", {"day": day, "kept": False})
    if len(waiting) >= MOST_WAITING:
        return Opening("note_later", {"day": "", "kept": False})
    return Opening()


def _row(session: Session, member_id: UUID) -> NoteWish:
    wish = session.get(NoteWish, member_id)
    if wish is None:
        wish = NoteWish(member_id=member_id, receives=False, receives_source="", gives=False)
        session.add(wish)
        session.flush()
    return wish
