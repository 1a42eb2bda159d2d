"""A campaign at the pace of its sender, through the real engine: no burst, a rest when the provider asks for it, and
nobody gets anything twice.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service import clock, db
from service.actions import campaigns, delivery
from service.actions.delivery import pace
from service.channels.twilio_http import WireHttpClient
from service.config import Settings
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from tests.flows.world import World, add_member, send

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments at which requests begin."""
    moments: list[float] = []
    real = WireHttpClient.request

    def note(self: WireHttpClient, *args: Any, **kwargs: Any) -> Any:
        moments.append(time.monotonic())
        return real(self, *args, **kwargs)

    monkeypatch.setattr(WireHttpClient, "request", note)
    return moments


def people(count: int) -> list[str]:
    phones = [f"+1202555{n:04d}" for n in range(count)]
    for phone in phones:
        add_member("Ana", phone)
    send(CampaignKind.CHECKIN, "How are you, 1 to 5?")
    campaigns.start_due()
    return phones


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(1 for m in moments if first <= m < first + 1) for first in moments)


def test_a_campaign_leaves_at_the_set_pace(
    world: World, configure: Callable[..., Settings], begun: list[float]
) -> None:
    configure(twilio_mps=20)
    phones = people(40)
    assert delivery.drain("texts") == 40
    assert most_in_a_second(begun) <= 21
    gaps = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert 1 / statistics.median(gaps) >= 17, "the pace is used; a machine that stalls now and then is not its fault"
    world.work()
    assert [len(world.phone(p)) for p in phones] == [1] * 40


def test_when_told_to_slow_down_all_rest_and_everything_arrives_once(
    world: World, configure: Callable[..., Settings], begun: list[float]
) -> None:
    configure(twilio_mps=40)
    world.standin.provoke("429", "sms", times=1, seconds=1)
    phones = people(20)
    delivery.drain("texts", budget=8)
    longest = max(later - earlier for earlier, later in itertools.pairwise(begun))
    assert longest >= 0.8, "the rest that the provider asked for"
    allowed = pace.look("sms")
    assert allowed is not None
    assert 20 <= allowed[0] < 40, "half as fast, and slowly more"
    with db.transaction() as session:
        waiting = session.scalar(select(func.count()).where(Delivery.state == DeliveryState.QUEUED))
        session.execute(update(Delivery).values(due_at=clock.now() - timedelta(seconds=1)))
    assert waiting == 1
    world.work()
    assert [len(world.phone(p)) for p in phones] == [1] * 20
