"""A worker told to stop while the provider is slow or hangs: the rest is given back, what has begun ends well."""

import signal
import time
from collections.abc import Callable

import pytest
import requests
from redis import Redis
from sqlalchemy import func, select

from service import config, db
from service.actions import campaigns
from service.config import Settings
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from tests.flows.world import World, add_member, send
from tests.platform.test_workers import start
from tests.platform.waiting import wait_until

PEOPLE = 40
LEFT = (DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED)
FREE_WITHIN = 3.0
"""Seconds in which another worker may take what was not begun."""
GONE_AFTER = 2.0
"""Seconds in which the process is gone once its last request has come to its end, or to its time-out."""


def states() -> dict[DeliveryState, int]:
    with db.reading() as session:
        rows = session.execute(select(Delivery.state, func.count().label("n")).group_by(Delivery.state))
        return {row.state: row.n for row in rows}


def held() -> int:
    """Messages that wait and that nobody else may take."""
    with db.reading() as session:
        waiting = (Delivery.state == DeliveryState.QUEUED, Delivery.claimed_until.is_not(None))
        return session.scalar(select(func.count()).where(*waiting)) or 0


def begun(world: World) -> int:
    """Requests that the provider has taken, answered or not."""
    return sum(world.standin.get("counts")["texts"].values())


@pytest.mark.parametrize(
    ("database", "trouble", "seconds"),
    [("postgresql", "slow", 1.5), ("sqlite", "unanswered", 60)],
    indirect=["database"],
)
def test_it_ends_what_has_begun_and_gives_back_the_rest(
    world: World, valkey: Redis, configure: Callable[..., Settings], trouble: str, seconds: float
) -> None:
    configure(twilio_concurrency=4, send_timeout=5)
    world.standin.provoke(trouble, "sms", times=None, seconds=seconds)
    for n in range(PEOPLE):
        add_member("Ana", f"+1202555{n:04d}")
    campaigns.freeze(send(CampaignKind.CHECKIN, "How are you, 1 to 5?"))
    worker = start(config.current(), "workers", "texts")
    try:
        wait_until(lambda: begun(world) >= 4, seconds=30)
        assert held() > 0, "it holds more than it has begun"
        told = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        wait_until(lambda: not held(), seconds=FREE_WITHIN)
        assert worker.wait(timeout=30) == 0
        took = time.monotonic() - told
    finally:
        worker.kill()
    found = states()
    assert DeliveryState.SENDING not in found, "what had begun has its end"
    ended = DeliveryState.UNKNOWN if trouble == "unanswered" else None
    known = sum(found.get(state, 0) for state in LEFT) + (found.get(ended, 0) if ended else 0)
    assert known == begun(world) < PEOPLE, "and nothing more was begun"
    assert took < min(seconds, 5) + GONE_AFTER, f"it took {took:.1f} s"
    if trouble == "slow":
        requests.delete(f"{world.standin.url}/sandbox/api/provoke", timeout=10)
        world.work()
        assert list(world.standin.get("counts")["texts"].values()) == [1] * PEOPLE
