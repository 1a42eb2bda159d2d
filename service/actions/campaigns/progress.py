"""How far campaigns are, and when one is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, exists, func, select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState

OPEN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)
WINDOW = timedelta(seconds=60)
"""The pace is what left in this time."""
SHELVES: dict[str, tuple[CampaignState, ...]] = {
    "all": tuple(CampaignState),
    "drafts": (CampaignState.DRAFT,),
    "on-their-way": (CampaignState.SCHEDULED, CampaignState.SENDING, CampaignState.PAUSED),
    "finished": (CampaignState.FINISHED, CampaignState.CANCELLED),
}
"""The views of the list of campaigns."""


@dataclass(frozen=True)
class Progress:
    """The states of a campaign's messages, and why some were skipped or wait."""

    states: dict[str, int]
    skipped: dict[str, int]
    waiting: dict[str, int]
    failed: dict[str, int]
    by_channel: dict[str, int]
    last_minute: int = 0
    """Copies that began to leave within WINDOW."""

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

    @property
    def ready(self) -> int:
        """Copies that wait for nothing but their turn."""
        return self.states.get(DeliveryState.QUEUED, 0) - sum(self.waiting.values())

    def seconds_left(self, begun: datetime | None) -> float | None:
        """About how long until everything that may leave has left, at the pace of the last minute; None: unknown."""
        if not self.ready:
            return 0.0
        span = min(WINDOW.total_seconds(), (clock.now() - begun).total_seconds()) if begun else 0.0
        return self.ready * max(span, 1.0) / self.last_minute if self.last_minute else None


def progress(session: Session, campaign_id: UUID) -> Progress:
    """Count one campaign's messages by state and reason; one pass over the index of the campaign."""
    lately = func.sum(case((Delivery.sending_at > clock.now() - WINDOW, 1), else_=0))
    rows = session.execute(
        select(Delivery.state, Delivery.reason, Delivery.error_code, Delivery.channel, func.count(), lately)
        .where(Delivery.campaign_id == campaign_id)
        .group_by(Delivery.state, Delivery.reason, Delivery.error_code, Delivery.channel)
    )
    states: dict[str, int] = {}
    skipped: dict[str, int] = {}
    waiting: dict[str, int] = {}
    failed: dict[str, int] = {}
    channels: dict[str, int] = {}
    last_minute = 0
    for state, reason, code, channel, count, late in rows:
        last_minute += int(late or 0)
        _add(states, state, count)
        _add(channels, channel, count)
        if state == DeliveryState.SKIPPED:
            _add(skipped, reason or "other", count)
        elif state == DeliveryState.QUEUED and reason:
            _add(waiting, reason, count)
        elif state in (DeliveryState.FAILED, DeliveryState.UNDELIVERED, DeliveryState.BOUNCED):
            _add(failed, code or reason or "other", count)
    return Progress(states, skipped, waiting, failed, channels, last_minute)


def _add(counts: dict[str, int], key: str, count: int) -> None:
    counts[str(key)] = counts.get(str(key), 0) + count


def done_of(session: Session, campaign_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """(settled, all) copies of each campaign: for the small bars of a list."""
    open_ = func.sum(case((Delivery.state.in_(OPEN), 1), else_=0))
    rows = session.execute(
        select(Delivery.campaign_id, func.count(), open_)
        .where(Delivery.campaign_id.in_(campaign_ids))
        .group_by(Delivery.campaign_id)
    )
    return {campaign_id: (total - int(unsettled), total) for campaign_id, total, unsettled in rows if campaign_id}


def recent(
    session: Session,
    *clauses: ColumnElement[bool],
    shelf: str = "all",
    before: UUID | None = None,
    after: UUID | None = None,
    limit: int = 20,
) -> list[Campaign]:
    """Campaigns of a shelf, newest first: the page behind (older than) `before`, or the one in front of `after`.

    `clauses` limit what may be seen: `access.access_campaigns(coordinator)`. The single cards of series, one or more
    every day, are not among them: the page of tools tells how a series goes.
    """
    shown = (Campaign.state.in_(SHELVES[shelf]), Campaign.series_id.is_(None))
    statement = select(Campaign).where(*shown, *clauses).limit(limit)
    if after:
        newer = session.scalars(statement.where(Campaign.id > after).order_by(Campaign.id))
        return list(newer)[::-1]
    if before:
        statement = statement.where(Campaign.id < before)
    return list(session.scalars(statement.order_by(Campaign.id.desc())))


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
