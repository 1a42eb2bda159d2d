"""Counts by the minute of what became of messages, written in bulk beside the results: what operators look at.

Counting the deliveries themselves would read a big table. Minutes are added up to hours and hours to one row for good,
so the table stays small and its sums never shrink, which is what Prometheus expects of a counter.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, extract, func, or_, select
from sqlalchemy.orm import Session

from service import clock, db
from service.models.campaigns import Delivery, DeliveryState, Purpose, Tally
from service.models.members import ChannelName

MINUTES_FOR = timedelta(hours=2)
HOURS_FOR = timedelta(days=7)
FOR_GOOD = datetime(1970, 1, 1, tzinfo=UTC)
"""The row in which everything older ends."""
CAMPAIGN_QUEUE: dict[ChannelName, str] = {ChannelName.SMS: "texts", ChannelName.EMAIL: "emails"}
SENT = ("accepted", "unknown")
"""Outcomes of messages that went out, or may have."""
BAD = ("failed", "unreachable", "stopped", "configuration", "undelivered", "bounced", "complained")
"""Ends that a person may want to know the reason of; the last three come by receipt."""

BY_RECEIPT = (
    DeliveryState.DELIVERED,
    DeliveryState.UNDELIVERED,
    DeliveryState.FAILED,
    DeliveryState.BOUNCED,
    DeliveryState.COMPLAINED,
)

Key = tuple[str, str, str]
"""(queue, outcome, code)"""


def queue_of(channel: ChannelName, purpose: Purpose) -> str:
    """The queue that a message was sent from."""
    return CAMPAIGN_QUEUE[channel] if purpose == Purpose.CAMPAIGN else "replies"


def add(session: Session, counts: Mapping[Key, int], now: datetime) -> None:
    """Add to this minute's counts. To be called last in a transaction: other workers wait for the same few rows."""
    _add(session, now.replace(second=0, microsecond=0), counts)


def add_later(session: Session, counts: Mapping[Key, int]) -> None:
    """Add them once this transaction is committed, for one that may go on and lock more."""
    if not counts:
        return
    waiting: Counter[Key] = session.info.setdefault("tally", Counter())
    waiting.update(counts)

    def write() -> None:
        with db.transaction() as own:
            add(own, waiting, clock.now())
        waiting.clear()

    db.on_commit(session, "tally", write)


def add_receipts(session: Session, ends: Mapping[int, tuple[DeliveryState, str]]) -> None:
    """Count what providers said about deliveries: `{id: (state, code)}`. Steps on the way are not counted."""
    final = {i: end for i, end in ends.items() if end[0] in BY_RECEIPT}
    if not final:
        return
    rows = session.execute(select(Delivery.id, Delivery.channel, Delivery.purpose).where(db.among(Delivery.id, final)))
    keys = [(queue_of(channel, purpose), str(final[i][0]), final[i][1]) for i, channel, purpose in rows]
    add_later(session, count(keys))


def _add(session: Session, minute: datetime, counts: Mapping[Key, int]) -> None:
    rows = [
        {"minute": minute, "queue": queue, "outcome": outcome, "code": code, "messages": n}
        for (queue, outcome, code), n in sorted(counts.items())  # one order for everybody: no circle of locks
    ]
    if not rows:
        return
    statement: Any = db.insert(Tally).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["minute", "queue", "outcome", "code"],
            set_={"messages": Tally.messages + statement.excluded.messages},
        )
    )


def fold(now: datetime) -> int:
    """Add up minutes that are over to their hours, and old hours to one row; returns how many rows went."""
    minutes_until, hours_until = now - MINUTES_FOR, now - HOURS_FOR
    with db.transaction() as session:
        over = or_(
            and_(Tally.minute < minutes_until, extract("minute", Tally.minute) != 0),
            and_(Tally.minute < hours_until, Tally.minute > FOR_GOOD),
        )
        old = list(session.scalars(select(Tally).where(over).with_for_update()))
        target: dict[datetime, Counter[Key]] = {}
        for row in old:
            to = FOR_GOOD if row.minute < hours_until else row.minute.replace(minute=0)
            target.setdefault(to, Counter())[row.queue, row.outcome, row.code] += row.messages
            session.delete(row)
        session.flush()
        for to, counts in sorted(target.items()):
            _add(session, to, counts)
    return len(old)


def totals(session: Session) -> dict[tuple[str, str], int]:
    """(queue, outcome) → messages since the beginning."""
    rows = session.execute(
        select(Tally.queue, Tally.outcome, func.sum(Tally.messages)).group_by(Tally.queue, Tally.outcome)
    )
    return {(queue, outcome): int(count) for queue, outcome, count in rows}


@dataclass(frozen=True)
class Pace:
    """How fast a queue is: messages in the last whole minute and so far in this one."""

    last_minute: int
    this_minute: int
    seconds: float
    """How much of this minute is over."""

    @property
    def per_second(self) -> float:
        """Messages a second over the last whole minute and this one."""
        return (self.last_minute + self.this_minute) / (60 + self.seconds)


def paces(session: Session, now: datetime) -> dict[str, Pace]:
    """queue → how fast it is now; a queue that sent nothing is not named."""
    this = now.replace(second=0, microsecond=0)
    rows = session.execute(
        select(
            Tally.queue,
            func.sum(case((Tally.minute < this, Tally.messages), else_=0)),
            func.sum(case((Tally.minute == this, Tally.messages), else_=0)),
        )
        .where(Tally.minute >= this - timedelta(minutes=1), Tally.outcome.in_(SENT))
        .group_by(Tally.queue)
    )
    over = (now - this).total_seconds()
    return {queue: Pace(int(before), int(since), over) for queue, before, since in rows}


def reasons(session: Session, since: datetime) -> list[tuple[str, str, str, int]]:
    """(queue, outcome, code, messages) of what did not arrive since then, most first."""
    rows = session.execute(
        select(Tally.queue, Tally.outcome, Tally.code, func.sum(Tally.messages).label("n"))
        .where(Tally.minute >= since, Tally.outcome.in_(BAD))
        .group_by(Tally.queue, Tally.outcome, Tally.code)
        .order_by(func.sum(Tally.messages).desc())
    )
    return [(queue, outcome, code, int(n)) for queue, outcome, code, n in rows]


def count(keys: Iterable[Key]) -> Counter[Key]:
    """Keys counted; a code that is too long is cut as its column is."""
    return Counter((queue, outcome, code[:40]) for queue, outcome, code in keys)
