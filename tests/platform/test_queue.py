"""The doorbell against a real Valkey: at most one ring waits, none is lost for good, and no outage is felt."""

import math
import time

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from service import db, queue
from service.config import Settings
from workers import jobs, schedule
from workers.__main__ import DoorbellWorker


def waiting(client: Redis, name: str) -> list[str]:
    """The jobs whose rings wait in the queue `name`, oldest first."""
    return [entry.decode().rpartition("-")[0] for entry in client.lrange(f"rq:queue:{name}", 0, -1)]


def test_every_job_has_a_function_and_a_queue() -> None:
    for job, name in queue.JOBS.items():
        assert callable(getattr(jobs, job)), job
        assert name in queue.QUEUES
    assert set(queue.QUEUES) == set(queue.JOBS.values())
    assert set(schedule.EVERY) == set(queue.JOBS), "the clock rings every job"


def test_a_thousand_rings_leave_one_waiting(valkey: Redis) -> None:
    assert all(queue.ring("drain_texts") for _ in range(1000))
    assert waiting(valkey, "texts") == ["drain_texts"]
    assert len(valkey.keys("rq:job:*")) == 1


def test_jobs_that_share_a_queue_each_wait_once(valkey: Redis) -> None:
    for job in ["sweep", "housekeeping", "sweep", "run_imports", "housekeeping"]:
        queue.ring(job)
    assert waiting(valkey, "upkeep") == ["sweep", "housekeeping", "run_imports"]


def test_a_ring_while_the_job_runs_waits_for_another_look(valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look_while_more_arrives() -> None:
        looks.append(waiting(valkey, "texts"))
        if len(looks) == 1:
            assert queue.ring("drain_texts")

    monkeypatch.setattr(jobs, "drain_texts", look_while_more_arrives)
    queue.ring("drain_texts")
    work_off("texts")
    assert looks == [[], []], "the ring that came during the first look brought a second"


def test_flushall_leaves_nothing_blocked(valkey: Redis) -> None:
    queue.ring("sweep")
    valkey.flushall()
    assert queue.ring("sweep")
    assert waiting(valkey, "upkeep") == ["sweep"]


def test_a_worker_killed_between_taking_and_starting_blocks_nothing(valkey: Redis) -> None:
    queue.ring("drain_emails")
    taken = valkey.blmove("rq:queue:emails", "rq:queue:emails:intermediate", 1)
    assert taken
    assert queue.ring("drain_emails")
    assert waiting(valkey, "emails") == ["drain_emails"]


def test_a_ring_that_another_process_disturbs_still_leaves_one(valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    look = queue._waits
    rivals = iter([True, True, False])

    def disturbed(client: object, target: object, job: str) -> bool:
        found = look(client, target, job)  # type: ignore[arg-type]
        if client is not valkey and next(rivals, False):
            valkey.rpush("rq:queue:replies", "other-1")
            valkey.lpop("rq:queue:replies")
        return found

    monkeypatch.setattr(queue, "_waits", disturbed)
    assert queue.ring("drain_replies")
    assert waiting(valkey, "replies") == ["drain_replies"]


def test_without_redis_a_ring_is_quick_quiet_and_false(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.thread_time()
    assert [queue.ring("drain_texts") for _ in range(500)] == [False] * 500
    assert time.thread_time() - began < 2
    assert queue.redis_ok() is False
    assert queue.live_workers("texts") is None, "not zero: nobody knows"
    assert queue.clock_alive() is None
    assert capsys.readouterr().err.count("redis_unreachable") == 1


def test_an_unknown_job_is_a_mistake_of_ours(valkey: Redis) -> None:
    with pytest.raises(KeyError):
        queue.ring("drain_everything")


def test_a_ring_comes_only_after_the_commit_and_once(valkey: Redis, database: db.Database) -> None:
    with db.transaction() as session:
        queue.ring_after(session, "process_inbound")
        queue.ring_after(session, "process_inbound")
        session.begin_nested().commit()
        assert waiting(valkey, "inbound") == []
    assert waiting(valkey, "inbound") == ["process_inbound"]


def test_what_is_rolled_back_rings_nobody(valkey: Redis, database: db.Database) -> None:
    def receive_and_fail() -> None:
        with db.transaction() as session:
            queue.ring_after(session, "process_inbound")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        receive_and_fail()
    assert waiting(valkey, "inbound") == []


def test_workers_are_counted_while_they_give_signs_of_life(valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    assert queue.live_workers("texts") == 0
    queue.pulse("texts", "here:1")
    queue.pulse("texts", "here:1")
    queue.pulse("texts", "there:2")
    queue.pulse("emails", "here:3")
    assert queue.live_workers("texts") == 2
    queue.gone("texts", "there:2")
    assert queue.live_workers("texts") == 1
    monkeypatch.setattr(queue, "PULSE_LOST", -1)  # as though all of these seconds had passed
    assert queue.live_workers("texts") == 0


def test_a_redis_that_is_emptied_during_a_job_alarms_nobody(
    valkey: Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = []

    def look() -> None:
        looks.append(valkey.flushall())

    monkeypatch.setattr(jobs, "drain_texts", look)
    queue.ring("drain_texts")
    work_off("texts")
    assert "job_failed" not in capsys.readouterr().err
    assert queue.ring("drain_texts")  # … and nothing that RQ wrote about it stands in the way of the next
    work_off("texts")
    assert len(looks) == 2


def test_a_failed_job_leaves_no_words_behind(
    valkey: Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("Maya wrote: I feel so alone")

    monkeypatch.setattr(jobs, "drain_texts", fail)
    queue.ring("drain_texts")
    work_off("texts")
    shown = capsys.readouterr()
    assert "job_failed" in shown.err
    assert "ValueError" in shown.err
    assert "Maya" not in shown.err + shown.out
    kept = [valkey.dump(key) for key in valkey.keys("*")]
    assert not any(b"Maya" in (value or b"") for value in kept)
    assert 0 < valkey.ttl(next(key for key in valkey.keys("rq:job:*"))) <= 3600


def test_a_finished_job_leaves_nothing_in_redis(valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "drain_texts", lambda: None)
    for _ in range(3):
        queue.ring("drain_texts")
        work_off("texts")
    assert valkey.keys("rq:job:*") == []
    assert valkey.llen("rq:queue:texts") == 0


def test_the_clock_rings_each_job_in_its_own_time(valkey: Redis) -> None:
    due: dict[str, float] = {}
    rung: dict[str, int] = dict.fromkeys(queue.JOBS, 0)
    for second in range(120):
        schedule.tick(due, 1000.0 + second)
        for name in queue.QUEUES:
            for job in waiting(valkey, name):
                rung[job] += 1
            valkey.delete(f"rq:queue:{name}")
    assert rung == {
        job: math.ceil(120 / every) for job, every in schedule.EVERY.items()
    }  # each at once, then in its time


def test_the_worker_has_no_time_out_and_does_not_fork() -> None:
    assert issubclass(DoorbellWorker, SimpleWorker)
    with DoorbellWorker.death_penalty_class(1, TimeoutError):
        time.sleep(1.2)


def work_off(name: str) -> None:
    """Let a worker of ours take every ring that waits in the queue `name`."""
    client = queue.connection(read_timeout=12)
    worker = DoorbellWorker([queue.queue(name, client)], connection=client, serializer=JSONSerializer)
    worker.register_birth()
    while found := worker.queue_class.dequeue_any(worker.queues, None, connection=client, serializer=JSONSerializer):
        worker.execute_job(*found)
    worker.register_death()
