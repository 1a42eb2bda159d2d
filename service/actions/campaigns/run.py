"""Starting, pausing, resuming and ending campaigns."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, and_, select, update
from sqlalchemy.orm import Session

from service import clock, db, queue
from service.actions import audit, zones
from service.actions.campaigns.checking import problems
from service.actions.campaigns.compose import Draft, add, get
from service.actions.delivery.results import breathe
from service.actions.resonance import prompts
from service.errors import Conflict, Invalid
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery, DeliveryState, Schedule
from service.models.gatherings import GroupSession
from service.models.members import ChannelName, Member

PIECE, LARGE_PIECE = 500, 50_000
"""Rows changed per transaction, on SQLite and on PostgreSQL."""
QUEUE_OF: dict[ChannelName, str] = {ChannelName.SMS: "texts", ChannelName.EMAIL: "emails"}
HELD = "held"
"""The queue where a paused campaign's messages wait; no worker looks at it."""
LIFETIMES: dict[CampaignKind, timedelta] = {
    CampaignKind.CHECKIN: timedelta(days=1),
    CampaignKind.INVITE: timedelta(days=7),
    CampaignKind.STORY: timedelta(days=7),
    CampaignKind.PROMPT: timedelta(days=3),
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
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.state not in (CampaignState.DRAFT, CampaignState.SCHEDULED):
            raise Conflict(f"This campaign is {campaign.state} already. Copy it to send it again.")
        _start(session, campaign, schedule, at, local, override=override, actor=actor)


def send_now(draft: Draft, *, override: bool = False, actor: str = "system") -> UUID:
    """Write a campaign and hand it over to be sent at once; its id. One that cannot be sent leaves no draft behind.

    Raises Invalid with everything that is wrong with it, NotFound for something that it names and that is not there.
    """
    with db.transaction() as session:
        campaign = add(session, draft, actor=actor)
        _start(session, campaign, Schedule.NOW, None, None, override=override, actor=actor)
        return campaign.id


def _start(
    session: Session, campaign: Campaign, schedule: Schedule, at: datetime | None, local: str | None,
    *, override: bool, actor: str,
) -> None:  # fmt: skip
    now = clock.now()
    if campaign.prompt_id is not None:
        prompts.hold(session, campaign.prompt_id)
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
    """When the first copy may leave: now, at `at`, or when the first member's clock shows `local`. Raises Invalid."""
    if schedule == Schedule.AT and at:
        return at
    if schedule == Schedule.LOCAL and local:
        try:
            return min((zones.local_moment(z, local) for z in zones_in_use(session)), default=now)
        except ValueError:
            raise Invalid("Choose a day and an hour, such as 2026-11-30 and 18:30.", field="at") from None
    if schedule != Schedule.NOW:
        raise Invalid("Choose a day and an hour.", field="at")
    return now


def zones_in_use(session: Session) -> list[str]:
    """The time zones that members live in."""
    return [z for z in session.scalars(select(Member.time_zone).distinct()) if z] or ["UTC"]


def _expiry(session: Session, campaign: Campaign) -> datetime:
    begin = campaign.scheduled_at or clock.now()
    latest = begin + LIFETIMES[campaign.kind]
    meeting = session.get(GroupSession, campaign.session_id) if campaign.session_id else None
    return min(latest, meeting.starts_at) if meeting else latest


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
    _fetch_held(campaign_id, campaign.channel_names)


def fetch_stranded() -> int:
    """Fetch what still waits of campaigns that go on: a resume may have been killed in the middle. How many."""
    stranded = select(Campaign.id, Campaign.channels).where(
        Campaign.state == CampaignState.SENDING,
        Campaign.id.in_(
            select(Delivery.campaign_id).where(Delivery.queue == HELD, Delivery.state == DeliveryState.QUEUED)
        ),
    )
    with db.reading() as session:
        found = session.execute(stranded).all()
    return sum(_fetch_held(id_, [ChannelName(c) for c in channels.split(",")]) for id_, channels in found)


def _fetch_held(campaign_id: UUID, channels: Iterable[ChannelName]) -> int:
    done = 0
    for channel in channels:
        waiting = _of(campaign_id, DeliveryState.QUEUED, Delivery.channel == channel, Delivery.queue == HELD)
        done += _in_pieces(waiting, {"queue": QUEUE_OF[channel], "due_at": clock.now()})
        queue.ring(f"drain_{QUEUE_OF[channel]}")
    return done


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
    _in_pieces(
        _of(campaign_id, DeliveryState.QUEUED), {"state": DeliveryState.SKIPPED, "reason": "cancelled", "claim": None}
    )


def _of(campaign_id: UUID, state: DeliveryState, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(Delivery.campaign_id == campaign_id, Delivery.state == state, *more)


def _in_pieces(where: ColumnElement[bool], change: dict[str, Any]) -> int:
    """UPDATE deliveries in pieces, each its own transaction; returns the rows changed.

    SQLite has one writer at a time: small pieces, and a moment between them for the others (DESIGN 6.10).
    """
    size = PIECE if db.current().is_sqlite else LARGE_PIECE
    done = last = 0
    while True:
        with db.transaction() as session:
            ids = list(
                session.scalars(select(Delivery.id).where(where, Delivery.id > last).order_by(Delivery.id).limit(size))
            )
            if not ids:
                return done
            statement: Update = update(Delivery).where(Delivery.id.between(ids[0], ids[-1]), where)
            result = session.execute(
                statement.values(**change, updated_at=clock.now()).execution_options(synchronize_session=False)
            )
            done += int(result.rowcount)  # type: ignore[attr-defined]
        last = ids[-1]
        breathe()
