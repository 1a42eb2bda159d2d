"""Runs several processes as one: the demo, and `hearthline worker` without a name.

Each child has a session of its own, so that Ctrl-C reaches only the supervisor, which then stops them in
order; what dies in between is started again. `service.launch` makes them end with the supervisor, however
that ends.
"""

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import IO

from service import launch, queue
from service.config import Settings
from service.errors import ConfigurationError

GRACE = 15.0
"""Seconds that a group of children gets to end before it is killed."""
PATIENCE = 10.0
"""Seconds that the children after one with `ready` wait for it."""
_TURN = 0.1
_BACKOFF = (0.5, 1, 2, 4, 8, 15)  # seconds between a crash and the next start
_STEADY = 30.0  # seconds of life after which a child's earlier crashes are forgiven

_COLOURS = (36, 35, 32, 33, 34, 95, 96, 92)


@dataclass(frozen=True)
class Child:
    """One process: `argv` are a module and its arguments, `group` is stopped together, `env` adds to ours.

    The children after one with `ready` start once that is true, or `PATIENCE` seconds have passed.
    """

    name: str
    argv: Sequence[str]
    group: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None


@dataclass
class _Running:
    child: Child
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0
    again_at: float = 0.0
    was_ready: bool = False


def run(children: Sequence[Child], *, every_turn: Callable[[], None] = lambda: None) -> None:
    """Start `children` in order, keep them alive, and stop them in reverse order on SIGTERM, SIGINT or SIGHUP.

    Children of one `group` that stand side by side are stopped at once and have `GRACE` seconds together.
    `every_turn` is called about ten times a second and should be quick. Must run in the main thread: the
    kernel ties a child's life to the thread that started it.
    """
    say = _Printer([child.name for child in children])
    running = [_Running(child) for child in children]
    with _told_to_stop() as told:
        try:
            while not told():
                for each in running:
                    _tend(each, say)
                    if not _is_ready(each):
                        break
                every_turn()
                time.sleep(_TURN)
        finally:
            say.line("", "stopping …")
            for _, group in groupby(reversed(running), key=lambda r: r.child.group or r.child.name):
                _stop(list(group))
            say.close()


@contextlib.contextmanager
def _told_to_stop() -> Iterator[Callable[[], bool]]:
    """Note the signals that mean "stop" inside the block, and hand out the question whether one has come."""
    told = False

    def note(_: int, __: FrameType | None) -> None:
        nonlocal told
        told = True

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield lambda: told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tend(each: _Running, say: "_Printer") -> None:
    """Start the child if it does not run and its back-off is over."""
    now = time.monotonic()
    if each.process is not None:
        status = each.process.poll()
        if status is None:
            return
        _end_group(each.process)
        each.process = None
        each.crashes = 0 if now - each.started > _STEADY else each.crashes + 1
        wait = _BACKOFF[min(max(each.crashes - 1, 0), len(_BACKOFF) - 1)]
        each.again_at = now + wait
        say.line(each.child.name, f"ended with status {status}; starting it again in {wait:g} s")
    if now >= each.again_at:
        each.process = _start(each.child, say)
        each.started = now


def _is_ready(each: _Running) -> bool:
    """Whether the children after this one may start; once true it stays so."""
    if not each.was_ready:
        late = time.monotonic() - each.started > PATIENCE
        each.was_ready = each.child.ready is None or late or each.child.ready()
    return each.was_ready


def _start(child: Child, say: "_Printer") -> subprocess.Popen[bytes]:
    ours = {launch.PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1", "FORCE_COLOR": "1" if say.coloured else ""}
    process = subprocess.Popen(  # noqa: S603  # our own modules, with arguments of ours
        [sys.executable, "-P", "-m", "service.launch", *child.argv],
        env={**os.environ, **child.env, **ours},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    say.follow(child.name, process)
    return process


def _stop(group: list[_Running]) -> None:
    """Ask every child of the group to end, wait up to `GRACE` seconds for all, then kill what is left."""
    processes = [each.process for each in group if each.process is not None]
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        _end_group(process)
        process.wait()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the child, if it still runs, and whatever it has left behind in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left (macOS says the second)
        os.killpg(process.pid, signal.SIGKILL)


class _Printer:
    """Prints the children's lines with their names before them, one line at a time."""

    def __init__(self, names: Sequence[str]) -> None:
        self.width = max((len(name) for name in names), default=0)
        self.colours = dict(zip(names, _COLOURS * (1 + len(names) // len(_COLOURS)), strict=False))
        self.coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.threads: list[threading.Thread] = []

    def line(self, name: str, text: str) -> None:
        prefix = f"{name:<{self.width}} |"
        if self.coloured and name:
            prefix = f"\x1b[{self.colours[name]}m{prefix}\x1b[0m"
        with contextlib.suppress(OSError, ValueError):  # the terminal has gone; the children have not
            sys.stdout.write(f"{prefix} {text}\n")
            sys.stdout.flush()

    def follow(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        thread = threading.Thread(target=self._copy, args=(name, process.stdout), name=name, daemon=True)
        thread.start()
        self.threads = [t for t in self.threads if t.is_alive()] + [thread]

    def _copy(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.line(name, line.decode(errors="replace").rstrip())

    def close(self) -> None:
        for thread in self.threads:
            thread.join(timeout=1)


def demo_children(settings: Settings) -> list[Child]:
    """The demo's processes, in the order in which they start; they stop in the reverse order."""
    valkey = [] if settings.redis_url else [Child("valkey", ["service.valkey"], ready=queue.redis_ok)]
    return [
        *valkey,
        Child("sandbox", ["service.cli", "sandbox"]),
        Child("web", ["service.cli", "web"]),
        Child("clock", ["workers.schedule"]),
        *worker_children(queue.QUEUES),
    ]


def worker_children(queues: Sequence[str]) -> list[Child]:
    """One worker process for each of `queues`."""
    return [Child(name, ["workers", name], group="workers") for name in queues]


def require_free_ports(wanted: Sequence[tuple[str, int, str]]) -> None:
    """Raise ConfigurationError naming each port that is taken; entries are (host, port, variable to change).

    Waits up to two seconds for a port whose last owner is just ending.
    """
    deadline = time.monotonic() + 2
    while taken := [entry for entry in wanted if not _is_free(entry[0], entry[1])]:
        if time.monotonic() >= deadline:
            raise ConfigurationError(
                [
                    f"port {port} on {host} is taken by another program: stop it, "
                    f"or choose another, for example {variable}={port + 10}"
                    for host, port, variable in taken
                ]
            )
        time.sleep(0.1)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ConfigurationError([f"HOST {host} with port {port} cannot be used: {error.strerror}"]) from None
    return True


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` inside the block. Raises ConfigurationError if another process holds it."""
    with path.open("a+") as file:
        if not _locked(file):
            file.seek(0)
            raise ConfigurationError(
                [
                    f"a demo already runs in {path.parent} (process {file.read().strip() or 'unknown'}): "
                    "stop it first, or set DATA_DIR to another folder"
                ]
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _locked(file: IO[str]) -> bool:
    for _ in range(5):  # `config.demo_runs` holds it for an instant
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return True
    return False
