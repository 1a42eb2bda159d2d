"""What coordinators do with a circle's sessions: plan, change, cancel, give a seat, tick who came.

Members' own answers are in `gatherings`. Nothing here tells members anything by itself, except a seat that somebody
on the waiting list has been given.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session, contains_eager

from service import clock, config, db
from service.actions import access, audit, campaigns, circles, consent, gatherings, outbox, times
from service.errors import Conflict, Invalid
from service.models.campaigns import Campaign, CampaignKind, CampaignState
from service.models.gatherings import Circle, CircleMembership, GroupSession, Invitation, Rsvp, SessionState
from service.models.members import AddressState, ChannelName, Member, MemberState, Topic
from service.models.staff import Coordinator

TICK_FROM = timedelta(hours=1)
"""Attendance can be ticked this long before the beginning: people arrive early."""
LONGEST = timedelta(hours=12)
_CANCELLED_TEXT = {
    "en": "{{ circle_name }} on %s can't take place this time. The next one is there whenever you like.",
    "es": "{{ circle_name }} del %s no puede ser esta vez. La próxima está ahí cuando quieras.",
}
"""The day is the circle's own and not a merge field: a campaign about a session that is cancelled cannot be sent."""
_CANCELLED_SUBJECT = {"en": "Our next session", "es": "Nuestra próxima sesión"}


@dataclass(frozen=True)
class SessionDetails:
    """A session as typed; the moments are aware."""

    starts_at: datetime
    ends_at: datetime
    title: str = ""
    place: str = ""
    online_url: str = ""
    seats: int | None = None


@dataclass(frozen=True)
class SessionLine:
    """A session in a list, with its answers counted."""

    session: GroupSession
    yes: int
    maybe: int
    no: int
    waiting: int
    came: int


def listed(
    session: Session, coordinator: Coordinator, *, circle_id: UUID | None = None, past: bool = False, limit: int = 60
) -> list[SessionLine]:
    """Coming sessions, soonest first (or past ones, latest first), of the circles within reach."""
    now = clock.now()
    statement = (
        select(GroupSession)
        .join(Circle, Circle.id == GroupSession.circle_id)
        .options(contains_eager(GroupSession.circle))
        .where(access.access_sessions(coordinator))
        .limit(limit)
    )
    if circle_id:
        statement = statement.where(GroupSession.circle_id == circle_id)
    if past:
        statement = statement.where(GroupSession.ends_at <= now).order_by(GroupSession.starts_at.desc())
    else:
        statement = statement.where(GroupSession.ends_at > now).order_by(GroupSession.starts_at, GroupSession.id)
    return counted(session, list(session.scalars(statement)))


def counted(session: Session, found: list[GroupSession]) -> list[SessionLine]:
    """These sessions with their answers counted, in one query."""
    seated = Invitation.waitlisted.is_(False)
    rows = session.execute(
        select(
            Invitation.session_id,
            func.sum(case(((Invitation.rsvp == Rsvp.YES) & seated, 1), else_=0)),
            func.sum(case((Invitation.rsvp == Rsvp.MAYBE, 1), else_=0)),
            func.sum(case((Invitation.rsvp == Rsvp.NO, 1), else_=0)),
            func.sum(case((Invitation.waitlisted.is_(True), 1), else_=0)),
            func.sum(case((Invitation.attended.is_(True), 1), else_=0)),
        )
        .where(Invitation.session_id.in_([s.id for s in found]))
        .group_by(Invitation.session_id)
    )
    numbers = {row[0]: [int(n or 0) for n in row[1:]] for row in rows}
    return [SessionLine(s, *numbers.get(s.id, [0, 0, 0, 0, 0])) for s in found]


@dataclass(frozen=True)
class Answer:
    """One member at one session: `group` is yes, waiting, maybe, no or none."""

    member: Member
    invitation: Invitation | None

    @property
    def group(self) -> str:
        """Under which heading they stand."""
        if self.invitation is None or self.invitation.rsvp is None:
            return "none"
        return "waiting" if self.invitation.waitlisted else self.invitation.rsvp.value


