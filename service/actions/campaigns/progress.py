"""How far campaigns are, what replies to expect, and when one is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery, DeliveryState
from service.models.staff import Coordinator, DutyShift

OPEN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)
REPLY_RATE: dict[CampaignKind, float] = {
    CampaignKind.CHECKIN: 0.35,
    CampaignKind.INVITE: 0.45,
    CampaignKind.STORY: 0.12,
    CampaignKind.TOOL: 0.05,
    CampaignKind.ANNOUNCEMENT: 0.05,
}
"""Replies per message within two days, where this installation has no history of its own: a cautious guess."""


@dataclass(frozen=True)
class Progress:
    """The states of a campaign's messages, and why some were skipped or wait."""

    states: dict[str, int]
    skipped: dict[str, int]
    waiting: dict[str, int]
    failed: dict[str, int]
    by_channel: dict[str, int]

    @property
    def total(self) -> int:
        """Copies made when the audience was frozen, so far."""
        return sum(self.states.values())

    @property
    def open(self) -> int:
        """Copies of which the end is not known yet."""
        return sum(self.states.get(s, 0) for s in OPEN)

    @property
    def left(self) -> int:
        """Copies that have left us."""
        return self.total - self.open - self.states.get(DeliveryState.SKIPPED, 0)


def progress(session: Session, campaign_id: UUID) -> Progress:
    """Count one campaign's messages by state and reason; one pass over the index of the campaign."""
    rows = session.execute(
        select(Delivery.state, Delivery.reason, Delivery.error_code, Delivery.channel, func.count())
        .where(Delivery.campaign_id == campaign_id)
        .group_by(Delivery.state, Delivery.reason, Delivery.error_code, Delivery.channel)
    )
    states: dict[str, int] = {}
    skipped: dict[str, int] = {}
    waiting: dict[str, int] = {}
    failed: dict[str, int] = {}
    channels: dict[str, int] = {}
    for state, reason, code, channel, count in rows:
        _add(states, state, count)
        _add(channels, channel, count)
        if state == DeliveryState.SKIPPED:
            _add(skipped, reason or "other", count)
        elif state == DeliveryState.QUEUED and reason:
            _add(waiting, reason, count)
        elif state in (DeliveryState.FAILED, DeliveryState.UNDELIVERED, DeliveryState.BOUNCED):
            _add(failed, code or reason or "other", count)
    return Progress(states, skipped, waiting, failed, channels)


def _add(counts: dict[str, int], key: str, count: int) -> None:
    counts[str(key)] = counts.get(str(key), 0) + count


def recent(
    session: Session, *, before: UUID | None = None, limit: int = 20, circle_ids: Sequence[UUID] | None = None
) -> list[Campaign]:
    """Campaigns, newest first; `before` pages backwards. `circle_ids` limits to those circles (None: all)."""
    statement = select(Campaign).order_by(Campaign.id.desc()).limit(limit)
    if before:
        statement = statement.where(Campaign.id < before)
    if circle_ids is not None:
        statement = statement.where(Campaign.circle_id.in_(circle_ids))
    return list(session.scalars(statement))


def finish_done() -> int:
    """Close sending campaigns of which nothing is open any more; returns how many."""
    with db.transaction() as session:
        still_open = exists().where(Delivery.campaign_id == Campaign.id, Delivery.state.in_(OPEN))
        result = session.execute(
            update(Campaign)
            .where(Campaign.state == CampaignState.SENDING, Campaign.frozen_at.is_not(None), ~still_open)
            .values(state=CampaignState.FINISHED, finished_at=clock.now(), updated_at=clock.now())
            .execution_options(synchronize_session=False)
        )
        return int(result.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ExpectedReplies:
    """How many answers a campaign may bring, and who is there to read them."""

    low: int
    high: int
    from_history: bool
    on_duty: list[str]
    gap_from: datetime | None
    """The first moment in the two days after sending when nobody is on duty; None if somebody always is."""


def expected_replies(
    session: Session, kind: CampaignKind, people: int, when: datetime | None = None
) -> ExpectedReplies:
    """What to expect in the two days after sending `people` messages of a kind, against the rota."""
    begin = when or clock.now()
    rate, history = _rate(session, kind)
    shifts = session.execute(
        select(DutyShift.starts_at, DutyShift.ends_at, Coordinator.name)
        .join(Coordinator, Coordinator.id == DutyShift.coordinator_id)
        .where(DutyShift.ends_at > begin, DutyShift.starts_at < begin + timedelta(days=2))
        .order_by(DutyShift.starts_at)
    ).all()
    names = list(dict.fromkeys(name for start, _, name in shifts if start <= begin + timedelta(hours=12)))
    gap = _first_gap([(s, e) for s, e, _ in shifts], begin, begin + timedelta(days=2))
    return ExpectedReplies(round(people * rate * 0.6), -(-int(people * rate * 140) // 100), history, names, gap)


def _rate(session: Session, kind: CampaignKind) -> tuple[float, bool]:
    sent, answered = session.execute(
        select(func.count(), func.count(Delivery.answered_at))
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(Campaign.kind == kind, Delivery.sending_at > clock.now() - timedelta(days=90))
    ).one()
    return (answered / sent, True) if sent >= 100 else (REPLY_RATE[kind], False)


def _first_gap(shifts: Sequence[tuple[datetime, datetime]], begin: datetime, end: datetime) -> datetime | None:
    covered = begin
    for start, stop in sorted(shifts):
        if start > covered:
            return covered
        covered = max(covered, stop)
        if covered >= end:
            return None
    return covered if covered < end else None
