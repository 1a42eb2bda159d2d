"""A whole campaign on real workers: frozen, claimed, written, sent and recorded, with what that cost them."""

import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select

from service import db, queue
from service.actions import campaigns
from service.bench.processes import Process, until
from service.bench.world import Provider, World
from service.errors import Unavailable
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from service.models.members import Address, ChannelName, Member

TEXT = "Bench, for {{ first_name }}: I used to feel like that, and here's what helped me. I told one person."
SUBJECT = "A story for you, {{ first_name }}"
MAIL = """Dear {{ first_name }},

I used to feel like that too, and here is **what helped me**: I told *one* person, and then I slept.

- a walk before the meeting
- a friend on the phone after it

With warmth from all of us.
"""
QUEUE_OF = {ChannelName.SMS: "texts", ChannelName.EMAIL: "emails"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What sending cost; times in seconds, memory in bytes."""

    messages: int
    seconds: float
    cpu: float
    idle_memory: float
    most_memory: float

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds

    @property
    def cpu_per_thousand(self) -> float:
        """Seconds of processor time for 1,000 messages."""
        return 1000 * self.cpu / self.messages


def compose(channel: ChannelName, member_ids: Sequence[UUID] = ()) -> UUID:
    """A hope story for everybody who can have it on `channel`, or for `member_ids`, handed over to be sent now."""
    words, subject = (TEXT, "") if channel == ChannelName.SMS else (MAIL, SUBJECT)
    content = campaigns.ContentDraft(channel, "en", words, subject)
    draft = campaigns.Draft(
        name="Bench", kind=CampaignKind.STORY, channels=(channel,), contents=(content,), member_ids=tuple(member_ids)
    )
    campaign_id = campaigns.create(draft)
    campaigns.start(campaign_id)
    return campaign_id


def warm_up(world: World, channel: ChannelName, workers: Sequence[Process], provider: Provider) -> None:
    """Have every worker send something, so that it has read all of its code."""
    with db.reading() as session:
        some = select(Member.id).join(Address).where(Address.channel == channel).limit(60)
        ids = list(session.scalars(some))
    for worker in workers:
        for other in workers:
            if other is not worker:
                other.pause()
        campaign_id = compose(channel, ids)
        campaigns.freeze(campaign_id)
        _ring_until_done(world, channel, campaign_id, [worker], 10)
        for other in workers:
            other.go_on()


@contextmanager
def at_rest(workers: Sequence[Process]) -> Any:
    """Warm workers that wait while their work is prepared, and start when the block ends."""
    for worker in workers:
        worker.pause()
    try:
        yield
    finally:
        for worker in workers:
            worker.go_on()


def fan_out(world: World, channel: ChannelName, workers: Sequence[Process], provider: Provider) -> Sent:
    """Send to everybody on `channel` and wait for the last record.

    Raises Unavailable if the provider has got more or fewer.
    """
    world.tell("freezing", 0, 1)
    with at_rest(workers):
        campaign_id = compose(channel)
        size = campaigns.freeze(campaign_id)
        provider.watch()
    return send(world, channel, campaign_id, size, workers, provider)


def send(
    world: World, channel: ChannelName, campaign_id: UUID, size: int, workers: Sequence[Process], provider: Provider
) -> Sent:
    """Watch workers send a frozen campaign of `size` messages, from now to the last record."""
    cpu = sum(worker.cpu_seconds() for worker in workers)
    idle = max(worker.memory() for worker in workers)
    seconds, most = _ring_until_done(world, channel, campaign_id, workers, 60 + size / 150, size)
    cpu = sum(worker.cpu_seconds() for worker in workers) - cpu
    if (reached := provider.counts()["recipients"]) != size:
        raise Unavailable(f"The provider got {reached} messages of a campaign of {size}: that must be looked into.")
    return Sent(size, seconds, cpu, idle, max(most, idle))


def _ring_until_done(
    world: World, channel: ChannelName, campaign_id: UUID, workers: Sequence[Process], seconds: float, size: int = 0
) -> tuple[float, float]:
    """(seconds until nothing is open, most memory of a worker). Rings as the clock does, so that every worker comes."""
    name = QUEUE_OF[channel]
    began, most, shown = time.perf_counter(), 0.0, 0.0

    def done() -> bool:
        nonlocal most, shown
        most = max(most, *(worker.memory() for worker in workers))
        if len(workers) > 1:
            queue.ring(f"drain_{name}")
        now = time.perf_counter()
        if size and now - shown > 1:
            shown = now
            world.tell(f"sending {name}", left(campaign_id, size), size)
        return not _open(campaign_id, name)

    queue.ring(f"drain_{name}")
    until(done, workers[0], seconds=seconds, what=f"a campaign on {name}")
    return time.perf_counter() - began, most


def _open(campaign_id: UUID, name: str) -> bool:
    """Whether something of the campaign waits or is on its way; two looks into small indexes."""
    waiting = exists().where(
        Delivery.state == DeliveryState.QUEUED, Delivery.queue == name, Delivery.campaign_id == campaign_id
    )
    on_its_way = exists().where(
        Delivery.campaign_id == campaign_id, Delivery.state.in_([DeliveryState.SENDING, DeliveryState.UNKNOWN])
    )
    with db.reading() as session:
        return bool(session.scalar(select(waiting)) or session.scalar(select(on_its_way)))


def left(campaign_id: UUID, size: int) -> int:
    """How many of a campaign have left."""
    with db.reading() as session:
        queued = select(func.count()).where(Delivery.campaign_id == campaign_id, Delivery.state == DeliveryState.QUEUED)
        return size - (session.scalar(queued) or 0)