def answers(session: Session, meeting: GroupSession) -> list[Answer]:
    """Everybody of the circle, and everybody else who answered, by first name; the waiting list in its order."""
    of_circle = select(CircleMembership.member_id).where(
        CircleMembership.circle_id == meeting.circle_id, CircleMembership.left_at.is_(None)
    )
    rows = session.execute(
        select(Member, Invitation)
        .outerjoin(Invitation, (Invitation.member_id == Member.id) & (Invitation.session_id == meeting.id))
        .where(or_(Invitation.id.is_not(None), Member.id.in_(of_circle)))
        .where(Member.state.in_([MemberState.ACTIVE, MemberState.PENDING, MemberState.LEFT]))
        .order_by(Member.first_name, Member.id)
    )
    found = [Answer(member, invitation) for member, invitation in rows]
    waiting = sorted((a for a in found if a.group == "waiting"), key=_asked_at)
    return [a for a in found if a.group != "waiting"] + waiting


def _asked_at(answer: Answer) -> datetime:
    return answer.invitation.answered_at if answer.invitation and answer.invitation.answered_at else clock.now()


def add(circle_id: UUID, coordinator: Coordinator, details: SessionDetails) -> UUID:
    """A session beside the circle's rhythm; returns its id. Raises Invalid beside its field, NotFound."""
    _check(details)
    with db.transaction() as session:
        circle = access.require_circle(session, coordinator, circle_id)
        meeting = GroupSession(id=db.uuid7(), circle_id=circle.id, created_at=clock.now())
        _apply(meeting, details)
        session.add(meeting)
        session.flush()
        audit.record(session, str(coordinator.id), "meeting.add", meeting)
        return meeting.id


def change(session_id: UUID, coordinator: Coordinator, details: SessionDetails) -> None:
    """Change a session that is still to come; nobody is told by itself. Raises Invalid, Conflict, NotFound."""
    _check(details)
    with db.transaction() as session:
        meeting = _planned(session, coordinator, session_id)
        _apply(meeting, details)
        audit.record(session, str(coordinator.id), "meeting.change", meeting)


def _check(details: SessionDetails) -> None:
    if details.starts_at <= clock.now():
        raise Invalid("Choose a time that is still to come.", field="starts")
    if details.ends_at <= details.starts_at or details.ends_at - details.starts_at > LONGEST:
        raise Invalid("Between 5 minutes and 12 hours.", field="minutes")
    if details.seats is not None and not 1 <= details.seats <= circles.LARGEST:
        raise Invalid(f"Between 1 and {circles.LARGEST}, or leave it empty for no limit.", field="seats")
    circles.check_url(details.online_url)


def _apply(meeting: GroupSession, details: SessionDetails) -> None:
    for name, value in vars(details).items():
        setattr(meeting, name, value.strip() if isinstance(value, str) else value)


def _planned(session: Session, coordinator: Coordinator, session_id: UUID) -> GroupSession:
    meeting = access.require_session(session, coordinator, session_id)
    if meeting.state == SessionState.CANCELLED:
        raise Conflict("This session was cancelled. Add a new one in its place.")
    if meeting.starts_at <= clock.now():
        raise Conflict("This session has begun, so it can no longer be changed.")
    return meeting


def plan_ahead(circle_id: UUID, coordinator: Coordinator, weeks: int) -> int:
    """Add the sessions of the circle's rhythm for the next `weeks` (1 to 52) that are missing; how many."""
    if not 1 <= weeks <= 52:
        raise Invalid("Between 1 and 52 weeks.", field="weeks")
    with db.transaction() as session:
        circle = access.require_circle(session, coordinator, circle_id)
        if not circle.rrule:
            raise Invalid("This circle has no rhythm yet. Give it one, or add single sessions.", field="weeks")
        made = gatherings.plan_sessions(session, circle, clock.now() + timedelta(weeks=weeks))
        audit.record(session, str(coordinator.id), "meeting.plan", circle, count=len(made))
        return len(made)


