"""Members' words, names, numbers and addresses reach no log, whatever goes wrong with them on the way."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from flask import Flask
from sqlalchemy import text as sql

from service import db, logs
from service.actions import conversations, outbox, safety, understanding
from service.actions.conversations import media as files
from service.actions.conversations import receiving, replying, store, threads
from service.config import Settings
from service.models.members import Member
from tests.flows.replies import on_duty
from tests.flows.talk import SMS, Talk, conversation, flags
from tests.flows.world import add_member

ANA, MAIL = "+12025550123", "ana.quill@example.org"
SECRETS = ("marzipan", "Quillon", "2025550123", "ana.quill", "pineapple")
"""A word of hers, her name, her number, her address, a word of ours to her."""
CRISIS = "I have the marzipan pills and want to die tonight"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Everything that was logged, at the chattiest level, by anybody."""
    logs.configure("DEBUG", json=True)
    kept: list[str] = []

    def all_of_it() -> str:
        got = capsys.readouterr()
        kept.append(got.err + got.out)
        return "".join(kept)

    yield all_of_it
    logs.configure("WARNING")
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def ana(talk: Talk) -> Member:
    on_duty()
    return add_member("Quillon", ANA, MAIL, prefers=SMS)


def silent(said: Callable[[], str], *, logged: str = "") -> None:
    words = said()
    assert logged in words
    assert not [secret for secret in SECRETS if secret.lower() in words.lower()]


def test_a_crisis_from_the_words_to_the_clearing(talk: Talk, ana: Member, said: Callable[[], str]) -> None:
    talk.text(ANA, CRISIS)
    talk.mail(MAIL, CRISIS)
    flag = flags()[0]
    person = on_call()
    replying.reply(conversation(ana).id, person, "Quillon, it is me with the pineapple")
    replying.add_note(conversation(ana).id, person, "The marzipan is hidden")
    safety.clear(flag.id, person.id, "Took the marzipan away")
    with db.reading() as session:
        threads.read(session, person, conversation(ana).id)
    silent(said, logged='"event": "flag"')


def on_call() -> Any:
    from sqlalchemy import select

    from service.models.staff import Coordinator

    with db.reading() as session:
        return session.scalars(select(Coordinator)).one()


def test_a_screen_an_action_and_a_database_that_break(
    talk: Talk, ana: Member, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any, **_: Any) -> Any:
        raise ValueError(f"cannot deal with {given}")  # quotes what a member wrote

    monkeypatch.setattr(understanding, "understand", broken)
    talk.text(ANA, "marzipan for lunch")
    monkeypatch.undo()

    real = receiving._act

    def trips(session: Any, incoming: Any) -> None:
        raise KeyError(incoming.arrived.words)

    monkeypatch.setattr(receiving, "_act", trips)
    talk.text(ANA, "marzipan for dinner")
    monkeypatch.setattr(receiving, "_act", real)

    def refused(session: Any, incoming: Any) -> None:
        session.execute(sql("INSERT INTO nowhere VALUES (:words)"), {"words": incoming.arrived.words})

    monkeypatch.setattr(receiving, "_act", refused)
    talk.text(ANA, "marzipan at night")
    silent(said, logged="an inbound event could not be processed")


def test_what_cannot_be_read(talk: Talk, ana: Member, said: Callable[[], str]) -> None:
    for raw in ('{"form": {"Body": "marzipan", "From": "+12025550123"}}', "{marzipan", '{"form": "marzipan"}', ""):
        store.keep([store.Incoming("twilio", store.TEXT, f"SM{len(raw)}", raw)])
        for _ in range(6):
            conversations.process_inbound()
    bounce = '{"event": "bounce", "email": "ana.quill@example.org"}'
    status = '{"form": {"To": "+12025550123", "Body": "marzipan"}}'
    for provider, kind, raw in (
        ("sendgrid", store.EMAIL, json.dumps({"content_type": "x", "body": "bWFyemlwYW4="})),
        ("sendgrid", store.EMAIL_EVENT, bounce),
        ("twilio", store.TEXT_STATUS, status),
    ):
        store.keep([store.Incoming(provider, kind, f"broken {kind}", raw)])
    for _ in range(6):
        conversations.process_inbound()
    silent(said, logged="could not be")


def test_a_picture_that_cannot_be_had(talk: Talk, ana: Member, said: Callable[[], str]) -> None:
    where = "https://evil.example/marzipan.jpg"
    talk.text(ANA, "marzipan", NumMedia="1", MediaUrl0=where, MediaContentType0="image/png")
    files.fetch_waiting()
    silent(said, logged="a file was not fetched")


def test_a_message_that_cannot_leave(world: Any, said: Callable[[], str]) -> None:
    on_duty()
    ana = add_member("Quillon", ANA)
    world.standin.provoke("refused", "sms", address=ANA, code=30008, times=1)
    with db.transaction() as session:
        outbox.write(session, session.get_one(Member, ana.id), SMS, "the pineapple is ready")
    world.work()
    words = "".join(line for line in said().splitlines() if "werkzeug" not in line)  # the tests' own web server
    assert not [secret for secret in SECRETS if secret.lower() in words.lower()]


def test_a_page_that_breaks(
    app: Flask,
    ana: Member,
    said: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    configure: Callable[..., Settings],
) -> None:
    app.testing = False

    def broken(*given: Any, **_: Any) -> Any:
        raise ValueError("marzipan")

    from service.web import webhooks

    monkeypatch.setattr(webhooks.inbound_text, "parse", broken)
    from tests.web.test_webhooks import post_twilio

    form = {"MessageSid": "SM" + "1" * 32, "From": ANA, "To": "+15005550006", "Body": "marzipan"}
    assert post_twilio(app.test_client(), "/webhooks/twilio/message", form).status_code == 500
    assert app.test_client().get("/console/inbox/?q=marzipan").status_code == 302
    assert app.test_client().get("/join?first_name=Quillon&phone=2025550123").status_code == 200
    silent(said, logged="ValueError")


def test_the_log_refuses_what_is_named_like_words_and_what_an_exception_says(said: Callable[[], str]) -> None:
    log = logs.get("test")
    try:
        raise RuntimeError("marzipan")
    except RuntimeError as error:
        log.error("it broke", exc_info=error, body="marzipan", words="marzipan", phone=ANA, email=MAIL)
    log.exception("and again", exc_info=True)
    silent(said, logged="it broke")
