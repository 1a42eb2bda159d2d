"""Campaigns from a thousand recipients to a million: what the freeze, the sending and the memory cost at each size."""

import time
from uuid import UUID

from sqlalchemy import Column, Index, MetaData, Table, select

from service import db, queue
from service.actions import campaigns
from service.bench.figures import Figure, Point
from service.bench.processes import Process, until
from service.bench.sending import Sent, at_rest, compose, send, warm_up
from service.bench.world import World
from service.models.campaigns import Campaign, Delivery
from service.models.members import ChannelName

MEGABYTE = 1_000_000
FREEZE_SECONDS = {"sqlite": 3.0, "postgresql": 8.0}
FREEZE_MEMORY, REDIS_GROWTH, WORKER_MEMORY = 10, 5, 110
"""Megabytes."""
MILLION = 1_000_000


def freeze(world: World) -> list[Figure]:
    """The row of the freeze, at the largest audience that is measured."""
    point = _at(world, world.sizes.growth[-1], sending=False)
    million = point.recipients >= MILLION
    people = f"{point.recipients:,} recipients"
    return [
        Figure(
            "freeze", world.database, f"{people}, doorbell rung", point.freeze_seconds, "s",
            "one bare INSERT … SELECT", point.freeze_ceiling, FREEZE_SECONDS[world.database] if million else None,
            at_least=False,
        ),
        Figure(
            "freeze", world.database, f"{people}: memory of the worker, growth", point.freeze_memory / MEGABYTE, "MB",
            goal=FREEZE_MEMORY, at_least=False,
        ),
        Figure(
            "freeze", world.database, f"{people}: Redis, growth", point.redis_growth / MEGABYTE, "MB",
            goal=REDIS_GROWTH, at_least=False,
        ),
    ]  # fmt: skip


def memory(world: World) -> list[Figure]:
    """The row of the worker's memory: in the smallest and in the largest campaign."""
    sizes = dict.fromkeys((world.sizes.growth[0], world.sizes.growth[-1]))
    beside = "the same worker before the campaign"
    return [
        Figure(
            "memory", world.database, f"at most, {p.recipients:,} texts", p.worker_memory / MEGABYTE, "MB", beside,
            p.idle_memory / MEGABYTE, WORKER_MEMORY, at_least=False,
        )
        for p in (_at(world, recipients, sending=True) for recipients in sizes)
    ]  # fmt: skip


def measure(world: World) -> list[Figure]:
    """One figure for each size: the processor time of the sending worker for a thousand recipients."""
    figures = []
    for recipients in world.sizes.growth:
        point = _at(world, recipients, sending=True)
        rate = recipients / point.send_seconds
        note = (
            f"{rate:,.0f} msg/s, freeze {point.freeze_seconds:.2f} s, {point.worker_memory / MEGABYTE:.0f} MB at most"
        )
        cpu = 1000 * point.send_cpu / recipients
        figures.append(Figure("growth", world.database, f"{recipients:,} texts: CPU per 1,000", cpu, "s", note=note))
    return figures


def _at(world: World, recipients: int, *, sending: bool) -> Point:
    """The cost of a campaign to (about) so many, measured once in a world."""
    known = world.points.get(recipients)
    if known is not None and (known.send_seconds or not sending):
        return known
    world.people(in_all=recipients)
    if world.waiting is not None:  # nothing of it may stand in the way of what is measured next
        campaigns.cancel(world.waiting)
        world.waiting = None
    with world.sink() as provider, world.worker("texts", provider) as workers:
        warm_up(world, ChannelName.SMS, workers, provider)
        with at_rest(workers), world.worker("upkeep", provider) as upkeep:
            _warm_freezer(upkeep[0])
            world.tell("freezing", 0, recipients)
            redis, before = _redis_bytes(), upkeep[0].memory()
            seconds, campaign_id, size, most = _freeze(upkeep[0], recipients)
            growth, redis_growth = most - before, max(0.0, _redis_bytes() - redis)
            provider.watch()
            bare = _bare_insert(size)
        sent = None
        if sending:
            sent = send(world, ChannelName.SMS, campaign_id, size, workers, provider)
        else:
            world.waiting = campaign_id
    world.points[recipients] = _point(world, size, seconds, growth, redis_growth, bare, sent)
    return world.points[recipients]


def _point(
    world: World, size: int, seconds: float, growth: float, redis_growth: float, bare: float, sent: Sent | None
) -> Point:
    point = (world.database, size, seconds, max(0.0, growth), redis_growth, bare)
    return Point(*point, sent.seconds, sent.cpu, sent.most_memory, sent.idle_memory) if sent else Point(*point)


def _warm_freezer(worker: Process) -> None:
    """Have the worker of the upkeep read all of its code: it looks for due campaigns, and there are none."""
    before = worker.cpu_seconds()
    queue.ring("start_campaigns")
    until(lambda: worker.cpu_seconds() > before and queue.queue("upkeep").count == 0, worker, what="upkeep")
    time.sleep(0.5)


def _freeze(worker: Process, recipients: int) -> tuple[float, UUID, int, float]:
    """(seconds, campaign, copies, most bytes of the worker) of one freeze by a real worker, from the ring on."""
    most = 0.0
    campaign_id = compose(ChannelName.SMS)  # rings once it is committed

    def frozen() -> bool:
        nonlocal most
        most = max(most, worker.memory())
        with db.reading() as session:
            return session.get_one(Campaign, campaign_id).frozen_at is not None

    seconds = until(frozen, worker, seconds=60 + recipients / 1_000, what="the freeze")
    with db.reading() as session:
        return seconds, campaign_id, session.get_one(Campaign, campaign_id).audience_size or 0, most


def _redis_bytes() -> float:
    return float(queue.connection().info("memory")["used_memory"])


def _bare_insert(size: int) -> float:
    """Seconds in which the database copies as many rows with four columns and one index; nothing of it is kept."""
    columns = [Delivery.campaign_id, Delivery.member_id, Delivery.channel, Delivery.due_at]
    source = select(*columns).order_by(Delivery.id.desc()).limit(size)
    bare = Table("bare", MetaData(), *(Column(c.name, c.type) for c in columns), prefixes=["TEMPORARY"])
    Index("bare_once", bare.c.campaign_id, bare.c.member_id, bare.c.channel, unique=True)
    with db.current().engine.connect() as connection:
        bare.create(connection)
        began = time.perf_counter()
        connection.execute(bare.insert().from_select([c.name for c in columns], source))
        seconds = time.perf_counter() - began
        connection.rollback()
    return seconds