def cancel(session_id: UUID, coordinator: Coordinator) -> UUID:
    """Cancel a session; returns a drafted announcement with what members would be told. Nothing is sent by itself.

    Invites for it that are still on their way are called off. Raises Conflict, NotFound.
    """
    with db.reading() as session:
        meeting = _planned(session, coordinator, session_id)
        circle = meeting.circle
        running = list(
            session.scalars(
                select(Campaign.id).where(
                    Campaign.session_id == session_id,
                    Campaign.kind == CampaignKind.INVITE,
                    Campaign.state.in_([CampaignState.SCHEDULED, CampaignState.SENDING, CampaignState.PAUSED]),
                )
            )
        )
    actor = str(coordinator.id)
    draft = campaigns.create(_announcement(circle, meeting.starts_at), coordinator_id=coordinator.id, actor=actor)
    with db.transaction() as session:
        meeting = _planned(session, coordinator, session_id)
        meeting.state = SessionState.CANCELLED
        audit.record(session, actor, "meeting.cancel", meeting)
    for campaign_id in running:
        campaigns.cancel(campaign_id, actor=actor)
    return draft


def _announcement(circle: Circle, starts_at: datetime) -> campaigns.Draft:
    languages = dict.fromkeys(("en", circle.language if circle.language in _CANCELLED_TEXT else "en"))
    contents = tuple(
        campaigns.ContentDraft(
            channel,
            language,
            _CANCELLED_TEXT[language] % times.day(starts_at, circle.time_zone, language),
            _CANCELLED_SUBJECT[language] if channel == ChannelName.EMAIL else "",
        )
        for language in languages
        for channel in ChannelName
        if channel in config.current().enabled_channels
    )
    return campaigns.Draft(
        name=f"{circle.name}: session cancelled",
        kind=CampaignKind.ANNOUNCEMENT,
        channels=tuple(dict.fromkeys(c.channel for c in contents)),
        contents=contents,
        topic=Topic.CIRCLE,
        circle_id=circle.id,
    )


def tick(session_id: UUID, coordinator: Coordinator, shown: Collection[UUID], came: Collection[UUID]) -> int:
    """Keep who came: `came` of those that the page has `shown`. Returns how many came.

    Raises Conflict before the session, NotFound.
    """
    with db.transaction() as session:
        meeting = access.require_session(session, coordinator, session_id)
        if meeting.state == SessionState.CANCELLED or meeting.starts_at - TICK_FROM > clock.now():
            raise Conflict("Attendance can be ticked from an hour before a session that takes place.")
        known = {a.member.id for a in answers(session, meeting)}
        for member_id in known & set(shown):
            if member_id in came:
                gatherings.invitation_of(session, meeting.id, member_id).attended = True
            elif (found := _invited(session, meeting.id, member_id)) is not None:
                found.attended = False
        session.flush()
        audit.record(session, str(coordinator.id), "meeting.attendance", meeting, came=len(known & set(came)))
        return len(known & set(came))


def _invited(session: Session, session_id: UUID, member_id: UUID) -> Invitation | None:
    return session.scalar(
        select(Invitation).where(Invitation.session_id == session_id, Invitation.member_id == member_id)
    )


def give_free_seat(session_id: UUID, coordinator: Coordinator) -> str:
    """Give a free seat to the first on the waiting list and tell them; returns their first name.

    Under a safety flag, or without an address that may be used, they have the seat and a person tells them: then the
    name comes with a star. Raises Conflict when no seat is free or nobody waits, NotFound.
    """
    with db.transaction() as session:
        meeting = _planned(session, coordinator, session_id)
        invitation = gatherings.give_seat(session, meeting)
        if invitation is None:
            raise Conflict("No seat is free, or nobody is waiting.")
        member = session.get_one(Member, invitation.member_id)
        audit.record(session, str(coordinator.id), "meeting.seat", meeting)
        channel = _channel_for(session, member)
        if channel is None:
            return f"{member.first_name}*"
        words = gatherings.session_words(meeting, member)
        extra = {"session_when": words.when, "session_name": "" if member.discreet else words.name}
        outbox.say(session, member, "seat_given", channel, context=extra)
        return member.first_name


def _channel_for(session: Session, member: Member) -> ChannelName | None:
    if member.held_at is not None or member.state != MemberState.ACTIVE:
        return None
    first = sorted(member.addresses, key=lambda a: a.channel != (member.preferred_channel or ChannelName.SMS))
    here = [a for a in first if a.verified_at and a.state == AddressState.OK]
    usable = [a for a in here if not consent.suppressed(session, a.channel, a.value)]
    return usable[0].channel if usable else None
