"""The processes of an installation, each of which may be killed with -9 at any moment and has a successor at once."""

import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path

from service import config
from tests.chaos import hand

ROLES = ("texts", "texts", "emails", "emails", "replies", "inbound", "upkeep", "clock", "web")


def ready() -> multiprocessing.context.ForkServerContext:
    """The process that everybody is forked from, with all modules loaded. Starts once and ends with the tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.chaos.hand"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(config.ROOT)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context


class Crew:
    """Who is at work. `kill` may be called from any thread."""

    def __init__(self, folder: Path, roles: Sequence[str] = ROLES) -> None:
        self.log = folder / "workers.log"
        self.killed: Counter[str] = Counter()
        self._values = config.current().model_dump()
        self._context = ready()
        self._guard = threading.RLock()
        self._ends_soon: dict[str, list[tuple[str, int]]] = {}
        self._places: list[tuple[str, multiprocessing.process.BaseProcess | None]] = [(role, None) for role in roles]

    def ends_soon(self, role: str, when: str, commits: int) -> None:
        """The next of the role that starts kills itself around its commit number `commits`."""
        self._ends_soon.setdefault(role, []).append((when, commits))

    def keep_going(self, *, without: str = "") -> None:
        """Start whoever is missing; nobody of the role `without`."""
        with self._guard:
            for n, (role, process) in enumerate(self._places):
                if role == without:
                    continue
                if process is None or not process.is_alive():
                    if process is not None and process.exitcode == -signal.SIGKILL:
                        self.killed[role] += 1
                    self._places[n] = (role, self._start(role))

    def _start(self, role: str) -> multiprocessing.process.BaseProcess:
        orders = self._ends_soon.get(role)
        dies = orders.pop(0) if orders else None
        process = self._context.Process(
            target=hand.live, args=(role, self._values, str(self.log), dies), name=role, daemon=True
        )
        process.start()
        return process

    def kill(self, role: str, *, most: int = 9) -> None:
        """kill -9 up to `most` of those of the role."""
        with self._guard:
            living = [p for r, p in self._places if r == role and p is not None and p.is_alive()]
            for process in random.sample(living, min(most, len(living))):
                process.kill()

    def end(self) -> None:
        """Kill everybody, for good."""
        self._ends_soon.clear()
        with self._guard:
            living = [p for _, p in self._places if p is not None and p.is_alive()]
            for process in living:
                process.kill()
            for process in living:
                process.join()
            self._places = [(role, None) for role, _ in self._places]
