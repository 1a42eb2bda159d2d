"""When a person will read: from ANSWER_HOURS or the rota, in a member's own words and hours. Only what is planned is
said.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import times, zones
from service.models.members import Member
from service.models.staff import DutyShift


def when_words(session: Session, member: Member) -> str:
    """`today`, `tomorrow after 9:00 am`, `Tuesday 1 December after 9:00 am`, or, without a plan, `within two days`.

    ANSWER_HOURS count first, then the rota.
    """
    now = clock.now()
    if (hours := config.parse_hours(config.current().answer_hours)) and (opens := _next_opening(hours, now)):
        return _later(opens, now, member, member.language == "es")
    starts = db.once(session, "next shift", lambda: _next_shift(session, now))
    spanish = member.language == "es"
    if starts is None or starts > now + timedelta(days=7):
        return "en los próximos dos días" if spanish else "within two days"
    if starts <= now:
        return "hoy" if spanish else "today"
    return _later(starts, now, member, spanish)


def _next_shift(session: Session, now: datetime) -> datetime | None:
    """When the shift begins that is under way, or comes next."""
    newest = select(DutyShift.starts_at).where(DutyShift.ends_at > now).order_by(DutyShift.starts_at).limit(1)
    with session.no_autoflush:  # no message plans a shift; what is new is stored together, in the end
        return session.scalar(newest)


def reading_now() -> bool:
    """Whether words get no automatic answer because people answer at this hour, or because that is switched off."""
    settings = config.current()
    if settings.answer_hours.strip().lower() == config.NEVER:
        return True
    hours = config.parse_hours(settings.answer_hours)
    return bool(hours) and _next_opening(hours, clock.now()) is None


def _next_opening(hours: dict[int, tuple[int, int]], now: datetime) -> datetime | None:
    """When people answer again; None if they do at this moment."""
    here = now.astimezone(ZoneInfo(config.current().answer_zone))
    minute = here.hour * 60 + here.minute
    for ahead in range(8):
        begins, ends = hours.get((here.weekday() + ahead) % 7, (0, 0))
        if ahead == 0 and begins <= minute < ends:
            return None
        if ends and (ahead or minute < begins):
            day = here.date() + timedelta(days=ahead)
            opens = datetime.combine(day, time(begins // 60 % 24, begins % 60), here.tzinfo)
            return opens.astimezone(UTC)
    return None


def _later(starts: datetime, now: datetime, member: Member, spanish: bool) -> str:
    zone = zones.info(member.time_zone)
    days = (starts.astimezone(zone).date() - now.astimezone(zone).date()).days
    hour = times.hour(starts, member.time_zone, member.locale)
    named = {0: "hoy", 1: "mañana"} if spanish else {0: "today", 1: "tomorrow"}
    day = named.get(days) or times.day(starts, member.time_zone, member.locale)
    return f"{day} desde las {hour}" if spanish else f"{day} after {hour}"


def day_words(moment: datetime, member: Member) -> str:
    """The day, on the member's calendar and in their language."""
    return times.day(moment, member.time_zone, member.locale)
