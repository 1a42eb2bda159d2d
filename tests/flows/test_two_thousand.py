"""A campaign to two thousand members on both channels: the providers' own record shows each of them exactly once."""

import os
import subprocess
import sys
import time
from pathlib import Path

from service import config, db, seed
from service.actions import campaigns, conversations
from service.models.campaigns import CampaignKind
from tests.flows.world import World, send

PEOPLE = 2_000
QUEUES = ("texts", "emails", "upkeep")


def workers(folder: Path) -> list[subprocess.Popen[bytes]]:
    """Real worker processes with this test's settings."""
    values = config.current().model_dump()
    environment = {k: v for k, v in os.environ.items() if k.upper() not in {n.upper() for n in values}}
    environment |= {name.upper(): str(value) for name, value in values.items() if value not in ("", None)}
    environment["PYTHONPATH"] = str(config.ROOT)
    return [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "workers", name], env=environment, cwd=folder, stderr=subprocess.DEVNULL
        )
        for name in QUEUES
    ]


def test_everybody_gets_exactly_one(world: World, tmp_path: Path) -> None:
    world.standin.post("switches", pace=0.01, repeats=0.2, disorder=0.3)  # as the vendors do
    world.standin.provoke("429", "sms", times=3, seconds=1)
    world.standin.provoke("500", "email", times=1)
    seed.many(PEOPLE, {"sms": 0.4, "email": 0.4, "both": 0.2})
    running = workers(tmp_path)
    try:
        campaign = send(CampaignKind.CHECKIN, "How are you, {{ first_name }}?", "How are you, {{ first_name }}?")
        ends = time.monotonic() + 120
        progress = None
        while time.monotonic() < ends:
            conversations.process_inbound(2)
            with db.reading() as session:
                progress = campaigns.progress(session, campaign)
                frozen = campaigns.get(session, campaign).frozen_at
            waiting = world.standin.get("counts")["waiting"]
            if frozen and not waiting and progress.open <= progress.states.get("unknown", 0):
                break
            time.sleep(0.2)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)
    assert progress is not None
    counts = world.standin.get("counts")
    got = list(counts["texts"].values()) + list(counts["mails"].values())
    assert set(got) == {1}, "somebody got more than one copy"
    # A 500 without an answer stays unknown until its grace is over: those were not sent, and are not counted as sent.
    assert len(got) + progress.states.get("unknown", 0) >= PEOPLE
    assert len(got) <= PEOPLE
    assert progress.total == PEOPLE
    assert progress.skipped == {}
    assert set(progress.states) <= {"delivered", "sent", "accepted", "unknown"}
