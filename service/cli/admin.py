"""Looking after an installation: `db upgrade`, `keys rotate`, `doctor`."""

import click

from service.cli import checks
from service.cli.progress import bar


@click.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Make the database, or bring it to this version. Safe to repeat."""
    from service.actions import database

    click.echo(f"The database is at revision {database.upgrade()}.")


@click.group()
def keys() -> None:
    """The keys that encrypt what members write."""


@keys.command()
def rotate() -> None:
    """Encrypt everything anew with the first of ENCRYPTION_KEYS; then the others may go.

    Put the new key first, keep the old one behind it, restart every process, and run this. It can be interrupted and
    repeated. Keep the old key as long as you keep backups that were made with it.
    """
    from service.actions import keys as action

    with bar("value") as progress:
        rotated = action.rotate(progress)
    click.echo(f"{rotated.values} values were encrypted anew. Everything is under the first key now.")


@click.command()
def doctor() -> None:
    """Look for what would keep Hearthline from working: settings, database, Redis, workers, providers, clocks."""
    worst = 0
    for finding in checks.everything():
        worst = max(worst, finding.level)
        mark, colour = (("ok", "green"), ("look", "yellow"), ("bad", "red"))[finding.level]
        click.echo(f"{click.style(f'{mark:>5}', fg=colour)}  {finding.text}")
    if worst == checks.BAD:
        raise SystemExit(1)
