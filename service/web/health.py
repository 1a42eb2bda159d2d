"""Whether this installation is well, for load balancers and for Prometheus. Never shows a member's data."""

import hmac
import ipaddress
from collections.abc import Iterator
from datetime import datetime

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.actions.delivery import budget, overview, tally
from service.errors import Forbidden
from service.models.campaigns import Campaign, CampaignState, DeliveryState
from service.models.conversations import Conversation, ConversationState, Flag

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """This process answers."""
    return {"ok": True}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """200 when work can be taken; without Redis work is only later, without the database there is none (503)."""
    database, doorbell = _database_up(), _redis_up()
    body = {"database": "up" if database else "down", "redis": "up" if doorbell else "down"}
    return body, 200 if database else 503


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Prometheus' text format. For this machine, or with `Authorization: Bearer METRICS_TOKEN`."""
    if not _may_read_metrics():
        raise Forbidden("Metrics are for this machine only, or with METRICS_TOKEN as a bearer token.")
    registry = CollectorRegistry()
    registry.register(_Numbers())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics() -> bool:
    expected = config.current().metrics_token
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if expected and hmac.compare_digest(given.encode(), expected.encode()):
        return True
    # A proxy on the same machine would make the whole internet look like loopback: it names whom it speaks for.
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"))
    try:
        return not forwarded and ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _database_up() -> bool:
    try:
        with db.reading() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _redis_up() -> bool:
    try:
        return bool(queue.connection().ping())
    except RedisError:
        return False


class _Numbers(Collector):
    def describe(self) -> Iterator[Metric]:
        """Nothing ahead of time: the registry would otherwise collect once just to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything anew; each part that is down says so and leaves its numbers out."""
        up = GaugeMetricFamily("hearthline_up", "Whether a part can be reached (1) or not (0).", labels=["part"])
        try:
            with db.reading() as session:
                yield from _from_database(session)
            up.add_metric(["database"], 1)
        except SQLAlchemyError:
            up.add_metric(["database"], 0)
        try:
            yield from _from_redis()
            up.add_metric(["redis"], 1)
        except RedisError:
            up.add_metric(["redis"], 0)
        yield up


def _from_database(session: Session) -> Iterator[Metric]:
    now = clock.now()
    yield from _of_queues(session, now)
    yield from _of_messages(session)
    yield from _of_money(session)

    sending = select(func.count()).select_from(Campaign).where(Campaign.state == CampaignState.SENDING)
    yield GaugeMetricFamily("hearthline_campaigns_sending", "Campaigns under way.", session.scalar(sending))

    waiting, oldest = overview.webhooks_waiting(session)
    yield GaugeMetricFamily("hearthline_webhooks_waiting", "Webhooks stored and not worked on yet.", waiting)
    yield GaugeMetricFamily("hearthline_webhooks_oldest_seconds", "Age of the oldest of these.", _age(oldest, now))

    inbox = select(func.count()).select_from(Conversation).where(Conversation.state == ConversationState.NEEDS_REPLY)
    yield GaugeMetricFamily("hearthline_conversations_waiting", "Conversations that wait.", session.scalar(inbox))

    flags = GaugeMetricFamily("hearthline_flags_open", "Risk flags by what they wait for.", labels=["waits_for"])
    open_flags = session.scalar(select(func.count()).select_from(Flag).where(Flag.cleared_at.is_(None))) or 0
    unseen, first = overview.flags_unseen(session)
    flags.add_metric(["acknowledgement"], unseen)
    flags.add_metric(["outcome"], open_flags - unseen)
    yield flags
    yield GaugeMetricFamily(
        "hearthline_flags_unacknowledged_oldest_seconds", "Age of the oldest that nobody has seen.", _age(first, now)
    )


def _of_queues(session: Session, now: datetime) -> Iterator[Metric]:
    due = GaugeMetricFamily(
        "hearthline_queue_due", f"Messages whose turn it is, counted to {overview.COUNT_TO}.", labels=["queue"]
    )
    oldest = GaugeMetricFamily(
        "hearthline_queue_oldest_due_seconds", "For how long the first of them has been due.", labels=["queue"]
    )
    for line in overview.lines(session, now):
        due.add_metric([line.queue], line.due)
        oldest.add_metric([line.queue], _age(line.oldest, now))
    yield due
    yield oldest


def _of_messages(session: Session) -> Iterator[Metric]:
    flight = GaugeMetricFamily("hearthline_in_flight", "Messages that are leaving at this moment.", labels=["channel"])
    unknown = GaugeMetricFamily("hearthline_unknown", "Messages that may have left or not.", labels=["channel"])
    for (channel, state), count in overview.open_now(session).items():
        (unknown if state == DeliveryState.UNKNOWN else flight).add_metric([channel], count)
    yield flight
    yield unknown
    total = CounterMetricFamily("hearthline_messages", "Messages by what became of them.", labels=["queue", "outcome"])
    for (queue_name, outcome), count in sorted(tally.totals(session).items()):
        total.add_metric([queue_name, outcome], count)
    yield total


def _of_money(session: Session) -> Iterator[Metric]:
    spent = GaugeMetricFamily("hearthline_spent_dollars", "About what texts have cost this month.", labels=["country"])
    used = GaugeMetricFamily(
        "hearthline_budget_used_ratio", "How much of the month's budget is used, 1 for all.", labels=["country"]
    )
    for each in budget.standings(session):
        spent.add_metric([each.country], float(each.spent))
        if each.limit is not None:
            used.add_metric([each.country], each.part)
    yield spent
    yield used


def _from_redis() -> Iterator[Metric]:
    yield _queue_lengths(queue.connection())
    workers = GaugeMetricFamily("hearthline_workers", "Worker processes that are alive.", labels=["queue"])
    for name in queue.QUEUES:
        workers.add_metric([name], queue.live_workers(name) or 0)
    yield workers
    yield GaugeMetricFamily("hearthline_clock", "Whether a clock process acts (1).", int(bool(queue.clock_alive())))
    allowed = GaugeMetricFamily(
        "hearthline_pace", "Messages (emails: requests) a second that may leave now, 0 for no limit.", labels=["sender"]
    )
    rest = GaugeMetricFamily("hearthline_pace_rest_seconds", "Rest that a provider asked for.", labels=["sender"])
    for sender in overview.senders():
        if sender.allowed is not None:
            allowed.add_metric([sender.sender], sender.allowed)
            rest.add_metric([sender.sender], sender.rest)
    yield allowed
    yield rest


def _age(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0


def _queue_lengths(connection: Redis) -> Metric:
    lengths = GaugeMetricFamily("hearthline_queue_jobs", "Rings of the doorbell not answered yet.", labels=["queue"])
    for name in queue.QUEUES:
        lengths.add_metric([name], int(connection.llen(f"rq:queue:{name}")))
    return lengths
