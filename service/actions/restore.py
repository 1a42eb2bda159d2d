"""Filling an empty database from a backup: all of it or nothing, and nothing that leaves by itself.

The backup is older than the world: who was erased since is erased again, and what was waiting to be sent then may have
left since, so it waits for a person (docs/decisions/0007-backups.md).
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Date, Integer, LargeBinary, Table, Uuid, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from service import clock, crypto, db, queue
from service.actions import audit, database, erasures, ledger, stops
from service.actions.backup import BATCH, FORMAT, MANIFEST, Progress, part_name, tables
from service.actions.imports_runs import CHECKING, FAILED, IMPORTING, WAITING
from service.actions.leaving import erase
from service.db import INDEX_KEY, transaction
from service.errors import Conflict, Invalid
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState
from service.models.members import ImportRun, Member, MemberState, Suppression

OVERLAP = timedelta(minutes=5)
"""A stop goes on its list a moment before it is in the database, and a backup is made at one moment."""
RESTORED = "restored"
"""The reason of what was waiting to be sent when the backup was made."""


@dataclass(frozen=True)
class Restored:
    """What a restore did beyond putting back the rows."""

    made_at: datetime
    rows: int
    erased: int
    """Members who were erased after the backup was made, and are so again."""
    stopped: int
    """Addresses that asked us to stop after it was made, and are not contacted again."""
    paused: int
    """Campaigns that were on their way or scheduled, and wait for somebody to look at them."""
    dropped: int
    """Single messages that were waiting, and are not sent."""


def restore(
    file: Path,
    lists: Iterable[Path] = (),
    progress: Progress = lambda what, done, total: None,
    *,
    stop_lists: Iterable[Path] = (),
) -> Restored:
    """Fill an empty, prepared database from `file`, all of it or nothing, with the stops of `stop_lists` since it was
    made; then erase again who is on `lists`.

    The lists of this machine's DATA_DIR are always read. Raises Conflict while Hearthline runs, for a database with
    members in it, and for a file of another revision or of other keys; Invalid for a file that is damaged.
    """
    gone = erasures.read(_there(lists, erasures.path()))
    _must_be_stopped()
    with _opened(file) as archive:
        manifest = _manifest(archive)
        _verify(archive, manifest)
        with transaction() as session:
            connection = session.connection()
            _must_be_empty(connection)
            rows = _fill(connection, archive, manifest, progress)
            _reset_sequences(connection)
            made_at = datetime.fromisoformat(manifest["made_at"])
            stopped = _stop_again(session, stops.read(_there(stop_lists, stops.path()), made_at - OVERLAP))
            paused, dropped = _hold(connection, manifest["made_at"])
            audit.record(session, "cli", "backup.restored", None, rows=rows)
    db.connect(db.current().url.render_as_string(hide_password=False))  # it knew the key of another blind index
    erased = _erase_again(gone)
    return Restored(made_at, rows, erased, stopped, paused, dropped)


def _there(given: Iterable[Path], ours: Path) -> list[Path]:
    """The lists to read: those that were given, and this machine's own where there is one."""
    return [f for f in {*given, ours} if f.exists() or f != ours]


def _stop_again(session: Session, asked: Iterable[stops.Stop]) -> int:
    """Mark again who asked us to stop, and take the mark from whoever came back; how many are marked."""
    stopped = 0
    for stop in asked:
        key = {"channel": stop.channel, "index_hash": stop.index_hash}
        if stop.reason:
            ledger.insert_once(
                session, Suppression, **key, reason=stop.reason, source="stopped after the backup", at=stop.at
            )
            stopped += 1
        else:
            session.execute(delete(Suppression).filter_by(**key))
    return stopped


