"""One import that is kept in the database: its file, how far it has come, who is at it, and what came of it.

The file is large and its row is written seldom; how far it has come changes at every commit and is a small row of
`system_values`. Its value names the last row that was written and whoever is at work: each step compares and sets it,
so that of two processes only one goes on.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session, defer

from service import clock, db
from service.actions import audit, consent
from service.actions.imports_file import RowError
from service.actions.imports_plan import Plan
from service.db import reading, system_values, transaction
from service.errors import NotFound
from service.models.members import ImportRun

WAITING, CHECKING, CHECKED, IMPORTING, FINISHED, FAILED = (
    "waiting",
    "checking",
    "checked",
    "importing",
    "finished",
    "failed",
)
ERRORS_KEPT = 10_000
LONG_AGO = "2000-01-01T00:00:00+00:00"


@dataclass
class Counts:
    """What came, or would come, of an import."""

    imported: int = 0
    updated: int = 0
    skipped: int = 0
    """Bad rows that were left out, and members of whom nothing had to change."""
    confirmations: int = 0

    def add(self, made: Plan, asked: int) -> None:
        """Count a piece."""
        self.imported += made.imported
        self.updated += made.updated
        self.skipped += made.unchanged
        self.confirmations += asked


@dataclass(frozen=True)
class Run:
    """A run that this process has taken."""

    id: UUID
    file_name: str
    content: str = field(repr=False)
    dry_run: bool
    skip_bad: bool
    state: str
    created_at: datetime
    actor: str
    reached: int
    """The last row of the file that was written."""
    owner: str


def begin(content: str, file_name: str, *, total: int, skip_bad: bool) -> UUID:
    """Keep a file that was checked a moment ago, about to be written by this process (the command)."""
    with transaction() as session:
        run = ImportRun(
            id=db.uuid7(),
            file_name=file_name[:120],
            content=content,
            dry_run=False,
            skip_bad=skip_bad,
            state=IMPORTING,
            rows_total=total,
            created_at=clock.now(),
        )
        session.add(run)
        session.flush()
        _occupy(session, run.id, total)
        return run.id


def take(abandoned_before: datetime) -> Run | None:
    """The oldest run that waits, or that nobody has moved on since then; it is this process's now."""
    with reading() as session:
        open_runs = list(
            session.execute(
                select(ImportRun.id, ImportRun.state)
                .where(ImportRun.state.in_([WAITING, CHECKING, IMPORTING]))
                .order_by(ImportRun.created_at)
            )
        )
    for run_id, state in open_runs:
        with transaction() as session:
            ours = _take_waiting(session, run_id) if state == WAITING else _take_over(session, run_id, abandoned_before)
        if ours:
            return get(run_id)
    return None


def get(run_id: UUID) -> Run:
    """A run with its file. Raises NotFound."""
    with reading() as session:
        run = existing(session, run_id, with_file=True)
        progress = progress_of(session, run_id)
        reached, owner = reached_by(progress.value) if progress else (0, "")
        return Run(
            id=run.id,
            file_name=run.file_name,
            content=run.content or "",
            dry_run=run.dry_run,
            skip_bad=run.skip_bad,
            state=run.state,
            created_at=run.created_at,
            actor=consent.staff(run.coordinator_id) if run.coordinator_id else "cli",
            reached=reached,
            owner=owner,
        )


def looked(run_id: UUID, done: int, total: int) -> None:
    """Say how many rows have been checked, and that somebody is still at it."""
    with transaction() as session:
        if progress := progress_of(session, run_id):
            set_progress(session, run_id, data={**progress.data, "done": done, "total": total, "at": _now()})


def start_writing(run: Run, rows: int, total: int) -> None:
    """From checking to importing `rows` good rows of `total`."""
    with transaction() as session:
        session.execute(update(ImportRun).where(ImportRun.id == run.id).values(state=IMPORTING, rows_total=total))
        if progress := progress_of(session, run.id):
            set_progress(session, run.id, data={**progress.data, "done": 0, "total": rows, "at": _now()})


def advance(session: Session, run: Run, reached: int, to: int) -> bool:
    """Claim the rows up to `to`, in the transaction that writes them; False when another process has taken over."""
    moved = session.execute(
        update(system_values)
        .where(system_values.c.name == name_of(run.id), system_values.c.value == _value(reached, run.owner))
        .values(value=_value(to, run.owner))
    )
    return bool(moved.rowcount)  # type: ignore[attr-defined]


def add(session: Session, run: Run, made: Plan, asked: int, rows: int) -> None:
    """Count a piece of `rows` rows in the transaction that wrote it."""
    progress = progress_of(session, run.id)
    assert progress is not None
    counts = Counts(**progress.data["counts"])
    counts.add(made, asked)
    data = {**progress.data, "counts": asdict(counts), "done": progress.data["done"] + rows, "at": _now()}
    set_progress(session, run.id, data=data)


