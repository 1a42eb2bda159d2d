"""What a circle says by itself, rarely: a year together, a door left open, and to those who asked its week.

Never to somebody under a flag or on a hold, nor after a loss that they told us of; and never a word of guilt.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from service import clock, db, logs
from service.actions import times, zones
from service.actions.belonging import line, notes, words
from service.actions.giving import week
from service.models.conversations import Finding, Flag
from service.models.gatherings import Circle, CircleMembership, GroupSession, Invitation, Rsvp, SessionState
from service.models.members import Member, MemberState

log = logs.get("circles")

MOST_YEARS = 50
AFTER_LOSS = timedelta(days=365)
"""So long after a loss nobody is reminded of a date, or of having been away."""
AFTER_FLAG = timedelta(days=90)
DOOR_AFTER = timedelta(hours=18)
"""How long after the second meeting: the next day, when nobody is tired of the evening."""
DOOR_UNTIL = timedelta(days=3)
DIGEST_EVERY = timedelta(days=7) - timedelta(hours=12)
"""Less half a day, so that it stays on its weekday."""
DIGEST_NAME = "its week (automatic)"
"""How the name of its campaign ends, by which the factor report finds it."""
DIGEST_AHEAD = timedelta(days=3)
"""The week is told when the next meeting is so near."""

FINDS_KEPT = timedelta(days=2)
"""The question of a FIND stays open for a day; after two its row is of no use to anybody."""

GROWTH = notes.Field(f'{{{{ {week.FIELD} or "" }}}}')
"""Steps and sentences of the circle, put in when the week leaves; nothing, if all of them were taken back by then."""
Section = Callable[[Session, Circle, str, datetime], str]


def run() -> dict[str, int]:
    """One round of everything, with the line before full circles; counts by what was done. May be repeated at will."""
    chores: dict[str, Callable[[], int]] = {
        "offered": line.offer_places,
        "anniversaries": anniversaries,
        "doors": open_doors,
        "digests": digests,
        "forgotten": _forget_searches,
    }
    done = {}
    for name, chore in chores.items():
        try:
            done[name] = chore()
        except Exception as error:  # a part that fails keeps none of the others from being done
            log.error("a chore of the circles failed", chore=name, exc_info=error)
    return {name: count for name, count in done.items() if count}


def _forget_searches() -> int:
    """A FIND that nobody went on with is forgotten; how many were."""
    with db.transaction() as session:
        gone = session.execute(delete(Finding).where(Finding.asked_at < clock.now() - FINDS_KEPT))
        return int(gone.rowcount)  # type: ignore[attr-defined]


def anniversaries() -> int:
    """Speak of a year together (or two, or ten) on its day on the circle's clock, once; to how many."""
    now = clock.now()
    near = [
        CircleMembership.joined_at.between(at - timedelta(hours=36), at + timedelta(hours=60))
        for years in range(1, MOST_YEARS + 1)
        if (at := _years_before(now, years))
    ]
    with db.reading() as session:
        found = session.execute(
            select(CircleMembership.circle_id, CircleMembership.id, CircleMembership.joined_at, Circle.time_zone)
            .join(Circle, Circle.id == CircleMembership.circle_id)
            .join(Member, Member.id == CircleMembership.member_id)
            .where(
                or_(*near),
                CircleMembership.left_at.is_(None),
                Circle.closed_at.is_(None),
                Circle.on_hold.is_(False),
                _at_peace(),
            )
        ).all()
    due: dict[UUID, dict[int, list[UUID]]] = {}
    for circle_id, place_id, joined_at, zone in found:
        there = zones.info(zone)
        today, day = now.astimezone(there).date(), joined_at.astimezone(there).date()
        if _falls_on(day, today):
            due.setdefault(circle_id, {}).setdefault(today.year - day.year, []).append(place_id)
    return sum(_tell_years(circle_id, by_years) for circle_id, by_years in due.items())


def _years_before(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year - years)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year - years, day=28)


def _falls_on(day: date, today: date) -> bool:
    """Whether `today` is an anniversary of `day`. Of 29 February it is the 28th where there is no 29th."""
    try:
        return day.replace(year=today.year) == today and day.year < today.year
    except ValueError:
        return (today.month, today.day) == (2, 28)


