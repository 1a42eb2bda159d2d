"""Importing members from a CSV file, by command and by page: look at every row first, then write in small pieces.

Nothing stays half-imported. A file with a bad row is refused as a whole before anything is written; once writing has
begun, the file and how far it has come are kept in the database, and whoever finds it abandoned carries it on
(docs/decisions/0006-imports.md).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from service import clock, logs, queue
from service.actions import audit, consent, imports_desk, imports_runs
from service.actions.imports_file import BadFile, RowError, records
from service.actions.imports_plan import Origin, plan
from service.actions.imports_rows import Circles, Row, Seen, check
from service.actions.imports_runs import Counts, Run
from service.actions.imports_write import AT_ONCE, Asking, write
from service.db import reading, transaction
from service.errors import Conflict, Invalid
from service.models.gatherings import Circle

PIECE = 50
"""Members written per commit: about 850 rows, which hold SQLite's one writer for some 40 ms."""
REST = 0.005
"""Seconds between two commits, in which a webhook gets its turn (DESIGN 6.10)."""
LOOKED_UP = 400
"""Rows that are looked up together when they are only checked."""
BUDGET = 10.0
"""Seconds of one job; a check is done in one piece, which takes some 15 s for 100,000 rows."""
ABANDONED = timedelta(seconds=60)
TRIES = 3
KEEP_UNUSED = timedelta(days=7)
"""A file that was uploaded and checked and never imported is forgotten after this time."""

Progress = Callable[[str, int, int], None]
"""Told the phase (`checking` or `importing`), how many rows are done, and of how many."""

log = logs.get("imports")


def _silent(phase: str, done: int, total: int) -> None:
    """No progress is wanted."""


@dataclass
class Checked:
    """A file that was looked at: good rows, what is wrong with the others, and what an import would come to."""

    rows: list[Row] = field(default_factory=list, repr=False)
    errors: list[RowError] = field(default_factory=list, repr=False)
    total: int = 0
    readable: bool = True
    """False if the file as a whole cannot be read: then no row of it may be used, whatever is asked for."""
    would: Counts = field(default_factory=Counts)

    @property
    def bad_rows(self) -> int:
        """Rows with an error; one may have several."""
        return len({e.row for e in self.errors})


def check_file(data: bytes, progress: Progress = _silent) -> Checked:
    """Look at a whole file, change nothing: every error with its row, column and remedy."""
    found = Checked()
    seen = Seen()
    with reading() as session:
        open_circles = select(Circle.id, Circle.slug, Circle.name).where(Circle.closed_at.is_(None))
        circles = Circles((c.id, c.slug, c.name) for c in session.execute(open_circles))
    about = max(data.count(b"\n"), 1)
    try:
        for number, values in records(data):
            found.total += 1
            row = check(number, values, circles)
            errors = row if isinstance(row, list) else seen.again(row)
            found.errors += errors
            if not errors and isinstance(row, Row):
                found.rows.append(row)
            if found.total % 500 == 0:
                progress("checking", found.total, about)
    except BadFile as bad:
        found.errors.append(bad.error)
        found.readable = False
    _foresee(found, progress, about)
    found.errors.sort(key=lambda e: e.row)
    return found


def _foresee(found: Checked, progress: Progress, about: int) -> None:
    """Compare with the members that are here: which rows are about two people, and what an import would do."""
    origin = Origin("", "", clock.now())
    for start in range(0, len(found.rows), LOOKED_UP):
        with reading() as session:
            made = plan(session, found.rows[start : start + LOOKED_UP], origin)
        found.errors += made.errors
        found.would.add(made, len(made.questions))
        progress("checking", about, about)
    if bad := {e.row for e in found.errors}:
        found.rows = [row for row in found.rows if row.number not in bad]
    found.would.skipped += found.bad_rows


@dataclass(frozen=True)
class Imported:
    """What came of an import. `done` is False when the file was refused and nothing has changed."""

    done: bool
    total: int
    """Rows in the file that are not blank."""
    counts: Counts
    errors: list[RowError]


def import_file(
    data: bytes, name: str, *, dry_run: bool = False, skip_bad: bool = False, progress: Progress = _silent
) -> Imported:
    """Check a file and import it: all of it or nothing, with `skip_bad` its good rows, with `dry_run` nothing at all.

    A dry run says what an import would do.
    """
    checked = check_file(data, progress)
    if not checked.readable or (checked.errors and not skip_bad):
        return Imported(False, checked.total, Counts(), checked.errors)
    if dry_run:
        return Imported(True, checked.total, checked.would, checked.errors)
    run_id = imports_runs.begin(data.decode("utf-8-sig"), name, total=checked.total, skip_bad=skip_bad)
    written = _write(imports_runs.get(run_id), checked, progress)
    counts = written if isinstance(written, Counts) else imports_desk.status(run_id).counts
    return Imported(True, checked.total, counts, checked.errors)


