"""Runs the stand-in with granian: one process, because its state is its own, and several threads."""

import os
import threading
import time
from functools import partial
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from service import logs
from service.config import Settings, use

THREADS = 32
"""Slow and unanswered requests each hold a thread for as long as they last."""


def serve(settings: Settings) -> None:
    """Serve on settings.host:settings.sandbox_port until SIGTERM or SIGINT."""
    server = Granian(
        "service.sandbox.app",
        address=settings.host,
        port=settings.sandbox_port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        workers_kill_timeout=3,  # an unanswered request would hold up the end for minutes
        respawn_failed_workers=True,
        websockets=False,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=partial(_load, settings, os.getpid()), wrap_loader=False)


def _load(settings: Settings, parent: int) -> Any:
    """The app, in the worker process, with the settings of the one that started it."""
    from service.sandbox.app import create_sandbox

    threading.Thread(target=_end_with, args=(parent,), name="sandbox-parent", daemon=True).start()
    use(settings)
    logs.configure(settings.log_level)
    return create_sandbox(settings)


def _end_with(parent: int) -> None:
    """End this process soon after its parent: one killed with `kill -9` would leave it behind, holding the port.

    At once and without ceremony: everything is in SQLite, and a request that hangs on purpose would hold up the rest.
    """
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(0)
