"""Turning an audience into deliveries. The database does it by itself, in pieces that can be repeated: a freeze that
was killed goes on where it stopped.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, case, exists, func, literal, null, or_, select, update
from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.actions import audience as audiences
from service.actions import tools, zones
from service.actions.campaigns.compose import get
from service.actions.campaigns.run import QUEUE_OF
from service.actions.delivery.results import breathe
from service.actions.delivery.rules import next_opening
from service.models.campaigns import (
    ASKS,
    KIND_PRIORITY,
    Asks,
    Campaign,
    CampaignKind,
    CampaignState,
    Delivery,
    DeliveryState,
    Purpose,
    Schedule,
)
from service.models.content import Story, Tool
from service.models.members import ChannelName, Member, Zone

PIECE, PIECE_OF_MANY_WRITERS = 2_500, 25_000
"""Members looked at in one transaction: on SQLite all other writers wait for it, on PostgreSQL hardly anybody does."""


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
    """Turn the audience into deliveries, piece by piece, and open the campaign; returns the copies made."""
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.frozen_at or campaign.state not in (CampaignState.SCHEDULED, CampaignState.SENDING):
            return campaign.audience_size or 0
        if campaign.tool_id and tools.is_over(session.get(Tool, campaign.tool_id)):
            campaign.state, campaign.updated_at = CampaignState.PAUSED, clock.now()
            campaign.paused_reason = "This tool is past its review date by now. Have it reviewed, then resume."
            return 0
        campaign.state = CampaignState.SENDING
        campaign.started_at = campaign.started_at or clock.now()
    for channel in campaign.channel_names:
        if not _freeze_channel(campaign, channel):
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


def _freeze_channel(campaign: Campaign, channel: ChannelName) -> bool:
    """Freeze all who get it on a channel, piece by piece; False when told to stop."""
    audience = audiences.of_campaign(campaign)
    with db.reading() as session:
        insert_piece = _insert_piece(session, campaign, channel)
    size = PIECE if db.current().is_sqlite else PIECE_OF_MANY_WRITERS
    after = UUID(int=0)
    while not queue.stopping.is_set():
        with db.transaction() as session:
            last: UUID | None = session.scalar(audiences.piece(audience, after, size))
            if last is None:
                return True
            session.connection().execute(insert_piece, {"after": after, "upto": last})
            queue.ring_after(session, f"drain_{QUEUE_OF[channel]}")
        breathe()
        after = last
    return False


def _insert_piece(session: Session, campaign: Campaign, channel: ChannelName) -> Any:
    """The INSERT … SELECT of those behind `:after`, up to `:upto`: made once, for there may be hundreds of pieces."""
    after, upto = bindparam("after", type_=Uuid()), bindparam("upto", type_=Uuid())
    shared = audiences.shared_addresses(session, channel)
    source = audiences.recipients(
        audiences.of_campaign(campaign),
        channel,
        Member.time_zone,
        Member.window_from,
        after=after,
        upto=upto,
        shared=shared,
    ).subquery()
    member_id, address_id = source.c[0], source.c[1]
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
    moment = _due_at(session, campaign, source.c.time_zone, source.c.window_from)
    made = select(member_id, address_id, moment, *fixed).order_by(member_id)
    if session.scalar(select(exists().where(Delivery.campaign_id == campaign.id))):
        made = made.where(_no_copy_yet(campaign, member_id))
    # Into the table itself: for the ORM every new row would come back with its id.
    table: Any = Delivery.__table__
    return db.insert(table).from_select(["member_id", "address_id", "due_at", *row], made).on_conflict_do_nothing()


def _no_copy_yet(campaign: Campaign, member_id: Any) -> ColumnElement[bool]:
    """A freeze that begins again must not give a second copy to somebody whose preference changed meanwhile."""
    mine = exists().where(Delivery.campaign_id == campaign.id, Delivery.member_id == member_id)
    both = exists().where(Member.id == member_id, Member.both_channels)
    return or_(~mine, both)


def _due_at(session: Session, campaign: Campaign, zone: Any, own_window: Any) -> ColumnElement[Any]:
    """SQL: when this may leave first to somebody in `zone`: as soon as the usual window is open there.

    Whoever chose hours of their own is judged by those at the claim. Most zones share their moments, so few are told
    apart; a table of all zones would be read again for every member.
    """
    begin = max(campaign.scheduled_at or clock.now(), clock.now())
    window = (0, 1440) if campaign.override else config.current().window
    local = campaign.local_time if campaign.schedule == Schedule.LOCAL else None

    def moments(name: str, low: int, high: int) -> tuple[datetime, datetime]:
        earliest = max(begin, zones.local_moment(name, local)) if local else begin
        return earliest, next_opening(earliest, low, high, *window)

    found = {z.name: moments(z.name, z.offset_min, z.offset_max) for z in session.scalars(select(Zone))}
    otherwise = moments("UTC", 0, 0)
    earliest, usual = (_by_zone(zone, {z: m[n] for z, m in found.items()}, otherwise[n]) for n in (0, 1))
    return case((own_window.is_not(None), earliest), else_=usual)


def _by_zone(zone: Any, moments: dict[str, datetime], otherwise: datetime) -> ColumnElement[Any]:
    """SQL: the moment of a zone; `otherwise` that of one that is not listed."""
    type_ = Delivery.__table__.c.due_at.type
    zones_of: dict[datetime, list[str]] = {}
    for name, moment in moments.items():
        if moment != otherwise:
            zones_of.setdefault(moment, []).append(name)
    if not zones_of:
        return literal(otherwise, type_)
    whens = [(zone.in_(sorted(names)), literal(moment, type_)) for moment, names in zones_of.items()]
    return case(*whens, else_=literal(otherwise, type_))


def _asks(session: Session, campaign: Campaign) -> Asks | None:
    asks = ASKS.get(campaign.kind)
    if asks == Asks.ME_TOO and campaign.kind == CampaignKind.STORY and campaign.story_id:
        story = session.get(Story, campaign.story_id)
        return asks if story and story.me_too_allowed else None
    return asks