def _back(table: Table) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Turns a line of `table` into a row."""
    makers: dict[str, Callable[[Any], Any]] = {}
    for column in table.columns:
        if isinstance(column.type, Uuid):
            makers[column.name] = UUID
        elif isinstance(column.type, LargeBinary):
            makers[column.name] = base64.b64decode
        elif isinstance(column.type, db.UTCTime):
            makers[column.name] = datetime.fromisoformat
        elif isinstance(column.type, Date):
            makers[column.name] = date.fromisoformat

    def back(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: makers[name](value) if name in makers and value is not None else value
            for name, value in values.items()
        }

    return back


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError):
        raise Invalid(f"{file} is not a backup, or is not complete.") from None


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))
        version, revision = manifest["format"], manifest["revision"]
    except (KeyError, ValueError, zipfile.BadZipFile):
        raise Invalid("This is not a backup of Hearthline.") from None
    if version != FORMAT:
        raise Conflict("This backup was made by a newer Hearthline. Restore it with that version.")
    here = database.revision()
    if here is None:
        raise Conflict("The database has not been prepared: run `hearthline db upgrade` first.")
    if revision != here:
        raise Conflict(
            f"This backup is of revision {revision} and the database of {here}. Restore it with the version of "
            "Hearthline that made it, then run `hearthline db upgrade` with this one."
        )
    return manifest


def _verify(archive: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    """Read the whole file once before anything is written: it is complete, undamaged, and these keys open it."""
    if set(manifest["tables"]) != {t.name for t in tables()}:
        raise Invalid("This backup does not have the tables that its revision has.")
    for table in tables():
        expected = manifest["tables"][table.name]
        digest, count = hashlib.sha256(), 0
        try:
            with archive.open(part_name(table)) as part:
                for line in part:
                    digest.update(line)
                    count += 1
                    if table.name == "system_values" and (row := json.loads(line))["name"] == INDEX_KEY:
                        _must_open(base64.b64decode(row["value"]))
        except (KeyError, zipfile.BadZipFile, OSError, ValueError):
            raise Invalid(f"This backup is damaged: {table.name} cannot be read.") from None
        if (count, digest.hexdigest()) != (expected["rows"], expected["sha256"]):
            raise Invalid(f"This backup is damaged: {table.name} is not as it was written.")


def _must_open(wrapped: bytes) -> None:
    try:
        db.keyring().decrypt(wrapped, INDEX_KEY)
    except crypto.CannotDecrypt:
        raise Conflict(
            "These ENCRYPTION_KEYS do not open this backup. Set the keys that were in use when it was made; a new one "
            "may stand before them."
        ) from None


def _must_be_stopped() -> None:
    if any(queue.live_workers(name) for name in queue.QUEUES) or queue.clock_alive():
        raise Conflict("Hearthline is running. Stop it first: its processes know the database as it was.")


def _must_be_empty(connection: Connection) -> None:
    for table in db.Base.metadata.sorted_tables:
        if table.name in ("members", "consent_events", "campaigns") and connection.scalar(
            select(func.count()).select_from(table)
        ):
            raise Conflict("There are members in this database. Restore into an empty one: set another DATABASE_URL.")


def _fill(connection: Connection, archive: zipfile.ZipFile, manifest: dict[str, Any], progress: Progress) -> int:
    total, done = sum(entry["rows"] for entry in manifest["tables"].values()), 0
    for table in reversed(db.Base.metadata.sorted_tables):
        if table.name != "consent_events":  # empty, and the database lets nobody delete from it
            connection.execute(delete(table))
    for table in tables():
        back = _back(table)
        with archive.open(part_name(table)) as part:
            rows: list[dict[str, Any]] = []
            for line in part:
                rows.append(back(json.loads(line)))
                if len(rows) == BATCH:
                    connection.execute(insert(table), rows)
                    done, rows = done + BATCH, []
                    progress(table.name, done, total)
            if rows:
                connection.execute(insert(table), rows)
                done += len(rows)
        progress(table.name, done, total)
    return done


def _reset_sequences(connection: Connection) -> None:
    """PostgreSQL counts on from where it was, not from what was put in."""
    if db.current().is_sqlite:
        return
    for table in tables():
        key = table.autoincrement_column
        if key is not None and isinstance(key.type, Integer):
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{key.name}'), "  # noqa: S608  our own names
                    f"COALESCE(MAX({key.name}), 1), MAX({key.name}) IS NOT NULL) FROM {table.name}"
                )
            )


def _hold(connection: Connection, made_at: str) -> tuple[int, int]:
    """What was waiting then may have left since: campaigns and imports wait, single messages are not sent."""
    now = clock.now()
    reason = (
        f"Restored from a backup of {made_at[:16].replace('T', ' ')} UTC. Look at who has had it before it goes on."
    )
    campaigns, deliveries, runs = (_table(m) for m in (Campaign, Delivery, ImportRun))
    held = 0
    for before, after in (
        (CampaignState.SENDING, CampaignState.PAUSED),
        (CampaignState.SCHEDULED, CampaignState.DRAFT),
    ):
        held += connection.execute(
            update(campaigns)
            .where(campaigns.c.state == before)
            .values(state=after, paused_reason=reason, updated_at=now)
        ).rowcount
    dropped = connection.execute(
        update(deliveries)
        .where(deliveries.c.state == DeliveryState.QUEUED, deliveries.c.message_id.is_not(None))
        .values(state=DeliveryState.SKIPPED, reason=RESTORED, claim=None, claimed_until=None, updated_at=now)
    )
    connection.execute(update(runs).where(runs.c.state.in_([WAITING, CHECKING, IMPORTING])).values(state=FAILED))
    return held, dropped.rowcount


def _table(model: type[db.Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _erase_again(gone: set[UUID]) -> int:
    with db.reading() as session:
        here = session.scalars(select(Member.id).where(Member.id.in_(gone), Member.state != MemberState.ERASED)).all()
    for member_id in here:
        erase(member_id, "cli")
    return len(here)
