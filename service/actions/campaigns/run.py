"""Starting, pausing and ending campaigns. The audience is frozen by the database itself, in pieces that can be
repeated: a freeze that was killed goes on where it stopped.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    String,
    Update,
    and_,
    cast,
    column,
    func,
    literal,
    null,
    select,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.actions import audience as audiences
from service.actions import audit, zones
from service.actions.campaigns.checking import problems
from service.actions.campaigns.compose import get
from service.actions.delivery.rules import next_opening
from service.errors import Conflict, Invalid
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
from service.models.content import Story
from service.models.members import ChannelName, Member, Zone

CHUNK = 50_000
"""Rows frozen or changed per transaction: SQLite's writers wait for one another."""
QUEUE_OF: dict[ChannelName, str] = {ChannelName.SMS: "texts", ChannelName.EMAIL: "emails"}
HELD = "held"
"""The queue where a paused campaign's messages wait; no worker looks at it."""
LIFETIMES: dict[CampaignKind, timedelta] = {
    CampaignKind.CHECKIN: timedelta(days=1),
    CampaignKind.INVITE: timedelta(days=7),
    CampaignKind.STORY: timedelta(days=7),
    CampaignKind.TOOL: timedelta(days=7),
    CampaignKind.ANNOUNCEMENT: timedelta(days=3),
}
"""After this a message of the kind is too old to send: it is skipped as stale rather than arriving as a riddle."""


def start(
    campaign_id: UUID,
    *,
    schedule: Schedule = Schedule.NOW,
    at: datetime | None = None,
    local: str | None = None,
    override: bool = False,
    actor: str = "system",
) -> None:
    """Hand a draft over to be sent now, at `at`, or at `local` (`2026-11-30T18:30`) on each member's own clock.

    Raises Invalid with everything that is wrong with it before the first message leaves, and Conflict when it is
    no draft any more.
    """
    now = clock.now()
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.state not in (CampaignState.DRAFT, CampaignState.SCHEDULED):
            raise Conflict(f"This campaign is {campaign.state} already. Copy it to send it again.")
        if found := problems(session, campaign):
            raise Invalid(found[0].message if len(found) == 1 else "\n".join(p.message for p in found))
        campaign.schedule, campaign.local_time, campaign.override = schedule, local, override
        campaign.scheduled_at = _first_moment(session, schedule, at, local, now)
        if campaign.scheduled_at < now - timedelta(minutes=1):
            raise Invalid(_too_late(schedule), field="at")
        campaign.expires_at = _expiry(session, campaign)
        campaign.state = CampaignState.SCHEDULED
        campaign.updated_at = now
        audit.record(session, actor, "campaign.start", campaign)
        queue.ring_after(session, "start_campaigns")


def _too_late(schedule: Schedule) -> str:
    if schedule == Schedule.LOCAL:
        return "For some members that hour has passed already: their clocks are ahead. Choose a later hour or day."
    return "That time has passed. Choose a later one, or send now."


def _first_moment(
    session: Session, schedule: Schedule, at: datetime | None, local: str | None, now: datetime
) -> datetime:
    if schedule == Schedule.AT and at:
        return at
    if schedule == Schedule.LOCAL and local:
        try:
            return min((zones.local_moment(z, local) for z in _zones_in_use(session)), default=now)
        except ValueError:
            raise Invalid("Choose a day and an hour, such as 2026-11-30 and 18:30.", field="at") from None
    if schedule != Schedule.NOW:
        raise Invalid("Choose a day and an hour.", field="at")
    return now


def _zones_in_use(session: Session) -> list[str]:
    return [z for z in session.scalars(select(Member.time_zone).distinct()) if z] or ["UTC"]


def _expiry(session: Session, campaign: Campaign) -> datetime:
    from service.models.gatherings import GroupSession

    begin = campaign.scheduled_at or clock.now()
    latest = begin + LIFETIMES[campaign.kind]
    meeting = session.get(GroupSession, campaign.session_id) if campaign.session_id else None
    return min(latest, meeting.starts_at) if meeting else latest


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
    source = audiences.recipients(audience, channel, Member.time_zone, after=after).limit(CHUNK).subquery()
    member_id, address_id, zone = source.c[0], source.c[1], source.c.time_zone
    last = session.scalar(select(func.max(cast(member_id, String))).select_from(source))
    if last is None:
        return None
    due = _due_by_zone(session, campaign)
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
    made = select(member_id, address_id, func.coalesce(due.c.due, literal(now, columns.due_at.type)), *fixed)
    made = made.select_from(source.outerjoin(due, due.c.zone == zone)).order_by(member_id)
    builder = sqlite_insert if db.current().is_sqlite else postgresql_insert
    session.execute(
        builder(Delivery)
        .from_select(["member_id", "address_id", "due_at", *row], made.where(_no_copy_yet(campaign, member_id)))
        .on_conflict_do_nothing()
    )
    return UUID(str(last))


