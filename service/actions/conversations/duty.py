"""When a person will read: from the rota, in a member's own words and hours. Only what is planned is said."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions import times, zones
from service.models.members import Member
from service.models.staff import DutyShift


def when_words(session: Session, member: Member) -> str:
    """`today`, `tomorrow after 9:00 am`, `Tuesday 1 December after 9:00 am`, or, without a rota, `within two days`."""
    now = clock.now()
    shift = session.execute(
        select(DutyShift.starts_at).where(DutyShift.ends_at > now).order_by(DutyShift.starts_at).limit(1)
    ).first()
    spanish = member.language == "es"
    if shift is None or shift.starts_at > now + timedelta(days=7):
        return "en los próximos dos días" if spanish else "within two days"
    if shift.starts_at <= now:
        return "hoy" if spanish else "today"
    return _later(shift.starts_at, now, member, spanish)


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
