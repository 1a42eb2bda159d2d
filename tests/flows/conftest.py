"""The whole world, once on SQLite and once on PostgreSQL."""

import socket
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from service import clock, config, db
from service.actions import delivery, zones
from service.config import Settings
from service.sandbox import keys
from service.sandbox.app import create_sandbox
from tests.flows.talk import NOON, Talk
from tests.flows.world import World, serve
from tests.sandbox.standin import Standin, serving


@pytest.fixture
def world(database: db.Database, valkey: Redis, configure: Callable[..., Settings]) -> Iterator[World]:
    """The service and the stand-in, each on its own loopback port, without the stand-in's disorder."""
    port = _free_port()
    events_key, inbound_key = keys.ensure(config.current().data_path)
    configure(
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        sendgrid_webhook_public_key=events_key,
        sendgrid_inbound_public_key=inbound_key,
        daily_cap=0,
        weekly_cap=0,
    )
    sandbox = create_sandbox(config.current())
    url, stop_sandbox = serving(sandbox)
    configure(twilio_api_url=url, sendgrid_api_url=url)
    standin = Standin(url, sandbox)
    standin.post("switches", pace=0, repeats=0, disorder=0)
    from service.app import create_app

    stop_service = serve(create_app(config.current()), port)
    yield World(standin, f"http://127.0.0.1:{port}")
    delivery.close()
    stop_service()
    stop_sandbox()


@pytest.fixture
def talk(database: db.Database, configure: Callable[..., Settings]) -> Iterator[Talk]:
    """Talking without any network, at NOON; no caps, no window."""
    configure(daily_cap=0, weekly_cap=0, sending_window="00:00-24:00")
    with clock.frozen_at(NOON):
        zones.refresh()
        yield Talk()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
