"""Turning an audience into deliveries. The database does it by itself, in pieces that can be repeated: a freeze that
was killed goes on where it stopped.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, case, column, exists, func, literal, null, or_, select, update, values
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.actions import audience as audiences
from service.actions import zones
from service.actions.campaigns.compose import get
from service.actions.campaigns.run import QUEUE_OF
from service.actions.delivery.results import breathe
from service.actions.delivery.rules import next_opening
from service.models.campaigns import (
    ASKS,
    KIND_PRIORITY,
    Asks,
    Campaign,
    CampaignState,
    Delivery,
    DeliveryState,
    Purpose,
    Schedule,
)
from service.models.content import Story
from service.models.members import ChannelName, Member, Zone

CHUNK = 50_000
"""Rows frozen per transaction: SQLite's writers wait for one another."""


def start_due() -> int:
    """Freeze and open every campaign whose moment has come; returns how many. Safe to repeat and to interrupt."""
    now = clock.now()
    with db.reading() as session:
        due = list(
            session.scalars(
                select(Campaign.id).where(
                    Campaign.frozen_at.is_(None),
                    Campaign.state.in_([CampaignState.SCHEDULED, CampaignState.SENDING]),
                    Campaign.scheduled_at <= now,
                )
            )
        )
    for campaign_id in due:
        if queue.stopping.is_set():
            break
        freeze(campaign_id)
    return len(due)


def freeze(campaign_id: UUID) -> int:
    """Turn the audience into deliveries, in chunks of CHUNK, and open the campaign; returns the copies made."""
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.frozen_at or campaign.state not in (CampaignState.SCHEDULED, CampaignState.SENDING):
            return campaign.audience_size or 0
        campaign.state = CampaignState.SENDING
        campaign.started_at = campaign.started_at or clock.now()
    for channel in campaign.channel_names:
        after: UUID | None = None
        while not queue.stopping.is_set():
            with db.transaction() as session:
                last = _freeze_chunk(session, campaign, channel, after)
                queue.ring_after(session, f"drain_{QUEUE_OF[channel]}")
            breathe()
            if last is None:
                break
            after = last
        else:
            return 0  # told to stop: start_due goes on from the beginning, what exists is not made twice
    with db.transaction() as session:
        size = (
            session.scalar(select(func.count()).select_from(Delivery).where(Delivery.campaign_id == campaign_id)) or 0
        )
        session.execute(
            update(Campaign).where(Campaign.id == campaign_id).values(frozen_at=clock.now(), audience_size=size)
        )
        queue.ring_after(session, "housekeeping")
    return size


def _freeze_chunk(session: Session, campaign: Campaign, channel: ChannelName, after: UUID | None) -> UUID | None:
    """One INSERT … SELECT of at most CHUNK recipients; the last member id of the chunk, None when it was empty."""
    audience = audiences.of_campaign(campaign)
    ids = audiences.recipients(audience, channel, after=after).limit(CHUNK).subquery()
    last: UUID | None = session.scalar(select(ids.c[0]).order_by(ids.c[0].desc()).limit(1))
    if last is None:
        return None
    # Cut by its last member, not counted again: who is in the audience may change between the two statements.
    source = audiences.recipients(
        audience, channel, Member.time_zone, Member.window_from, after=after, upto=last
    ).subquery()
    member_id, address_id = source.c[0], source.c[1]
    due, (first, otherwise) = _due_by_zone(session, campaign)
    now = clock.now()
    row: dict[str, Any] = {
        "campaign_id": campaign.id,
        "channel": channel,
        "purpose": Purpose.CAMPAIGN,
        "queue": QUEUE_OF[channel],
        "priority": KIND_PRIORITY[campaign.kind],
        "topic": campaign.topic,
        "asks": _asks(session, campaign),
        "override": campaign.override,
        "state": DeliveryState.QUEUED,
        "attempts": 0,
        "looks": 0,
        "created_at": now,
        "updated_at": now,
    }
    columns = Delivery.__table__.c
    fixed = [literal(value, columns[name].type) if value is not None else null() for name, value in row.items()]
    moment = case(
        # Whoever chose hours of their own is judged by those at the claim.
        (source.c.window_from.is_not(None), func.coalesce(due.c.earliest, literal(first, columns.due_at.type))),
        else_=func.coalesce(due.c.due, literal(otherwise, columns.due_at.type)),
    )
    made = select(member_id, address_id, moment, *fixed)
    made = made.select_from(source.outerjoin(due, due.c.zone == source.c.time_zone)).order_by(member_id)
    builder = sqlite_insert if db.current().is_sqlite else postgresql_insert
    session.execute(
        builder(Delivery)
        .from_select(["member_id", "address_id", "due_at", *row], made.where(_no_copy_yet(campaign, member_id)))
        .on_conflict_do_nothing()
    )
    return last


def _no_copy_yet(campaign: Campaign, member_id: Any) -> ColumnElement[bool]:
    """A freeze that begins again must not give a second copy to somebody whose preference changed meanwhile."""
    mine = exists().where(Delivery.campaign_id == campaign.id, Delivery.member_id == member_id)
    both = exists().where(Member.id == member_id, Member.both_channels)
    return or_(~mine, both)


def _due_by_zone(session: Session, campaign: Campaign) -> tuple[Any, tuple[datetime, datetime]]:
    """A VALUES list: zone → the earliest moment, and the first in the window, at which this may leave to somebody
    there; and the same two for a zone that is not in the list.
    """
    begin = max(campaign.scheduled_at or clock.now(), clock.now())
    window = (0, 1440) if campaign.override else config.current().window
    local = campaign.local_time if campaign.schedule == Schedule.LOCAL else None

    def moments(zone: str, low: int, high: int) -> tuple[datetime, datetime]:
        earliest = max(begin, zones.local_moment(zone, local)) if local else begin
        return earliest, next_opening(earliest, low, high, *window)

    rows = [(z.name, *moments(z.name, z.offset_min, z.offset_max)) for z in session.scalars(select(Zone))]
    moment = Delivery.__table__.c.due_at.type
    listed = values(column("zone", String), column("earliest", moment), column("due", moment), name="zone_due").data(
        rows
    )
    return listed.cte("zone_due"), moments("UTC", 0, 0)


def _asks(session: Session, campaign: Campaign) -> Asks | None:
    asks = ASKS.get(campaign.kind)
    if asks == Asks.ME_TOO and campaign.story_id:
        story = session.get(Story, campaign.story_id)
        return asks if story and story.me_too_allowed else None
    return asks
