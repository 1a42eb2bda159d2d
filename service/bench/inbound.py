"""Texts by members, as fast as they are taken: stored, understood, acted on, and none of them lost."""

import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from sqlalchemy import func, select

from service import db
from service.actions.conversations import store
from service.bench.figures import Figure, percentile
from service.bench.load import Call, Fired, fire, pace
from service.bench.processes import Process, until
from service.bench.webhooks import member_text, serving
from service.bench.world import World
from service.errors import Unavailable
from service.models.conversations import Direction, Message, WebhookEvent
from service.models.members import Address, ChannelName

PER_SECOND = 200
WITHIN = 2.0
"""Seconds in which 95 of 100 are dealt with at that pace: an automatic answer may take no longer."""
IN_FLIGHT = 16
MEMBERS = 500
WARM_UP = 40
"""Texts that are dealt with before: the worker has read all of its code then."""
WORDS = (
    "4", "thank you, that helped", "I could not come on Tuesday, the bus was late again", "me too", "2 long week",
    "See you there!", "gracias, estoy mejor", "can I bring my sister?", "MENU", "ok", "It was my best day in weeks",
)  # fmt: skip
"""What people write on an ordinary day; the answers wait for a worker that is not running here. Eleven, so that nobody
among 500 says the same thing again.
"""
TAILS = (
    "today", "I think", "as you said", "this time", "again", "for once", "with my neighbour", "after all", "by the way",
    "and it rained", "so there you go", "love to all", "at last",
)  # fmt: skip
LOOK = 0.1
"""Seconds between two looks whether all have been dealt with: looking takes a share of the machine."""


def measure(world: World) -> list[Figure]:
    """Texts a second, from the first signed webhook to the last that was dealt with; and how long each waits for that
    while they come at a steady pace, whatever has become of those before.
    """
    count = max(60, world.sizes.calls // 10)
    steady = round(PER_SECOND * world.sizes.steady_seconds)
    world.people(in_all=world.sizes.crowd)
    with db.reading() as session:
        phones = list(session.scalars(select(Address.value).where(Address.channel == ChannelName.SMS).limit(MEMBERS)))
    written = zip(cycle(phones), _said(), strict=False)
    world.tell("signing texts", 0, 1)
    first, calls, more = ([member_text(world, *text) for text in islice(written, n)] for n in (WARM_UP, count, steady))
    with serving(world), world.sink() as provider, world.worker("inbound", provider) as workers:
        fire(first, IN_FLIGHT)
        _all_dealt_with(workers[0], len(first))
        return [*_as_fast(world, workers[0], calls), *_steadily(world, workers[0], more)]


def _said() -> Iterator[str]:
    """What members write, in turn. The longer ones end in many ways, so that nothing is known from the last time."""
    for words, tail in zip(cycle(WORDS), cycle(TAILS), strict=False):
        yield words if len(words.split()) < 4 else f"{words} {tail}"


def _as_fast(world: World, worker: Process, calls: Sequence[Call]) -> list[Figure]:
    world.tell("texts by members", 0, 1)
    before, used, began = _received(), worker.cpu_seconds(), time.perf_counter()
    fired = fire(calls, IN_FLIGHT)
    stored = time.perf_counter() - began
    _all_dealt_with(worker, len(calls))
    whole, used = time.perf_counter() - began, worker.cpu_seconds() - used
    _none_lost(fired, len(calls), before)
    rate, webhooks = len(calls) / whole, len(calls) / stored
    note = f"{len(calls):,} texts by {min(MEMBERS, len(calls)):,} members; stored and answered: {webhooks:,.0f}/s"
    return [
        Figure("inbound", world.database, "taken, understood, acted on", rate, "texts/s", goal=PER_SECOND, note=note),
        Figure("inbound", world.database, "the worker's CPU per 1,000", 1000 * used / len(calls), "s"),
    ]


def _steadily(world: World, worker: Process, calls: Sequence[Call]) -> list[Figure]:
    world.tell(f"{PER_SECOND} texts a second", 0, 1)
    before, last = _received(), _last_event()
    fired = pace(calls, PER_SECOND)
    _all_dealt_with(worker, len(calls))
    _none_lost(fired, len(calls), before)
    waited = _waited(last)
    quarter = len(waited) // 4
    note = (
        f"{len(calls):,} texts in {fired.seconds:,.0f} s, none lost; p95 in the first quarter "
        f"{percentile(waited[:quarter], 0.95):.2f} s, in the last {percentile(waited[-quarter:], 0.95):.2f} s; "
        f"webhooks answered within {fired.p99:,.0f} ms (p99)"
    )
    dealt, answered = percentile(waited, 0.95), percentile(fired.times, 0.95)
    # Both: texts that queue up before the web server have not been stored yet, so the first does not see them wait.
    return [
        Figure(
            "inbound", world.database, f"{PER_SECOND} a second: {what}", value, "s", goal=WITHIN, at_least=False,
            note=said,
        )
        for what, value, said in (
            ("dealt with within (p95)", dealt, note),
            ("webhooks answered within (p95)", answered, ""),
        )
    ]  # fmt: skip


def _all_dealt_with(worker: Process, count: int) -> None:
    patience = 30 + count / 20
    until(lambda: not _waiting(), worker, seconds=patience, every=LOOK, what="the texts to be dealt with")


def _none_lost(fired: Fired, count: int, before: int) -> None:
    kept = _received() - before
    if fired.statuses != {200: count} or kept != count:
        raise Unavailable(f"{count} texts were written, {kept} are there: {fired.statuses}, {fired.failed} failed.")


def _last_event() -> int:
    with db.reading() as session:
        return session.scalar(select(func.max(WebhookEvent.id))) or 0


def _waited(after: int) -> list[float]:
    """Seconds from its webhook until each text was dealt with, in the order in which they came."""
    times = select(WebhookEvent.received_at, WebhookEvent.processed_at).where(
        WebhookEvent.id > after, WebhookEvent.kind == store.TEXT
    )
    with db.reading() as session:
        rows = session.execute(times.order_by(WebhookEvent.id))
        return [(done - came).total_seconds() for came, done in rows if done is not None]


def _received() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).where(Message.direction == Direction.IN)) or 0


def _waiting() -> bool:
    """Whether anything has not been dealt with: receipts of the row before are none of these texts' business."""
    unread = select(WebhookEvent.id).where(WebhookEvent.processed_at.is_(None))
    with db.reading() as session:
        return session.scalar(unread.limit(1)) is not None
