"""One clock acts at a time, another takes over: the lease itself, and two real processes on both databases."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from sqlalchemy import text

from service import config, db, queue
from service.actions import clock_lease
from tests.platform.test_workers import start
from tests.platform.waiting import wait_until
from workers.schedule import Turn


@pytest.fixture
def clocks() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=5)


def acting() -> int | None:
    """The process that acts as the clock."""
    name = clock_lease.holder()
    return int(name.split(":")[1]) if name else None


def test_the_second_clock_acts_within_seconds_of_the_firsts_death(
    database: db.Database, valkey: Redis, clocks: list[subprocess.Popen[bytes]]
) -> None:
    clocks.append(start(config.current(), "workers.schedule"))
    wait_until(lambda: acting() == clocks[0].pid)
    clocks.append(start(config.current(), "workers.schedule"))
    wait_until(lambda: bool(valkey.llen("rq:queue:upkeep")) and bool(queue.clock_alive()))
    seen = set()
    for _ in range(20):
        time.sleep(0.1)
        seen.add(acting())
    assert seen == {clocks[0].pid}, "the second one waits"

    valkey.flushall()
    os.kill(clocks[0].pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: acting() == clocks[1].pid, seconds=clock_lease.LEASE.total_seconds() + clock_lease.RENEW + 4)
    assert time.monotonic() - killed > clock_lease.LEASE.total_seconds() - clock_lease.RENEW - 1
    wait_until(lambda: bool(valkey.llen("rq:queue:texts")))

    clocks[1].terminate()
    assert clocks[1].wait(timeout=10) == 0
    assert acting() is None, "one that is told to stop lets go at once"


def test_a_lease_is_one_holders_until_it_ends_or_is_given_up(
    database: db.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clock_lease.holder() is None
    assert clock_lease.take("a")
    assert clock_lease.take("a")
    assert not clock_lease.take("b")
    clock_lease.give_up("b")
    assert clock_lease.holder() == "a"
    clock_lease.give_up("a")
    assert clock_lease.take("b")
    monkeypatch.setattr(clock_lease, "LEASE", -clock_lease.LEASE)
    assert clock_lease.take("b")
    assert clock_lease.holder() is None
    assert clock_lease.take("a")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_clock_that_cannot_renew_stops_acting_and_goes_on_when_the_database_is_back(database: db.Database) -> None:
    turn = Turn()
    now = time.monotonic()
    assert turn.ours(now)
    with db.transaction() as session:
        session.execute(text("ALTER TABLE system_values RENAME TO away"))
    assert turn.ours(now + 3), "the lease still runs"
    assert not turn.ours(now + 6.1)
    with db.transaction() as session:
        session.execute(text("ALTER TABLE away RENAME TO system_values"))
    assert turn.ours(now + 9)
