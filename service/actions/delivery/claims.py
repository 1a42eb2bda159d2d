"""Claiming what is due. Everything that can forbid a message is judged here, for a whole batch at once, in the
transaction that takes it: consent, suppression, holds, pauses, windows, caps and open questions.

A refusal that will pass moves `due_at` to when it passes; any other is a recorded skip with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, or_, select, update
from sqlalchemy.orm import Session

from service import clock, config, db, logs, queue
from service.actions import holds
from service.actions.delivery import silence
from service.actions.delivery.judging import Verdict, judge
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState, Purpose
from service.models.members import ChannelName

log = logs.get("delivery")

HELD_QUEUE = "held"


def lease() -> timedelta:
    """How long a claim holds, and a request after it was marked.

    A sender takes at most four rounds of requests in hand beside the one under way (`twilio.send`), so each ends
    before its lease does: no request starts unless its own time-out ends first.
    """
    settings = config.current()
    return timedelta(seconds=max(settings.lease_seconds, 5 * settings.send_timeout))


@dataclass(slots=True)
class Claimed:
    """One message that we hold until `claimed_until`, with what is needed to write it."""

    id: int
    campaign_id: UUID | None
    message_id: UUID | None
    member_id: UUID | None
    address_id: UUID | None
    channel: ChannelName
    purpose: Purpose
    attempts: int
    to: str = field(repr=False)
    first_name: str = field(repr=False)
    locale: str
    time_zone: str
    country: str
    discreet: bool
    introduced_at: datetime | None
    claim: UUID
    phone_country: str = ""
    """Where a text goes; the member's own country may be another."""
    tells_story: bool = False
    segments: int = 1
    begun: bool = False
    """Whether it was marked as leaving, so that there is nothing to give back."""


@dataclass(slots=True)
class Batch:
    """What one claim brought: `examined` rows were due, `claimed` may leave."""

    examined: int
    claimed: list[Claimed]


def claim(queue_name: str, limit: int, only: ChannelName | None = None) -> Batch:
    """Take up to `limit` due messages of a queue that may leave now, and settle what may not.

    `only` leaves those of the other channel where they are.
    """
    now = clock.now()
    with db.transaction() as session:
        ids = _due(session, queue_name, limit, now, only)
        if not ids:
            return Batch(0, [])
        judged = judge(session, ids, now)
        claim_id = db.uuid7()
        taken = [row for row, verdict in judged if verdict is None]
        if taken:
            session.execute(
                update(Delivery)
                .where(db.among(Delivery.id, [row.id for row in taken]))
                .values(claim=claim_id, claimed_until=now + lease(), updated_at=now)
                .execution_options(synchronize_session=False)
            )
        _settle(session, [(row.id, verdict) for row, verdict in judged if verdict is not None], now)
        silence.ask(session, {row.address_id for row, verdict in judged if verdict is not None and verdict.ask}, now)
    return Batch(len(ids), [_claimed(row, claim_id) for row in taken])


def give_back(claimed: Sequence[Claimed]) -> None:
    """Let go of what has not begun to leave, so that another worker may take it at once."""
    left = [c for c in claimed if not c.begun]
    if not left:
        return
    with db.transaction() as session:
        session.execute(
            update(Delivery)
            .where(*_ours(left), Delivery.state == DeliveryState.QUEUED)
            .values(claim=None, claimed_until=None)
            .execution_options(synchronize_session=False)
        )


def refuse(c: Claimed, reason: str) -> None:
    """A message that cannot be written is skipped with its reason; nothing has left."""
    with db.transaction() as session:
        session.execute(
            update(Delivery)
            .where(*_ours([c]), Delivery.state == DeliveryState.QUEUED)
            .values(state=DeliveryState.SKIPPED, reason=reason, updated_at=clock.now())
        )


def cannot_write(campaign_id: UUID | None, claimed: Sequence[Claimed], error: Exception) -> None:
    """What fails for one will fail for all: the campaign waits for a person, everything else goes on."""
    log.error("a message cannot be written", campaign=str(campaign_id), exc_info=error)
    if campaign_id is None:
        for c in claimed:
            refuse(c, "cannot_render")
        return
    with db.transaction() as session:
        holds.pause_campaign(session, campaign_id, f"It cannot be written ({type(error).__name__}). Check its words.")


