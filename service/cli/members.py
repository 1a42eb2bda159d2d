"""Members by the file: `members import`. Errors are JSON lines on stderr, the result is JSON on stdout."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.progress import bar

if TYPE_CHECKING:
    from service.actions.imports_file import RowError


@click.group()
def members() -> None:
    """The people of the community."""


@members.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Look at every row and change nothing.")
@click.option("--skip-bad", is_flag=True, help="Leave out the rows with errors and import the others.")
def import_(file: Path, dry_run: bool, skip_bad: bool) -> None:
    """Import members from a CSV file in UTF-8.

    Its first line names the columns, in any order: first_name, phone, email, topics (with ; between; empty: all),
    circle, timezone, locale (en or es), country, consented_at and consent_source. Each row needs a phone or an email.
    With proof of consent (both last columns) a member is active at once; without it, each address is asked to confirm,
    once ever. If a row has an error nothing is imported, and each error is a line of JSON on stderr: row, column,
    message.
    """
    from service.actions import imports

    with bar("row") as progress:
        found = imports.import_file(file.read_bytes(), file.name, dry_run=dry_run, skip_bad=skip_bad, progress=progress)
    for error in found.errors:
        click.echo(_line(error), err=True)
    click.echo(json.dumps({"rows": found.total, **asdict(found.counts), "errors": len(found.errors)}))
    if not found.done:
        raise SystemExit(1)


def _line(error: "RowError") -> str:
    return json.dumps({"row": error.row, "column": error.column, "message": error.message}, ensure_ascii=False)
