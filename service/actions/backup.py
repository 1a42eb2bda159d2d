"""Everything that the database holds as one file, and back: the same on SQLite and on PostgreSQL.

A zip of one JSON-lines file a table, and a manifest with the schema's revision, counts and checksums. What is encrypted
stays as it is stored; no key is in the file. docs/decisions/0007-backups.md says what a restore changes, and why.
"""

import base64
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
)

from service import clock, db, logs
from service.actions import audit, database
from service.db import transaction
from service.errors import Conflict

FORMAT = 1
MANIFEST = "manifest.json"
LEFT_OUT = frozenset(["staff_sessions", "access_codes"])
"""What lets somebody in: nobody is signed in by a restore."""
BATCH = 500

Progress = Callable[[str, int, int], None]

log = logs.get("backup")


def backup(file: Path, progress: Progress = lambda what, done, total: None) -> dict[str, int]:
    """Write everything to `file`, as it is at one moment; rows by table. Raises Conflict if the file is there already.

    The file appears when it is complete, readable by its owner only.
    """
    if file.exists():
        raise Conflict(f"{file} is there already. Give another name.")
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out, _snapshot() as connection:
            counts = _write(out, connection, progress)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    with transaction() as session:
        audit.record(session, "cli", "backup.made", None, rows=sum(counts.values()))
    return counts


def _snapshot() -> Connection:
    """A connection that sees one moment throughout: a backup must not hold half of a campaign."""
    engine = db.current().engine
    return (
        engine.connect()
        if db.current().is_sqlite
        else engine.connect().execution_options(isolation_level="REPEATABLE READ")
    )


def _write(out: Any, connection: Connection, progress: Progress) -> dict[str, int]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "revision": database.revision(),
        "made_at": clock.now().isoformat(),
        "tables": {},
    }
    kept = tables()
    total = sum(connection.scalar(select(func.count()).select_from(t)) or 0 for t in kept)
    done = 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for table in kept:
            digest, count = hashlib.sha256(), 0
            with archive.open(part_name(table), "w", force_zip64=True) as part:
                for line in _lines(connection, table):
                    part.write(line)
                    digest.update(line)
                    count += 1
                    if count % BATCH == 0:
                        progress(table.name, done + count, total)
            done += count
            progress(table.name, done, total)
            manifest["tables"][table.name] = {"rows": count, "sha256": digest.hexdigest()}
        archive.writestr(MANIFEST, json.dumps(manifest, indent=2))
    return {name: entry["rows"] for name, entry in manifest["tables"].items()}


def _lines(connection: Connection, table: Table) -> Iterator[bytes]:
    statement = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=BATCH)
    names = [c.name for c in table.columns]
    for row in connection.execute(statement):
        values = {name: _plain(value) for name, value in zip(names, row, strict=True)}
        yield json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    """A value as JSON has it; `_back` knows by its column what it was."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return value


def tables() -> list[Table]:
    """Every table that is kept, parents first, with columns that leave encrypted values and states as they are."""
    plain = MetaData()
    for table in db.Base.metadata.sorted_tables:
        for column in table.to_metadata(plain).columns:
            if isinstance(column.type, db.Encrypted):
                column.type = LargeBinary()
            elif isinstance(column.type, db.State):
                column.type = String(24)
            elif isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return [t for t in plain.sorted_tables if t.name not in LEFT_OUT]


def part_name(table: Table) -> str:
    """The name of a table's part of the file."""
    return f"tables/{table.name}.jsonl"