def mark_sending(claimed: Sequence[Claimed], request_id: UUID | None = None) -> set[int]:
    """Commit that these are about to leave, with a fresh lease; returns the ids that still may.

    Whatever was taken back since the claim (an opt-out, a pause, a flag, a cancelled campaign, a lease that ran out)
    is not among them.
    """
    if not claimed:
        return set()
    now = clock.now()
    running = select(Campaign.id).where(
        Campaign.id.in_({c.campaign_id for c in claimed if c.campaign_id}), Campaign.state == CampaignState.SENDING
    )
    with db.transaction() as session:
        marked = session.scalars(
            update(Delivery)
            .where(
                *_ours(claimed),
                Delivery.state == DeliveryState.QUEUED,
                Delivery.claimed_until > now,
                or_(Delivery.campaign_id.is_(None), Delivery.campaign_id.in_(running)),
            )
            .values(
                state=DeliveryState.SENDING,
                sending_at=now,
                claimed_until=now + lease(),
                attempts=Delivery.attempts + 1,
                request_id=request_id,
                reason=None,
                updated_at=now,
            )
            .returning(Delivery.id)
            .execution_options(synchronize_session=False)
        )
        begun = set(marked)
    for c in claimed:
        c.begun = c.begun or c.id in begun
    return begun


def _ours(claimed: Sequence[Claimed]) -> tuple[ColumnElement[bool], ...]:
    """The rows of one claim that nobody has taken from it since."""
    return db.among(Delivery.id, [c.id for c in claimed]), Delivery.claim == claimed[0].claim


def _due(session: Session, queue_name: str, limit: int, now: datetime, only: ChannelName | None) -> list[int]:
    statement = (
        select(Delivery.id)
        .where(
            Delivery.state == DeliveryState.QUEUED,
            Delivery.queue == queue_name,
            Delivery.due_at <= now,
            or_(Delivery.claimed_until.is_(None), Delivery.claimed_until < now),
        )
        .order_by(Delivery.priority, Delivery.due_at, Delivery.id)
        .limit(limit)
    )
    if only is not None:
        statement = statement.where(Delivery.channel == only)
    if not db.current().is_sqlite:
        statement = statement.with_for_update(skip_locked=True)
    return list(session.scalars(statement))


def _settle(session: Session, verdicts: Sequence[tuple[int, Verdict]], now: datetime) -> None:
    """Write the refusals: three statements, whatever the size of the batch."""
    waits = [{"_id": i, "_due": v.due, "_reason": v.reason} for i, v in verdicts if v.due is not None]
    parks = [i for i, v in verdicts if v.park]
    skips = [{"_id": i, "_reason": v.reason} for i, v in verdicts if v.due is None and not v.park]
    one = Delivery.id == bindparam("_id")
    connection = session.connection()
    if waits:
        changes = {"due_at": bindparam("_due"), "reason": bindparam("_reason"), "updated_at": now}
        connection.execute(update(Delivery).where(one).values(changes), waits)
    if skips:
        changes = {"state": DeliveryState.SKIPPED, "reason": bindparam("_reason"), "updated_at": now}
        connection.execute(update(Delivery).where(one).values(changes), skips)
    if parks:
        _park(session, parks, now)


def _park(session: Session, ids: Sequence[int], now: datetime) -> None:
    """Put messages of paused campaigns where no worker looks. `campaigns.resume` fetches them from there."""
    paused = select(Campaign.id).where(
        Campaign.id.in_(select(Delivery.campaign_id).where(Delivery.id.in_(ids))),
        Campaign.state == CampaignState.PAUSED,
    )
    if not db.current().is_sqlite:
        # A resume that is under way must see what is parked here, or find nothing parked any more.
        paused = paused.with_for_update(read=True)
    still = list(session.scalars(paused))
    session.connection().execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.campaign_id.in_(still))
        .values(queue=HELD_QUEUE, claim=None, claimed_until=None, updated_at=now)
    )


def _claimed(row: Row[Any], claim_id: UUID) -> Claimed:
    plain = getattr(row, "plain", False)  # a row of `facts.lean`, which belongs to a campaign and has no more than this
    return Claimed(
        id=row.id,
        campaign_id=row.campaign_id,
        message_id=None if plain else row.message_id,
        member_id=row.member_id,
        address_id=row.address_id,
        channel=row.channel,
        purpose=Purpose.CAMPAIGN if plain else row.purpose,
        attempts=row.attempts,
        to=row.address if plain else row.direct_to or row.address or "",
        first_name=row.first_name or "",
        locale=row.locale or "en",
        time_zone=row.time_zone or "UTC",
        country=row.country or "",
        discreet=bool(row.discreet),
        introduced_at=row.introduced_at,
        claim=claim_id,
        phone_country=row.address_country or "",
        tells_story=row.tells_story if plain else row.story_id is not None,
    )


def release(session: Session, member_id: UUID, *reasons: str) -> None:
    """What waited for one of these reasons is due again now: the question was answered, the flag was cleared."""
    result = session.execute(
        update(Delivery)
        .where(Delivery.member_id == member_id, Delivery.state == DeliveryState.QUEUED, Delivery.reason.in_(reasons))
        .values(due_at=clock.now(), reason=None)
        .execution_options(synchronize_session=False)
    )
    if result.rowcount:  # type: ignore[attr-defined]
        for name in ("texts", "emails"):
            queue.ring_after(session, f"drain_{name}")
