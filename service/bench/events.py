"""SendGrid's events in batches of a hundred: verified and stored by the web server, applied by the inbound worker."""

import time
from collections.abc import Sequence
from uuid import uuid4

import orjson
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from service import clock, db, queue
from service.actions import conversations
from service.actions.conversations import store
from service.bench.figures import Figure
from service.bench.load import Call, fire
from service.bench.processes import until
from service.bench.sending import fan_out, warm_up
from service.bench.webhooks import serving
from service.bench.world import World
from service.channels import events as provider_events
from service.channels import signatures
from service.errors import Unavailable
from service.models.campaigns import Delivery
from service.models.conversations import WebhookEvent
from service.models.members import ChannelName
from service.sandbox import keys

BATCH = 100
IN_FLIGHT = 8
PER_SECOND = {"sqlite": 50_000, "postgresql": 20_000}


def measure(world: World) -> list[Figure]:
    """Events per second by the real processes, and what one core does of each half."""
    sent = _deliveries(world)
    batches = [_batch(sent[start : start + BATCH], "processed") for start in range(0, len(sent), BATCH)]
    bare = _bare(world, batches)
    with serving(world), world.sink() as provider, world.worker("inbound", provider) as workers:
        world.tell("events", 0, 1)
        began = time.perf_counter()
        fired = fire([_signed(world, body) for body in batches], IN_FLIGHT)
        stored = time.perf_counter() - began
        until(lambda: not _waiting(), workers[0], seconds=30 + len(sent) / 200, what="the events to be applied")
        whole = time.perf_counter() - began
    if set(fired.statuses) != {204}:
        raise Unavailable(f"Not every batch was taken: {fired.statuses}, {fired.failed} failed.")
    note = f"{len(sent):,} events in batches of {BATCH}; stored and answered: {len(sent) / stored:,.0f}/s"
    figures = [
        Figure(
            "events", world.database, "stored and applied", len(sent) / whole, "events/s",
            "verify and bare insert, one core", bare, PER_SECOND[world.database], note=note,
        )
    ]  # fmt: skip
    return figures + _one_core(world, [_batch(sent[i : i + BATCH], "delivered") for i in range(0, len(sent), BATCH)])


def _deliveries(world: World) -> list[int]:
    """Emails that have left; a campaign is sent for it where none has been."""
    wanted = select(Delivery.id).where(Delivery.channel == ChannelName.EMAIL, Delivery.provider_id.is_not(None))
    with db.reading() as session:
        found = list(session.scalars(wanted.limit(world.sizes.both)))
    if len(found) >= world.sizes.both:
        return found
    world.people(world.sizes.both)
    with world.sink() as provider, world.worker("emails", provider) as workers:
        warm_up(world, ChannelName.EMAIL, workers, provider)
        fan_out(world, ChannelName.EMAIL, workers, provider)
    with db.reading() as session:
        return list(session.scalars(wanted.limit(world.sizes.both)))


def _batch(ids: Sequence[int], event: str) -> bytes:
    return orjson.dumps(
        [
            {
                "email": "ada@example.org", "timestamp": 1_793_620_800, "event": event, "sg_event_id": uuid4().hex,
                "sg_message_id": f"bench.{id_}", "smtp-id": "<bench@example.org>", "category": "story", "d": str(id_),
                "response": "250 OK",
            }
            for id_ in ids
        ]
    )  # fmt: skip


def _signed(world: World, body: bytes) -> Call:
    stamp = "1793620800"
    headers = (
        f"{signatures.SENDGRID_SIGNATURE_HEADER}: {keys.sign(world.event_key, stamp, body)}",
        f"{signatures.SENDGRID_TIMESTAMP_HEADER}: {stamp}",
        "Content-Type: application/json",
    )
    return Call(f"{world.settings.base_url}/webhooks/sendgrid/events", headers, body)


def _verified(world: World, call: Call) -> bool:
    signature, stamp = (header.partition(": ")[2] for header in call.headers[:2])
    return signatures.verify_sendgrid(world.settings.sendgrid_webhook_public_key, call.body, signature, stamp)


def _waiting() -> int:
    """Events that are stored and not yet applied."""
    waiting = select(func.count()).where(WebhookEvent.processed_at.is_(None), WebhookEvent.kind == store.EMAIL_EVENT)
    with db.reading() as session:
        return session.scalar(waiting) or 0


def _bare(world: World, batches: Sequence[bytes]) -> float:
    """Events per second that one core verifies and inserts once as they are; nothing of it is kept."""
    builder = sqlite.insert if db.current().is_sqlite else postgresql.insert
    calls = [_signed(world, body) for body in batches]
    began, count = time.perf_counter(), 0
    with db.current().engine.connect() as connection:
        for call in calls:
            assert _verified(world, call)
            rows = [
                {"provider": "bench", "event_id": entry["sg_event_id"], "kind": "bench", "received_at": clock.now(),
                 "attempts": 0}
                for entry in orjson.loads(call.body)
            ]  # fmt: skip
            connection.execute(builder(WebhookEvent).on_conflict_do_nothing(), rows)
            count += len(rows)
        seconds = time.perf_counter() - began
        connection.rollback()
    return count / seconds


def _one_core(world: World, batches: Sequence[bytes]) -> list[Figure]:
    """The two halves in this process, one after the other."""
    world.tell("events, one core", 0, 1)
    calls = [_signed(world, body) for body in batches]
    count, began = 0, time.perf_counter()
    for call in calls:
        assert _verified(world, call)
        entries = orjson.loads(call.body)
        batch = provider_events.parse_events(call.body)
        count += conversations.keep(
            [
                store.Incoming("sendgrid", store.EMAIL_EVENT, event.event_id, orjson.dumps(entry).decode())
                for event, entry in zip(batch, entries, strict=True)
            ]
        )
    kept = count / (time.perf_counter() - began)
    began = time.perf_counter()
    conversations.process_inbound(budget=120)
    applied = count / (time.perf_counter() - began)
    queue.connection().delete(queue.queue("inbound").key)  # the rings of what has just been done
    return [
        Figure("events", world.database, "verified and stored, one core", kept, "events/s"),
        Figure("events", world.database, "applied, one core", applied, "events/s"),
    ]
