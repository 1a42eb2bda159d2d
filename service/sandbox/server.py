"""Runs the stand-in with granian: one process, because its state is its own, and several threads."""

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
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _load(settings: Settings) -> Any:
    """The app, in the worker process, with the settings of the one that started it."""
    from service.sandbox.app import create_sandbox

    use(settings)
    logs.configure(settings.log_level)
    return create_sandbox(settings)
