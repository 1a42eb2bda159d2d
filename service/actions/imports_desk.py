"""What coordinators do with an import on its page: give a file, look at what was found, go ahead, or forget it."""

import json
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, defer

from service import clock, db, queue
from service.actions import audit
from service.actions.imports_file import BadFile, RowError, text_of
from service.actions.imports_runs import (
    CHECKED,
    CHECKING,
    FAILED,
    IMPORTING,
    LONG_AGO,
    WAITING,
    Counts,
    existing,
    name_of,
    progress_of,
    reached_by,
    set_progress,
)
from service.db import reading, system_values, transaction
from service.errors import Conflict
from service.models.members import ImportRun


@dataclass(frozen=True)
class Status:
    """What a page shows of a run; everything but the file."""

    run: ImportRun
    done: int
    total: int
    counts: Counts
    errors: list[RowError]
    """At most ERRORS_KEPT."""
    errors_total: int
    bad_rows: int
    tables_read: bool
    """Whether the file could be read as a table at all."""

    @property
    def busy(self) -> bool:
        """Whether something is still to happen by itself."""
        return self.run.state in (WAITING, CHECKING, IMPORTING)


def upload(data: bytes, file_name: str, coordinator_id: UUID) -> UUID:
    """Keep a file and have it checked; nothing is imported yet. Raises BadFile for what is no text at all."""
    if not data.strip():
        raise BadFile("This file is empty.")
    with transaction() as session:
        run = ImportRun(
            id=db.uuid7(),
            coordinator_id=coordinator_id,
            file_name=file_name[:120] or "members.csv",
            content=text_of(data),
            dry_run=True,
            skip_bad=False,
            state=WAITING,
            created_at=clock.now(),
        )
        session.add(run)
        session.flush()
        audit.record(session, str(coordinator_id), "import.uploaded", run)
        queue.ring_after(session, "run_imports")
        return run.id


def go_ahead(run_id: UUID, coordinator_id: UUID, *, skip_bad: bool) -> None:
    """The button after the check: import the file, or with `skip_bad` its good rows. Raises Conflict, NotFound."""
    with transaction() as session:
        run = existing(session, run_id)
        if run.state != CHECKED:
            raise Conflict("This file is being worked on, or has been imported. Reload the page.")
        run.state, run.dry_run, run.skip_bad = WAITING, False, skip_bad
        run.coordinator_id = coordinator_id
        audit.record(session, str(coordinator_id), "import.confirmed", run)
        queue.ring_after(session, "run_imports")


def again(run_id: UUID, coordinator_id: UUID) -> None:
    """Try once more what has failed; what was written before stays, and the rest follows."""
    with transaction() as session:
        run = existing(session, run_id)
        if run.state != FAILED:
            raise Conflict("This import has not failed. Reload the page.")
        progress = progress_of(session, run_id)
        run.state = IMPORTING if progress and reached_by(progress.value)[0] else WAITING
        if progress:
            set_progress(session, run_id, data={**progress.data, "tries": 0, "at": LONG_AGO})
        audit.record(session, str(coordinator_id), "import.repeated", run)
        queue.ring_after(session, "run_imports")


def discard(run_id: UUID, coordinator_id: UUID) -> None:
    """Forget a file that was checked and not imported. Raises Conflict once it is being worked on."""
    with transaction() as session:
        run = existing(session, run_id)
        if run.state not in (CHECKED, WAITING):
            raise Conflict("This file is being worked on, or has been imported. Reload the page.")
        session.execute(delete(system_values).where(system_values.c.name == name_of(run_id)))
        audit.record(session, str(coordinator_id), "import.discarded", run)
        session.delete(run)


def status(run_id: UUID) -> Status:
    """What a page shows. Raises NotFound."""
    with reading() as session:
        return _status(session, existing(session, run_id))


def recent(limit: int = 10) -> list[Status]:
    """The newest runs, newest first."""
    with reading() as session:
        runs = session.scalars(
            select(ImportRun).options(defer(ImportRun.content)).order_by(ImportRun.created_at.desc()).limit(limit)
        )
        return [_status(session, run) for run in runs]


def _status(session: Session, run: ImportRun) -> Status:
    kept = json.loads(run.errors) if run.errors else {}
    progress = progress_of(session, run.id)
    data = progress.data if progress else {}
    counts = kept.get("counts") or data.get("counts") or {}
    return Status(
        run=run,
        done=data.get("done", run.rows_done),
        total=data.get("total", run.rows_total),
        counts=Counts(**counts),
        errors=[RowError(*e) for e in kept.get("rows", [])],
        errors_total=kept.get("total", 0),
        bad_rows=kept.get("bad_rows", 0),
        tables_read=kept.get("readable", True),
    )
