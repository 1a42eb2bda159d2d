"""Whether this installation is well, for load balancers and for Prometheus. Never shows a member's data."""

import hmac
import ipaddress
from collections.abc import Iterator

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.errors import Forbidden
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState
from service.models.conversations import Conversation, ConversationState, Flag, WebhookEvent

bp = Blueprint("health", __name__)

_UNDONE = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)
"""Only what is not finished is counted: it has partial indexes, and a scrape must not read a million rows."""


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
            yield _queue_lengths(queue.connection())
            up.add_metric(["redis"], 1)
        except RedisError:
            up.add_metric(["redis"], 0)
        yield up


def _from_database(session: Session) -> Iterator[Metric]:
    deliveries = GaugeMetricFamily("hearthline_deliveries", "Messages not finished yet.", labels=["channel", "state"])
    undone = (
        select(Delivery.channel, Delivery.state, func.count())
        .where(Delivery.state.in_(_UNDONE))
        .group_by(Delivery.channel, Delivery.state)
    )
    for channel, state, count in session.execute(undone):
        deliveries.add_metric([channel, state], count)
    yield deliveries

    sending = select(func.count()).select_from(Campaign).where(Campaign.state == CampaignState.SENDING)
    yield GaugeMetricFamily("hearthline_campaigns_sending", "Campaigns under way.", session.scalar(sending))

    waiting, oldest = session.execute(
        select(func.count(), func.min(WebhookEvent.received_at)).where(WebhookEvent.processed_at.is_(None))
    ).one()
    age = (clock.now() - oldest).total_seconds() if oldest else 0
    yield GaugeMetricFamily("hearthline_webhooks_waiting", "Webhooks stored and not worked on yet.", waiting)
    yield GaugeMetricFamily("hearthline_webhooks_oldest_seconds", "Age of the oldest of these.", age)

    inbox = select(func.count()).select_from(Conversation).where(Conversation.state == ConversationState.NEEDS_REPLY)
    yield GaugeMetricFamily("hearthline_conversations_waiting", "Conversations that wait.", session.scalar(inbox))

    flags = GaugeMetricFamily("hearthline_flags_open", "Risk flags by what they wait for.", labels=["waits_for"])
    open_flags = select(func.count()).select_from(Flag).where(Flag.cleared_at.is_(None))
    unseen = session.scalar(open_flags.where(Flag.acknowledged_at.is_(None))) or 0
    flags.add_metric(["acknowledgement"], unseen)
    flags.add_metric(["outcome"], (session.scalar(open_flags) or 0) - unseen)
    yield flags


def _queue_lengths(connection: Redis) -> Metric:
    lengths = GaugeMetricFamily("hearthline_queue_jobs", "Rings of the doorbell not answered yet.", labels=["queue"])
    for name in queue.QUEUES:
        lengths.add_metric([name], int(connection.llen(f"rq:queue:{name}")))
    return lengths
