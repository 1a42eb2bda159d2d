"""A series: cards in an order, one a day in the member's own hours, for whoever asked for it, until they say otherwise.

`series_cards` sends them; here is who is on the way, and when the next card is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from string import ascii_uppercase
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import times, zones
from service.actions.tools import cards
from service.actions.tools.topics import folded
from service.models.content import Tool
from service.models.members import ChannelName, Member, Subscription, SubscriptionState, Topic
from service.models.tools import SeriesReader, ToolSeries, ToolSeriesCard

MARGIN = timedelta(minutes=10)
"""A card is not due sooner than this after the member asked for it."""
SHORTEST = 2
"""Cards of a series that may be sent today; with fewer it is not offered."""


@dataclass(frozen=True)
class Offer:
    """A series that a member may begin, with the letter of the menu."""

    id: UUID
    letter: str
    title: str
    days: int
    local_time: str


@dataclass(frozen=True)
class Running:
    """The series that a member is in."""

    id: UUID
    """Of the reader's row."""
    title: str
    day: int
    days: int


def offered(session: Session, language: str) -> list[Offer]:
    """The series of a language that can be begun now, in the order of their making."""
    found = session.scalars(
        select(ToolSeries)
        .where(ToolSeries.language == language, ToolSeries.retired_at.is_(None))
        .order_by(ToolSeries.created_at, ToolSeries.id)
        .limit(len(ascii_uppercase))
    ).all()
    days = {series.id: cards_of(session, series.id) for series in found}
    good = [s for s in found if sum(not cards.is_over(tool) for tool in days[s.id]) >= SHORTEST]
    return [
        Offer(s.id, letter, s.title, len(days[s.id]), s.local_time)
        for letter, s in zip(ascii_uppercase, good, strict=False)
    ]


def cards_of(session: Session, series_id: UUID) -> Sequence[Tool]:
    """The cards of a series in the order of its days."""
    return session.scalars(
        select(Tool)
        .join(ToolSeriesCard, ToolSeriesCard.tool_id == Tool.id)
        .where(ToolSeriesCard.series_id == series_id)
        .order_by(ToolSeriesCard.day)
    ).all()


def named(offers: Sequence[Offer], words: Sequence[str]) -> Offer | None:
    """The series that is meant by its letter, or by a word of its title that no other has."""
    for offer in offers:
        if [offer.letter.lower()] == list(words):
            return offer
    meant = [o for o in offers if set(words) & {w for w in folded(o.title).split() if len(w) > 3}]
    return meant[0] if len(meant) == 1 else None


def running(session: Session, member_id: UUID) -> Running | None:
    """The series that the member is in, if any."""
    row = session.execute(
        select(SeriesReader, ToolSeries)
        .join(ToolSeries, ToolSeries.id == SeriesReader.series_id)
        .where(SeriesReader.member_id == member_id, SeriesReader.ended_at.is_(None))
    ).first()
    if row is None:
        return None
    reader, series = row
    return Running(reader.id, series.title, reader.day, len(cards_of(session, series.id)))


def may_begin(session: Session, member: Member, channel: ChannelName) -> bool:
    """Whether the member gets tools on this channel at all; what they have switched off is not switched on by us."""
    state = session.scalar(
        select(Subscription.state).where(
            Subscription.member_id == member.id, Subscription.channel == channel, Subscription.topic == Topic.TOOLS
        )
    )
    return state in (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)


def begin(session: Session, member: Member, channel: ChannelName, offer: Offer) -> SeriesReader:
    """Put a member on the way. The first card is due at the series' hour, today if that is still to come."""
    now = clock.now()
    reader = SeriesReader(
        id=db.uuid7(), series_id=offer.id, member_id=member.id, channel=channel, day=0, started_at=now,
        next_at=moment_after(member, offer.local_time, now + MARGIN),
    )  # fmt: skip
    session.add(reader)
    session.flush()
    return reader


def end(session: Session, reader_id: UUID, why: str) -> None:
    """Take a member off the way; nothing more of it leaves."""
    reader = session.get(SeriesReader, reader_id)
    if reader is not None and reader.ended_at is None:
        reader.ended_at, reader.ended, reader.next_at = clock.now(), why, None
        session.flush()


def go_on(session: Session, reader: SeriesReader, member: Member) -> None:
    """Take up again what was ended, where it was."""
    series = session.get_one(ToolSeries, reader.series_id)
    reader.ended_at, reader.ended = None, ""
    reader.next_at = moment_after(member, series.local_time, clock.now() + MARGIN)
    session.flush()


def moment_after(member: Member, local_time: str, after: datetime) -> datetime:
    """The first moment behind `after` at which it is the series' hour for this member, within the hours they chose."""
    zone = member.time_zone or "UTC"
    hour = _hour_of(member, local_time)
    day = after.astimezone(zones.info(zone)).date()
    while (found := zones.local_moment(zone, f"{day}T{hour}")) <= after:
        day += timedelta(days=1)
    return found


def _hour_of(member: Member, local_time: str) -> str:
    """`18:00`, or what is nearest to it in the member's own hours (in ours, where they chose none)."""
    opens, closes = config.current().window
    if member.window_from is not None and member.window_to is not None:
        opens, closes = member.window_from, member.window_to
    hours, minutes = local_time.split(":")
    wanted = int(hours) * 60 + int(minutes)
    fits = opens <= wanted < closes if opens < closes else wanted >= opens or wanted < closes
    chosen = wanted if fits else opens if wanted < opens else max(opens, closes - 30)
    return f"{chosen // 60 % 24:02}:{chosen % 60:02}"


def when_words(reader: SeriesReader, member: Member) -> str:
    """`today at 6:00 pm`, or the day."""
    at = reader.next_at or clock.now()
    zone = zones.info(member.time_zone or "UTC")
    days = (at.astimezone(zone).date() - clock.now().astimezone(zone).date()).days
    spanish = member.language == "es"
    hour = times.hour(at, member.time_zone or "UTC", member.locale)
    named_ = {0: "hoy", 1: "mañana"} if spanish else {0: "today", 1: "tomorrow"}
    day = named_.get(days) or times.day(at, member.time_zone or "UTC", member.locale)
    return f"{day} a las {hour}" if spanish else f"{day} at {hour}"
