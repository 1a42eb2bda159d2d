"""SQLite has one writer at a time: whoever waits for their turn gets it next, however greedy another process is."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from service import config, db

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

HELD = 0.08
GREEDY = """
import sys, time
from sqlalchemy import text
from service import db
db.connect(sys.argv[1])
print("begins", flush=True)
while True:
    with db.transaction() as session:
        session.execute(text("UPDATE system_values SET name = name"))
        time.sleep(float(sys.argv[2]))
    time.sleep(0.001)
"""


def waits(times: int) -> list[float]:
    """How long each of some short transactions takes, waiting included."""
    found = []
    for _ in range(times):
        began = time.monotonic()
        with db.transaction() as session:
            session.execute(text("UPDATE system_values SET name = name"))
        found.append(time.monotonic() - began)
        time.sleep(0.01)
    return found


def test_a_greedy_process_holds_up_nobody_for_longer_than_one_of_its_pieces(database: db.Database) -> None:
    greedy = subprocess.Popen(
        [sys.executable, "-P", "-c", GREEDY, str(database.url), str(HELD)], env={"PYTHONPATH": str(config.ROOT)},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == b"begins\n"
        assert max(waits(20)) < 5 * HELD  # by SQLite's own waiting it is a second and more
    finally:
        greedy.kill()
        greedy.wait()
    assert max(waits(3)) < HELD, "whoever was killed holds nothing"


def test_threads_take_turns_as_well(database: db.Database) -> None:
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.extend(waits(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40


def test_a_transaction_that_fails_lets_the_next_begin(database: db.Database) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction():
        raise ZeroDivisionError
    assert len(waits(1)) == 1
    assert Path(f"{database.url.database}-turn").stat().st_mode & 0o077 == 0
