"""OOPS: the last thing that an answer did is remembered with what it takes to undo it."""

import contextlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service import clock
from service.actions import consent, gatherings
from service.actions.belonging import places
from service.actions.checkins import undoing as checkins_undoing
from service.actions.giving import note_undoing
from service.actions.giving import undoing as giving_undoing
from service.actions.hope import taking_back
from service.actions.resonance import undoing as resonance_undoing
from service.actions.tools import undoing as tools_undoing
from service.actions.vents import undoing as vents_undoing
from service.errors import Conflict, Invalid
from service.models.campaigns import Delivery
from service.models.conversations import Act, CheckIn, Message
from service.models.gatherings import GroupSession, Invitation, Rsvp
from service.models.members import ChannelName, Member, Topic

UNDO_WITHIN = timedelta(hours=24)


def remember(session: Session, member: Member, message: Message, kind: str, data: dict[str, Any]) -> None:
    """Keep an act so that OOPS can undo it."""
    session.add(Act(member_id=member.id, message_id=message.id, kind=kind, data=data, at=clock.now()))


def undo_last(session: Session, member: Member) -> str | None:
    """Undo the member's last act of the past day; what it was, in their language, or None if there is none."""
    act = session.scalar(
        select(Act)
        .where(Act.member_id == member.id, Act.undone_at.is_(None), Act.at > clock.now() - UNDO_WITHIN)
        .order_by(Act.at.desc())
        .limit(1)
    )
    if act is None:
        return tools_undoing.end_running(session, member)
    words = _UNDO[act.kind](session, member, act.data)
    act.undone_at = clock.now()
    if act.message_id:
        _reopen(session, member, act.message_id)
    return words


def _reopen(session: Session, member: Member, message_id: UUID) -> None:
    """The question is open again: what was undone can be answered anew."""
    message = session.get(Message, message_id)
    if message is None or message.answers_delivery_id is None:
        return
    campaign_id = session.scalar(select(Delivery.campaign_id).where(Delivery.id == message.answers_delivery_id))
    if campaign_id:
        session.execute(
            update(Delivery)
            .where(Delivery.campaign_id == campaign_id, Delivery.member_id == member.id)
            .values(answered_at=None)
        )


def _checkin(session: Session, member: Member, data: dict[str, Any]) -> str:
    row = session.get(CheckIn, UUID(data["id"]))
    if row is not None and data["before"] is not None:
        row.score = int(data["before"])
        row.message_id = UUID(data["message"]) if data.get("message") else None
        row.words = None  # they came with the answer that is undone; the conversation keeps all of them
    elif row is not None:
        session.delete(row)
    return {"es": f"tu {data['score']}"}.get(member.language, f"your {data['score']}")


def _rsvp(session: Session, member: Member, data: dict[str, Any]) -> str:
    invitation = session.get(Invitation, UUID(data["id"]))
    meeting = session.get(GroupSession, UUID(data["session"]))
    if invitation is not None:
        if data["before"] and meeting is not None:
            with contextlib.suppress(Conflict):  # it is over: there is nothing to take back any more
                gatherings.answer_invite(session, member, meeting, Rsvp(data["before"]))
        else:
            invitation.rsvp, invitation.waitlisted, invitation.answered_at = None, False, None
    word = said(data["now"], member)
    return {"es": f"tu {word} para {data['when']}"}.get(member.language, f"your {word} to {data['when']}")


def _noted(session: Session, member: Member, data: dict[str, Any]) -> str:
    word = said(data["now"], member)
    return {"es": f"tu {word}"}.get(member.language, f"your {word}")


def said(rsvp: str, member: Member) -> str:
    """An answer to an invite, in the member's language."""
    spanish = {"yes": "sí", "no": "no", "maybe": "quizás"}
    return spanish[rsvp] if member.language == "es" else str(rsvp)


def _pause(session: Session, member: Member, data: dict[str, Any]) -> str:
    member.paused_until = datetime.fromisoformat(data["before"]) if data["before"] else None
    return {"es": "tu pausa"}.get(member.language, "your pause")


def _less(session: Session, member: Member, data: dict[str, Any]) -> str:
    member.weekly_cap = data["before"]
    return {"es": "tu cambio de frecuencia"}.get(member.language, "your change of how often")


def _topic(session: Session, member: Member, data: dict[str, Any]) -> str:
    for channel in data["channels"]:
        with contextlib.suppress(Conflict, Invalid):  # everything was stopped meanwhile: only START lifts that
            consent.set_subscription(
                session, member, Topic(data["topic"]), ChannelName(channel), True, source="OOPS", evidence="OOPS"
            )
    return {"es": "tu cambio"}.get(member.language, "your change")


def _circle_left(session: Session, member: Member, data: dict[str, Any]) -> str:
    places.come_back(session, member, UUID(data["circle"]))
    return {"es": "tu salida del círculo"}.get(member.language, "your leaving the circle")


def _circle_joined(session: Session, member: Member, data: dict[str, Any]) -> str:
    places.leave(session, member, UUID(data["circle"]))
    return {"es": "tu entrada en el círculo"}.get(member.language, "your joining the circle")


def _circle_week(session: Session, member: Member, data: dict[str, Any]) -> str:
    for circle_id, before in data["before"].items():
        place = places.place_of(session, member.id, UUID(circle_id))
        if place is not None and place.left_at is None:
            place.digest = before
    return {"es": "tu cambio sobre la semana"}.get(member.language, "your change about the week")


_UNDO = {
    "checkin": _checkin, "rsvp": _rsvp, "noted": _noted, "pause": _pause, "less": _less, "topic": _topic,
    **tools_undoing.KINDS, **checkins_undoing.KINDS, **giving_undoing.KINDS, **taking_back.KINDS,
    **resonance_undoing.KINDS,
    **note_undoing.KINDS, **vents_undoing.KINDS,
    "circle_left": _circle_left, "circle_joined": _circle_joined, "circle_week": _circle_week,
}  # fmt: skip