def _no_copy_yet(campaign: Campaign, member_id: Any) -> ColumnElement[bool]:
    """A freeze that begins again must not give a second copy to somebody whose preference changed meanwhile."""
    from sqlalchemy import exists, or_

    mine = exists().where(Delivery.campaign_id == campaign.id, Delivery.member_id == member_id)
    both = exists().where(Member.id == member_id, Member.both_channels)
    return or_(~mine, both)


def _due_by_zone(session: Session, campaign: Campaign) -> Any:
    """A VALUES list: zone → the first moment at which this campaign may leave to somebody there."""
    start_ = max(campaign.scheduled_at or clock.now(), clock.now())
    window = (0, 1440) if campaign.override else config.current().window
    rows = []
    for zone in session.scalars(select(Zone)):
        local = campaign.schedule == Schedule.LOCAL and campaign.local_time
        earliest = max(start_, zones.local_moment(zone.name, campaign.local_time or "")) if local else start_
        rows.append((zone.name, next_opening(earliest, zone.offset_min, zone.offset_max, *window)))
    due_type = Delivery.__table__.c.due_at.type
    return values(column("zone", String), column("due", due_type), name="zone_due").data(rows).cte("zone_due")


def _asks(session: Session, campaign: Campaign) -> Asks | None:
    asks = ASKS.get(campaign.kind)
    if asks == Asks.ME_TOO and campaign.story_id:
        story = session.get(Story, campaign.story_id)
        return asks if story and story.me_too_allowed else None
    return asks


def pause(campaign_id: UUID, *, reason: str = "", actor: str = "system") -> None:
    """Stop sending at once: what is not yet leaving stays. Raises Conflict when there is nothing to pause."""
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.state not in (CampaignState.SENDING, CampaignState.SCHEDULED):
            raise Conflict(f"This campaign is {campaign.state}: there is nothing to pause.")
        _pause(session, campaign, reason)
        audit.record(session, actor, "campaign.pause", campaign)


def _pause(session: Session, campaign: Campaign, reason: str) -> None:
    campaign.state = CampaignState.PAUSED
    campaign.paused_reason = reason
    campaign.updated_at = clock.now()


def resume(campaign_id: UUID, *, actor: str = "system") -> None:
    """Go on after a pause. Raises Conflict when the campaign is not paused."""
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.state != CampaignState.PAUSED:
            raise Conflict(f"This campaign is {campaign.state}, not paused.")
        campaign.state = CampaignState.SENDING if campaign.started_at else CampaignState.SCHEDULED
        campaign.paused_reason = ""
        campaign.updated_at = clock.now()
        audit.record(session, actor, "campaign.resume", campaign)
        queue.ring_after(session, "start_campaigns")
    for channel in campaign.channel_names:
        waiting = _of(campaign_id, DeliveryState.QUEUED, channel, Delivery.queue == HELD)
        _in_chunks(waiting, {"queue": QUEUE_OF[channel], "due_at": clock.now()})
        queue.ring(f"drain_{QUEUE_OF[channel]}")


def cancel(campaign_id: UUID, *, actor: str = "system") -> None:
    """End a campaign: what has not begun to leave never will. Raises Conflict when it has ended already."""
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.state in (CampaignState.FINISHED, CampaignState.CANCELLED):
            raise Conflict(f"This campaign is {campaign.state} already.")
        campaign.state = CampaignState.CANCELLED
        campaign.frozen_at = campaign.frozen_at or clock.now()
        campaign.finished_at = campaign.updated_at = clock.now()
        audit.record(session, actor, "campaign.cancel", campaign)
    _in_chunks(
        _of(campaign_id, DeliveryState.QUEUED), {"state": DeliveryState.SKIPPED, "reason": "cancelled", "claim": None}
    )


def _of(campaign_id: UUID, state: DeliveryState, channel: ChannelName | None = None, *more: Any) -> Any:
    clauses = [Delivery.campaign_id == campaign_id, Delivery.state == state, *more]
    if channel:
        clauses.append(Delivery.channel == channel)
    return and_(*clauses)


def _in_chunks(where: Any, change: dict[str, Any]) -> int:
    """UPDATE deliveries in pieces of CHUNK, each its own transaction; returns the rows changed."""
    done = 0
    while True:
        with db.transaction() as session:
            ids = select(Delivery.id).where(where).limit(CHUNK)
            statement: Update = (
                update(Delivery)
                .where(Delivery.id.in_(ids), where)
                .values(**change, updated_at=clock.now())
                .execution_options(synchronize_session=False)
            )
            count = int(session.execute(statement).rowcount)  # type: ignore[attr-defined]
        done += count
        if count < CHUNK:
            return done