def finish(run: Run, errors: Sequence[RowError], bad_rows: int) -> Counts:
    """End a run: the file is forgotten, its result stays."""
    with transaction() as session:
        row = existing(session, run.id)
        progress = progress_of(session, run.id)
        found = Counts(**progress.data["counts"]) if progress else Counts()
        found.skipped += bad_rows
        row.content, row.state, row.finished_at = None, FINISHED, clock.now()
        row.rows_done = row.rows_total
        _keep(row, errors, bad_rows, found)
        session.execute(delete(system_values).where(system_values.c.name == name_of(run.id)))
        audit.record(session, run.actor.removeprefix("coordinator:"), "members.imported", row, **asdict(found))
    return found


def report(run_id: UUID, errors: Sequence[RowError], bad_rows: int, total: int, would: Counts, readable: bool) -> None:
    """Keep what a check found; a person decides what happens then."""
    with transaction() as session:
        row = existing(session, run_id)
        row.state, row.rows_total, row.dry_run = CHECKED, total, True
        _keep(row, errors, bad_rows, would, readable)
        session.execute(delete(system_values).where(system_values.c.name == name_of(run_id)))


def let_go(run: Run) -> None:
    """Leave a run to whoever looks next, without the wait for one that was abandoned."""
    with transaction() as session:
        if progress := progress_of(session, run.id):
            set_progress(session, run.id, data={**progress.data, "at": LONG_AGO})


def gave_up(run_id: UUID, tries: int) -> None:
    """Count a try that failed for a reason of ours; after `tries` of them a person has to look."""
    with transaction() as session:
        if progress := progress_of(session, run_id):
            failed = progress.data["tries"] + 1
            set_progress(session, run_id, data={**progress.data, "tries": failed, "at": _now()})
            if failed >= tries:
                session.execute(update(ImportRun).where(ImportRun.id == run_id).values(state=FAILED))


def forget_unused(before: datetime) -> None:
    """Delete files that were checked before then and never imported."""
    with reading() as session:
        old = list(
            session.scalars(select(ImportRun.id).where(ImportRun.state == CHECKED, ImportRun.created_at < before))
        )
    if old:
        with transaction() as session:
            session.execute(delete(ImportRun).where(ImportRun.id.in_(old), ImportRun.state == CHECKED))


def _keep(row: ImportRun, errors: Sequence[RowError], bad_rows: int, found: Counts, readable: bool = True) -> None:
    row.imported, row.updated, row.skipped = found.imported, found.updated, found.skipped
    row.errors = json.dumps(
        {
            "total": len(errors),
            "bad_rows": bad_rows,
            "readable": readable,
            "counts": asdict(found),
            "rows": [(e.row, e.column, e.message) for e in errors[:ERRORS_KEPT]],
        }
    )


def _take_waiting(session: Session, run_id: UUID) -> bool:
    taken = session.execute(
        update(ImportRun).where(ImportRun.id == run_id, ImportRun.state == WAITING).values(state=CHECKING)
    )
    if not taken.rowcount:  # type: ignore[attr-defined]
        return False
    _occupy(session, run_id, 0)
    return True


def _take_over(session: Session, run_id: UUID, abandoned_before: datetime) -> bool:
    progress = progress_of(session, run_id)
    if progress is None or datetime.fromisoformat(progress.data["at"]) > abandoned_before:
        return False
    moved = session.execute(
        update(system_values)
        .where(system_values.c.name == name_of(run_id), system_values.c.value == progress.value)
        .values(value=_value(reached_by(progress.value)[0], secrets.token_hex(8)), data={**progress.data, "at": _now()})
    )
    return bool(moved.rowcount)  # type: ignore[attr-defined]


def _occupy(session: Session, run_id: UUID, total: int) -> None:
    session.execute(delete(system_values).where(system_values.c.name == name_of(run_id)))
    data = {"done": 0, "total": total, "counts": asdict(Counts()), "at": _now(), "tries": 0}
    session.execute(
        insert(system_values).values(name=name_of(run_id), value=_value(0, secrets.token_hex(8)), data=data)
    )


def progress_of(session: Session, run_id: UUID) -> Any:
    """The row that says how far a run has come (`value`, `data`), None when it is not at work."""
    found = select(system_values.c.value, system_values.c.data).where(system_values.c.name == name_of(run_id))
    return session.execute(found).one_or_none()


def set_progress(session: Session, run_id: UUID, **values: Any) -> None:
    """Change that row."""
    session.execute(update(system_values).where(system_values.c.name == name_of(run_id)).values(**values))


def existing(session: Session, run_id: UUID, *, with_file: bool = False) -> ImportRun:
    """The run, without its file unless that is asked for. Raises NotFound."""
    options = () if with_file else (defer(ImportRun.content),)
    run = session.get(ImportRun, run_id, options=options)
    if run is None:
        raise NotFound("There is no such import any more.")
    return run


def name_of(run_id: UUID) -> str:
    """The name of that row."""
    return f"import:{run_id}"


def _value(reached: int, owner: str) -> bytes:
    return f"{reached} {owner}".encode()


def reached_by(value: bytes) -> tuple[int, str]:
    """(last row written, who is at work) of that row's value."""
    reached, _, owner = bytes(value).decode().partition(" ")
    return int(reached), owner


def _now() -> str:
    return clock.now().isoformat()
