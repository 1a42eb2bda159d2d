"""`hearthline demo`: everything on one machine, with a fictional community and no account anywhere.

Its settings stand in only for what the environment leaves open. They lie in DATA_DIR/demo.env while it
runs, so that its processes and other commands in the same folder find the same ones.
"""

import json
import os
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click

from service import config, db, supervisor
from service.config import Settings
from service.errors import ConfigurationError

SECRETS = "demo-secrets"
_DATABASES = ("hearthline.db", "sandbox.db")
_FOLDERS = ("valkey", "sandbox")
_PATIENCE = 60.0
_LEGIBLE = "abcdefghjkmnpqrstuvwxyz23456789"


@click.command()
@click.option("--reset", is_flag=True, help="Forget the demo's members, messages and keys first.")
@click.option("--members", default=0, metavar="N", help="Add made-up members until there are N, to see it at size.")
@click.option("--no-seed", is_flag=True, hidden=True)
def demo(reset: bool, members: int, no_seed: bool) -> None:
    """Start everything on this machine: web, workers, clock, and stand-ins for Twilio and SendGrid."""
    settings = config.current()
    data = settings.data_path
    with supervisor.only_one(data / config.DEMO_LOCK):
        if reset:
            forget(settings)
        supervisor.require_free_ports(
            [(settings.host, settings.port, "PORT"), (settings.host, settings.sandbox_port, "SANDBOX_PORT")]
        )
        try:
            _write(data / config.DEMO_ENV, stand_ins(settings))
            _run(seeded=not no_seed, members=members)
        finally:
            (data / config.DEMO_ENV).unlink(missing_ok=True)


def _run(*, seeded: bool, members: int) -> None:
    os.environ["DATA_DIR"] = str(config.current().data_path)  # the children may not guess it from elsewhere
    config.use(None)
    settings = config.current()
    settings.require_ready()
    sign_in = _prepare(settings, seeded, members)
    supervisor.run(supervisor.demo_children(settings), every_turn=_greeter(settings, sign_in))
    click.echo("Everything has stopped. Your demo is kept: `hearthline demo` goes on, `--reset` starts afresh.")


def _prepare(settings: Settings, seeded: bool, members: int) -> tuple[str, str] | None:
    """Migrate and seed; the coordinator's email and password."""
    from service import seed
    from service.actions import database
    from service.sandbox import store

    click.echo("Preparing the database …")
    database.upgrade()
    sign_in = None
    if seeded:
        click.echo("Inviting a fictional community …")
        sign_in = seed.run(_made_once(settings.data_path / SECRETS)["password"])
        store.introduce(settings, seed.phones_and_mailboxes())
    if members:
        click.echo(f"Inviting more of them, until there are {members:,} …")
        seed.many(members)
    db.dispose()  # no connection of ours may be open while the children start
    return sign_in


def stand_ins(settings: Settings) -> dict[str, str]:
    """The demo's settings by environment variable. Identifiers and secrets are made once per DATA_DIR."""
    from service.sandbox import keys

    events, inbound = keys.ensure(settings.data_path)
    made = _made_once(settings.data_path / SECRETS)
    sandbox = _address(settings, settings.sandbox_port)
    return {
        "DEMO": "true",
        "TWILIO_ACCOUNT_SID": made["account_sid"],
        "TWILIO_AUTH_TOKEN": made["auth_token"],
        "TWILIO_MESSAGING_SERVICE_SID": made["messaging_service_sid"],
        "TWILIO_API_URL": sandbox,
        "SENDGRID_API_URL": sandbox,
        "SENDGRID_API_KEY": made["api_key"],
        "SENDGRID_FROM": "hello@hearthline.example",
        "SENDGRID_INBOUND_DOMAIN": "replies.hearthline.example",
        "SENDGRID_WEBHOOK_PUBLIC_KEY": events,
        "SENDGRID_INBOUND_PUBLIC_KEY": inbound,
        "SENDING_WINDOW": "00:00-24:00",
        "DAILY_CAP": "0",
        "WEEKLY_CAP": "0",
        "SMS_COUNTRIES": "US,GB,MX,ES",
        "ORG_NAME": "Hearthline",
        "ORG_POSTAL_ADDRESS": "The Hearth, 12 Lantern Lane, Willowbrook, VT 05000, USA",
        "ORG_HELP_CONTACT": "help@hearthline.example",
    }


