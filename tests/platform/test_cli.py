"""The `hearthline` command: what a person sees when something is wrong, and what the doctor finds."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import click
import pytest
from click.testing import CliRunner, Result
from redis import Redis

from service import clock, db, queue
from service.cli import main
from service.config import Settings
from service.errors import ConfigurationError, Conflict


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


class Provider(BaseHTTPRequestHandler):
    """A provider that answers every request with `status`, and a clock that is `ahead`."""

    status: ClassVar[int] = 200
    ahead: ClassVar[timedelta] = timedelta()
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"].split()[0]))
        self.send_response_only(self.status)
        self.send_header("Date", format_datetime(clock.now() + self.ahead, usegmt=True))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider(configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Provider]]:
    """A provider on this machine, which stands for both."""
    for name, value in {"status": 200, "ahead": timedelta(), "asked": []}.items():
        monkeypatch.setattr(Provider, name, value)
    server = HTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    configure(twilio_api_url=address, sendgrid_api_url=address)
    yield Provider
    server.shutdown()
    server.server_close()


def test_every_command_explains_itself(settings: Settings) -> None:
    def walk(command: click.Command, path: list[str]) -> None:
        shown = run(*path, "--help")
        assert shown.exit_code == 0, path
        assert command.help, f"{' '.join(path)} has no help"
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*path, name])

    walk(main, [])


@pytest.mark.parametrize("command", [["web"], ["worker"], ["worker", "texts"]])
def test_missing_settings_are_all_named_at_once(configure: Callable[..., Settings], command: list[str]) -> None:
    configure(twilio_auth_token="", sendgrid_api_key="", public_url="", twilio_api_url="https://api.twilio.com")
    refused = run(*command)
    assert refused.exit_code == 2
    for name in ("TWILIO_AUTH_TOKEN", "SENDGRID_API_KEY", "PUBLIC_URL", "hearthline demo"):
        assert name in refused.output


@pytest.mark.parametrize(
    ("error", "status"), [(Conflict("That campaign has ended."), 1), (ConfigurationError(["PORT: too big"]), 2)]
)
def test_an_error_is_a_sentence_and_a_status(settings: Settings, error: Exception, status: int) -> None:
    def fail() -> None:
        raise error

    main.add_command(click.Command("fail", callback=fail))
    try:
        answer = run("fail")
    finally:
        del main.commands["fail"]
    assert answer.exit_code == status
    assert str(error) in answer.output
    assert isinstance(answer.exception, SystemExit)


def test_an_unprepared_database_is_named_before_anything_starts(configure: Callable[..., Settings]) -> None:
    configure()
    refused = run("web")
    assert refused.exit_code == 1
    assert "hearthline db upgrade" in refused.output


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_unknown_queue_is_refused_with_the_names_of_all(database: db.Database) -> None:
    refused = run("worker", "letters")
    assert refused.exit_code == 2
    assert all(name in refused.output for name in queue.QUEUES)


def test_db_upgrade_can_be_repeated(database: db.Database) -> None:
    assert run("db", "upgrade").exit_code == 0
    assert "revision" in run("db", "upgrade").output


def test_the_doctor_finds_nothing_when_all_is_well(
    database: db.Database, valkey: Redis, provider: type[Provider]
) -> None:
    for name in queue.QUEUES:
        queue.pulse(name, "here:1")
    queue.clock_pulse()
    report = run("doctor")
    assert report.exit_code == 0, report.output
    assert "bad" not in report.output
    assert "look" not in report.output
    assert [kind for _, kind in provider.asked] == ["Basic", "Bearer"]


def test_the_doctor_names_what_does_not_run(database: db.Database, valkey: Redis, provider: type[Provider]) -> None:
    queue.pulse("texts", "here:1")
    report = run("doctor")
    assert report.exit_code == 1
    assert "no worker for emails" in report.output
    assert "no worker for texts" not in report.output
    assert "no clock" in report.output


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_doctor_knows_a_refused_key_from_a_provider_that_is_away(
    database: db.Database, provider: type[Provider], configure: Callable[..., Settings]
) -> None:
    provider.status = 401
    report = run("doctor")
    assert "Twilio refuses the key" in report.output
    provider.status = 503
    assert "SendGrid answers with status 503" in run("doctor").output
    configure(sendgrid_api_url="http://127.0.0.1:9")
    assert "SendGrid cannot be reached" in run("doctor").output
    assert report.exit_code == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_doctor_sees_a_clock_that_is_wrong(database: db.Database, provider: type[Provider]) -> None:
    provider.ahead = timedelta(seconds=90)
    assert "behind the one of Twilio" in run("doctor").output


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_doctor_warns_until_the_providers_own_answers_are_ours(
    database: db.Database, configure: Callable[..., Settings]
) -> None:
    unreachable = {"twilio_api_url": "http://127.0.0.1:9", "sendgrid_api_url": "https://api.sendgrid.com"}
    configure(**unreachable, channels="sms", sendgrid_webhook_public_key="x")
    assert "STOP, START and HELP" in run("doctor").output
    configure(provider_replies_checked=True)
    assert "STOP, START and HELP" not in run("doctor").output
