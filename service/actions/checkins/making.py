"""The clock's part: makes the campaign of every rhythm whose day is near, once, whatever dies meanwhile.

The campaigns and the rhythm's next day are written in one transaction, and (rhythm, day, story) is unique among
campaigns: two clocks at the same moment, or one that died half-way, make them once.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db, logs, queue
from service.actions import zones
from service.actions.campaigns import problems
from service.actions.campaigns.run import LIFETIMES, zones_in_use
from service.actions.checkins import days, stories
from service.actions.checkins.kinds import KINDS
from service.models.campaigns import Campaign, CampaignContent, CampaignState, Schedule
from service.models.checkins import Rhythm
from service.models.content import Story
from service.models.gatherings import Circle
from service.models.members import ChannelName

log = logs.get("rhythm")

AHEAD = timedelta(hours=6)
"""So long before the first member's hour the campaign is there, and can still be looked at or cancelled."""
LATE = timedelta(hours=2)
"""A day that is late by so much for everybody is let go: "How are you today?" means a day."""
MOST = 50


def make_due() -> int:
    """Make the campaigns of rhythms that are due; returns how many were made. Safe to repeat and to interrupt."""
    now = clock.now()
    soon = (now + timedelta(days=2)).date()  # the day begins up to 14 hours earlier in some places
    with db.reading() as session:
        near = select(Rhythm.id).where(Rhythm.next_on <= soon, Rhythm.paused_at.is_(None), Rhythm.ended_at.is_(None))
        ids = list(session.scalars(near.order_by(Rhythm.next_on).limit(MOST)))
    return sum(_make(id_) for id_ in ids if not queue.stopping.is_set())


def _make(rhythm_id: UUID) -> bool:
    """Make one rhythm's next campaign if its moment is near; days that nobody saw to are let go."""
    now = clock.now()
    with db.transaction() as session:
        rhythm = session.scalar(select(Rhythm).where(Rhythm.id == rhythm_id).with_for_update(skip_locked=True))
        if rhythm is None or rhythm.next_on is None or rhythm.paused_at or rhythm.ended_at:
            return False
        circle = session.get(Circle, rhythm.circle_id) if rhythm.circle_id else None
        if circle is not None and circle.closed_at is not None:
            rhythm.ended_at, rhythm.next_on = now, None
            return False
        keys = zones_in_use(session)
        begin, last = _moments(keys, rhythm, rhythm.next_on)
        while last < now - LATE:
            log.warning("a day of a rhythm was let go: it is over", rhythm=str(rhythm.id), day=str(rhythm.next_on))
            rhythm.next_on = _after(rhythm, rhythm.next_on)
            begin, last = _moments(keys, rhythm, rhythm.next_on)
        if begin > now + AHEAD:
            return False
        made = _campaign(session, rhythm, rhythm.next_on, begin)
        if made is not None:
            rhythm.next_on = _after(rhythm, rhythm.next_on)
        if made:
            queue.ring_after(session, "start_campaigns")
        return bool(made)


def _moments(keys: Iterable[str], rhythm: Rhythm, day: date) -> tuple[datetime, datetime]:
    """When the first and the last member's clock shows the hour."""
    moments = [zones.local_moment(key, _local(rhythm, day)) for key in keys]
    return min(moments), max(moments)


def _local(rhythm: Rhythm, day: date) -> str:
    return f"{day.isoformat()}T{rhythm.local_time}"


def _after(rhythm: Rhythm, day: date) -> date:
    return next(days.from_day(rhythm, day + timedelta(days=1)))


def _campaign(session: Session, rhythm: Rhythm, day: date, begin: datetime) -> bool | None:
    """Add the campaign. False where there is nothing to carry on this day; None, and the rhythm paused with the
    reason, where it could not be sent.
    """
    known = select(Campaign.id).where(Campaign.rhythm_id == rhythm.id, Campaign.occurs_on == day)
    if session.scalar(known) is not None:
        return True
    kind = KINDS[rhythm.kind]
    if kind.several is not None:
        made = [_add_one_of_many(session, rhythm, values, day, begin) for values in kind.several(session, rhythm, day)]
        if not any(made):
            log.info("a rhythm has nothing to carry on this day", rhythm=str(rhythm.id), kind=rhythm.kind)
        return any(made)
    campaign = draft(rhythm)
    if not kind.choose(session, rhythm, campaign):
        log.info("a rhythm has nothing to carry on this day", rhythm=str(rhythm.id), kind=rhythm.kind)
        return False
    _schedule(session, rhythm, campaign, day, begin)
    if found := problems(session, campaign):
        session.delete(campaign)
        rhythm.paused_at, rhythm.paused_reason = clock.now(), found[0].message[:300]
        log.warning("a rhythm was paused: its words cannot be sent", rhythm=str(rhythm.id))
        return None
    return True


def _schedule(session: Session, rhythm: Rhythm, campaign: Campaign, day: date, begin: datetime) -> None:
    """Let it leave at the rhythm's hour of that day, on each member's own clock."""
    campaign.occurs_on = day
    campaign.schedule, campaign.local_time = Schedule.LOCAL, _local(rhythm, day)
    campaign.scheduled_at, campaign.expires_at = max(begin, clock.now()), begin + LIFETIMES[campaign.kind]
    campaign.state = CampaignState.SCHEDULED
    session.add(campaign)
    session.flush()


def _add_one_of_many(session: Session, rhythm: Rhythm, values: dict[str, Any], day: date, begin: datetime) -> bool:
    """Add one campaign of an occurrence of several; one that could not be sent is left out, and the others go."""
    campaign = draft(rhythm)
    for name, value in values.items():
        setattr(campaign, name, value)
    story = session.get_one(Story, campaign.story_id)
    campaign.contents = [_content(content) for content in stories.words_for(rhythm, story, campaign.channels)]
    _schedule(session, rhythm, campaign, day, begin)
    if found := problems(session, campaign):
        log.warning("a story was passed over", rhythm=str(rhythm.id), story=str(story.id), field=found[0].field)
        session.delete(campaign)
        session.flush()
        return False
    return True


def draft(rhythm: Rhythm) -> Campaign:
    """The campaign that a rhythm makes: not scheduled yet, carrying nothing yet, and part of no session."""
    now = clock.now()
    kind = KINDS[rhythm.kind]
    campaign = Campaign(
        id=db.uuid7(), name=rhythm.name, kind=kind.campaign, topic=kind.topic, state=CampaignState.DRAFT,
        channels=rhythm.channels, audience={}, circle_id=rhythm.circle_id, rhythm_id=rhythm.id, override=False,
        created_by=rhythm.created_by, created_at=now, updated_at=now,
    )  # fmt: skip
    campaign.contents = [_content(content) for content in rhythm.contents]
    return campaign


def _content(content: dict[str, Any]) -> CampaignContent:
    return CampaignContent(
        id=db.uuid7(), channel=ChannelName(content["channel"]), language=content["language"],
        subject=content["subject"], body=content["body"],
    )  # fmt: skip
