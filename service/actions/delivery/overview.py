"""How sending stands, for operators: per queue what waits, since when, how fast it is and how long it will take.

Everything here is read from indexes up to a limit, or from counts kept by the minute: a page that renews itself, or
Prometheus, must never read a big table.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from service import clock, config
from service.actions.delivery import pace, results, tally
from service.models.campaigns import KIND_PRIORITY, PRIORITY, Delivery, DeliveryState, Purpose
from service.models.conversations import Flag, WebhookEvent
from service.models.members import ChannelName

COUNT_TO = 100_000
"""What waits is counted up to this."""
QUEUES = ("replies", "texts", "emails")
_CAMPAIGN = sorted({PRIORITY[Purpose.CAMPAIGN], *KIND_PRIORITY.values()})
PRIORITIES: dict[str, tuple[int, ...]] = {
    "replies": tuple(sorted(p for purpose, p in PRIORITY.items() if purpose != Purpose.CAMPAIGN)),
    "texts": tuple(_CAMPAIGN),
    "emails": tuple(_CAMPAIGN),
}
"""The priorities in each queue: with them the index of what is due leads straight to each oldest message."""


@dataclass(frozen=True)
class Line:
    """One queue now."""

    queue: str
    due: int
    """Messages whose turn it is, up to COUNT_TO."""
    oldest: datetime | None
    """Since when the first of them is due."""
    per_second: float
    """Messages a second that left over the last minute or two."""

    @property
    def more(self) -> bool:
        """Whether there are more than were counted."""
        return self.due >= COUNT_TO

    @property
    def seconds_left(self) -> float | None:
        """About how long until they have left; None when nothing leaves, so that nobody can tell."""
        if not self.due:
            return 0.0
        set_pace = config.current().twilio_mps if self.queue == "texts" else 0.0
        speed = self.per_second or set_pace
        return self.due / speed if speed else None


def lines(session: Session, now: datetime | None = None) -> list[Line]:
    """The sending queues, answers first."""
    now = now or clock.now()
    due = dict.fromkeys(QUEUES, 0)
    oldest: dict[str, datetime | None] = dict.fromkeys(QUEUES)
    for queue_name, count, since in session.execute(_due(now)):
        due[queue_name] = min(due[queue_name] + count, COUNT_TO)
        oldest[queue_name] = min(filter(None, (oldest[queue_name], since)), default=None)
    speeds = tally.paces(session, now)
    return [Line(q, due[q], oldest[q], speeds[q].per_second if q in speeds else 0.0) for q in QUEUES]


def _due(now: datetime) -> Any:
    """SQL: (queue, due, oldest) of each queue and priority."""
    parts = []
    for queue_name, priorities in PRIORITIES.items():
        for priority in priorities:
            some = (
                select(Delivery.due_at)
                .where(
                    Delivery.state == DeliveryState.QUEUED,
                    Delivery.queue == queue_name,
                    Delivery.priority == priority,
                    Delivery.due_at <= now,
                )
                .order_by(Delivery.due_at)
                .limit(COUNT_TO)
                .subquery()
            )
            parts.append(select(literal(queue_name), func.count(), func.min(some.c.due_at)).select_from(some))
    return union_all(*parts)


def open_now(session: Session) -> dict[tuple[ChannelName, DeliveryState], int]:
    """(channel, sending or unknown) → messages; they have an index of their own, and are few."""
    open_ = (DeliveryState.SENDING, DeliveryState.UNKNOWN)
    rows = session.execute(
        select(Delivery.channel, Delivery.state, func.count())
        .where(results.OPEN_ROWS)
        .group_by(Delivery.channel, Delivery.state)
    )
    found = {(channel, state): 0 for channel in ChannelName for state in open_}
    return found | {(channel, state): int(n) for channel, state, n in rows}


def webhooks_waiting(session: Session) -> tuple[int, datetime | None]:
    """(webhooks stored and not worked on yet, up to COUNT_TO; when the first of them came)."""
    some = select(WebhookEvent.received_at).where(WebhookEvent.processed_at.is_(None)).limit(COUNT_TO).subquery()
    count, oldest = session.execute(select(func.count(), func.min(some.c.received_at)).select_from(some)).one()
    return int(count), oldest


def flags_unseen(session: Session) -> tuple[int, datetime | None]:
    """(open flags that nobody has acknowledged, when the first was opened)."""
    count, oldest = session.execute(
        select(func.count(), func.min(Flag.opened_at)).where(Flag.acknowledged_at.is_(None), Flag.cleared_at.is_(None))
    ).one()
    return int(count), oldest


@dataclass(frozen=True)
class SenderPace:
    """What one provider lets us do now."""

    sender: pace.Sender
    allowed: float | None
    """Messages (of email: requests) a second, 0 for no limit; None when Redis cannot tell."""
    rest: float
    """Seconds for which nothing leaves because the provider asked for it."""
    slowed: bool


def senders() -> list[SenderPace]:
    """Both senders' pace, as Redis has it."""
    found = []
    names: tuple[pace.Sender, ...] = ("sms", "email")
    for sender in names:
        if sender not in config.current().enabled_channels:
            continue
        seen = pace.look(sender)
        allowed, rest = seen if seen is not None else (None, 0.0)
        usual = config.current().twilio_mps if sender == "sms" else 0.0
        slowed = allowed is not None and allowed > 0 and (not usual or allowed < usual)
        found.append(SenderPace(sender, allowed, rest, slowed))
    return found
