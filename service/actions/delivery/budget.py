"""What texts may cost in a month, by country, and how much a sender may send in a day: limits that live in the
database, so that they outlast Redis and hold for every worker.

At the limit campaigns wait; safety, pages, the answers to STOP and HELP always leave.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.orm import Session

from service import clock, config, db, logs, queue
from service.actions import audit, contacts
from service.channels.segments import estimate_cost, measure
from service.db import transaction
from service.errors import Invalid
from service.models.campaigns import Budget, Delivery, DeliveryState, Usage
from service.models.members import ChannelName

log = logs.get("budget")

LOOK_AGAIN = timedelta(hours=1)
"""When to look again at what waits for a budget: it may have been raised meanwhile."""
SHOWN_FROM = 0.8
"""The part of a budget from which it is pointed out."""
MOST_CENTS = 100_000_000
RELEASE_AT_ONCE = 500
RELEASE_FOR = 2.0
"""Seconds for which a page releases what waited; the rest looks again by itself within LOOK_AGAIN."""
MICRO = 1_000_000
_WIDE = re.compile(r"[\^{}\[\]~\\|`]")


@dataclass
class Limits:
    """What is left just now. One batch of a claim takes from it, so that it cannot overshoot by a whole batch."""

    month_ends: datetime
    day_ends: datetime
    money: dict[str, int] = field(default_factory=dict)
    """country → millionths of a dollar left this month, of those that have a budget"""
    messages: dict[ChannelName, int] = field(default_factory=dict)
    """channel → messages left today, of those that have a daily limit"""
    usual: dict[str, int] = field(default_factory=dict)
    """country → what one text there usually costs this month"""

    @property
    def any(self) -> bool:
        """Whether there is any limit at all."""
        return bool(self.money or self.messages)

    def refusal(self, row: Row[Any]) -> tuple[str, datetime] | None:
        """(reason, when it passes) for a row of `facts`, or None; then what it will cost is taken off."""
        if getattr(row, "needs_no_money", False):  # what belongs to a campaign always does
            return None
        country = row.address_country or ""
        left = self.money.get(country) if row.channel == ChannelName.SMS else None
        if left is not None and left < self.usual.get(country, 1):
            return "budget", self.month_ends
        today = self.messages.get(row.channel)
        if today is not None and today < 1 and row.campaign_id is not None:
            return "sender_cap", self.day_ends
        if left is not None:
            self.money[country] = left - self.usual.get(country, 1)
        if today is not None:
            self.messages[row.channel] = today - 1
        return None


@dataclass(frozen=True)
class Standing:
    """One country's month: what may be spent, and about what was."""

    country: str
    limit: Decimal | None
    spent: Decimal
    messages: int

    @property
    def part(self) -> float:
        """How much of the budget is used, 1.0 for all of it; 0 where there is none."""
        if self.limit is None:
            return 0.0
        return float(self.spent / self.limit) if self.limit else 1.0

    @property
    def left(self) -> Decimal | None:
        """Dollars left; None where there is no limit."""
        return None if self.limit is None else max(self.limit - self.spent, Decimal(0))

    @property
    def warns(self) -> bool:
        """Whether it should be pointed out."""
        return self.limit is not None and self.part >= SHOWN_FROM


