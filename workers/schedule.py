"""The clock process: `python -P -m workers.schedule`. It rings every job now and then, and nothing else.

Every job asks the database what is due, so a ring too many or too few does no harm: two clocks may run at
once, and a clock that was away for an hour simply goes on.
"""

import sys
import time

from redis.exceptions import RedisError

from service import config, logs, queue

EVERY: dict[str, float] = {
    "process_inbound": 5,
    "drain_replies": 5,
    "drain_texts": 5,
    "drain_emails": 5,
    "start_campaigns": 5,
    "run_imports": 10,
    "sweep": 30,
    "housekeeping": 60,
}
"""Seconds between two rings of each job. Most rings come sooner, from whoever made the work."""

_TICK = 0.5

_log = logs.get("clock")


def tick(due: dict[str, float], now: float) -> None:
    """Ring each job whose moment in `due` has passed by `now` (monotonic seconds), and set its next one."""
    for job, seconds in EVERY.items():
        if due.get(job, 0.0) <= now:
            due[job] = now + seconds
            queue.ring(job)


def run() -> None:
    """Ring until `queue.stopping` is set. An outage of Redis is waited out; `queue.ring` logs it."""
    due: dict[str, float] = {}
    next_pulse = 0.0
    while not queue.stopping.is_set():
        now = time.monotonic()
        tick(due, now)
        if now >= next_pulse:
            next_pulse = now + queue.PULSE
            _pulse()
        queue.stopping.wait(_TICK)


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
