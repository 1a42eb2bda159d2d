"""Circles: made and changed by coordinators, held while a circle mourns, and who belongs to one."""

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from dateutil.rrule import rrulestr
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, holds, understanding, zones
from service.actions.understanding import Intent, Risk, Rsvp
from service.errors import Forbidden, Invalid
from service.models.campaigns import Campaign, Delivery, DeliveryState
from service.models.gatherings import Circle, CircleMembership, Openness
from service.models.members import Member, MemberState
from service.models.staff import Coordinator

WEEKDAYS = {"MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday", "SA": "Saturday",
            "SU": "Sunday"}  # fmt: skip
LARGEST = 500
NOT_SLUGS = frozenset(["find"])
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_KEYWORD = re.compile(r"[A-Z0-9]{3,20}")
_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True)
class CircleDetails:
    """A circle as typed. `rrule` is RFC 5545 on the circle's own clock; "" for no rhythm."""

    name: str
    slug: str
    keyword: str
    theme: str = ""
    description: str = ""
    language: str = "en"
    time_zone: str = "UTC"
    rrule: str = ""
    starts_time: str = "19:00"
    minutes: int = 60
    place: str = ""
    online_url: str = ""
    size: int | None = None
    most_members: int | None = None
    """How many may belong; whoever asks after that stands in line. None: no limit."""
    openness: Openness = Openness.OPEN
    coordinator_id: UUID | None = None


def weekly(weekday: str, every: int = 1) -> str:
    """The rule of a circle that meets on a weekday (`TU`), every week or every `every` weeks."""
    return f"FREQ=WEEKLY;INTERVAL={every};BYDAY={weekday}" if every > 1 else f"FREQ=WEEKLY;BYDAY={weekday}"


def rhythm_words(circle: Circle) -> str:
    """`Tuesdays at 19:00`, as far as the rule is that simple; else the rule itself."""
    parts = dict(part.split("=", 1) for part in circle.rrule.upper().split(";") if "=" in part)
    days = [WEEKDAYS[d] for d in parts.get("BYDAY", "").split(",") if d in WEEKDAYS]
    if not circle.rrule:
        return "no fixed rhythm"
    if parts.get("FREQ") != "WEEKLY" or not days or set(parts) - {"FREQ", "BYDAY", "INTERVAL", "WKST"}:
        return f"{circle.rrule} at {circle.starts_time}"
    every = parts.get("INTERVAL", "1")
    named = " and ".join(f"{day}s" for day in days)
    often = "" if every == "1" else "every second week, " if every == "2" else f"every {every} weeks, "
    return f"{often}{named} at {circle.starts_time}"


def save(circle_id: UUID | None, coordinator: Coordinator, details: CircleDetails) -> UUID:
    """Make a circle, or change one; returns its id. Sessions that are planned already stay as they are.

    Raises Invalid beside its field, NotFound, Forbidden.
    """
    if not access.sees_everything(coordinator):
        raise Forbidden("Circles are made and changed by coordinators of the whole community. Ask one of them.")
    _check(details)
    with db.transaction() as session:
        circle = access.require_circle(session, coordinator, circle_id) if circle_id else Circle(id=db.uuid7())
        _alone(session, circle.id, Circle.slug == details.slug, "slug", "address")
        _alone(session, circle.id, Circle.keyword == details.keyword.upper(), "keyword", "keyword")
        if details.coordinator_id and session.get(Coordinator, details.coordinator_id) is None:
            raise Invalid("Choose a coordinator from the list.", field="coordinator_id")
        for name, value in vars(details).items():
            setattr(circle, name, value.strip() if isinstance(value, str) else value)
        circle.keyword, circle.openness = details.keyword.strip().upper(), Openness(details.openness)
        if circle_id is None:
            circle.created_at = clock.now()
            session.add(circle)
        zones.ensure(session, [circle.time_zone])
        session.flush()
        audit.record(session, str(coordinator.id), "circle.change" if circle_id else "circle.add", circle)
        return circle.id


def _check(details: CircleDetails) -> None:
    if not details.name.strip():
        raise Invalid("Give the circle a name.", field="name")
    if not _SLUG.fullmatch(details.slug):
        raise Invalid("Use small letters, digits and hyphens, such as kitchen-table.", field="slug")
    if details.slug in NOT_SLUGS:
        raise Invalid("Another page has this address. Choose another one.", field="slug")
    check_keyword(details.keyword)
    if not zones.valid(details.time_zone):
        raise Invalid("Choose a time zone from the list.", field="time_zone")
    if not _HOUR.fullmatch(details.starts_time):
        raise Invalid("Type the hour like 19:00.", field="starts_time")
    if not 5 <= details.minutes <= 600:
        raise Invalid("Between 5 and 600 minutes.", field="minutes")
    if details.size is not None and not 1 <= details.size <= LARGEST:
        raise Invalid(f"Between 1 and {LARGEST} seats, or leave it empty for no limit.", field="size")
    if details.most_members is not None and not 1 <= details.most_members <= LARGEST:
        raise Invalid(f"Between 1 and {LARGEST} members, or leave it empty for no limit.", field="most_members")
    check_rule(details.rrule)
    check_url(details.online_url)


