"""Texts: the whole way on one worker and on two, beside bare libcurl and the official client as it is shipped."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any
from urllib.parse import urlencode

from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from service.actions import campaigns
from service.bench import peers
from service.bench.figures import Figure
from service.bench.load import Call, fire
from service.bench.processes import Process
from service.bench.sending import at_rest, compose, fan_out, warm_up
from service.bench.world import Provider, World
from service.channels.transport import basic_auth
from service.models.members import ChannelName

CALLBACK = "http://127.0.0.1:8000/webhooks/twilio/status?d=MTIzNDU2Nzg5MA.aBcDeFgHiJkLmNoPqRsTuVwXyZ0#rc=5&rp=all"
BODY = "Bench, for Ada: I used to feel like that, and here's what helped me. I told one person.\n- Hearthline"
PEER_THREADS = 16
LATENCY = 50
ONE_WORKER, TWO_WORKERS, TIMES_TWILIO = 6_000, 10_000, 4
SHARE_OF_LINES, CPU_PER_THOUSAND = 0.85, 0.15


def measure(world: World) -> list[Figure]:
    """The rows of text fan-out without latency: how many leave in a second."""
    world.people(world.sizes.both)
    figures = []
    with world.sink() as provider:
        world.tell("bare libcurl", 0, 1)
        lines = world.settings.twilio_concurrency
        bare = fire(calls(world, provider, world.sizes.calls), lines).rate
        world.tell("the twilio package as shipped", 0, 1)
        shipped = as_shipped(world, provider, world.sizes.few)
        rates = {}
        for count, goal in ((1, ONE_WORKER), (2, TWO_WORKERS)):
            with world.worker("texts", provider, count) as workers:
                warm_up(world, ChannelName.SMS, workers, provider)
                sent = fan_out(world, ChannelName.SMS, workers, provider)
            rates[count] = sent.rate
            note = f"{sent.messages:,} texts, {sent.cpu_per_thousand:.2f} s of CPU per 1,000"
            what = "1 worker" if count == 1 else f"{count} workers"
            figures.append(_figure(world, what, sent.rate, "msg/s", "bare libcurl, one core", bare, goal, note))
        times = rates[1] / shipped
        note = f"the package as shipped: {shipped:,.0f} msg/s in {PEER_THREADS} threads"
        figures.append(
            _figure(world, "1 worker, times the twilio package", times, "times", "", None, TIMES_TWILIO, note)
        )
        if world.peers:
            figures += peers.text_peers(world, provider, bare)
    return figures


def measure_slow(world: World) -> list[Figure]:
    """The same at a latency as real providers have it: how well the open requests are used, and what they cost."""
    world.people(world.sizes.both)
    figures = []
    with world.sink(LATENCY) as provider:
        world.tell(f"the twilio package at {LATENCY} ms", 0, 1)
        shipped = as_shipped(world, provider, max(PEER_THREADS, int(world.sizes.slow_seconds * 300)))
        for lines in world.sizes.slow_lines:
            figures += _slow(world, provider, lines, shipped)
    return figures


def _slow(world: World, provider: Provider, lines: int, shipped: float) -> list[Figure]:
    possible = lines / (LATENCY / 1000)
    with world.worker("texts", provider, twilio_concurrency=lines) as workers:
        warm_up(world, ChannelName.SMS, workers, provider)
        with at_rest(workers):
            campaign_id = compose(ChannelName.SMS)
            campaigns.freeze(campaign_id)
            provider.watch()
        rate, cpu = _watch(world, provider, workers[0])
        campaigns.cancel(campaign_id)
    what = f"{LATENCY} ms, {lines} in flight"
    note = f"the twilio package in {PEER_THREADS} threads: {shipped:,.0f} msg/s"
    beside = f"{lines} requests / {LATENCY} ms"
    return [
        Figure("slow", world.database, what, rate, "msg/s", beside, possible, SHARE_OF_LINES * possible, note=note),
        Figure("slow", world.database, f"{what}: CPU per 1,000", cpu, "s", goal=CPU_PER_THOUSAND, at_least=False),
    ]


def _watch(world: World, provider: Provider, worker: Process) -> tuple[float, float]:
    """(messages per second, CPU seconds per 1,000) of a worker in full swing, over the seconds that are set."""
    time.sleep(0.3)
    began, count, cpu = time.perf_counter(), provider.counts()["requests"], worker.cpu_seconds()
    ends = began + world.sizes.slow_seconds
    while (now := time.perf_counter()) < ends:
        world.tell(f"sending texts at {LATENCY} ms", int(now - began), int(world.sizes.slow_seconds))
        time.sleep(min(0.5, ends - now))
    sent = provider.counts()["requests"] - count
    seconds, used = time.perf_counter() - began, worker.cpu_seconds() - cpu
    return sent / seconds, 1000 * used / max(sent, 1)


def calls(world: World, provider: Provider, count: int) -> Iterator[Call]:
    """The same requests as ours, ready to leave."""
    settings = world.settings
    url = f"{provider.url}/2010-04-01/Accounts/{settings.twilio_account_sid}/Messages.json"
    auth = basic_auth(settings.twilio_account_sid, settings.twilio_auth_token)
    headers = (f"Authorization: {auth}", "Content-Type: application/x-www-form-urlencoded", "Accept: application/json")
    form = {"To": "+12015550100", "StatusCallback": CALLBACK, "MessagingServiceSid": "MG" + "0" * 32, "Body": BODY}
    body = urlencode(form).encode()
    return (Call(url, headers, body) for _ in range(count))


def as_shipped(world: World, provider: Provider, count: int) -> float:
    """Texts per second through the official package with its own transport, in PEER_THREADS threads."""
    own = local()
    settings = world.settings

    def one(_: int) -> None:
        if not hasattr(own, "client"):
            transport = TwilioHttpClient(timeout=10)
            own.client = Client(settings.twilio_account_sid, settings.twilio_auth_token, http_client=transport)
            own.client.api.base_url = provider.url
        own.client.messages.create(
            to="+12015550100", body=BODY, status_callback=CALLBACK, messaging_service_sid="MG" + "0" * 32
        )

    with ThreadPoolExecutor(PEER_THREADS) as threads:
        list(threads.map(one, range(PEER_THREADS)))
        began = time.perf_counter()
        list(threads.map(one, range(count)))
        return count / (time.perf_counter() - began)


def _figure(
    world: World, what: str, value: float, unit: str, beside: str, ceiling: Any, goal: Any, note: str
) -> Figure:
    return Figure("texts", world.database, what, value, unit, beside, ceiling, goal, note=note)
