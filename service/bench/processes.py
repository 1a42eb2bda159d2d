"""Children of the bench: our own modules in processes of their own, which never outlive it, and what they use."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from service import launch
from service.errors import Unavailable

GRACE = 15.0
"""Seconds that a child gets to end before it is killed."""
IDLE = 0.3
"""Seconds without any processor time after which a worker waits for work."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """One running module; what it writes to the terminal goes to a file in the bench's folder."""

    def __init__(self, argv: list[str], env: Mapping[str, str], folder: Path, *, piped: bool = False) -> None:
        self.name = " ".join(argv)
        self._log = folder / f"{argv[0]}-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own modules, with arguments of ours
                [sys.executable, "-P", "-m", "service.launch", *argv],
                env={**env, launch.PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                start_new_session=True,
            )

    def line(self) -> str:
        """The next line of what a piped child prints. Raises Unavailable when it has ended."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline().decode().strip()
        if not text:
            self.process.wait(GRACE)
            raise Unavailable(self.complaint())
        return text

    def cpu_seconds(self) -> float:
        """Processor time used so far, of all its threads."""
        return cpu_seconds(self.process.pid)

    def memory(self) -> float:
        """Bytes in memory now."""
        return memory(self.process.pid)

    def pause(self) -> None:
        """Let it do nothing until `go_on`: a warm worker waits for the start of a measurement.

        It is stopped when it has been idle for a moment, never in a transaction: that would keep its locks.
        """
        used, since = self.cpu_seconds(), time.monotonic()
        while time.monotonic() - since < IDLE:
            time.sleep(0.02)
            if (now := self.cpu_seconds()) != used:
                used, since = now, time.monotonic()
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        os.kill(self.process.pid, signal.SIGCONT)

    def complaint(self) -> str:
        """That it ended, and the last lines that it wrote."""
        return f"`{self.name}` ended unexpectedly ({self.process.poll()}). {self.last_words()}"

    def last_words(self) -> str:
        """The last lines that it wrote."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return "\n".join(["It wrote:", *lines[-8:]]) if lines else "It wrote nothing."

    def stop(self) -> None:
        """End it, by force if it does not within GRACE seconds."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@contextlib.contextmanager
def running(argv: list[str], env: Mapping[str, str], folder: Path, *, piped: bool = False) -> Iterator[Process]:
    """A child that runs as long as the block."""
    child = Process(argv, env, folder, piped=piped)
    try:
        yield child
    finally:
        child.stop()


def until(
    ready: Callable[[], bool], child: Process | None = None, *, seconds: float = 30, every: float = 0.02, what: str = ""
) -> float:
    """Wait until `ready`, which is asked `every` so many seconds; the seconds it took. Raises Unavailable after
    `seconds`, or when `child` has ended.
    """
    began = time.perf_counter()
    while not ready():
        if child is not None and child.process.poll() is not None:
            raise Unavailable(child.complaint())
        if time.perf_counter() - began > seconds:
            wrote = f" {child.last_words()}" if child is not None else ""
            raise Unavailable(f"The bench waited {seconds:.0f} s in vain{what and ' for ' + what}.{wrote}")
        time.sleep(every)
    return time.perf_counter() - began


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, in seconds."""
    if sys.platform == "linux":
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    parts = [float(part) for part in re.split("[-:]", _ps(pid, "time"))]
    return sum(part * scale for part, scale in zip(reversed(parts), (1, 60, 3600, 86400), strict=False))


def memory(pid: int) -> float:
    """Bytes of memory that a process holds now (its resident set)."""
    if sys.platform == "linux":
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return float(_ps(pid, "rss")) * 1024


def _ps(pid: int, column: str) -> str:
    command = ["ps", "-o", f"{column}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
