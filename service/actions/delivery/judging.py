"""What a due message of a campaign must wait for, or why it never leaves: the rules of one member's peace.

The facts come from one query over the whole batch (`claims`); here is only their order, from final to passing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from service import config
from service.actions import zones
from service.actions.delivery.rules import cap_opens, next_opening
from service.models.campaigns import Asks, CampaignKind, CampaignState, Delivery, DeliveryState, Purpose
from service.models.members import SubscriptionState

LOOK_AGAIN = timedelta(hours=1)
QUESTION_OPEN = timedelta(hours=48)
"""How long a question waits for its answer (rule of conversation 8)."""
AFTER_LOSS = timedelta(weeks=8)
"""No hope story in the first weeks after a loss that the member told us of (rule of conversation 12)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Not now, or not at all: wait until `due`, wait in the held queue (`park`), or skip."""

    reason: str
    due: datetime | None = None
    park: bool = False


def judge(session: Session, rows: Sequence[Row[Any]], now: datetime) -> list[tuple[Row[Any], Verdict | None]]:
    """Each row of a batch with what keeps it from leaving now, None when nothing does."""
    campaign_rows = [row for row in rows if row.campaign_id is not None]
    history = History(session, campaign_rows, now)
    seen: set[UUID] = set()
    judged = []
    for row in rows:
        verdict = verdict_on(row, history, now) if row.campaign_id is not None else _single(row)
        if verdict is None and row.campaign_id is not None and not row.override:
            if row.member_id in seen:  # two for one member in a batch: the second is judged after the first has left
                verdict = Verdict("cap", due=now + timedelta(seconds=30))
            seen.add(row.member_id)
        judged.append((row, verdict))
    return judged


def _single(row: Row[Any]) -> Verdict | None:
    return Verdict(row.refused) if row.refused else None


def verdict_on(row: Row[Any], history: "History", now: datetime) -> Verdict | None:
    """Why a campaign's message may not leave now, or None when it may. The order is from final to passing."""
    if row.campaign_state == CampaignState.PAUSED:
        return Verdict("campaign_paused", park=True)
    if row.campaign_state != CampaignState.SENDING:
        return Verdict("cancelled")
    if row.refused:
        return Verdict(row.refused)
    if row.expires_at and row.expires_at <= now:
        return Verdict("stale")
    if row.story_over:
        return Verdict("story_withdrawn")
    if row.already_read:
        return Verdict("already_read")
    if row.kind == CampaignKind.STORY and _grieving(row.loss_on, now.date()):
        return Verdict("after_loss")
    return _waits(row, now) or (None if row.override else _not_yet(row, history, now))


def _waits(row: Row[Any], now: datetime) -> Verdict | None:
    """Holds that --now does not lift: a flag, a break, a circle that mourns."""
    if row.held_at is not None or row.on_hold:
        return _later(row, "held" if row.held_at else "circle_rests", now + LOOK_AGAIN)
    if row.paused_until and row.paused_until > now:
        return _later(row, "paused", row.paused_until)
    if row.subscription_state == SubscriptionState.PAUSED:
        until = row.topic_paused_until
        if until is None or until > now:
            return _later(row, "paused", until) if until else Verdict("paused")
    return None


def _not_yet(row: Row[Any], history: "History", now: datetime) -> Verdict | None:
    """Window, caps and open questions."""
    settings = config.current()
    start, end = settings.window
    if row.window_from is not None and row.window_to is not None:
        start, end = row.window_from, row.window_to
    low, high = (row.offset_min, row.offset_max) if row.offset_min is not None else zones.offsets(row.time_zone, now)
    opens = next_opening(now, low, high, start, end)
    if opens > now:
        return _later(row, "window", opens)
    weekly = settings.weekly_cap if row.weekly_cap is None else row.weekly_cap
    free = history.cap_opens(row, settings.daily_cap, weekly)
    if free:
        return _later(row, "cap", free)
    asked = history.question_open_until(row)
    return _later(row, "open_question", asked) if asked else None


def _later(row: Row[Any], reason: str, due: datetime) -> Verdict:
    """Wait until `due`, unless the message will be too old by then."""
    return (
        Verdict("stale" if reason != "paused" else "paused")
        if row.expires_at and due >= row.expires_at
        else Verdict(reason, due=due)
    )


def _grieving(loss_on: date | None, today: date) -> bool:
    return loss_on is not None and loss_on + AFTER_LOSS > today


class History:
    """What the batch's members were sent in the last week, read once: for caps and open questions."""

    def __init__(self, session: Session, rows: Sequence[Row[Any]], now: datetime) -> None:
        self.now = now
        self.sent: dict[UUID, list[tuple[UUID, datetime, Asks | None, bool]]] = {}
        members = {row.member_id for row in rows if not row.override}
        if not members:
            return
        statement = select(
            Delivery.member_id, Delivery.campaign_id, Delivery.sending_at, Delivery.asks, Delivery.answered_at
        ).where(
            Delivery.member_id.in_(members),
            Delivery.sending_at > now - timedelta(days=7),
            Delivery.purpose == Purpose.CAMPAIGN,
            Delivery.state.not_in([DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED]),
        )
        for member_id, campaign_id, at, asks, answered in session.execute(statement):
            if member_id and campaign_id and at:
                self.sent.setdefault(member_id, []).append((campaign_id, at, asks, answered is None))

    def cap_opens(self, row: Row[Any], daily: int, weekly: int) -> datetime | None:
        """When the caps let this one through; the other channel's copy of the same campaign does not count."""
        latest: dict[UUID, datetime] = {}
        for campaign_id, at, _, _ in self.sent.get(row.member_id, ()):
            if campaign_id != row.campaign_id:
                latest[campaign_id] = max(at, latest.get(campaign_id, at))
        moments = sorted(latest.values())
        day = [m for m in moments if m > self.now - timedelta(days=1)]
        newest, oldest = (moments[-1], moments[0]) if moments else (None, None)
        return cap_opens(self.now, len(day), len(moments), daily, weekly, newest, oldest)

    def question_open_until(self, row: Row[Any]) -> datetime | None:
        """When an unanswered question that takes the same kind of answer runs out; None if there is none."""
        if row.asks is None or row.asks == Asks.ME_TOO:
            return None
        open_ = [
            at + QUESTION_OPEN
            for campaign_id, at, asks, unanswered in self.sent.get(row.member_id, ())
            if asks == row.asks and unanswered and campaign_id != row.campaign_id
        ]
        until = max(open_, default=None)
        return until if until and until > self.now else None
