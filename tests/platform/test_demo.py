"""`hearthline demo` as a person starts and ends it, without its made-up members so that it is quick."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from service import config
from tests.platform.waiting import wait_until

pytestmark = pytest.mark.slow


class Demo:
    """A demo in a folder of its own, on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "var"
        self.output = folder / "output"
        self.ports = [free_port(), free_port()]

    def command(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        given = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(config.ROOT),
            "DATA_DIR": str(self.data),
            "PORT": str(self.ports[0]),
            "SANDBOX_PORT": str(self.ports[1]),
        }
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "service.cli", *arguments],
            env={**given, **environment},
            cwd=self.output.parent,
            stdout=self.output.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def start(self, *arguments: str) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
        """Start the demo and wait for its greeting; the process and all that belong to it."""
        process = self.command("demo", "--no-seed", *arguments)
        try:
            wait_until(lambda: "Ctrl-C stops everything" in self.text() or process.poll() is not None, seconds=60)
            assert process.poll() is None, self.text()
        except AssertionError:
            process.kill()
            raise
        return process, psutil.Process(process.pid).children(recursive=True)

    def fails(self, *arguments: str, **environment: str) -> str:
        """Run a command that must be refused with status 2; what it says."""
        kept = self.output
        self.output = kept.with_name("refusal")
        assert self.command(*arguments, **environment).wait(timeout=30) == 2
        said, self.output = self.text(), kept
        assert "Traceback" not in said
        return said

    def text(self) -> str:
        return self.output.read_text(errors="replace")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def alive(processes: list[psutil.Process]) -> list[str]:
    return [str(p) for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def demo() -> Iterator[Demo]:
    # A path with spaces, and too long for a unix socket.
    folder = Path(tempfile.mkdtemp(prefix="a rather long path " + "y" * 90))
    yield Demo(folder)
    shutil.rmtree(config._short_socket((folder / "var").resolve()).parent)
    shutil.rmtree(folder)


def test_it_starts_refuses_a_second_ends_without_orphans_and_finds_its_data_again(demo: Demo) -> None:
    process, family = demo.start()
    assert len(family) >= 9, "Valkey, sandbox, web, clock and five workers"
    assert f"http://127.0.0.1:{demo.ports[0]}/" in demo.text()
    assert f"http://127.0.0.1:{demo.ports[1]}/" in demo.text()
    assert (demo.data / config.DEMO_ENV).stat().st_mode & 0o077 == 0

    assert str(process.pid) in demo.fails("demo", "--no-seed")
    taken = demo.fails("demo", "--no-seed", DATA_DIR=str(demo.data) + "2")
    assert f"port {demo.ports[0]} " in taken
    assert "PORT=" in taken
    assert "SANDBOX_PORT=" in taken

    account = (demo.data / "demo-secrets").read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert alive(family) == []
    assert not (demo.data / config.DEMO_ENV).exists()
    assert "Traceback" not in demo.text()

    process, family = demo.start()
    assert (demo.data / "demo-secrets").read_text() == account
    process.kill()
    process.wait()
    wait_until(lambda: alive(family) == [], seconds=20)

    process, family = demo.start("--reset")
    assert (demo.data / "demo-secrets").read_text() != account
    process.terminate()
    assert process.wait(timeout=60) == 0
    assert alive(family) == []


def test_reset_keeps_away_from_what_is_not_the_demos(demo: Demo) -> None:
    demo.data.mkdir()
    (demo.data / "hearthline.db").write_text("somebody's members")
    assert "will not touch" in demo.fails("demo", "--reset", "--no-seed")
    assert (demo.data / "hearthline.db").read_text() == "somebody's members"
    elsewhere = demo.fails("demo", "--reset", DATABASE_URL="postgresql://db.example/hearthline", REDIS_URL="redis://r")
    assert "DATABASE_URL" in elsewhere
    assert "REDIS_URL" in elsewhere
