"""Texts by members, as fast as they are taken: stored, understood, acted on, and none of them lost."""

import time
from itertools import cycle, islice

from sqlalchemy import func, select

from service import db
from service.bench.figures import Figure
from service.bench.load import fire
from service.bench.processes import until
from service.bench.webhooks import member_text, serving
from service.bench.world import World
from service.errors import Unavailable
from service.models.conversations import Direction, Message, WebhookEvent
from service.models.members import Address, ChannelName

PER_SECOND = 200
IN_FLIGHT = 16
WARM_UP = 40
"""Texts that are dealt with before: the worker has read all of its code then."""
WORDS = (
    "4", "thank you, that helped", "I could not come on Tuesday, the bus was late again", "me too", "2 long week",
    "See you there!", "gracias, estoy mejor", "can I bring my sister?", "MENU", "ok", "It was my best day in weeks",
)  # fmt: skip
"""What people write on an ordinary day; the answers wait for a worker that is not running here. Eleven, so that nobody
among 500 says the same thing again.
"""
LOOK = 0.1
"""Seconds between two looks whether all have been dealt with: looking takes a share of the machine."""


def measure(world: World) -> list[Figure]:
    """Texts a second, from the first signed webhook to the last that was dealt with."""
    count = max(60, world.sizes.calls // 10)
    world.people(in_all=world.sizes.crowd)
    with db.reading() as session:
        phones = list(session.scalars(select(Address.value).where(Address.channel == ChannelName.SMS).limit(500)))
    written = zip(cycle(phones), cycle(WORDS), strict=False)
    first, calls = ([member_text(world, *text) for text in islice(written, n)] for n in (WARM_UP, count))
    with serving(world), world.sink() as provider, world.worker("inbound", provider) as workers:
        fire(first, IN_FLIGHT)
        until(lambda: not _waiting(), workers[0], seconds=120, every=LOOK, what="the first texts to be dealt with")
        before, used = _received(), workers[0].cpu_seconds()
        world.tell("texts by members", 0, 1)
        began = time.perf_counter()
        fired = fire(calls, IN_FLIGHT)
        stored = time.perf_counter() - began
        patience = 30 + count / 20
        until(lambda: not _waiting(), workers[0], seconds=patience, every=LOOK, what="the texts to be dealt with")
        whole, used = time.perf_counter() - began, workers[0].cpu_seconds() - used
    kept = _received() - before
    if fired.statuses != {200: count} or kept != count:
        raise Unavailable(f"{count} texts were written, {kept} are there: {fired.statuses}, {fired.failed} failed.")
    note = f"{count:,} texts by {min(len(phones), count):,} members; stored and answered: {count / stored:,.0f}/s"
    return [
        Figure(
            "inbound",
            world.database,
            "taken, understood, acted on",
            count / whole,
            "texts/s",
            goal=PER_SECOND,
            note=note,
        ),
        Figure("inbound", world.database, "the worker's CPU per 1,000", 1000 * used / count, "s"),
    ]


def _received() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).where(Message.direction == Direction.IN)) or 0


def _waiting() -> bool:
    """Whether anything has not been dealt with: receipts of the row before are none of these texts' business."""
    unread = select(WebhookEvent.id).where(WebhookEvent.processed_at.is_(None))
    with db.reading() as session:
        return session.scalar(unread.limit(1)) is not None
