"""The clock process: `python -P -m workers.schedule`. It rings every job now and then, and nothing else.

Start one on each of two machines: the one with the lease in the database acts, the other takes over within seconds
when it dies. Every job asks the database what is due, so a ring too many or too few does no harm.
"""

import os
import socket
import sys
import time
from uuid import uuid4

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from service import config, logs, queue
from service.actions import clock_lease

EVERY: dict[str, float] = {
    "process_inbound": 5,
    "fetch_media": 30,
    "drain_replies": 5,
    "drain_texts": 5,
    "drain_emails": 5,
    "start_campaigns": 5,
    "run_imports": 10,
    "sweep": 30,
    "circles": 300,
    "housekeeping": 60,
}
"""Seconds between two rings of each job. Most rings come sooner, from whoever made the work."""

_TICK = 0.5
_QUIET = 60.0  # seconds between two complaints about the database in the log

_log = logs.get("clock")


def tick(due: dict[str, float], now: float) -> None:
    """Ring each job whose moment in `due` has passed by `now` (monotonic seconds), and set its next one."""
    for job, seconds in EVERY.items():
        if due.get(job, 0.0) <= now:
            due[job] = now + seconds
            queue.ring(job)


class Turn:
    """Whether this process is the clock that acts."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._until = 0.0
        self._next = 0.0
        self._complain_at = 0.0

    def ours(self, now: float) -> bool:
        """Take or renew the lease when it is time to; whether we may act at `now` (monotonic seconds)."""
        if now >= self._next:
            self._next = now + clock_lease.RENEW
            had = now < self._until
            try:
                # Reckoned from before the question: our lease never ends later than the database thinks.
                self._until = now + clock_lease.LEASE.total_seconds() if clock_lease.take(self.name) else 0.0
            except SQLAlchemyError as error:
                self._complain(now, error)
            if had != (now < self._until):
                _log.info("clock_acts" if now < self._until else "clock_waits")
        return now < self._until

    def end(self) -> None:
        """Let another clock take over at once."""
        if self._until:
            try:
                clock_lease.give_up(self.name)
            except SQLAlchemyError as error:
                _log.warning("the lease runs out by itself", exc_info=error)

    def _complain(self, now: float, error: Exception) -> None:
        if now >= self._complain_at:
            self._complain_at = now + _QUIET
            _log.warning("database_unreachable", exc_info=error, hint="the clock waits for it; see DATABASE_URL")


def run() -> None:
    """Ring until `queue.stopping` is set. Outages of Redis and of the database are waited out."""
    due: dict[str, float] = {}
    next_pulse = 0.0
    turn = Turn()
    while not queue.stopping.is_set():
        if turn.ours(time.monotonic()):
            now = time.monotonic()
            tick(due, now)
            if now >= next_pulse:
                next_pulse = now + queue.PULSE
                _pulse()
        queue.stopping.wait(_TICK)
    turn.end()


def _pulse() -> None:
    try:
        queue.clock_pulse()
    except (RedisError, OSError):
        return  # `queue.ring` has logged it; the workers look into the database by themselves


def main() -> int:
    """Run the clock until it is told to stop. Raises ConfigurationError."""
    logs.configure(config.current().log_level)
    queue.stop_on_signals()
    _log.info("clock_started")
    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
