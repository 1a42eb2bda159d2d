"""What Prometheus reads: how long things wait, what is on its way, what became of messages, what it cost."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import event, update

from service import clock, db, queue
from service.actions import campaigns
from service.actions.conversations import store
from service.actions.delivery import budget, pace, tally
from service.actions.delivery.claims import claim, mark_sending
from service.config import Settings
from service.models.campaigns import CampaignKind, Delivery, DeliveryState, Usage
from service.models.conversations import WebhookEvent
from service.models.members import ChannelName
from tests.flows.world import add_member, send


@pytest.fixture(autouse=True)
def _here(valkey: Redis, configure: Callable[..., Settings]) -> None:
    configure(daily_cap=0, weekly_cap=0)
    pace._away_until = 0.0


def numbers(client: FlaskClient) -> dict[str, float]:
    """The samples of a scrape: `{'name{label="x"}': value}`."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_what_waits_and_what_is_on_its_way(client: FlaskClient) -> None:
    for n in range(4):
        add_member("Ana", f"+1202555{n:04d}")
    add_member("Ben", email="ben@example.org")
    send(CampaignKind.CHECKIN, "How are you, 1 to 5?", "How are you, 1 to 5?")
    campaigns.start_due()
    now = clock.now()
    with db.transaction() as session:
        texts = Delivery.channel == ChannelName.SMS
        session.execute(update(Delivery).where(texts).values(due_at=now - timedelta(seconds=90)))
        session.execute(update(Delivery).where(~texts).values(due_at=now + timedelta(hours=2)))
    batch = claim("texts", 3).claimed
    mark_sending(batch)
    with db.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id == batch[0].id).values(state=DeliveryState.UNKNOWN))
    found = numbers(client)
    assert found['hearthline_queue_due{queue="texts"}'] == 1
    assert 90 <= found['hearthline_queue_oldest_due_seconds{queue="texts"}'] < 150
    assert found['hearthline_queue_due{queue="emails"}'] == 0, "two hours are still to go"
    assert found['hearthline_queue_oldest_due_seconds{queue="emails"}'] == 0
    assert found['hearthline_in_flight{channel="sms"}'] == 2
    assert found['hearthline_unknown{channel="sms"}'] == 1
    assert found['hearthline_unknown{channel="email"}'] == 0


def test_ends_money_and_lag(client: FlaskClient) -> None:
    now = clock.now()
    with db.transaction() as session:
        tally.add(session, {("texts", "accepted", ""): 5, ("texts", "failed", "21617"): 2}, now)
        tally.add(session, {("texts", "accepted", ""): 7}, now - timedelta(days=30))
        session.add(
            Usage(day=now.date(), channel=ChannelName.SMS, country="US", messages=9, segments=9, cost=2_500_000)
        )
    budget.set_budget("US", Decimal(10), None)
    store.keep([store.Incoming("twilio", store.TEXT, "SM1", '{"form": {}}')])
    with db.transaction() as session:
        session.execute(update(WebhookEvent).values(received_at=now - timedelta(seconds=45)))
    found = numbers(client)
    assert found['hearthline_messages_total{outcome="accepted",queue="texts"}'] == 12
    assert found['hearthline_messages_total{outcome="failed",queue="texts"}'] == 2
    assert found['hearthline_spent_dollars{country="US"}'] == 2.5
    assert found['hearthline_budget_used_ratio{country="US"}'] == 0.25
    assert found["hearthline_webhooks_waiting"] == 1
    assert 45 <= found["hearthline_webhooks_oldest_seconds"] < 105
    assert found["hearthline_flags_unacknowledged_oldest_seconds"] == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_workers_the_clock_and_the_pace(client: FlaskClient, configure: Callable[..., Settings]) -> None:
    configure(twilio_mps=10)
    queue.pulse("texts", "one:1")
    queue.pulse("texts", "two:1")
    queue.clock_pulse()
    pace.slow_down("sms", pace.Hold("texts", 1), retry_after=30)
    found = numbers(client)
    assert found['hearthline_workers{queue="texts"}'] == 2
    assert found['hearthline_workers{queue="emails"}'] == 0
    assert found["hearthline_clock"] == 1
    assert 5 <= found['hearthline_pace{sender="sms"}'] < 6
    assert 25 < found['hearthline_pace_rest_seconds{sender="sms"}'] <= 30
    assert found['hearthline_pace{sender="email"}'] == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_scrape_never_reads_the_whole_table_of_deliveries(client: FlaskClient) -> None:
    """Every statement about deliveries goes by an index; what SQLite calls a SCAN of the table reads all of it."""
    plans: list[str] = []
    engine = db.current().engine

    def explain(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.lstrip().upper().startswith("SELECT") and "deliveries" in statement:
            own = cursor.connection.cursor()  # type: ignore[attr-defined]
            plans.extend(str(row[3]) for row in own.execute("EXPLAIN QUERY PLAN " + statement, parameters))

    event.listen(engine, "before_cursor_execute", explain)
    numbers(client)
    event.remove(engine, "before_cursor_execute", explain)
    about = [plan for plan in plans if "deliveries" in plan]
    assert len(about) > 10
    assert [p for p in about if "ix_deliveries_due" not in p and "ix_deliveries_open" not in p] == []
