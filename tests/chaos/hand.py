"""What runs in a process that may be killed: a worker, the clock or the web, as they are, with their waits made short.

It is imported once and then forked, so that a process that was killed has a successor within a hundredth of a second.
"""

import logging
import os
import signal
from datetime import timedelta
from types import ModuleType
from typing import Any

import sendgrid  # noqa: F401  what a worker loads when it begins
import twilio.rest  # noqa: F401
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

import workers.schedule
from service import app, config
from service.actions import clock_lease
from service.actions.delivery import draining, pace, rules, sweeping
from service.config import Settings
from workers import __main__ as worker

SHORTER: list[tuple[ModuleType, str, Any]] = [
    (draining, "CLAIM_AT_MOST", 120),
    (sweeping, "LOOKS_APART", timedelta(seconds=0.7)),
    (rules, "FIRST_BACKOFF", 0.4),
    (pace, "HOLD", 4.0),
    (clock_lease, "LEASE", timedelta(seconds=2)),
    (clock_lease, "RENEW", 0.6),
    (worker, "POLL", 0.4),
    (workers.schedule, "_TICK", 0.1),
    (workers.schedule, "EVERY", dict.fromkeys(workers.schedule.EVERY, 0.8)),
]
"""The waits of production in seconds, its batches in hundreds: the same order among themselves, no rule left out."""


def live(role: str, values: dict[str, Any], log: str, dies: tuple[str, int] | None) -> None:
    """Be a worker of the queue `role`, the `clock` or the `web`, until killed or told to stop.

    `dies` is `("before" | "after", n)`: kill -9 by its own hand around its n-th commit, which is where every step of
    the engine ends: a claim, a mark, a result, a webhook that has been dealt with.
    """
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for module, name, value in SHORTER:
        assert hasattr(module, name), f"{module.__name__}.{name} has another name now"
        setattr(module, name, value)
    config.use(Settings(_env_file=None, **values))
    if dies:
        _die(*dies)
    if role == "web":
        _serve()
    elif role == "clock":
        workers.schedule.main()
    else:
        worker.main([role])


def _serve() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_server("127.0.0.1", config.current().port, app.create_app(), threaded=True).serve_forever()


def _die(when: str, n: int) -> None:
    left = n

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if when == "before":
        event.listen(Engine, "commit", count)
    else:
        event.listen(Session, "after_commit", count)
