"""Sends the cards of series: each one that is due becomes, with those due at the same moment, an ordinary campaign.

A reader is moved on and the campaign made in one transaction, so whatever dies, and however many clocks there are, a
card is due once. Consent, stops, flags and breaks are the campaign's to judge; a card that did not reach its reader is
tried again on the next day. Caps do not hold it back, for the member asked for one a day.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from service import clock, db, logs, queue
from service.actions import outbox
from service.actions.tools import cards, series
from service.models.campaigns import (
    Campaign,
    CampaignContent,
    CampaignKind,
    CampaignState,
    Delivery,
    DeliveryState,
    Schedule,
)
from service.models.content import Tool
from service.models.members import ChannelName, Member, MemberState, Subscription, SubscriptionState, Topic
from service.models.tools import SeriesReader, ToolSeries

log = logs.get("series")

AT_ONCE = 200
LATE = timedelta(hours=2)
"""A card that is later than this waits for the next day: nobody wants it at night."""
WAITS_FOR = timedelta(days=90)
"""A series that has not come to its end by then is over: a break, or a flag, that was longer than that."""
NEVER_CAME = (
    DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED, DeliveryState.UNDELIVERED, DeliveryState.BOUNCED,
)  # fmt: skip


@dataclass(frozen=True)
class _Due:
    reader: SeriesReader
    member: Member
    rests: bool
    """Whether a flag or a break keeps everything from them now."""
    off: bool
    """Whether they have left, or switched tools off on this channel."""


def send_due() -> int:
    """Send the cards of series that are due; returns for how many readers something was done. Safe to repeat."""
    done = 0
    while not queue.stopping.is_set():
        with db.transaction() as session:
            due = _claim(session)
            if due:
                _send(session, due)
                queue.ring_after(session, "start_campaigns")
        done += len(due)
        if len(due) < AT_ONCE:
            break
    return done


def _claim(session: Session) -> list[_Due]:
    """Readers whose moment has come, kept from any other clock until this transaction is over."""
    now = clock.now()
    locked = (
        select(SeriesReader.id)
        .where(SeriesReader.next_at <= now, SeriesReader.ended_at.is_(None))
        .order_by(SeriesReader.next_at, SeriesReader.id)
        .limit(AT_ONCE)
    )
    if not db.current().is_sqlite:
        locked = locked.with_for_update(skip_locked=True)
    ids = list(session.scalars(locked))
    rows: Any = session.execute(
        select(SeriesReader, Member, Subscription.state, Subscription.paused_until)
        .join(Member, Member.id == SeriesReader.member_id)
        .outerjoin(
            Subscription,
            and_(
                Subscription.member_id == Member.id,
                Subscription.channel == SeriesReader.channel,
                Subscription.topic == Topic.TOOLS,
            ),
        )
        .where(SeriesReader.id.in_(ids))
        .order_by(SeriesReader.id)
    )
    found = []
    for reader, member, state, until in rows:
        topic_rests = state == SubscriptionState.PAUSED and (until is None or until > now)
        on_break = member.paused_until is not None and member.paused_until > now
        off = member.state != MemberState.ACTIVE or state in (None, SubscriptionState.STOPPED)
        found.append(_Due(reader, member, member.held_at is not None or on_break or topic_rests, off))
    return found


def _send(session: Session, due: Sequence[_Due]) -> None:
    """Move every reader on, and make one campaign of each card and channel."""
    now = clock.now()
    of_series = {s.id: s for s in session.scalars(select(ToolSeries).where(ToolSeries.id.in_(_series_of(due))))}
    days = {id_: series.cards_of(session, id_) for id_ in of_series}
    came = _came(session, due)
    together: dict[tuple[UUID, int, ChannelName], list[_Due]] = defaultdict(list)
    for one in due:
        about, reader = of_series[one.reader.series_id], one.reader
        if one.off or about.retired_at is not None or reader.started_at < now - WAITS_FOR:
            _end(reader, "left" if one.off else "over")
            continue
        late = reader.next_at is not None and reader.next_at < now - LATE
        reader.next_at = series.moment_after(one.member, about.local_time, now)
        if one.rests or late:
            continue
        day = _next_day(reader, days[about.id], came)
        if day is None:
            _end(reader, "done")
            continue
        reader.day = day
        together[(about.id, day, reader.channel)].append(one)
    for (series_id, day, channel), group in together.items():
        tool = days[series_id][day - 1]
        campaign = _campaign(of_series[series_id], tool, day, len(days[series_id]), channel, group)
        session.add(campaign)
        for one in group:
            one.reader.campaign_id = campaign.id
    session.flush()


def _series_of(due: Sequence[_Due]) -> set[UUID]:
    return {one.reader.series_id for one in due}


def _end(reader: SeriesReader, why: str) -> None:
    reader.ended_at, reader.ended, reader.next_at = clock.now(), why, None


def _came(session: Session, due: Sequence[_Due]) -> set[tuple[UUID, UUID]]:
    """(campaign, member) of the cards that did reach their readers."""
    campaigns = {one.reader.campaign_id for one in due if one.reader.campaign_id}
    rows = session.execute(
        select(Delivery.campaign_id, Delivery.member_id).where(
            Delivery.campaign_id.in_(campaigns),
            Delivery.member_id.in_([one.member.id for one in due]),
            Delivery.sending_at.is_not(None),
            Delivery.state.not_in(NEVER_CAME),
        )
    )
    return {(campaign_id, member_id) for campaign_id, member_id in rows}  # type: ignore[misc]


def _next_day(reader: SeriesReader, found: Sequence[Tool], came: set[tuple[UUID, UUID]]) -> int | None:
    """The day whose card is next: the same again if it did not come; cards past their day are passed over."""
    again = reader.campaign_id is not None and (reader.campaign_id, reader.member_id) not in came
    day = max(reader.day, 1) if again else reader.day + 1
    while day <= len(found) and cards.is_over(found[day - 1]):
        day += 1
    return day if day <= len(found) else None


def _campaign(
    about: ToolSeries, tool: Tool, day: int, days: int, channel: ChannelName, group: Sequence[_Due]
) -> Campaign:
    now = clock.now()
    campaign = Campaign(
        id=db.uuid7(), name=f"{about.title}: {day} of {days}"[:120], kind=CampaignKind.TOOL, topic=Topic.TOOLS,
        state=CampaignState.SCHEDULED, channels=channel, audience={"member_ids": [str(o.member.id) for o in group]},
        tool_id=tool.id, series_id=about.id, schedule=Schedule.NOW, scheduled_at=now, expires_at=now + LATE,
        override=True, created_at=now, updated_at=now,
    )  # fmt: skip
    # The card itself stays a merge field: it is a coordinator's Markdown, and written for each channel.
    facts = {"day": day, "days": days, "tool_title": "{{ tool_title }}", "tool_body": "{{ tool_body }}"}
    if channel == ChannelName.SMS:
        subject, body = "", outbox.wording("sms/series_card.txt", about.language, facts)
    else:
        subject = outbox.wording("email/series_card/subject.txt", about.language, facts)
        body = outbox.wording("email/series_card/body.md", about.language, facts)
    campaign.contents = [
        CampaignContent(id=db.uuid7(), channel=channel, language=about.language, subject=subject, body=body)
    ]
    return campaign
