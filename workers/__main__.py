"""One worker process for one queue: `python -P -m workers texts`.

It does not fork: a forked job would go on sending after its worker was killed. It has one queue, because RQ
recovers a job that was taken and not begun only then. Without Redis it looks into the database by itself.
"""

import logging
import os
import socket
import sys
import threading
from typing import Any

from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import DequeueTimeout, InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

from service import config, logs, queue
from workers import jobs

POLL = 3.0
"""Seconds between two looks into the database while Redis is away."""
_BLOCK = 2  # seconds of a blocking pop: the longest that an idle worker takes to notice a stop

_log = logs.get("worker")


class _NoDeathPenalty(BaseDeathPenalty):
    """A job is never cut off: a send that was interrupted half-way has an outcome that nobody knows."""

    def setup_death_penalty(self) -> None:
        pass

    def cancel_death_penalty(self) -> None:
        pass


class DoorbellWorker(SimpleWorker):
    """RQ's non-forking worker with our loop: no job time-out, no second signal that kills, no words in logs."""

    death_penalty_class = _NoDeathPenalty

    def serve(self) -> None:
        """Take rings until `queue.stopping` is set. Raises RedisError when Redis goes away."""
        self.register_birth()  # type: ignore[no-untyped-call]
        try:
            while not queue.stopping.is_set():
                self.heartbeat()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
                try:
                    found = self.queue_class.dequeue_any(
                        self.queues, _BLOCK, self.connection, serializer=self.serializer
                    )
                except DequeueTimeout:
                    continue
                if found is not None:
                    self.execute_job(*found)
        finally:
            self.register_death()  # type: ignore[no-untyped-call]

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log which job failed and where, never the message: it may quote a member.

        Redis may have been emptied while a job ran: then RQ finds nothing to tick off, and no work has failed.
        """
        name = job.id.rpartition("-")[0]
        if isinstance(exc_info[1], (InvalidJobOperation, NoSuchJobError)):
            _log.info("ring_forgotten", job=name, hint="Redis was emptied; the clock rings again within seconds")
            return
        _failed(name, exc_info[1])

    def handle_job_failure(self, job: Job, queue: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the fact of a failure in Redis and none of its text."""
        kwargs["exc_string"] = "see the worker's log"
        super().handle_job_failure(job, queue, *args, **kwargs)


def _failed(job: str, error: BaseException | None) -> None:
    _log.error("job_failed", job=job, exc_info=error)


def run(name: str) -> None:
    """Work on the queue `name` until `queue.stopping` is set."""
    jobs.prepare(name)
    pulse = threading.Thread(target=_beat, args=(name,), name="pulse", daemon=True)
    pulse.start()
    while not queue.stopping.is_set():
        try:
            client = queue.connection(read_timeout=_BLOCK + 10)
            DoorbellWorker([queue.queue(name, client)], connection=client, serializer=JSONSerializer).serve()
        except (RedisError, OSError) as error:
            queue.report_outage(error)
            _look(name)
            queue.stopping.wait(POLL)
    pulse.join(timeout=2)


def _look(name: str) -> None:
    """Run every job of the queue once, as if each had been rung."""
    for job, its_queue in queue.JOBS.items():
        if its_queue == name and not queue.stopping.is_set():
            try:
                getattr(jobs, job)()
            except Exception as error:  # the worker outlives whatever a job does
                _failed(job, error)


def _beat(name: str) -> None:
    """Give a sign of life every few seconds, also while a long job runs."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    while not queue.stopping.is_set():
        _quietly(lambda: queue.pulse(name, worker))
        queue.stopping.wait(queue.PULSE)
    _quietly(lambda: queue.gone(name, worker))


def _quietly(act: Any) -> None:
    try:
        act()
    except (RedisError, OSError):
        return  # Redis is away; the main thread says so


def main(arguments: list[str]) -> int:
    """Run one worker. Returns the exit status: 2 when the queue's name is unknown. Raises ConfigurationError."""
    if len(arguments) != 1 or arguments[0] not in queue.QUEUES:
        print(f"Name one queue: {', '.join(queue.QUEUES)}", file=sys.stderr)
        return 2
    settings = config.current()
    logs.configure(settings.log_level)
    logging.getLogger("rq").setLevel(logging.WARNING)  # it says four things about every ring
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    settings.require_ready()
    queue.stop_on_signals()
    run(arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
