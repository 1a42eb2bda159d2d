"""A campaign to two thousand members on both channels, with real worker processes and a provider that stumbles: by the
provider's own record everybody gets one copy, and ours agrees with it. What happens when somebody is killed in the
middle is told in tests/chaos.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service import db, seed
from service.actions import campaigns
from service.config import Settings
from service.models.campaigns import CampaignKind, CampaignState, DeliveryState
from tests.chaos import record
from tests.chaos.crew import ROLES, Crew
from tests.flows.world import World, send

WORDS = "How are you, {{ first_name }}?"
MIX = {"sms": 0.15, "email": 0.75, "both": 0.1}
FROM_THE_QUEUE = [role for role in ROLES if role != "web"]


@pytest.mark.slow
@pytest.mark.parametrize(("database", "people"), [("sqlite", 2000), ("postgresql", 500)], indirect=["database"])
def test_everybody_gets_exactly_one(
    world: World, configure: Callable[..., Settings], tmp_path: Path, people: int
) -> None:
    configure(send_timeout=1, lease_seconds=5, unknown_grace_sms=2, unknown_grace_email=4)
    standin = world.standin
    standin.post("switches", pace=0.05, repeats=0.2, disorder=0.3, opens=1)  # as the vendors do
    standin.provoke("429", "sms", times=2, seconds=1)
    standin.provoke("500", "sms", times=3)
    standin.provoke("unanswered", "sms", times=2, seconds=3)
    standin.provoke("slow", "sms", times=5, seconds=0.5)
    standin.provoke("429", "email", times=1, seconds=1)
    standin.provoke("500", "email", times=1)
    standin.provoke("unanswered", "email", times=1, seconds=3)
    seed.many(people, MIX)
    campaign = send(CampaignKind.CHECKIN, WORDS, WORDS)
    crew = Crew(tmp_path, FROM_THE_QUEUE)
    try:
        crew.keep_going()
        wait_for_the_end(world, people)
    finally:
        crew.end()
    record.check(standin.app, campaign, people, {}, no_events=False)
    assert not crew.killed
    with db.reading() as session:
        done = campaigns.progress(session, campaign)
        assert (done.total, done.skipped) == (people, {})
        assert done.states[DeliveryState.DELIVERED] == people, "every receipt has been heard"
    campaigns.finish_done()
    with db.reading() as session:
        assert campaigns.get(session, campaign).state == CampaignState.FINISHED


def wait_for_the_end(world: World, people: int, seconds: float = 90) -> None:
    """Until every copy has its end and every receipt was dealt with. Now and then somebody opens a mail: an event that
    tells of nothing but that events are arriving, which is what makes their absence mean something.
    """
    ends, opened = time.monotonic() + seconds, 0
    app = world.standin.app
    while True:
        states = record.standing()
        if states.total() == people and not record.still_open(states):
            if not record.on_their_way(app) and not record.unread():
                return
        elif mail := app.extensions["sandbox"].one("SELECT id FROM mail ORDER BY n LIMIT 1 OFFSET ?", opened):
            world.standin.post("act", mail_id=mail["id"], act="open")
            opened += 1
        assert time.monotonic() < ends, dict(states)
        time.sleep(0.25)
