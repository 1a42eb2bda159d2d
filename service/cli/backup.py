"""`hearthline backup` and `hearthline restore`."""

from pathlib import Path

import click

from service.cli.progress import bar

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
def backup(file: Path) -> None:
    """Write everything that the database holds to FILE (a zip), from one moment, while Hearthline runs.

    It can be restored into SQLite and into PostgreSQL alike.

    No key is in it. What members write, their numbers and addresses stay encrypted as they are in the database, and
    so does the key that finds them: without ENCRYPTION_KEYS the file can neither be restored nor read. Keep those keys
    too, and keep them somewhere else. Whoever has the file alone can still read first names, circles, times, stories'
    titles, campaigns and the coordinators' emails: treat it as confidential.
    """
    from service.actions import backup as action

    with bar("row") as progress:
        counts = action.backup(file, progress)
    click.echo(f"{sum(counts.values())} rows of {len(counts)} tables, {counts['members']} members, are in {file}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--erasures",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The erasures.jsonl of another machine's DATA_DIR; this machine's own is always read.",
)
@click.option(
    "--stops",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The stops.jsonl of another machine's DATA_DIR; this machine's own is always read.",
)
def restore(file: Path, erasures: tuple[Path, ...], stops: tuple[Path, ...]) -> None:
    """Fill an empty database from FILE, all of it or nothing. Hearthline must be stopped.

    A database with members in it is refused. ENCRYPTION_KEYS must hold the keys of when the backup was made.

    Members who were erased since are erased again, and addresses that asked us to stop since are not contacted: both
    are kept beside the database, in DATA_DIR/erasures.jsonl and DATA_DIR/stops.jsonl. What was waiting to be sent is
    not sent by itself: it may have left since. Topics that were switched off and breaks since then are not in it.
    """
    from service.actions import database
    from service.actions import restore as action

    database.upgrade()
    with bar("row") as progress:
        done = action.restore(file, erasures, progress, stop_lists=stops)
    click.echo(f"{done.rows} rows of {done.made_at:%Y-%m-%d %H:%M} UTC are back.")
    if done.erased:
        click.echo(f"{done.erased} members who were erased since then have been erased again.")
    if done.stopped:
        click.echo(f"{done.stopped} addresses that asked us to stop since then are not contacted.")
    if done.paused or done.dropped:
        click.echo(
            f"{done.paused} campaigns wait for you to look at them; {done.dropped} single messages that were waiting "
            "will not be sent."
        )
    click.echo("Topics that were switched off and breaks since then are not in it: look before you send.")
