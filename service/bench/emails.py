"""Emails: the whole way on one worker with a body that is shared, beside bare orjson and the official helper."""

import time
from collections.abc import Callable

import orjson
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Content, Email, Mail, Personalization

from service.bench import peers
from service.bench.figures import Figure
from service.bench.load import Call, fire
from service.bench.sending import MAIL, SUBJECT, fan_out, warm_up
from service.bench.world import Provider, World
from service.models.members import ChannelName

PER_CORE = 80_000
_WORDS = "<p>" + MAIL + "</p>"


def measure(world: World) -> list[Figure]:
    """The rows of email fan-out: recipients per second of a core, and by the clock."""
    world.people(world.sizes.both)
    with world.sink() as provider:
        world.tell("bare orjson", 0, 1)
        bare = _bare(provider, world.sizes.both)
        world.tell("the sendgrid helper", 0, 1)
        helper = _helper(world, provider, world.sizes.few // 4 + 1)
        with world.worker("emails", provider) as workers:
            warm_up(world, ChannelName.EMAIL, workers, provider)
            sent = fan_out(world, ChannelName.EMAIL, workers, provider)
        figures = [
            Figure(
                "emails", world.database, "1 worker, per core", sent.messages / max(sent.cpu, 0.001), "recipients/s",
                "bare orjson and libcurl, per core", bare, PER_CORE,
                note=f"{sent.messages:,} emails; the sendgrid helper one by one: {helper:,.0f}/s",
            ),
            Figure("emails", world.database, "1 worker, by the clock", sent.rate, "recipients/s"),
        ]  # fmt: skip
        if world.peers:
            figures += peers.email_peers(world)
    return figures


def _bare(provider: Provider, count: int) -> float:
    """Recipients per second of one core that encodes batches of 1000 and posts them, and does nothing else."""
    headers = ("Authorization: Bearer SG.bench", "Content-Type: application/json")
    began = time.process_time()
    for start in range(0, count, 1000):
        people = [_personalization(number) for number in range(start, min(count, start + 1000))]
        body = {
            "personalizations": people, "from": {"email": "hello@hearthline.example"}, "subject": SUBJECT,
            "content": [{"type": "text/plain", "value": MAIL}, {"type": "text/html", "value": _WORDS}],
        }  # fmt: skip
        fire([Call(f"{provider.url}/v3/mail/send", headers, orjson.dumps(body))], 1)
    return count / (time.process_time() - began)


def _personalization(number: int) -> dict[str, object]:
    return {
        "to": [{"email": f"ada.{number}@example.org", "name": "Ada"}],
        "custom_args": {"d": str(number), "r": "018f3f6e-0000-7000-8000-000000000000"},
        "headers": {"List-Unsubscribe": "<https://example.org/u/abcdefghijklmnopqrstuvwxyz0123456789>"},
        "substitutions": {"a1b2c3d4e5f6": "Ada", "b1b2c3d4e5f6": "https://example.org/u/abcdefghijklmnopqrstuvwxyz"},
    }


def _helper(world: World, provider: Provider, count: int) -> float:
    """Emails per second with the official package as shipped, one request for each."""
    client = SendGridAPIClient("SG.bench", host=provider.url)
    return _rate(count, lambda number: client.send(_mail(number)))


def _mail(number: int) -> Mail:
    mail = Mail(from_email=Email("hello@hearthline.example"), subject=SUBJECT)
    person = Personalization()
    person.add_to(Email(f"ada.{number}@example.org"))
    mail.add_personalization(person)
    mail.add_content(Content("text/plain", MAIL))
    mail.add_content(Content("text/html", _WORDS))
    return mail


def _rate(count: int, one: Callable[[int], object]) -> float:
    began = time.perf_counter()
    for number in range(count):
        one(number)
    return count / (time.perf_counter() - began)
