"""The doorbell: it tells workers to look into the database, and says nothing else.

A ring carries no arguments, so a lost or doubled one means nothing, and `FLUSHALL` costs at most the few
seconds until the clock rings again. Job names are strings, so that nothing below `workers` imports it.
"""

import signal
import time
from functools import lru_cache
from types import FrameType
from typing import Any, cast
from uuid import uuid4

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session

from service import config, db, logs

JOBS: dict[str, str] = {
    "process_inbound": "inbound",
    "fetch_media": "upkeep",
    "drain_replies": "replies",
    "drain_texts": "texts",
    "drain_emails": "emails",
    "start_campaigns": "upkeep",
    "run_imports": "upkeep",
    "sweep": "upkeep",
    "circles": "upkeep",
    "housekeeping": "upkeep",
}
"""Every job and the queue that it waits in; the functions are in `workers.jobs`."""

QUEUES = ("inbound", "replies", "texts", "emails", "upkeep")


class Stop:
    """A flag that a signal handler may set: an Event's set() takes a lock that the interrupted thread may hold."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Raise the flag."""
        self._set = True

    def clear(self) -> None:
        """Take it down again; for tests."""
        self._set = False

    def is_set(self) -> bool:
        """Whether it is up."""
        return self._set

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`, or until the flag is up; whether it is."""
        until = time.monotonic() + seconds
        while not self._set and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        return self._set


stopping = Stop()
"""Set when this process has been told to stop: whatever works in a loop reads it before it begins something new."""


def stop_on_signals() -> None:
    """Let SIGTERM and SIGINT set `stopping`, however often they come: nothing is cut off mid-send."""

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


PULSE = 5.0
"""Seconds between two heartbeats of a worker or of the clock."""
PULSE_LOST = 15.0
"""Seconds without a heartbeat after which one counts as gone."""
CLOCK_KEY = "hearthline:clock"

_REST = 1.0  # seconds without a try after Redis failed: a dead host must not cost every request its time-out
_QUIET = 60.0  # seconds between two complaints about it in the log
_TRIES = 5

_log = logs.get("queue")
_resting_until = 0.0
_quiet_until = 0.0


@lru_cache(maxsize=8)
def _client(url: str, read_timeout: float) -> Redis:
    # redis-py repeats a timed-out command ten times by default: an RPUSH would ring eleven times.
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=1,
        socket_timeout=read_timeout,
        health_check_interval=30,
    )


def connection(*, read_timeout: float = 5) -> Redis:
    """This process's client for REDIS_URL; `read_timeout` in seconds (a worker's blocking pop needs longer)."""
    return _client(config.current().redis, read_timeout)


def queue(name: str, client: Redis | None = None) -> Queue:
    """The RQ queue called `name`, speaking JSON."""
    return Queue(name, connection=client or connection(), serializer=JSONSerializer)


def ring(job: str) -> bool:
    """Ask a worker to run `workers.jobs.<job>` soon; whether a ring of it now waits.

    A queue holds at most one waiting ring of a job. It is the queue's own list that is looked at, never a
    mark beside it: a mark would outlive the ring that a FLUSHALL or a killed worker took away. Never raises
    when Redis is down: it logs once a minute and returns False, and the workers look by themselves.
    """
    global _resting_until
    target = queue(JOBS[job])
    if time.monotonic() < _resting_until:
        return False
    try:
        return _ring(target, job)
    except (RedisError, OSError) as error:
        _resting_until = time.monotonic() + _REST
        report_outage(error)
        return False


def _ring(target: Queue, job: str) -> bool:
    if _waits(target.connection, target, job):  # one round trip, which is all that most rings cost
        return True
    for _ in range(_TRIES):
        with target.connection.pipeline() as pipe:
            try:
                pipe.watch(target.key)  # type: ignore[no-untyped-call]
                if _waits(pipe, target, job):
                    return True
                pipe.multi()
                target.enqueue(
                    f"workers.jobs.{job}",
                    job_id=f"{job}-{uuid4().hex}",
                    job_timeout=-1,
                    result_ttl=0,
                    failure_ttl=3600,
                    pipeline=pipe,
                )
                pipe.execute()
                return True
            except WatchError:  # somebody rang, or a worker took one, since we looked
                continue
    return False  # so busy that the job runs all the time anyway


def _waits(client: Any, target: Queue, job: str) -> bool:
    waiting = cast("list[bytes]", client.lrange(target.key, 0, -1))
    return any(entry.decode().rpartition("-")[0] == job for entry in waiting)


def ring_after(session: Session, job: str) -> None:
    """Ring once this session's transaction has been committed; nothing happens if it rolls back."""
    db.on_commit(session, f"ring:{job}", lambda: ring(job))


def report_outage(error: Exception) -> None:
    """Log that Redis is away, at most once a minute."""
    global _quiet_until
    if time.monotonic() >= _quiet_until:
        _quiet_until = time.monotonic() + _QUIET
        _log.warning("redis_unreachable", exc_info=error, hint="work goes on, a few seconds later; see REDIS_URL")


def pulse(name: str, worker: str) -> None:
    """Record that `worker` of the queue `name` is alive. Raises RedisError."""
    client = connection()
    key = _pulse_key(name)
    now = _redis_time(client)
    client.zadd(key, {worker: now})
    client.zremrangebyscore(key, 0, now - 20 * PULSE_LOST)
    client.expire(key, 3600)


def gone(name: str, worker: str) -> None:
    """Record that `worker` has ended. Raises RedisError."""
    connection().zrem(_pulse_key(name), worker)


def live_workers(name: str) -> int | None:
    """How many workers of the queue `name` gave a sign of life in the last 15 s; None if Redis cannot tell.

    None is not 0: without Redis workers go on by looking into the database every few seconds.
    """
    try:
        client = connection()
        return client.zcount(_pulse_key(name), _redis_time(client) - PULSE_LOST, "+inf")
    except (RedisError, OSError):
        return None


def clock_pulse() -> None:
    """Record that the clock process is alive. Raises RedisError."""
    connection().set(CLOCK_KEY, "alive", ex=int(PULSE_LOST))


def clock_alive() -> bool | None:
    """Whether a clock process gave a sign of life in the last 15 s; None if Redis cannot tell."""
    try:
        return bool(connection().exists(CLOCK_KEY))
    except (RedisError, OSError):
        return None


def redis_ok() -> bool:
    """Whether Redis answers now. Never raises."""
    try:
        return bool(connection().ping())
    except (RedisError, OSError):
        return False


def _pulse_key(name: str) -> str:
    return f"hearthline:workers:{name}"


def _redis_time(client: Redis) -> float:
    # Redis's own clock: machines may disagree about the time by more than a heartbeat.
    seconds, micros = client.time()
    return seconds + micros / 1e6
