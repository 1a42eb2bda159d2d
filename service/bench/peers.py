"""What others do in the same place: one RQ job for each text, and django-post_office for email (`--peers`).

Each runs in a process of its own: `python -P -m service.bench.peers rq|post_office COUNT URL`.
"""

import importlib
import importlib.util
import json
import sys
import time
from typing import Any

from service.bench.figures import Figure
from service.bench.world import Provider, World

RQ_QUEUE = "bench-peer"
RQ_JOBS = 150


def text_peers(world: World, provider: Provider, bare: float) -> list[Figure]:
    """One job for each text on RQ's own forking worker, with the twilio package as shipped."""
    world.tell("RQ, one job for each text", 0, 1)
    count = min(RQ_JOBS, world.sizes.few)
    rate = _measured(world, "rq", str(count), provider.url)
    note = f"{count} jobs; claims nothing, records nothing"
    return [
        Figure("texts", world.database, "peer: one RQ job per text", rate, "msg/s", "bare libcurl", bare, note=note)
    ]


def email_peers(world: World) -> list[Figure]:
    """django-post_office on SQLite with a backend that throws mail away; nothing where it is not installed."""
    if importlib.util.find_spec("post_office") is None:
        return []
    world.tell("django-post_office", 0, 1)
    count = world.sizes.few
    rate = _measured(world, "post_office", str(count), str(world.folder / "post_office.db"))
    note = f"{count} emails queued and sent to a backend that throws them away"
    return [Figure("emails", world.database, "peer: django-post_office", rate, "recipients/s", note=note)]


def _measured(world: World, *arguments: str) -> float:
    with world.run("service.bench.peers", *arguments, piped=True) as child:
        return float(json.loads(child.line())["rate"])


def post_one(url: str, number: int) -> None:
    """The job: one text through the twilio package."""
    from twilio.rest import Client  # type: ignore[import-untyped]

    client = Client("AC" + "0" * 32, "token")
    client.api.base_url = url
    client.messages.create(to="+12015550100", body=f"Bench {number}", messaging_service_sid="MG" + "0" * 32)


def _rq(count: int, url: str) -> float:
    from rq import Worker

    from service import queue

    client = queue.connection(read_timeout=30)
    waiting = queue.queue(RQ_QUEUE, client)
    for number in range(count):
        waiting.enqueue(post_one, url, number, result_ttl=0)
    began = time.perf_counter()
    Worker([waiting], connection=client, serializer=waiting.serializer).work(burst=True, logging_level="ERROR")
    return count / (time.perf_counter() - began)


def _post_office(count: int, path: str) -> float:
    django = importlib.import_module("django")
    conf: Any = importlib.import_module("django.conf")
    conf.settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}},
        EMAIL_BACKEND="post_office.EmailBackend",
        POST_OFFICE={
            "BACKENDS": {"default": "django.core.mail.backends.dummy.EmailBackend"}, "BATCH_SIZE": count,
            "LOG_LEVEL": 0,
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True, SECRET_KEY="of-the-bench",  # noqa: S106
    )  # fmt: skip
    django.setup()
    importlib.import_module("django.core.management").call_command("migrate", verbosity=0)
    mail = importlib.import_module("post_office.mail")
    began = time.perf_counter()
    for number in range(count):
        mail.send(f"ada.{number}@example.org", "hello@hearthline.example", subject="Bench", message="Words",
                  html_message="<p>Words</p>")  # fmt: skip
    mail.send_queued(processes=1)
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    made = {"rq": _rq, "post_office": _post_office}[sys.argv[1]]
    # A job is found by the module's name, and this one is called __main__ here.
    post_one.__module__ = "service.bench.peers"
    print(json.dumps({"rate": made(int(sys.argv[2]), sys.argv[3])}), flush=True)
