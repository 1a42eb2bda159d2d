"""How long a member waits for an automatic answer while a big campaign goes out, and when nothing does."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from sqlalchemy import select

from service import db
from service.actions import campaigns
from service.bench.figures import Figure, percentile
from service.bench.load import fire
from service.bench.sending import at_rest, compose, left, warm_up
from service.bench.webhooks import member_text, serving
from service.bench.world import Provider, World
from service.models.members import Address, ChannelName

P95 = 2.0
WORDS = "HELP"
PATIENCE = 30.0
"""Seconds after the last message in which its answer must have come."""


def measure(world: World) -> list[Figure]:
    """Seconds from a member's text, as it reaches the web server, to our answer, as it reaches the provider."""
    sizes = world.sizes
    world.people(in_all=sizes.crowd)
    phones = _phones(2 * sizes.replies + 1)
    with ExitStack() as stack:
        provider = stack.enter_context(world.sink())
        for name in ("inbound", "replies"):
            stack.enter_context(world.worker(name, provider))
        workers = stack.enter_context(world.worker("texts", provider))
        stack.enter_context(serving(world))
        warm_up(world, ChannelName.SMS, workers, provider)
        _ask(world, provider, phones[:1], lambda: False)  # the first answer reads all of the code
        world.tell("answers without a campaign", 0, 1)
        calm, _ = _ask(world, provider, phones[1 : sizes.replies + 1], lambda: False)
        with at_rest(workers):
            campaign_id = compose(ChannelName.SMS)
            size = campaigns.freeze(campaign_id)
        world.tell("answers while a campaign goes out", 0, 1)
        busy, missing = _ask(
            world, provider, phones[sizes.replies + 1 :], lambda: left(campaign_id, size) >= size
        )  # fmt: skip
        done = left(campaign_id, size)
        campaigns.cancel(campaign_id)
    note = f"{len(busy)} answers while {done:,} of {size:,} texts left" + (f"; {missing} NEVER CAME" if missing else "")
    return [
        Figure(
            "answers", world.database, "p95 during a campaign", percentile(busy, 0.95), "s", "p95 without one",
            percentile(calm, 0.95), P95, at_least=False, note=note,
        )
    ]  # fmt: skip


def _phones(count: int) -> list[str]:
    with db.reading() as session:
        return list(session.scalars(select(Address.value).where(Address.channel == ChannelName.SMS).limit(count)))


def _ask(world: World, provider: Provider, phones: list[str], over: Callable[[], bool]) -> tuple[list[float], int]:
    """Let members write one after the other until all have, or it is `over`.

    Returns the seconds to each answer, and how many answers never came.
    """
    provider.watch(phones)
    asked: dict[str, float] = {}
    for phone in phones:
        asked[phone] = time.monotonic()  # the sink notes arrivals on the same clock
        fire([member_text(world, phone, WORDS)], 1)
        time.sleep(max(0.0, 1 / world.sizes.replies_per_second - (time.monotonic() - asked[phone])))
        if over():
            break
    ends = time.monotonic() + PATIENCE
    while len(seen := provider.counts()["seen"]) < len(asked) and time.monotonic() < ends:
        time.sleep(0.05)
    return [seen[phone] - at for phone, at in asked.items() if phone in seen], len(asked) - len(seen)
