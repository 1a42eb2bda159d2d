"""What a due message of a campaign must wait for, or why it never leaves: the rules of one member's peace.

The facts come from queries over the whole batch (`facts`, `history`); here is only their order, from final to passing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from service import config
from service.actions import zones
from service.actions.delivery import budget, facts, history, silence, tapering
from service.actions.delivery.history import History
from service.actions.delivery.rules import cap_opens, next_opening
from service.models.campaigns import Asks, CampaignKind, CampaignState, Purpose
from service.models.content import StoryState
from service.models.gatherings import SessionState
from service.models.members import SubscriptionState

LOOK_AGAIN = timedelta(hours=1)
SOON = timedelta(seconds=30)
"""When to look again at what waits for something that is leaving at this moment."""
OTHERS_WORDS = (CampaignKind.STORY, CampaignKind.PROMPT)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Not now, or not at all: wait until `due`, wait in the held queue (`park`), or skip."""

    reason: str
    due: datetime | None = None
    park: bool = False
    ask: bool = False
    """Whether the phone is to be asked first if it is still its member's (`silence`)."""


def judge(session: Session, ids: Sequence[int], now: datetime) -> list[tuple[Row[Any], Verdict | None]]:
    """Each message of a batch, in the order given, with what keeps it from leaving now; None when nothing does.

    Most of a campaign's have nothing against them. They are found by two lean queries; the rest are judged one by one.
    """
    free = history.lock(session, ids)
    rows: dict[int, Row[Any]] = _plain(session, ids, now, free)
    doubtful = [i for i in ids if i not in rows]
    others = facts.of(session, doubtful, now) if doubtful else []
    behind = History(session, [row for row in others if row.campaign_id is not None], now, free)
    early = tapering.too_early(session, [row.id for row in others if _tapers(row)], now)
    rows |= {row.id: row for row in others}
    limits = budget.limits(session, now)
    return [(rows[i], _verdict(rows[i], behind, i in early, limits, now)) for i in ids if i in rows]


def _tapers(row: Row[Any]) -> bool:
    return bool(row.asks == Asks.SCORE and row.campaign_id is not None and not row.override)


def _verdict(row: Row[Any], behind: History, early: bool, limits: budget.Limits, now: datetime) -> Verdict | None:
    if getattr(row, "plain", False):
        return _limited(row, limits, now) if limits.any else None
    if row.campaign_id is None:
        return Verdict(row.refused) if row.refused else _limited(row, limits, now)
    verdict = verdict_on(row, behind, now, early=early) or _limited(row, limits, now)
    if verdict is None:
        behind.leaves(row)  # the next one of this member in the batch is judged as if this had gone
    elif verdict.ask:
        behind.asks(row)
    return verdict


def _plain(session: Session, ids: Sequence[int], now: datetime, free: set[UUID] | None) -> dict[int, Row[Any]]:
    """The messages of campaigns that no rule can concern: a subset of what `verdict_on` would let through."""
    found = facts.lean(session, ids, now)
    twice = Counter(row.member_id for row in found)
    maybe = [r for r in found if r.plain and twice[r.member_id] == 1 and (free is None or r.member_id in free)]
    if not maybe:
        return {}
    recent = history.recent(session, [row.id for row in maybe], now)
    open_ = _Windows(now)
    plain = {r.id: r for r in maybe if _nothing_near(r, recent.get(r.id)) and (r.override or open_.at(r))}
    early = tapering.too_early(session, [r.id for r in plain.values() if _tapers(r)], now)
    return {i: r for i, r in plain.items() if i not in early} if early else plain


def _nothing_near(row: Row[Any], recent: history.Recent | None) -> bool:
    """Whether the week behind a message cannot matter to it."""
    if recent is None:
        return True
    if row.tells_story and recent.unsettled:
        return False
    settings = config.current()
    weekly = settings.weekly_cap if row.weekly_cap is None else row.weekly_cap
    below = (not settings.daily_cap or recent.day < settings.daily_cap) and (not weekly or recent.week < weekly)
    return bool(row.override) or (below and not recent.question)