def limits(session: Session, now: datetime) -> Limits:
    """What is left at this moment: two small queries, whatever the size of the batch."""
    month, today = now.date().replace(day=1), now.date()
    found = Limits(month_ends=_moment(_next_month(month)), day_ends=_moment(today + timedelta(days=1)))
    for country, cents, cost, messages in session.execute(_months(month)):
        found.money[country] = cents * (MICRO // 100) - cost
        segment = int(estimate_cost(1, country) * MICRO)
        found.usual[country] = min(max(cost // messages if messages else 0, segment), 10 * segment)
    caps = _daily_caps()
    if caps:
        used: dict[ChannelName, int] = dict(
            session.execute(
                select(Usage.channel, func.sum(Usage.messages)).where(Usage.day == today).group_by(Usage.channel)
            ).all()
        )
        found.messages = {channel: cap - int(used.get(channel, 0)) for channel, cap in caps.items()}
    return found


def _months(month: date) -> Any:
    """SQL: (country, cents, cost, messages) of every country with a budget."""
    return (
        select(
            Budget.country,
            Budget.monthly_cents,
            func.coalesce(func.sum(Usage.cost), 0),
            func.coalesce(func.sum(Usage.messages), 0),
        )
        .outerjoin(Usage, (Usage.country == Budget.country) & (Usage.day >= month) & (Usage.channel == ChannelName.SMS))
        .group_by(Budget.country, Budget.monthly_cents)
    )


def _daily_caps() -> dict[ChannelName, int]:
    settings = config.current()
    caps = {ChannelName.SMS: settings.twilio_per_day, ChannelName.EMAIL: settings.sendgrid_per_day}
    return {channel: cap for channel, cap in caps.items() if cap}


def segments_of(body: str) -> int:
    """The segments of a text; the usual short plain one without reading every character."""
    if len(body) <= 160 and body.isascii() and not _WIDE.search(body):
        return 1 if body else 0
    return measure(body).segments


@dataclass(frozen=True, slots=True)
class Left:
    """One message that left, or may have."""

    channel: ChannelName
    country: str
    to: str = field(repr=False)
    segments: int = 1


def use(session: Session, left: Iterable[Left], now: datetime) -> None:
    """Add what has left to today's usage, in bulk. To be called last in a transaction: others wait for the rows."""
    messages: Counter[tuple[ChannelName, str]] = Counter()
    segments: Counter[tuple[ChannelName, str]] = Counter()
    for each in left:
        key = (each.channel, "" if each.channel == ChannelName.EMAIL else each.country or _country(each.to))
        messages[key] += 1
        segments[key] += each.segments if each.channel == ChannelName.SMS else 0
    rows = [
        {
            "day": now.date(),
            "channel": channel,
            "country": country,
            "messages": n,
            "segments": segments[channel, country],
            "cost": int(estimate_cost(segments[channel, country], country) * MICRO),
        }
        for (channel, country), n in sorted(messages.items())
    ]
    if not rows:
        return
    statement: Any = db.insert(Usage).values(rows)
    added = {name: getattr(Usage, name) + statement.excluded[name] for name in ("messages", "segments", "cost")}
    session.execute(statement.on_conflict_do_update(index_elements=["day", "channel", "country"], set_=added))


def _country(to: str) -> str:
    return contacts.country_of(to) if to.startswith("+") else ""


def standings(session: Session, now: datetime | None = None) -> list[Standing]:
    """This month (UTC) of every country that has a budget, is texted, or was texted this month."""
    month = (now or clock.now()).date().replace(day=1)
    cents: dict[str, int] = dict(session.execute(select(Budget.country, Budget.monthly_cents)).all())
    used: dict[str, tuple[int, int]] = {
        country: (int(cost), int(messages))
        for country, cost, messages in session.execute(
            select(Usage.country, func.sum(Usage.cost), func.sum(Usage.messages))
            .where(Usage.day >= month, Usage.channel == ChannelName.SMS)
            .group_by(Usage.country)
        )
    }
    names = sorted({*cents, *(name for name in used if name), *config.current().countries})
    return [
        Standing(
            country=name,
            limit=Decimal(cents[name]) / 100 if name in cents else None,
            spent=Decimal(used.get(name, (0, 0))[0]) / MICRO,
            messages=used.get(name, (0, 0))[1],
        )
        for name in names
    ]


def set_budget(country: str, dollars: Decimal | None, actor: UUID | None) -> None:
    """Set what texts to a country (ISO code) may cost in a month, or take the limit away (None).

    What waited for a lower one is due again at once. Raises Invalid.
    """
    code = country.strip().upper()
    if not re.fullmatch(r"[A-Z]{2}", code):
        raise Invalid("Two letters, such as US or GB.", field="country")
    cents = None if dollars is None else int((dollars * 100).to_integral_value())
    if cents is not None and not 0 <= cents <= MOST_CENTS:
        raise Invalid("Between 0 and 1,000,000 dollars.", field="dollars")
    now = clock.now()
    with transaction() as session:
        found = session.get(Budget, code)
        if cents is None:
            if found is not None:
                session.delete(found)
        elif found is None:
            session.add(Budget(country=code, monthly_cents=cents, changed_by=actor, changed_at=now))
        else:
            found.monthly_cents, found.changed_by, found.changed_at = cents, actor, now
        audit.record(session, str(actor or "cli"), "budget.set", None, country=code, cents=cents)
    release()


def release() -> int:
    """What waits for a budget is judged again now; returns how many were released within RELEASE_FOR seconds."""
    ends = clock.now() + timedelta(seconds=RELEASE_FOR)
    done = 0
    while clock.now() < ends:
        with transaction() as session:
            ids = list(session.scalars(_waiting().with_only_columns(Delivery.id).limit(RELEASE_AT_ONCE)))
            if ids:
                session.execute(
                    update(Delivery)
                    .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.QUEUED)
                    .values(due_at=clock.now(), reason=None)
                    .execution_options(synchronize_session=False)
                )
                for name in ("texts", "replies"):
                    queue.ring_after(session, f"drain_{name}")
        done += len(ids)
        if len(ids) < RELEASE_AT_ONCE:
            break
    return done


def _waiting() -> Any:
    return select(Delivery).where(
        Delivery.state == DeliveryState.QUEUED,
        Delivery.queue.in_(["texts", "replies"]),
        Delivery.reason == "budget",
        or_(Delivery.due_at > clock.now(), Delivery.due_at.is_(None)),
    )


def warnings(session: Session) -> Sequence[Standing]:
    """The countries whose budget is nearly used, or used up, this month."""
    return [s for s in standings(session) if s.warns]


def _moment(day: date) -> datetime:
    return clock.now().replace(year=day.year, month=day.month, day=day.day, hour=0, minute=0, second=0, microsecond=0)


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