def _tell_years(circle_id: UUID, by_years: dict[int, list[UUID]]) -> int:
    with db.transaction() as session:
        circle = session.get_one(Circle, circle_id)
        today = clock.now().astimezone(zones.info(circle.time_zone)).date()
        told = 0
        for years, place_ids in by_years.items():
            fresh = (
                update(CircleMembership)
                .where(
                    CircleMembership.id.in_(place_ids),
                    or_(CircleMembership.anniversary_on.is_(None), CircleMembership.anniversary_on < today),
                )
                .values(anniversary_on=today)
                .returning(CircleMembership.member_id)
                .execution_options(synchronize_session=False)
            )
            member_ids = list(session.scalars(fresh))
            context = {language: {"circle": notes.CIRCLE, "years": years} for language in notes.LANGUAGES}
            name = f"{circle.name}: {'a year' if years == 1 else f'{years} years'} (automatic)"
            notes.note(session, "circle_anniversary", name, member_ids, context, circle=circle)
            told += len(member_ids)
        return told


def open_doors() -> int:
    """Say once, after two meetings without them, that the circle is there whenever they like; to how many.

    Only where somebody ticked who came, and not to whoever said that they can't: they told us already.
    """
    now = clock.now()
    with db.reading() as session:
        lately = select(GroupSession.circle_id).where(
            GroupSession.state == SessionState.PLANNED,
            GroupSession.ends_at.between(now - DOOR_UNTIL, now - DOOR_AFTER),
        )
        ids = list(session.scalars(lately.distinct()))
    return sum(_open_door(circle_id, now) for circle_id in ids)


def _open_door(circle_id: UUID, now: datetime) -> int:
    with db.transaction() as session:
        circle = session.get_one(Circle, circle_id)
        two = _last_two(session, circle_id, now)
        if circle.closed_at is not None or circle.on_hold or len(two) < 2:
            return 0
        ids = [meeting.id for meeting in two]
        there = and_(Invitation.member_id == CircleMembership.member_id, Invitation.session_id == GroupSession.id)
        came = (
            select(func.max(GroupSession.starts_at))
            .join(Invitation, there)
            .where(GroupSession.circle_id == circle_id, Invitation.attended.is_(True))
            .correlate(CircleMembership)
            .scalar_subquery()
        )
        spoke = exists().where(
            Invitation.member_id == CircleMembership.member_id,
            Invitation.session_id.in_(ids),
            or_(Invitation.attended.is_(True), Invitation.rsvp.in_([Rsvp.NO, Rsvp.MAYBE])),
        )
        found = list(
            session.execute(
                select(CircleMembership, Member.discreet)
                .join(Member, Member.id == CircleMembership.member_id)
                .where(
                    CircleMembership.circle_id == circle_id,
                    CircleMembership.left_at.is_(None),
                    CircleMembership.joined_at < min(meeting.starts_at for meeting in two),
                    ~spoke,
                    or_(CircleMembership.door_told_at.is_(None), CircleMembership.door_told_at < came),
                    _at_peace(),
                )
            ).all()
        )
        for place, _ in found:
            place.door_told_at = now
        name = f"{circle.name}: the door is open (automatic)"
        for discreet in (False, True):
            ids = [place.member_id for place, hides in found if hides == discreet]
            context = {
                language: {"weekday": "" if discreet else words.weekdays(two[0].starts_at, circle.time_zone, language)}
                for language in notes.LANGUAGES
            }
            notes.note(session, "circle_door", name, ids, context, circle=circle)
        return len(found)


def _last_two(session: Session, circle_id: UUID, now: datetime) -> list[GroupSession]:
    """The last two meetings of a circle, newest first, at which somebody ticked who came."""
    ticked = exists().where(Invitation.session_id == GroupSession.id, Invitation.attended.is_(True))
    last = (
        select(GroupSession)
        .where(
            GroupSession.circle_id == circle_id,
            GroupSession.state == SessionState.PLANNED,
            GroupSession.ends_at <= now - DOOR_AFTER,
        )
        .order_by(GroupSession.starts_at.desc())
        .limit(2)
    )
    # A meeting of which nobody ticked anything says nothing about who was there.
    known = set(session.scalars(select(GroupSession.id).where(ticked, GroupSession.circle_id == circle_id)))
    return [meeting for meeting in session.scalars(last) if meeting.id in known]


