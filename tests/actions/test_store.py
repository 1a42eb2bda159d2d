"""Webhooks that arrive at the same moment: each is stored once, in few commits, and none suffers for another."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import event, func, select
from sqlalchemy.exc import SQLAlchemyError

from service import db, queue
from service.actions import conversations
from service.actions.conversations import store
from service.models.conversations import WebhookEvent


def receipt(event_id: str) -> store.Incoming:
    form = {"MessageSid": f"SM{uuid4().hex}", "MessageStatus": "delivered"}
    return store.Incoming("twilio", store.TEXT_STATUS, event_id, json.dumps({"form": form}))


def stored() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(WebhookEvent)) or 0


def waiting() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).where(WebhookEvent.processed_at.is_(None))) or 0


@contextmanager
def somebody_storing(waiting: int) -> Iterator[None]:
    """A request is storing its webhook as long as the block, and until so many others wait for it."""
    assert store._first(store._Part([]))
    store._arrived()
    yield
    while len(store._parts) < waiting:
        pass
    store._let_go()


def test_of_many_repeats_at_the_same_moment_exactly_one_is_new(database: db.Database, valkey: Redis) -> None:
    gate = threading.Barrier(8)

    def bring(number: int) -> int:
        gate.wait()
        return sum(store.keep([receipt(f"id-{n}"), receipt(f"own-{number}-{n}")]) for n in range(20))

    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(bring, range(8)))
    assert sum(new) == 20 + 8 * 20 == stored()
    assert store.keep([receipt("id-3")]) == 0


def test_those_that_wait_for_a_commit_share_the_next(database: db.Database, valkey: Redis) -> None:
    commits: list[int] = []
    event.listen(database.engine, "commit", lambda _: commits.append(1))
    with ThreadPoolExecutor(8) as pool:
        with somebody_storing(waiting=8):
            arriving = [pool.submit(store.keep, [receipt(f"id-{n}")]) for n in range(8)]
        assert [a.result() for a in arriving] == [1] * 8
    assert len(commits) == 1


def test_what_comes_right_after_a_commit_waits_a_moment_and_shares_the_next(
    database: db.Database, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    event.listen(database.engine, "commit", lambda _: commits.append(1))
    monkeypatch.setattr(store, "_began_at", -60.0)
    monkeypatch.setattr(store, "APART", 1.0)
    begin = time.monotonic()
    store.keep([receipt("alone")])
    assert time.monotonic() - begin < 1.0, "what comes alone does not wait"
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda n: store.keep([receipt(f"id-{n}")]), range(6))) == [1] * 6
    assert len(commits) == 2
    monkeypatch.setattr(store, "APART", 60.0)
    assert store.keep([receipt(f"batch-{n}") for n in range(store.MANY)]) == store.MANY, "a batch does not wait"


def test_what_is_stored_is_answered_though_the_next_are_being_stored(database: db.Database, valkey: Redis) -> None:
    answered, in_time = threading.Event(), []
    later: list[Future[int]] = []

    def committing(_: object) -> None:
        if later:
            in_time.append(answered.wait(10))
            return
        later.append(pool.submit(store.keep, [receipt("later")]))
        while not store._parts:
            pass

    event.listen(database.engine, "commit", committing)
    with ThreadPoolExecutor(3) as pool:
        with somebody_storing(waiting=2):
            first = [pool.submit(store.keep, [receipt(f"id-{n}")]) for n in range(2)]
        assert [one.result() for one in first] == [1, 1]
        answered.set()
        assert later[0].result() == 1
    assert in_time == [True]


def test_what_cannot_be_stored_fails_alone(database: db.Database, valkey: Redis) -> None:
    broken = store.Incoming("twilio", None, "broken", "{}")  # type: ignore[arg-type]
    with ThreadPoolExecutor(4) as pool:
        with somebody_storing(waiting=4):
            bad = pool.submit(store.keep, [broken])
            good = [pool.submit(store.keep, [receipt(f"id-{n}")]) for n in range(3)]
        assert [g.result() for g in good] == [1] * 3
        with pytest.raises(SQLAlchemyError):
            bad.result()
    assert stored() == 3


def test_receipts_ring_now_and_then_words_always_and_a_worker_lingers_for_the_rest(
    database: db.Database, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(queue, "ring", rung.append)
    monkeypatch.setattr(store, "_rung_at", float("-inf"))
    for n in range(5):
        store.keep([receipt(f"id-{n}")])
    assert rung == ["process_inbound"]
    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(conversations.process_inbound, linger=conversations.LINGER)
        while waiting():
            pass
        store.keep([receipt("late")])
        assert worker.result(timeout=10) == 6
    assert not waiting()
    rung.clear()
    form = {"MessageSid": "SM1", "From": "+12025550123", "To": "+15005550006", "Body": "4"}
    for n in range(3):
        store.keep([store.Incoming("twilio", store.TEXT, f"SM{n}", json.dumps({"form": form}))])
    assert rung == ["process_inbound"] * 3
