"""Claiming what is due. Everything that can forbid a message is judged here, for a whole batch at once, in the
transaction that takes it: consent, suppression, holds, pauses, windows, caps and open questions.

A refusal that will pass moves `due_at` to when it passes; any other is a recorded skip with its reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, bindparam, case, exists, or_, select, update
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions.audience import refusal
from service.actions.delivery.judging import Verdict, judge
from service.models.campaigns import (
    Campaign,
    CampaignState,
    Delivery,
    DeliveryState,
    Purpose,
)
from service.models.content import Story, StoryRead, StoryState
from service.models.conversations import Message
from service.models.gatherings import Circle
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    Member,
    MemberState,
    Subscription,
    Suppression,
    Zone,
)

LEASE = timedelta(seconds=60)
"""How long a claim holds. No request starts unless its own time-out ends before the lease does."""
HELD_QUEUE = "held"
AFTER_STOP = ("stopped", "stopped_with_line", "started_again", "help", "help_menu", "wrong_number_done",
              "deletion_received", "email_only_please_done", "ask_adult", "not_adult")  # fmt: skip
"""Our own texts that may still go to somebody who has stopped: the one confirmation, and answers to HELP or JOIN."""


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


@dataclass(slots=True)
class Batch:
    """What one claim brought: `examined` rows were due, `claimed` may leave."""

    examined: int
    claimed: list[Claimed]


def claim(queue_name: str, limit: int) -> Batch:
    """Take up to `limit` due messages of a queue that may leave now, and settle what may not."""
    now = clock.now()
    with db.transaction() as session:
        ids = _due(session, queue_name, limit, now)
        if not ids:
            return Batch(0, [])
        rows = _facts(session, ids, now)
        judged = judge(session, rows, now)
        claim_id = db.uuid7()
        taken = [row for row, verdict in judged if verdict is None]
        if taken:
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_([row.id for row in taken]))
                .values(claim=claim_id, claimed_until=now + LEASE, updated_at=now)
                .execution_options(synchronize_session=False)
            )
        _settle(session, [(row.id, verdict) for row, verdict in judged if verdict is not None], now)
    return Batch(len(ids), [_claimed(row, claim_id) for row in taken])


def give_back(claimed: Iterable[Claimed]) -> None:
    """Let go of what has not begun to leave, so that another worker may take it at once."""
    ids = [c.id for c in claimed]
    if not ids:
        return
    with db.transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.QUEUED)
            .values(claim=None, claimed_until=None)
            .execution_options(synchronize_session=False)
        )


def mark_sending(claimed: Sequence[Claimed], request_id: UUID | None = None) -> set[int]:
    """Commit that these are about to leave; returns the ids that still may.

    Whatever was taken back since the claim (an opt-out, a pause, a flag, a cancelled campaign, a lease that is
    nearly over) is not among them.
    """
    if not claimed:
        return set()
    now = clock.now()
    last_start = now + timedelta(seconds=config.current().send_timeout)
    running = select(Campaign.id).where(
        Campaign.id.in_({c.campaign_id for c in claimed if c.campaign_id}), Campaign.state == CampaignState.SENDING
    )
    with db.transaction() as session:
        marked = session.scalars(
            update(Delivery)
            .where(
                Delivery.id.in_([c.id for c in claimed]),
                Delivery.claim == claimed[0].claim,
                Delivery.state == DeliveryState.QUEUED,
                Delivery.claimed_until >= last_start,
                or_(Delivery.campaign_id.is_(None), Delivery.campaign_id.in_(running)),
            )
            .values(
                state=DeliveryState.SENDING,
                sending_at=now,
                attempts=Delivery.attempts + 1,
                request_id=request_id,
                reason=None,
                updated_at=now,
            )
            .returning(Delivery.id)
            .execution_options(synchronize_session=False)
        )
        return set(marked)


def _due(session: Session, queue_name: str, limit: int, now: datetime) -> list[int]:
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
    if not db.current().is_sqlite:
        statement = statement.with_for_update(skip_locked=True)
    return list(session.scalars(statement))


def _facts(session: Session, ids: Sequence[int], now: datetime) -> list[Row[Any]]:
    """Everything that the verdict and the writing need, in one query over the batch."""
    of_campaign = Delivery.campaign_id.is_not(None)
    consent = case(
        (of_campaign, refusal(Member, Address, Subscription, Delivery.topic.is_not(None))),
        else_=_refusal_of_single(),
    )
    story_over = and_(
        Campaign.story_id.is_not(None),
        or_(
            Story.state != StoryState.PUBLISHED,
            and_(Story.consent_until.is_not(None), Story.consent_until < now.date()),
            and_(Delivery.channel == ChannelName.SMS, Story.consent_sms.is_(False)),
            and_(Delivery.channel == ChannelName.EMAIL, Story.consent_email.is_(False)),
        ),
    )
    already = exists().where(StoryRead.story_id == Campaign.story_id, StoryRead.member_id == Delivery.member_id)
    statement = (
        select(
            Delivery.id, Delivery.campaign_id, Delivery.message_id, Delivery.member_id, Delivery.address_id,
            Delivery.channel, Delivery.purpose, Delivery.attempts, Delivery.override, Delivery.asks,
            Delivery.direct_to, Address.value.label("address"), Address.introduced_at, Member.first_name,
            Member.locale, Member.time_zone, Member.country, Member.discreet, Member.held_at, Member.paused_until,
            Member.window_from, Member.window_to, Member.weekly_cap, Member.loss_on,
            Subscription.state.label("subscription_state"), Subscription.paused_until.label("topic_paused_until"),
            Campaign.state.label("campaign_state"), Campaign.kind, Campaign.expires_at, Circle.on_hold,
            Zone.offset_min, Zone.offset_max, consent.label("refused"), story_over.label("story_over"),
            and_(Campaign.story_id.is_not(None), already).label("already_read"),
        )
        .outerjoin(Member, Member.id == Delivery.member_id)
        .outerjoin(Address, Address.id == Delivery.address_id)
        .outerjoin(Message, Message.id == Delivery.message_id)
        .outerjoin(Campaign, Campaign.id == Delivery.campaign_id)
        .outerjoin(Story, Story.id == Campaign.story_id)
        .outerjoin(Circle, Circle.id == Campaign.circle_id)
        .outerjoin(Zone, Zone.name == Member.time_zone)
        .outerjoin(
            Subscription,
            and_(
                Subscription.member_id == Delivery.member_id,
                Subscription.topic == Delivery.topic,
                Subscription.channel == Delivery.channel,
            ),
        )
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.priority, Delivery.due_at, Delivery.id)
    )  # fmt: skip
    found: Any = session.execute(statement).all()
    return list(found)


def _refusal_of_single() -> ColumnElement[str | None]:
    """SQL: why an answer, a confirmation, a reply or a page may not leave, or NULL.

    These follow something that the person did, so a topic does not matter; a stop still does, but for the answers
    that a stop itself needs. The answer to risk is never held back by us.
    """
    suppressed = exists().where(
        Suppression.channel == Delivery.channel,
        or_(
            Suppression.index_hash == Address.index_hash,
            Suppression.index_hash == Delivery.direct_hash,
        ),
    )
    may_follow_stop = or_(
        Delivery.purpose.in_([Purpose.SAFETY, Purpose.PAGE, Purpose.TEST]),
        and_(Delivery.purpose == Purpose.ANSWER, Message.template.in_(AFTER_STOP)),
    )
    return case(
        (Member.state == MemberState.DIED, "died"),
        (and_(Delivery.direct_to.is_(None), Address.id.is_(None)), "no_address"),
        (Address.state == AddressState.UNREACHABLE, "unreachable"),
        (and_(suppressed, ~may_follow_stop), "suppressed"),
        else_=None,
    )


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
        connection.execute(update(Delivery).where(Delivery.id.in_(parks)).values(queue=HELD_QUEUE, updated_at=now))


def _claimed(row: Row[Any], claim_id: UUID) -> Claimed:
    return Claimed(
        id=row.id,
        campaign_id=row.campaign_id,
        message_id=row.message_id,
        member_id=row.member_id,
        address_id=row.address_id,
        channel=row.channel,
        purpose=row.purpose,
        attempts=row.attempts,
        to=row.direct_to or row.address or "",
        first_name=row.first_name or "",
        locale=row.locale or "en",
        time_zone=row.time_zone or "UTC",
        country=row.country or "",
        discreet=bool(row.discreet),
        introduced_at=row.introduced_at,
        claim=claim_id,
    )


def release(session: Session, member_id: UUID, *reasons: str) -> None:
    """What waited for one of these reasons is due again now: the question was answered, the flag was cleared."""
    session.execute(
        update(Delivery)
        .where(Delivery.member_id == member_id, Delivery.state == DeliveryState.QUEUED, Delivery.reason.in_(reasons))
        .values(due_at=clock.now(), reason=None)
        .execution_options(synchronize_session=False)
    )
