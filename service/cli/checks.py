"""What `hearthline doctor` looks at. Each check says what is so, and what to do about it if it is not well."""

import base64
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from service import clock, config, db, queue

FINE, LOOK, BAD = 0, 1, 2
SKEW = 5.0
"""Seconds by which two clocks may differ; leases and signatures bear far more, a person's trust in times does not."""


class Finding(NamedTuple):
    """One line of the doctor's report; BAD is what keeps something from working."""

    level: int
    text: str


def everything() -> Iterator[Finding]:
    """Every check in turn."""
    yield from _settings()
    yield from _database()
    yield from _redis()
    yield from _providers()
    yield from _replies()


def _settings() -> Iterator[Finding]:
    settings = config.current()
    problems = settings.problems()
    for problem in problems:
        yield Finding(BAD, f"setting {problem}")
    if not problems:
        yield Finding(FINE, "every setting that is needed is there")
    if settings.uses_real_providers and not settings.base_url.startswith("https://"):
        yield Finding(LOOK, f"PUBLIC_URL is {settings.base_url}: the providers should reach you by https://")
    if settings.uses_real_providers and not settings.encryption_keys:
        yield Finding(
            LOOK, f"ENCRYPTION_KEYS is not set: the key made in {settings.data_path} is the only one; keep a copy of it"
        )


def _database() -> Iterator[Finding]:
    from service.actions import database

    try:
        found = database.revision()
    except SQLAlchemyError as error:
        yield Finding(BAD, f"the database cannot be reached ({type(error).__name__}): look at DATABASE_URL")
        return
    kind = db.current().engine.dialect.name
    if found == database.newest_revision():
        yield Finding(FINE, f"the database ({kind}) is there and at the newest revision")
    else:
        yield Finding(BAD, f"the database ({kind}) is at revision {found or 'none'}: run `hearthline db upgrade`")
    if kind == "postgresql":
        with db.reading() as session:
            theirs = session.scalar(text("SELECT now()"))
        yield from _skew("the database", theirs)


def _redis() -> Iterator[Finding]:
    try:
        seconds, micros = queue.connection().time()
    except (RedisError, OSError):
        hint = "look at REDIS_URL" if config.current().redis_url else "set REDIS_URL, or start `hearthline demo`"
        yield Finding(LOOK, f"Redis cannot be reached: nothing is lost, everything is some seconds later; {hint}")
        return
    yield Finding(FINE, "Redis is there")
    yield from _skew("Redis", datetime.fromtimestamp(seconds + micros / 1e6, tz=clock.now().tzinfo))
    for name in queue.QUEUES:
        if not queue.live_workers(name):
            yield Finding(BAD, f"no worker for {name}: start `hearthline worker`")
    if all(queue.live_workers(name) for name in queue.QUEUES):
        yield Finding(FINE, "every queue has a worker")
    if queue.clock_alive():
        yield Finding(FINE, "the clock runs")
    else:
        yield Finding(BAD, "no clock: start `hearthline clock`")


def _providers() -> Iterator[Finding]:
    settings = config.current()
    if "sms" in settings.enabled_channels and settings.twilio_account_sid:
        login = f"{settings.twilio_account_sid}:{settings.twilio_auth_token}".encode()
        address = f"{settings.twilio_api_url}/2010-04-01/Accounts/{settings.twilio_account_sid}.json"
        yield from _provider("Twilio", address, f"Basic {base64.b64encode(login).decode()}")
    if "email" in settings.enabled_channels and settings.sendgrid_api_key:
        address = f"{settings.sendgrid_api_url}/v3/scopes"
        yield from _provider("SendGrid", address, f"Bearer {settings.sendgrid_api_key}")


def _provider(name: str, address: str, authorization: str) -> Iterator[Finding]:
    request = urllib.request.Request(address, headers={"Authorization": authorization})  # noqa: S310  # http(s), by Settings
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            status, date = answer.status, answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        status, date = error.code, error.headers.get("Date")
    except (OSError, ValueError):
        yield Finding(BAD, f"{name} cannot be reached: look at the network and {name.upper()}_API_URL")
        return
    if status in (401, 403):
        yield Finding(BAD, f"{name} refuses the key (status {status}): look at its settings")
    elif status >= 500:
        yield Finding(LOOK, f"{name} answers with status {status}: try again in a while")
    else:
        yield Finding(FINE, f"{name} answers")
    if date:
        yield from _skew(name, parsedate_to_datetime(date))


def _skew(whose: str, theirs: datetime) -> Iterator[Finding]:
    seconds = (clock.now() - theirs).total_seconds()
    if abs(seconds) > SKEW:
        way = "ahead of" if seconds > 0 else "behind"
        yield Finding(LOOK, f"this machine's clock is {abs(seconds):.0f} s {way} the one of {whose}: set up NTP")


def _replies() -> Iterator[Finding]:
    settings = config.current()
    if "sms" not in settings.enabled_channels or not settings.uses_real_providers:
        return
    if not settings.provider_replies_checked:
        yield Finding(
            LOOK,
            "Twilio answers STOP, START and HELP by itself, in its own words. A member who needs help must not get "
            "those: in the Messaging Service's Opt-Out Management put in texts of your own, with your name, "
            f"{settings.org_help_contact or 'a contact'} and the crisis line; then set PROVIDER_REPLIES_CHECKED=true",
        )
