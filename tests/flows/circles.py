"""Circles with a theme, for the stories of finding one and belonging to it."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from service import clock, db
from service.models.gatherings import Circle, CircleMembership, GroupSession, PlaceAsk
from service.models.members import Member

NEW_YORK = ZoneInfo("America/New_York")


def circle(
    name: str, keyword: str, theme: str = "", at: str = "2026-05-12T19:00", weeks: int = 4, **more: Any
) -> Circle:
    """A circle on New York's clock that meets at that moment and each week after it, `weeks` times."""
    starts = datetime.fromisoformat(at).replace(tzinfo=NEW_YORK)
    with db.transaction() as session:
        made = Circle(
            id=db.uuid7(), name=name, slug=name.lower().replace(" ", "-"), keyword=keyword, theme=theme,
            time_zone="America/New_York", starts_time=starts.strftime("%H:%M"), minutes=60, created_at=clock.now(),
            rrule=f"FREQ=WEEKLY;BYDAY={('MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU')[starts.weekday()]}", **more,
        )  # fmt: skip
        session.add(made)
        session.flush()
        for week in range(weeks):
            begins = (starts + timedelta(weeks=week)).astimezone(ZoneInfo("UTC"))
            session.add(
                GroupSession(
                    circle_id=made.id, starts_at=begins, ends_at=begins + timedelta(hours=1), created_at=clock.now()
                )
            )
    return made


def three_circles() -> list[Circle]:
    """Grief on Tuesday evenings, anxiety on Thursday mornings, parents on Saturday mornings."""
    return [
        circle("Kitchen Table", "KITCHEN", "Grief"),
        circle("Steady Ground", "STEADY", "Anxiety and panic", "2026-05-14T10:00"),
        circle("Small Hours", "HOURS", "New parents", "2026-05-09T09:30"),
    ]


def put_in(found: Circle, *members: Member, joined: datetime | None = None) -> None:
    """Members who belong, since `joined`, and were told so."""
    with db.transaction() as session:
        for member in members:
            at = joined or clock.now()
            session.add(CircleMembership(circle_id=found.id, member_id=member.id, joined_at=at, welcomed_at=at))


def place(member: Member, found: Circle) -> CircleMembership | None:
    """The member's place, if they belong."""
    with db.reading() as session:
        return session.scalar(
            select(CircleMembership).where(
                CircleMembership.member_id == member.id,
                CircleMembership.circle_id == found.id,
                CircleMembership.left_at.is_(None),
            )
        )


def wish(member: Member, found: Circle) -> PlaceAsk | None:
    """The member's wish for a place."""
    with db.reading() as session:
        return session.scalar(select(PlaceAsk).where(PlaceAsk.member_id == member.id, PlaceAsk.circle_id == found.id))