def check_rule(rule: str) -> None:
    """Raises Invalid (field `rrule`) for a rhythm that cannot be read."""
    if not rule:
        return
    try:
        rrulestr(rule, dtstart=datetime(2026, 1, 1, 19))  # noqa: DTZ001  the rule runs on the circle's own clock
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Invalid("This rhythm cannot be read. Example: FREQ=WEEKLY;BYDAY=TU", field="rrule") from None


def check_url(url: str) -> None:
    """Raises Invalid (field `online_url`) for what is no web address."""
    parts = urlsplit(url.strip())
    if url.strip() and (parts.scheme not in ("https", "http") or not parts.netloc):
        raise Invalid("Type the whole address, beginning with https://", field="online_url")


def check_keyword(keyword: str) -> None:
    """Raises Invalid (field `keyword`) for a word that cannot stand on a poster because it means something already.

    The reader of members' texts is asked itself, so that no list of stop words can be out of step with it.
    """
    word = keyword.strip().upper()
    if not _KEYWORD.fullmatch(word):
        raise Invalid(
            "One word of 3 to 20 letters or digits, without accents: people type it on a phone.", field="keyword"
        )
    for language in ("en", "es"):
        read = understanding.screen(word, language=language)
        # A guess from the weight of a word is no meaning: only rules make it a YES or a NO.
        ruled = any(not reason.startswith("weight of words") for reason in read.reasons)
        answers = (read.rsvp not in (None, Rsvp.UNCLEAR) and ruled) or read.checkin is not None or bool(read.confirm)
        if read.intent != Intent.NONE or read.risk != Risk.NONE or read.keyword or answers or read.me_too:
            raise Invalid(
                f"{word} already means something when a member texts it. Choose another word.", field="keyword"
            )


def _alone(session: Session, circle_id: UUID, clause: ColumnElement[bool], field: str, what: str) -> None:
    taken = session.scalar(select(Circle.name).where(clause, Circle.id != circle_id))
    if taken:
        raise Invalid(f"“{taken}” has this {what} already. Choose another one.", field=field)


def hold(circle_id: UUID, coordinator: Coordinator, *, on: bool) -> None:
    """Let a circle rest (after a death, say): nothing of it leaves until a person lets it go on. Raises NotFound."""
    with db.transaction() as session:
        circle = access.require_circle(session, coordinator, circle_id)
        if circle.on_hold == on:
            return
        circle.on_hold = on
        of_circle = Delivery.campaign_id.in_(select(Campaign.id).where(Campaign.circle_id == circle.id))
        if on:
            waiting = select(Delivery.member_id).where(of_circle, Delivery.state == DeliveryState.QUEUED)
            holds.take_back(session, [i for i in session.scalars(waiting.distinct()) if i])
        else:
            session.execute(
                update(Delivery)
                .where(of_circle, Delivery.state == DeliveryState.QUEUED, Delivery.reason == "circle_rests")
                .values(due_at=clock.now(), reason=None)
                .execution_options(synchronize_session=False)
            )
        audit.record(session, str(coordinator.id), "circle.hold" if on else "circle.resume", circle)


@dataclass(frozen=True)
class CircleLine:
    """A circle in a list."""

    circle: Circle
    members: int
    coordinator: str


def listed(session: Session, coordinator: Coordinator) -> list[CircleLine]:
    """The circles within reach by name, with how many belong to each."""
    count = (
        select(func.count())
        .select_from(CircleMembership)
        .join(Member, Member.id == CircleMembership.member_id)
        .where(CircleMembership.circle_id == Circle.id, CircleMembership.left_at.is_(None), _here())
        .scalar_subquery()
    )
    statement = (
        select(Circle, count, Coordinator.name)
        .outerjoin(Coordinator, Coordinator.id == Circle.coordinator_id)
        .where(access.access_circles(coordinator))
        .order_by(Circle.name)
    )
    return [CircleLine(circle, number or 0, name or "") for circle, number, name in session.execute(statement)]


def members_of(
    session: Session, circle_id: UUID, *, after: UUID | None = None, limit: int = 100
) -> list[tuple[Member, datetime]]:
    """A page of who belongs to a circle, with when they joined it; `after` is the last membership's member."""
    statement = (
        select(Member, CircleMembership.joined_at)
        .join(CircleMembership, CircleMembership.member_id == Member.id)
        .where(CircleMembership.circle_id == circle_id, CircleMembership.left_at.is_(None), _here())
        .order_by(Member.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Member.id > after)
    return [(member, joined) for member, joined in session.execute(statement)]


def _here() -> ColumnElement[bool]:
    return Member.state.in_([MemberState.PENDING, MemberState.ACTIVE, MemberState.LEFT])