def _made_once(path: Path) -> dict[str, str]:
    if not path.exists():
        made = {
            "account_sid": f"AC{secrets.token_hex(16)}",
            "auth_token": secrets.token_hex(16),
            "messaging_service_sid": f"MG{secrets.token_hex(16)}",
            "api_key": f"SG.{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}",
            "password": "-".join("".join(secrets.choice(_LEGIBLE) for _ in range(4)) for _ in range(3)),
        }
        _write_private(path, json.dumps(made))
    try:
        made = dict(json.loads(path.read_text()))
        if "password" not in made:
            raise ValueError("made before it had one")
        return made
    except ValueError:
        raise ConfigurationError([f"{path} cannot be read: `hearthline demo --reset` makes a new one"]) from None


def _write(path: Path, values: dict[str, str]) -> None:
    lines = ["# The running demo's settings; the environment and .env win over them. Removed when it stops."]
    _write_private(path, "\n".join([*lines, *(f"{name}='{value}'" for name, value in values.items())]) + "\n")


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def forget(settings: Settings) -> None:
    """Remove the demo's data from DATA_DIR, and nothing that it did not make. Raises ConfigurationError.

    The keys of DATA_DIR stay: a backup may need them. A database elsewhere, or one that no demo has run
    on, is not touched: it may hold somebody's real members.
    """
    elsewhere = [name for name in ("DATABASE_URL", "REDIS_URL") if getattr(settings, name.lower())]
    if elsewhere:
        raise ConfigurationError(
            [f"{name} is set: --reset only clears what lies in DATA_DIR; unset it" for name in elsewhere]
        )
    data = settings.data_path
    if (data / _DATABASES[0]).exists() and not (data / SECRETS).exists():
        raise ConfigurationError([f"no demo has run in {data}: --reset will not touch the database there"])
    files = [data / f"{name}{part}" for name in _DATABASES for part in ("", "-wal", "-shm", "-turn")]
    for path in (*files, data / config.DEMO_ENV, settings.valkey_socket):
        path.unlink(missing_ok=True)
    for folder in _FOLDERS:
        if (data / folder).is_dir():
            shutil.rmtree(data / folder)
    (data / SECRETS).unlink(missing_ok=True)  # last: a reset that was cut short can be repeated


def _greeter(settings: Settings, sign_in: tuple[str, str] | None) -> Callable[[], None]:
    """What the supervisor calls on every turn: says where to look, once everything answers."""
    sandbox = f"{_address(settings, settings.sandbox_port)}/"
    here = _address(settings, settings.port)
    began = time.monotonic()
    said = {"hello": False, "late": False}

    def look() -> None:
        if said["hello"]:
            return
        if _answers(f"{here}/healthz") and _answers(sandbox):
            said["hello"] = True
            click.echo(_box(_greeting(settings, sandbox, sign_in)))
        elif not said["late"] and time.monotonic() - began > _PATIENCE:
            said["late"] = True
            click.echo("Not everything answers yet; the lines above say why. Ctrl-C stops.", err=True)

    return look


def _address(settings: Settings, port: int) -> str:
    """Where something that listens on HOST is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # compared only
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  # our own address
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _greeting(settings: Settings, sandbox: str, sign_in: tuple[str, str] | None) -> list[str]:
    here = _address(settings, settings.port)
    lines = [
        "Hearthline is running. Nothing leaves this machine."
        if not settings.uses_real_providers
        else "Hearthline is running, and sends through the real providers that you have set.",
        "",
        f"Join as a member      {here}/",
        f"Coordinators' console {here}/console",
        f"Phones and mailboxes  {sandbox}",
    ]
    if sign_in:
        lines += ["", f"Sign in with          {sign_in[0]}", f"Password              {sign_in[1]}"]
    if settings.window == (0, 24 * 60) and not (settings.daily_cap or settings.weekly_cap):
        lines += [
            "",
            "For the demo, messages go out at any hour and as many as you like",
            "(see SENDING_WINDOW, DAILY_CAP, WEEKLY_CAP).",
        ]
    return [*lines, "", "Ctrl-C stops everything."]


def _box(lines: list[str]) -> str:
    width = max(len(line) for line in lines)
    rule = "─" * (width + 4)
    return "\n".join(["", f"╭{rule}╮", *(f"│  {line:<{width}}  │" for line in lines), f"╰{rule}╯", ""])
