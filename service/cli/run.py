"""The long-running commands: web, worker, clock and sandbox."""

import os
from typing import Any

import click

from service import config, db, logs, queue, supervisor
from service.errors import Unavailable

WEB_PROCESSES = 2
WEB_THREADS = 24
"""As many as a process has connections to the database. Most of them wait for SQLite's one writer when members' words
come fast, and what may wait together is stored together (docs/decisions/0020-turns-not-a-lock.md).
"""


@click.command()
def web() -> None:
    """Serve the pages, the API and the webhooks on HOST and PORT."""
    settings = config.current()
    settings.require_ready()
    _require_migrated()
    supervisor.require_free_ports([(settings.host, settings.port, "PORT")])
    _serve(_load_app, settings.host, settings.port)


def _serve(load: Any, host: str, port: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        "wsgi:app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=WEB_PROCESSES,
        blocking_threads=WEB_THREADS,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        log_level=LogLevels.warning,
    ).serve(target_loader=load, wrap_loader=False)


def _load_app() -> Any:
    """Make the application in a web process; granian calls this there."""
    from service import launch
    from service.app import create_app

    launch.die_with(os.getppid())
    logs.configure(config.current().log_level)
    return create_app()


@click.command()
@click.argument("queues", nargs=-1, type=click.Choice(queue.QUEUES), metavar="[QUEUE]...")
def worker(queues: tuple[str, ...]) -> None:
    """Work on QUEUE: inbound, replies, texts, emails or upkeep. Without a name: one process for each."""
    from workers import __main__ as one

    config.current().require_ready()
    _require_migrated()
    if len(queues) == 1:
        raise SystemExit(one.main(list(queues)))
    supervisor.run(supervisor.worker_children(queues or queue.QUEUES))


@click.command()
def clock() -> None:
    """Ring for what is due. Run two on different machines: one acts, the other takes over when it dies."""
    from workers import schedule

    raise SystemExit(schedule.main())


@click.command()
def sandbox() -> None:
    """Stand in for Twilio and SendGrid on SANDBOX_PORT, with phones and mailboxes to look at."""
    from service.sandbox import server

    settings = config.current()
    supervisor.require_free_ports([(settings.host, settings.sandbox_port, "SANDBOX_PORT")])
    server.serve(settings)


def _require_migrated() -> None:
    """Raise Unavailable if the database is there and was not prepared for this version."""
    from sqlalchemy.exc import OperationalError

    from service.actions import database

    try:
        found = database.revision()
    except OperationalError:
        return  # it may come back; /readyz and the log tell until then
    finally:
        db.dispose()  # the web server forks, and two processes on one connection answer each other's questions
    if found != database.newest_revision():
        raise Unavailable("The database is not prepared for this version: run `hearthline db upgrade` first.")