def _write(run: Run, checked: Checked, progress: Progress, ends: float = math.inf) -> Counts | Run | None:
    """Write the rows after the one that was reached, and end the run.

    Returns the run as far as it came when the time is up (`ends`, monotonic) or this process has been told to stop, and
    None when another process is at it.
    """
    origin = Origin(run.actor, run.file_name, run.created_at)
    asking = Asking(at_once=checked.would.confirmations <= AT_ONCE)
    rows = [row for row in checked.rows if row.number > run.reached]
    for start in range(0, len(rows), PIECE):
        if time.monotonic() > ends or queue.stopping.is_set():
            return run
        piece = rows[start : start + PIECE]
        reached = piece[-1].number
        with transaction() as session:
            if not imports_runs.advance(session, run, run.reached, reached):
                log.info("import_taken_over", run_id=str(run.id))
                return None
            made = plan(session, piece, origin)
            imports_runs.add(session, run, made, write(session, made, asking), len(piece))
        run = replace(run, reached=reached)
        progress("importing", len(checked.rows) - len(rows) + start + len(piece), len(checked.rows))
        time.sleep(REST)
    counts = imports_runs.finish(run, checked.errors, checked.bad_rows)
    for job in ("drain_replies",) if asking.at_once else ("drain_texts", "drain_emails"):
        queue.ring(job)
    return counts


def add_member(
    values: dict[str, str], coordinator_id: UUID | str, *, shared: bool = False, adult: bool = False
) -> UUID:
    """Add one person by hand, by the same rules as a row of a file; the new member's id.

    `shared` says that this is another person who shares a number or address with a member, `adult` that somebody has
    made sure that they are 18 or over.

    Raises Invalid beside the first field that needs attention (named like the columns), and Conflict with the code
    `known` when the number or address is a member's already.
    """
    with reading() as session:
        open_circles = select(Circle.id, Circle.slug, Circle.name).where(Circle.closed_at.is_(None))
        circles = Circles((c.id, c.slug, c.name) for c in session.execute(open_circles))
    row = check(0, values, circles)
    if isinstance(row, list):
        raise NotAdded([Invalid(e.message, field=e.column) for e in row])
    origin = Origin(consent.staff(coordinator_id), "added by hand", clock.now(), adult=adult, shared=shared)
    with transaction() as session:
        made = plan(session, [row], origin)
        if made.errors or not made.imported:
            raise Conflict(
                "Somebody with this number or address is a member already. Look them up by it under Members.",
                code="known",
            )
        write(session, made, Asking(at_once=True))
        member_id = made.member_ids[0]
        audit.record(session, str(coordinator_id), "member.added", _Subject(member_id))
        queue.ring_after(session, "drain_replies")
    return member_id


class NotAdded(Invalid):
    """Several fields of the form need attention: `errors` has each of them."""

    def __init__(self, errors: list[Invalid]) -> None:
        super().__init__(errors[0].message, field=errors[0].field)
        self.errors = errors


@dataclass(frozen=True)
class _Subject:
    id: UUID


_under_way: dict[UUID, tuple[Run, Checked]] = {}
"""Runs that this process has checked and is writing, a slice at a time."""


class _ToldToStop(Exception):
    """This process ends; what it was looking at is for another."""


def run_waiting() -> int:
    """Check or import every file that waits, and carry on what somebody abandoned; how many were done.

    A job of the workers. It takes at most about BUDGET seconds and rings again: other chores of the same queue, such as
    paging somebody about a risk, must not wait for a big file.
    """
    ends = time.monotonic() + BUDGET
    done = 0
    imports_runs.forget_unused(clock.now() - KEEP_UNUSED)
    while not queue.stopping.is_set() and (run := _next()):
        try:
            finished = _carry_out(run, ends)
        except _ToldToStop:
            imports_runs.let_go(run)
            break
        except Exception as error:
            log.error("import_failed", run_id=str(run.id), exc_info=error)
            imports_runs.gave_up(run.id, TRIES)
            break
        if not finished:
            queue.ring("run_imports")
            break
        done += 1
    return done


def _next() -> Run | None:
    """The run of which this process has written a part, else the next that nobody is at."""
    if _under_way:
        return next(iter(_under_way.values()))[0]
    return imports_runs.take(clock.now() - ABANDONED)


def _carry_out(run: Run, ends: float) -> bool:
    """Do what is next for a run; whether nothing is left to do for it."""
    _, checked = _under_way.pop(run.id, (run, None))
    if checked is None:
        checked = _check(run)
        begun = run.state == imports_runs.IMPORTING  # then the rows before were written: the rest must follow
        refused = not checked.readable or (bool(checked.errors) and not run.skip_bad)
        if run.dry_run or (refused and not begun):
            found = (checked.errors, checked.bad_rows, checked.total, checked.would, checked.readable)
            imports_runs.report(run.id, *found)
            return True
        imports_runs.start_writing(run, sum(1 for row in checked.rows if row.number > run.reached), checked.total)
    left = _write(run, checked, _silent, ends)
    if not isinstance(left, Run):
        return True
    if queue.stopping.is_set():
        imports_runs.let_go(left)
    else:
        _under_way[run.id] = (left, checked)
    return False


def _check(run: Run) -> Checked:
    last = time.monotonic()

    def progress(phase: str, finished: int, total: int) -> None:
        nonlocal last
        if queue.stopping.is_set():
            raise _ToldToStop
        if time.monotonic() - last > 1:
            last = time.monotonic()
            imports_runs.looked(run.id, finished, total)

    return check_file(run.content.encode(), progress)


__all__ = ["BadFile", "Checked", "Counts", "add_member", "check_file", "import_file", "run_waiting"]
