"""The supervisor with real processes: what dies comes back, the order of stopping holds, nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service import config, supervisor
from service.errors import ConfigurationError
from tests.platform.waiting import wait_until

HERE = Path(__file__).parent
SCRIPT = """
import os, sys
from service import supervisor
supervisor.GRACE = 1.5
supervisor._BACKOFF = (0.1, 0.1, 0.3)
folder = sys.argv[1]
children = []
for entry in sys.argv[2:]:
    kind, name, group = entry.split(":")
    ready = (lambda: os.path.exists(folder + "/ready")) if name == "valkey" else None
    children.append(supervisor.Child(name, ["children", kind, folder, name], group=group, ready=ready))
supervisor.run(children)
"""


class Family:
    """A supervisor in a process of its own, and what its children have noted."""

    def __init__(self, folder: Path, *children: str, ready: bool = True) -> None:
        self.folder = folder
        if ready:
            (folder / "ready").touch()
        path = os.pathsep.join([str(HERE), str(config.ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", SCRIPT, str(folder), *children],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def events(self, kind: str) -> list[tuple[str, int]]:
        """(name, process id) of every event of `kind`, in order."""
        file = self.folder / "events"
        rows = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [(name, int(pid)) for event, name, pid in rows if event == kind]

    def started(self, *names: str) -> dict[str, int]:
        """Wait until each of `names` has started; their newest process ids."""
        wait_until(lambda: {*names} <= {name for name, _ in self.events("start")})
        return dict(self.events("start"))

    def kill_all(self) -> None:
        """Leave nothing behind when a test fails."""
        for pid in [self.process.pid, *(pid for _, pid in self.events("start"))]:
            if runs(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def runs(pid: int) -> bool:
    """Whether process `pid` is there and more than a corpse that nobody has buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Callable[..., Family]]:
    families: list[Family] = []

    def start(*children: str, ready: bool = True) -> Family:
        families.append(Family(tmp_path, *children, ready=ready))
        return families[-1]

    yield start
    for each in families:
        each.kill_all()


def test_sigterm_stops_the_last_first_and_leaves_none(family: Callable[..., Family]) -> None:
    ours = family("good:valkey:", "good:web:", "good:clock:", "good:texts:workers", "good:emails:workers")
    pids = ours.started("valkey", "web", "clock", "texts", "emails")
    ours.process.terminate()
    output, _ = ours.process.communicate(timeout=10)
    ended = [name for name, _ in ours.events("end")]
    assert set(ended[:2]) == {"texts", "emails"}
    assert ended[2:] == ["clock", "web", "valkey"]
    assert not any(runs(pid) for pid in pids.values())
    assert "web    | hello from web" in output
    assert ours.process.returncode == 0


def test_the_others_wait_until_the_first_is_ready(family: Callable[..., Family], tmp_path: Path) -> None:
    ours = family("good:valkey:", "good:web:", ready=False)
    ours.started("valkey")
    time.sleep(0.5)
    assert [name for name, _ in ours.events("start")] == ["valkey"]
    (tmp_path / "ready").touch()
    ours.started("web")


def test_what_crashes_is_started_again(family: Callable[..., Family]) -> None:
    ours = family("crash:web:", "good:clock:")
    wait_until(lambda: len([1 for name, _ in ours.events("start") if name == "web"]) >= 3)
    pids = ours.started("clock")
    os.kill(pids["clock"], signal.SIGKILL)
    wait_until(lambda: len([1 for name, _ in ours.events("start") if name == "clock"]) == 2)
    ours.process.send_signal(signal.SIGINT)
    output, _ = ours.process.communicate(timeout=10)
    assert "ended with status 3; starting it again" in output
    assert not any(runs(pid) for _, pid in ours.events("start"))


def test_kill_9_of_the_supervisor_leaves_none(family: Callable[..., Family]) -> None:
    ours = family("good:valkey:", "good:web:", "good:texts:workers")
    pids = ours.started("valkey", "web", "texts")
    ours.process.kill()
    wait_until(lambda: not any(runs(pid) for pid in pids.values()))
    assert {name for name, _ in ours.events("end")} == {"valkey", "web", "texts"}, "each was asked, not cut off"


def test_one_that_will_not_stop_is_killed(family: Callable[..., Family]) -> None:
    ours = family("good:web:", "stubborn:texts:workers")
    pids = ours.started("web", "texts")
    ours.process.terminate()
    ours.process.communicate(timeout=10)
    assert not any(runs(pid) for pid in pids.values())


def test_what_a_dead_child_left_behind_goes_with_it(family: Callable[..., Family]) -> None:
    ours = family("parent:web:")
    pids = ours.started("web", "grandchild")
    os.kill(pids["web"], signal.SIGKILL)
    wait_until(lambda: not runs(pids["grandchild"]))


def test_a_taken_port_is_named_with_the_variable_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            supervisor.require_free_ports([("127.0.0.1", port, "SANDBOX_PORT")])
    assert str(port) in refused.value.message
    assert "SANDBOX_PORT=" in refused.value.message
    supervisor.require_free_ports([("127.0.0.1", port, "SANDBOX_PORT")])


def test_a_host_that_is_not_ours_is_refused_plainly() -> None:
    with pytest.raises(ConfigurationError, match=r"HOST 192\.0\.2\.1"):
        supervisor.require_free_ports([("192.0.2.1", 8000, "PORT")])


def test_only_one_demo_holds_a_folder(tmp_path: Path) -> None:
    lock = tmp_path / config.DEMO_LOCK
    assert not config.demo_runs(tmp_path)
    with supervisor.only_one(lock):
        assert config.demo_runs(tmp_path)
        with pytest.raises(ConfigurationError, match=str(os.getpid())), supervisor.only_one(lock):
            pass
    assert not config.demo_runs(tmp_path)
    with supervisor.only_one(lock):
        pass


def test_a_killed_demo_does_not_go_on_deciding_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    (tmp_path / config.DEMO_ENV).write_text("DEMO=true\n")
    with supervisor.only_one(tmp_path / config.DEMO_LOCK):
        assert config.load().demo
    assert not config.load().demo
