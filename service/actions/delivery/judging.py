"""What a due message of a campaign must wait for, or why it never leaves: the rules of one member's peace.

The facts come from one query over the whole batch (`claims`); here is only their order, from final to passing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from service import config
from service.actions import zones
from service.actions.delivery import budget
from service.actions.delivery.history import History
from service.actions.delivery.rules import cap_opens, next_opening
from service.models.campaigns import CampaignKind, CampaignState, Purpose
from service.models.content import StoryState
from service.models.gatherings import SessionState
from service.models.members import SubscriptionState

LOOK_AGAIN = timedelta(hours=1)
SOON = timedelta(seconds=30)
"""When to look again at what waits for something that is leaving at this moment."""
AFTER_LOSS = timedelta(weeks=8)
"""No hope story in the first weeks after a loss that the member told us of (rule of conversation 12)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Not now, or not at all: wait until `due`, wait in the held queue (`park`), or skip."""

    reason: str
    due: datetime | None = None
    park: bool = False


def judge(session: Session, rows: Sequence[Row[Any]], now: datetime) -> list[tuple[Row[Any], Verdict | None]]:
    """Each row of a batch, in its order, with what keeps it from leaving now; None when nothing does."""
    history = History(session, [row for row in rows if row.campaign_id is not None], now)
    limits = budget.limits(session, now)
    judged = []
    for row in rows:
        if row.campaign_id is None:
            verdict = Verdict(row.refused) if row.refused else _limited(row, limits, now)
        else:
            verdict = verdict_on(row, history, now) or _limited(row, limits, now)
            if verdict is None:
                history.leaves(row)  # the next one of this member in the batch is judged as if this had gone
        judged.append((row, verdict))
    return judged


def verdict_on(row: Row[Any], history: History, now: datetime) -> Verdict | None:
    """Why a campaign's message may not leave now, or None when it may. The order is from final to passing."""
    if row.campaign_state == CampaignState.PAUSED:
        return Verdict("campaign_paused", park=True)
    if row.campaign_state != CampaignState.SENDING:
        return Verdict("cancelled")
    final = _never(row, now)
    if final:
        return Verdict(final)
    return _waits(row, history, now) or (None if row.override else _not_yet(row, history, now))


def _never(row: Row[Any], now: datetime) -> str | None:
    """The reasons that do not pass."""
    if row.refused:
        return str(row.refused)
    if row.left_circle:
        return "left_circle"
    if row.meeting_state == SessionState.CANCELLED:
        return "session_cancelled"
    if (row.expires_at and row.expires_at <= now) or (row.meeting_at and row.meeting_at <= now):
        return "stale"
    if row.story_over and row.story_state != StoryState.RESTING:
        return "story_withdrawn"
    if row.already_read:
        return "already_read"
    if row.kind == CampaignKind.STORY and _grieving(row.loss_on, now.date()):
        return "after_loss"
    return None


def _waits(row: Row[Any], history: History, now: datetime) -> Verdict | None:
    """Holds that --now does not lift: a flag, a break, a circle that mourns, a story that rests or is on its way."""
    if row.held_at is not None:
        return _later(row, "held", now + LOOK_AGAIN)
    if row.on_hold:
        return _later(row, "circle_rests", now + LOOK_AGAIN)
    if row.paused_until and row.paused_until > now:
        return _later(row, "paused", row.paused_until)
    if row.subscription_state == SubscriptionState.PAUSED:
        until = row.topic_paused_until
        if until is None or until > now:
            return _later(row, "paused", until) if until else Verdict("paused")
    if row.story_over:
        return _later(row, "story_rests", now + LOOK_AGAIN)
    if history.story_on_its_way(row):
        return _later(row, "story_on_its_way", now + SOON)
    if history.busy(row):
        return _later(row, "busy", now + timedelta(seconds=1))
    return None


def _not_yet(row: Row[Any], history: History, now: datetime) -> Verdict | None:
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
    free = cap_opens(now, history.moments(row), settings.daily_cap, weekly)
    if free:
        return _later(row, "cap", free)
    asked = history.question_open_until(row)
    if asked:
        return _later(row, "open_question", asked)
    # Something for this member is leaving at this moment: it counts, but whether it leaves is not certain yet.
    if cap_opens(now, history.moments(row, leaving=True), settings.daily_cap, weekly):
        return _later(row, "cap", now + SOON)
    if history.question_open_until(row, leaving=True):
        return _later(row, "open_question", now + SOON)
    return None


def _limited(row: Row[Any], limits: budget.Limits, now: datetime) -> Verdict | None:
    """The month's budget and the sender's day. --now does not lift these, and an answer weeks later is none."""
    refused = limits.refusal(row)
    if refused is None:
        return None
    reason, ends = refused
    if row.purpose in (Purpose.ANSWER, Purpose.TEST):
        return Verdict(reason)
    again = min(ends, now + budget.LOOK_AGAIN)
    return Verdict(reason, due=again) if row.campaign_id is None else _later(row, reason, again)


def _later(row: Row[Any], reason: str, due: datetime) -> Verdict:
    """Wait until `due`, unless the message will be too old by then. What is only looked at again waits to its end."""
    ends = min((moment for moment in (row.expires_at, row.meeting_at) if moment), default=None)
    if ends is None or due < ends:
        return Verdict(reason, due=due)
    if reason in ("window", "cap", "open_question"):
        return Verdict("stale")
    return Verdict("paused") if reason == "paused" else Verdict(reason, due=ends)


def _grieving(loss_on: date | None, today: date) -> bool:
    return loss_on is not None and loss_on + AFTER_LOSS > today