class _Windows:
    """Which windows are open at one moment: there are few, and thousands of messages."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._usual = config.current().window
        self._open: dict[tuple[int, ...], bool] = {}

    def at(self, row: Row[Any]) -> bool:
        """Whether a row of `facts.lean` may leave at this hour."""
        window = _window_of(row, self._usual)
        key = (row.offset_min, row.offset_max, *window)
        if key not in self._open:
            self._open[key] = next_opening(self._now, *key) <= self._now
        return self._open[key]


def _window_of(row: Row[Any], usual: tuple[int, int]) -> tuple[int, int]:
    return (row.window_from, row.window_to) if row.window_from is not None and row.window_to is not None else usual


def verdict_on(row: Row[Any], history: History, now: datetime, *, early: bool = False) -> Verdict | None:
    """Why a campaign's message may not leave now, or None when it may. The order is from final to passing.

    `early`: it is a check-in that comes too early for somebody who does not answer them.
    """
    if row.campaign_state == CampaignState.PAUSED:
        return Verdict("campaign_paused", park=True)
    if row.campaign_state != CampaignState.SENDING:
        return Verdict("cancelled")
    final = _never(row, now)
    if final:
        return Verdict(final)
    waits = _waits(row, history, now)
    if waits or row.override:
        return waits or (_silent(row, history, now) if row.silent else None)
    if early:
        return Verdict("quiet")
    return _not_yet(row, history, now) or (_silent(row, history, now) if row.silent else None)


def _never(row: Row[Any], now: datetime) -> str | None:
    """The reasons that do not pass."""
    if row.refused:
        return str(row.refused)
    if row.left_circle:
        return "left_circle"
    if row.meeting_state == SessionState.CANCELLED:
        return "session_cancelled"
    if (row.expires_at and row.expires_at <= now) or (row.meeting_at and row.meeting_at <= now):
        return "silent" if row.silent and row.still_asked_at else "stale"
    if row.story_over and row.story_state != StoryState.RESTING:
        return "story_withdrawn"
    if row.gift == "grieving":
        return "after_loss"
    if row.gift == "over":
        return "gift_withdrawn"
    if row.already_read:
        return "already_read"
    if row.prompt_rests == facts.OVER:
        return "prompt_withdrawn"
    if row.topic_left_out:
        return "topic_left_out"
    if row.kind in OTHERS_WORDS and _grieving(row.loss_on, now.date()):
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
    if row.story_over or row.prompt_rests:
        return _later(row, "story_rests", now + LOOK_AGAIN)
    if row.gift == "rests":
        return _later(row, "gift_rests", now + LOOK_AGAIN)
    if history.story_on_its_way(row):
        return _later(row, "story_on_its_way", now + SOON)
    if history.busy(row):
        return _later(row, "busy", now + timedelta(seconds=1))
    return None


def _not_yet(row: Row[Any], history: History, now: datetime) -> Verdict | None:
    """Window, caps and open questions."""
    settings = config.current()
    opens = _opens(row, now)
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


def _silent(row: Row[Any], history: History, now: datetime) -> Verdict | None:
    """A phone from which nothing has come for long: in place of this text it gets a question, at an hour when texts
    are welcome (a stranger may hold it), and this text waits for the answer.
    """
    if row.still_asked_at is not None:
        ends = row.still_asked_at + silence.ANSWER_WITHIN
        return _later(row, silence.WAITS, ends if ends > now else now + LOOK_AGAIN)  # the clock gives up such phones
    opens = _opens(row, now)
    if opens > now:
        return _later(row, "window", opens)
    other = history.yes_open_until(row.member_id)
    if other:
        return _later(row, "open_question", other)
    return replace(_later(row, silence.WAITS, now + silence.ANSWER_WITHIN), ask=True)


def _opens(row: Row[Any], now: datetime) -> datetime:
    """When the member's window is open: now, or later."""
    start, end = _window_of(row, config.current().window)
    low, high = (row.offset_min, row.offset_max) if row.offset_min is not None else zones.offsets(row.time_zone, now)
    return next_opening(now, low, high, start, end)


def _limited(row: Row[Any], limits: budget.Limits, now: datetime) -> Verdict | None:
    """The month's budget and the sender's day. --now does not lift these, and an answer weeks later is none."""
    refused = limits.refusal(row)
    if refused is None:
        return None
    reason, ends = refused
    again = min(ends, now + budget.LOOK_AGAIN)
    if row.campaign_id is not None:
        return _later(row, reason, again)
    return Verdict(reason) if row.purpose in (Purpose.ANSWER, Purpose.TEST) else Verdict(reason, due=again)


def _later(row: Row[Any], reason: str, due: datetime) -> Verdict:
    """Wait until `due`, unless the message will be too old by then. What is only looked at again waits to its end."""
    ends = min((moment for moment in (row.expires_at, row.meeting_at) if moment), default=None)
    if ends is None or due < ends:
        return Verdict(reason, due=due)
    if reason in ("window", "cap", "open_question"):
        return Verdict("stale")
    return Verdict("paused") if reason == "paused" else Verdict(reason, due=ends)


def _grieving(loss_on: date | None, today: date) -> bool:
    return loss_on is not None and loss_on + facts.AFTER_LOSS > today