def digests() -> int:
    """Send each circle's week to the members who asked for it, a few days before it meets; to how many."""
    now = clock.now()
    with db.reading() as session:
        due = list(
            session.scalars(
                select(Circle.id).where(
                    Circle.closed_at.is_(None),
                    Circle.on_hold.is_(False),
                    or_(Circle.digest_sent_at.is_(None), Circle.digest_sent_at < now - DIGEST_EVERY),
                    exists().where(
                        CircleMembership.circle_id == Circle.id,
                        CircleMembership.digest.is_(True),
                        CircleMembership.left_at.is_(None),
                    ),
                    exists().where(
                        GroupSession.circle_id == Circle.id,
                        GroupSession.state == SessionState.PLANNED,
                        GroupSession.starts_at.between(now, now + DIGEST_AHEAD),
                    ),
                )
            )
        )
    return sum(_digest(circle_id, now) for circle_id in due)


def _digest(circle_id: UUID, now: datetime) -> int:
    with db.transaction() as session:
        circle = session.get_one(Circle, circle_id, with_for_update=True)
        if circle.digest_sent_at is not None and circle.digest_sent_at >= now - DIGEST_EVERY:
            return 0  # another worker was quicker
        circle.digest_sent_at = now
        wanted = list(
            session.scalars(
                select(CircleMembership.member_id).where(
                    CircleMembership.circle_id == circle_id,
                    CircleMembership.digest.is_(True),
                    CircleMembership.left_at.is_(None),
                )
            )
        )
        context = {}
        for language in notes.LANGUAGES:
            parts = [part for part in (section(session, circle, language, now) for section in SECTIONS) if part]
            context[language] = {"circle": notes.CIRCLE, "week": tuple(parts)}
        grown = week.anything(session, circle_id, now)
        if grown:
            for about in context.values():
                about["week"] = (*about["week"], GROWTH)
        if not any(about["week"] for about in context.values()):
            return 0
        name = f"{circle.name}: {DIGEST_NAME}"
        made = notes.note(session, "circle_digest", name, wanted, context, circle=circle)
        if grown and made is not None:
            week.take(session, circle_id, made, now)
        return len(wanted)


def next_meetings(session: Session, circle: Circle, language: str, now: datetime) -> str:
    """The digest's first section: when the circle meets next, and the time after that, on its own clock."""
    coming = session.scalars(
        select(GroupSession)
        .where(
            GroupSession.circle_id == circle.id,
            GroupSession.state == SessionState.PLANNED,
            GroupSession.starts_at > now,
        )
        .order_by(GroupSession.starts_at)
        .limit(2)
    ).all()
    if not coming:
        return ""
    named = [_meeting_words(meeting, circle, language) for meeting in coming]
    if language == "es":
        return f"Próxima reunión: {named[0]}." + (f" Después: {named[1]}." if named[1:] else "")
    return f"Next: {named[0]}." + (f" Then: {named[1]}." if named[1:] else "")


def _meeting_words(meeting: GroupSession, circle: Circle, language: str) -> str:
    when = times.short(meeting.starts_at, circle.time_zone, language)
    return f"{when} ({meeting.title})" if meeting.title else when


SECTIONS: list[Section] = [next_meetings]
"""What a circle's week is made of, in this order: each gives a short paragraph, or "" when it has nothing to say."""


def _at_peace() -> ColumnElement[bool]:
    """SQL: whether nothing says that a word from us could hurt: no hold, no flag of late, no loss of late, no break."""
    now = clock.now()
    flagged = exists().where(
        Flag.member_id == Member.id, or_(Flag.cleared_at.is_(None), Flag.opened_at > now - AFTER_FLAG)
    )
    return and_(
        Member.state == MemberState.ACTIVE,
        Member.held_at.is_(None),
        or_(Member.paused_until.is_(None), Member.paused_until <= now),
        or_(Member.loss_on.is_(None), Member.loss_on < (now - AFTER_LOSS).date()),
        ~flagged,
    )
