"""`hearthline bench`: measure the speed of everything, on databases that are made for it and removed again."""

import json
import signal
import sys
from pathlib import Path
from types import FrameType

import click
from tqdm import tqdm

from service.bench import report
from service.bench.figures import Figure
from service.bench.run import DATABASES, ROWS, measure
from service.bench.sizes import FULL, QUICK, TINY
from service.errors import Invalid


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes: a first look in a few minutes.")
@click.option("--tiny", is_flag=True, hidden=True)
@click.option("--rows", default="", metavar="NAME,NAME", help=f"Only these: {', '.join(ROWS)}.")
@click.option("--database", type=click.Choice([*DATABASES, "both"]), default="both", show_default=True)
@click.option("--url", default="", help="A PostgreSQL server to make the bench's own database on, and drop it again.")
@click.option("--peers", is_flag=True, help="Measure RQ with a job per text, and django-post_office if installed, too.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Also write it here."
)
@click.option(
    "--write", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also put the figures into this page, between its marks, and the plot beside it (docs/performance.md).",
)  # fmt: skip
def bench(
    quick: bool, tiny: bool, rows: str, database: str, url: str, peers: bool, json_file: Path | None, write: Path | None
) -> None:
    """Measure every path of a message, each with a ceiling taken in the same run.

    Everything runs on this machine: a database, a Valkey and a provider of the bench's own. What is configured is
    not touched. The full run takes most of an hour and up to 15 GB of disk; --quick a few minutes.
    """
    chosen = _rows(rows)
    signal.signal(signal.SIGTERM, _told_to_stop)
    databases = DATABASES if database == "both" else (database,)
    sizes = TINY if tiny else QUICK if quick else FULL
    # A line for each figure as it comes, above the bar; the whole table in the end.
    with tqdm(file=sys.stderr, disable=None, leave=False, dynamic_ncols=True) as drawn:

        def tell(what: str, done: int, total: int) -> None:
            drawn.set_description(what, refresh=False)
            drawn.total, drawn.n = max(total, 1), done
            drawn.refresh()

        def seen(figure: Figure) -> None:
            drawn.write(
                f"{figure.database}: {figure.what} {report.number(figure.value)} {figure.unit}", file=sys.stderr
            )

        run = measure(chosen, databases, sizes, tell, url=url, peers=peers, seen=seen)
    click.echo(report.table(run.figures))
    if json_file:
        json_file.write_text(json.dumps(run.as_json(), indent=1) + "\n", "utf-8")
    if write:
        report.write(run, write)


def _told_to_stop(_: int, __: FrameType | None) -> None:
    """End as after Ctrl-C: the children stop, and what was made for the bench is removed."""
    raise SystemExit(143)


def _rows(named: str) -> list[str]:
    """The rows that were asked for, in their order. Raises Invalid for a name that is none."""
    wanted = [name.strip() for name in named.split(",") if name.strip()] or list(ROWS)
    if unknown := [name for name in wanted if name not in ROWS]:
        raise Invalid(f"There is no row {', '.join(unknown)}. There are: {', '.join(ROWS)}.", field="rows")
    return [row for row in ROWS if row in wanted]
