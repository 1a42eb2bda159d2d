"""Sessions of circles: when they are, and what members answer to an invite.

A full session keeps a waiting list in the order of asking. A seat that was given back is kept for the first on it
until a person gives it to them (`give_seat`) or they ask again: nobody is told at night that they may come after all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from dateutil.rrule import rrulestr
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import times, zones
from service.actions.delivery.claims import release
from service.db import reading, transaction
from service.errors import Conflict, Invalid, NotFound
from service.models.campaigns import Campaign, Delivery
from service.models.gatherings import Circle, GroupSession, Invitation, Rsvp, SessionState
from service.models.members import Member, MemberState

SEAT = (Rsvp.YES,)
"""Answers that take a seat. A MAYBE does not: it would keep a door closed for somebody who comes."""
MOST_AHEAD = timedelta(days=370)
_NEUTRAL = {"en": "your group", "es": "tu grupo"}


@dataclass(frozen=True)
class SessionWords:
    """A session as one member may be told about it, on their own clock and in their language."""

    name: str
    """The circle's name; of a discreet member only "your group"."""
    when: str
    """`Tue 1 Dec, 7:00 pm`"""
    day: str
    hour: str


def answer_invite(
    session: Session, member: Member, group_session: GroupSession, rsvp: Rsvp, message_id: UUID | None = None
) -> Invitation:
    """Record what a member answered; `waitlisted` says that a YES found no seat. The last answer counts.

    `message_id` is the message that said so, for OOPS. Raises Conflict for a session that is cancelled or over.
    """
    if group_session.state == SessionState.CANCELLED:
        raise Conflict("This session was cancelled. There is nothing you need to do.", code="session_cancelled")
    if group_session.ends_at <= clock.now():
        raise Conflict("This session is over. The next one is there whenever you like.", code="session_over")
    # Two answers at the same moment must not take the last seat twice: the second waits here for the first.
    session.execute(select(GroupSession.id).where(GroupSession.id == group_session.id).with_for_update())
    invitation = invitation_of(session, group_session.id, member.id)
    seated = invitation.rsvp in SEAT and not invitation.waitlisted
    invitation.rsvp = rsvp
    waits = rsvp in SEAT and not seated and not _may_sit(session, group_session, invitation)
    if not (waits and invitation.waitlisted):  # whoever asks again keeps their place in the line
        invitation.answered_at = clock.now()
    invitation.waitlisted = waits
    session.flush()
    return invitation


@dataclass(frozen=True)
class Invite:
    """What the page behind an invite's link shows."""

    locale: str
    time_zone: str
    words: SessionWords
    place: str
    online_url: str
    """Both empty for a discreet member."""
    rsvp: Rsvp | None
    waitlisted: bool
    over: bool
    cancelled: bool


def invite(session_id: UUID, member_id: UUID) -> Invite:
    """An invite as its member may see it. Raises NotFound."""
    with reading() as session:
        member, group_session = _invited(session, session_id, member_id)
        found = session.scalar(
            select(Invitation).where(Invitation.session_id == session_id, Invitation.member_id == member_id)
        )
        return Invite(
            locale=member.locale,
            time_zone=member.time_zone or group_session.circle.time_zone,
            words=session_words(group_session, member),
            place="" if member.discreet else group_session.place,
            online_url="" if member.discreet else group_session.online_url,
            rsvp=found.rsvp if found else None,
            waitlisted=bool(found and found.waitlisted),
            over=group_session.ends_at <= clock.now(),
            cancelled=group_session.state == SessionState.CANCELLED,
        )


def answer_by_link(session_id: UUID, member_id: UUID, rsvp: Rsvp) -> Invitation:
    """The button on the page behind a signed link; closes the question on both channels. Raises NotFound, Conflict."""
    with transaction() as session:
        member, group_session = _invited(session, session_id, member_id)
        of_session = select(Campaign.id).where(Campaign.session_id == session_id)
        session.execute(
            update(Delivery)
            .where(
                Delivery.member_id == member_id, Delivery.campaign_id.in_(of_session), Delivery.answered_at.is_(None)
            )
            .values(answered_at=clock.now())
            .execution_options(synchronize_session=False)
        )
        release(session, member_id, "open_question")
        return answer_invite(session, member, group_session, rsvp)


def _invited(session: Session, session_id: UUID, member_id: UUID) -> tuple[Member, GroupSession]:
    member, group_session = session.get(Member, member_id), session.get(GroupSession, session_id)
    if member is None or group_session is None or member.state in (MemberState.DIED, MemberState.ERASED):
        raise NotFound("This invitation is no longer there.")
    return member, group_session


