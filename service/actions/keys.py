"""Changing the encryption key: everything is encrypted anew with the first of ENCRYPTION_KEYS.

The columns are found by their type, so that one that is added later cannot be forgotten. What is under the first key
already is passed over: a rotation that was interrupted goes on where it was.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Table, and_, bindparam, func, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from service import crypto, db
from service.actions import audit
from service.db import INDEX_KEY, Encrypted, reading, system_values, transaction
from service.errors import Conflict

BATCH = 500
REST = 0.005
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Rotated:
    """What a rotation did: values that were encrypted anew, by `table.column`."""

    columns: dict[str, int]

    @property
    def values(self) -> int:
        """How many there were in all."""
        return sum(self.columns.values())


def rotate(progress: Progress = lambda what, done, total: None) -> Rotated:
    """Encrypt every value anew that is not under the first key yet, and wrap the key of the blind index with it.

    To be repeated at will. Raises Conflict when a key is missing from ENCRYPTION_KEYS or a process still uses an older
    one first; what was done before that stays done.
    """
    found = list(encrypted_columns())
    todo = {_label(c): count for c in found if (count := _count(c))}
    total, done = sum(todo.values()), 0
    _rewrap()
    for column in found:
        if _label(column) not in todo:
            continue
        for size in _column(column):
            done += size
            progress(_label(column), done, total)
    if left := remaining():
        raise Conflict(
            f"{left} values were written under an older key meanwhile: some process still has that key first in "
            "ENCRYPTION_KEYS. Restart every process with the new key first, then run this again."
        )
    with transaction() as session:
        audit.record(session, "cli", "keys.rotated", None, values=total)
    return Rotated(todo)


def encrypted_columns() -> Iterator[Any]:
    """Every column of every table whose type is `Encrypted`."""
    for table in db.Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Encrypted):
                yield column


def remaining() -> int:
    """How many values are still under another key than the first."""
    return sum(_count(column) for column in encrypted_columns())


def _rewrap() -> None:
    """The key of the blind index never changes, only its wrapping: every hash in the database depends on it."""
    ring = db.keyring()
    where = system_values.c.name == INDEX_KEY
    with transaction() as session:
        wrapped = session.scalar(select(system_values.c.value).where(where))
        if wrapped is not None and not ring.is_current(bytes(wrapped)):
            plain = _open(ring, bytes(wrapped), INDEX_KEY)
            session.execute(update(system_values).where(where).values(value=ring.encrypt(plain, INDEX_KEY)))


def _column(column: Any) -> Iterator[int]:
    """Encrypt one column anew, batch by batch; yields the size of each batch."""
    keys = list(column.table.primary_key.columns)
    last: tuple[Any, ...] | None = None
    while True:
        with transaction() as session:
            rows = _batch(session, column, keys, last)
            if rows:
                _store(session, column, keys, rows)
        if not rows:
            return
        last = tuple(rows[-1][1:])
        yield len(rows)
        time.sleep(REST)


def _batch(session: Session, column: Any, keys: list[Any], last: tuple[Any, ...] | None) -> list[Any]:
    statement = select(_raw(column), *keys).where(_stale(column)).order_by(*keys).limit(BATCH)
    if last is not None:
        statement = statement.where(_after(keys, last))
    return list(session.execute(statement))


def _store(session: Session, column: Any, keys: list[Any], rows: list[Any]) -> None:
    """Only over the value that was read: one that was written meanwhile is newer, and stays."""
    ring, context = db.keyring(), column.type.context
    table: Table = column.table
    same = and_(_raw(column) == bindparam("old"), *[k == bindparam(f"key_{k.name}") for k in keys])
    changes = []
    for row in rows:
        old = bytes(row[0])
        fresh = ring.encrypt(_open(ring, old, context), context)
        changes.append({"old": old, "fresh": fresh, **{f"key_{k.name}": v for k, v in zip(keys, row[1:], strict=True)}})
    fresh_value = type_coerce(bindparam("fresh", type_=LargeBinary()), LargeBinary)
    session.connection().execute(update(table).where(same).values({column: fresh_value}), changes)


def _open(ring: crypto.KeyRing, value: bytes, context: str) -> bytes:
    try:
        return ring.decrypt(value, context)
    except crypto.CannotDecrypt as error:
        raise Conflict(f"A value cannot be opened: {error}. Put the key that made it back behind the first.") from None


def _after(keys: list[Any], last: tuple[Any, ...]) -> ColumnElement[bool]:
    """Keyset: rows behind the key `last`, whose parts are those of a primary key of any length."""
    clauses = []
    for i, key in enumerate(keys):
        clauses.append(and_(*[k == v for k, v in zip(keys[:i], last[:i], strict=True)], key > last[i]))
    return or_(*clauses)


def _count(column: Any) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(column.table).where(_stale(column))) or 0


def _stale(column: Any) -> ColumnElement[bool]:
    """Not under the first key: every value begins with the version and its key's id."""
    prefix = crypto.VERSION + db.keyring().primary_id
    return and_(column.is_not(None), func.substr(_raw(column), 1, len(prefix)) != type_coerce(prefix, LargeBinary))


def _raw(column: Any) -> ColumnElement[bytes]:
    """The bytes as they are stored, not opened."""
    return type_coerce(column, LargeBinary)


def _label(column: Any) -> str:
    return f"{column.table.name}.{column.name}"