def invitation_of(session: Session, session_id: UUID, member_id: UUID) -> Invitation:
    """The member's invitation to a session, made when there is none."""
    found = session.scalar(
        select(Invitation).where(Invitation.session_id == session_id, Invitation.member_id == member_id)
    )
    if found is None:
        found = Invitation(session_id=session_id, member_id=member_id, waitlisted=False, created_at=clock.now())
        session.add(found)
    return found


def seats_taken(session: Session, group_session: GroupSession) -> int:
    """How many have a seat."""
    taken = select(func.count()).where(
        Invitation.session_id == group_session.id, Invitation.rsvp.in_(SEAT), Invitation.waitlisted.is_(False)
    )
    return session.scalar(taken) or 0


def give_seat(session: Session, group_session: GroupSession) -> Invitation | None:
    """Seat the first on the waiting list, if a seat is free. The caller tells them."""
    if group_session.seats is not None and seats_taken(session, group_session) >= group_session.seats:
        return None
    first = _first_waiting(session, group_session)
    if first is not None:
        first.waitlisted = False
        session.flush()
    return first


def next_session(session: Session, circle: Circle) -> GroupSession | None:
    """The circle's next session that has not begun."""
    return session.scalar(
        select(GroupSession)
        .where(
            GroupSession.circle_id == circle.id,
            GroupSession.state == SessionState.PLANNED,
            GroupSession.starts_at > clock.now(),
        )
        .order_by(GroupSession.starts_at)
        .limit(1)
    )


def session_words(group_session: GroupSession, member: Member) -> SessionWords:
    """How to speak of a session to this member."""
    zone = member.time_zone or group_session.circle.time_zone
    name = _NEUTRAL.get(member.language, _NEUTRAL["en"]) if member.discreet else group_session.circle.name
    starts = group_session.starts_at
    return SessionWords(
        name=name,
        when=times.short(starts, zone, member.locale),
        day=times.day(starts, zone, member.locale),
        hour=times.hour(starts, zone, member.locale),
    )


def plan_sessions(session: Session, circle: Circle, until: datetime) -> list[GroupSession]:
    """Add the sessions that the circle's rhythm names from now to `until` (at most a year) and that are missing.

    The rule runs on the circle's own clock, so 19:00 stays 19:00 through daylight saving. A session that was moved
    or cancelled is not made again on its day. Raises Invalid for a rule that cannot be read.
    """
    zone, now = zones.info(circle.time_zone), clock.now()
    hour, minute = (int(part) for part in circle.starts_time.split(":"))
    first = now.astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0, tzinfo=None)
    last = min(until, now + MOST_AHEAD).astimezone(zone).replace(tzinfo=None)
    try:
        moments = rrulestr(circle.rrule, dtstart=first).between(first, last, inc=True) if circle.rrule else []
    except (ValueError, KeyError):
        raise Invalid("This rhythm cannot be read. Example: FREQ=WEEKLY;BYDAY=TU", field="rrule") from None
    taken = {
        at.astimezone(zone).date()
        for at in session.scalars(
            select(GroupSession.starts_at).where(
                GroupSession.circle_id == circle.id, GroupSession.starts_at > now - timedelta(days=1)
            )
        )
    }
    made = []
    for moment in moments:
        starts = moment.replace(tzinfo=zone)
        if starts > now and moment.date() not in taken:
            made.append(_new_session(circle, starts))
    session.add_all(made)
    session.flush()
    return made


def _new_session(circle: Circle, starts: datetime) -> GroupSession:
    return GroupSession(
        id=db.uuid7(),
        circle_id=circle.id,
        starts_at=starts,
        ends_at=starts + timedelta(minutes=circle.minutes),
        place=circle.place,
        online_url=circle.online_url,
        seats=circle.size,
        created_at=clock.now(),
    )


def _may_sit(session: Session, group_session: GroupSession, invitation: Invitation) -> bool:
    """Whether there is a seat, and nobody else who waited for it before."""
    if group_session.seats is None:
        return True
    with session.no_autoflush:  # the answer under way must not count itself
        if seats_taken(session, group_session) >= group_session.seats:
            return False
        first = _first_waiting(session, group_session)
        return first is None or first is invitation


def _first_waiting(session: Session, group_session: GroupSession) -> Invitation | None:
    return session.scalar(
        select(Invitation)
        .where(Invitation.session_id == group_session.id, Invitation.waitlisted.is_(True))
        .order_by(Invitation.answered_at, Invitation.id)
        .limit(1)
    )
