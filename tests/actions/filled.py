"""A database with something in every column of every table, made from the tables themselves: none is forgotten."""

import os
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Date, Integer, LargeBinary, String, Text, Uuid, insert, select
from sqlalchemy.sql.schema import Column, Table

from service import db
from service.models.inbox import EncryptedBytes

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


ONE_OF = {"resonances": ("story_id", "prompt_id")}
"""Columns of which a row has one, in turn."""


def words(column: Column[Any], number: int) -> Any:
    """What stands in an encrypted column."""
    found = f"wörds of {column} {number}"
    return found.encode() if isinstance(column.type, EncryptedBytes) else found


def fill(rows: int = 3) -> None:
    """Put `rows` rows into every table; parents before children."""
    made: dict[str, list[dict[str, Any]]] = {}
    with db.transaction() as session:
        for table in db.Base.metadata.sorted_tables:
            made[table.name] = [_row(table, number, made) for number in range(rows)]
            session.connection().execute(insert(table), made[table.name])


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """The content of every table as Python sees it, in the order of the primary keys."""
    found = {}
    with db.reading() as session:
        for table in db.Base.metadata.sorted_tables:
            ordered = select(table).order_by(*table.primary_key.columns)
            found[table.name] = [tuple(row) for row in session.execute(ordered)]
    return found


def _row(table: Table, number: int, made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    row = {}
    for column in table.columns:
        if column.foreign_keys:
            (key,) = column.foreign_keys
            row[column.name] = made[key.column.table.name][number][key.column.name]
        else:
            row[column.name] = _value(column, number)
    for name in ONE_OF.get(table.name, ())[number % 2 :: 2]:
        row[name] = None
    return row


def _value(column: Column[Any], number: int) -> Any:
    kind = column.type
    if isinstance(kind, db.Encrypted):
        return words(column, number)
    if isinstance(kind, db.State):
        return list(kind.enum)[number % len(kind.enum)]
    if isinstance(kind, db.UTCTime):
        return NOON
    if isinstance(kind, Uuid):
        return db.uuid7()
    if isinstance(kind, Boolean):
        return bool(number % 2)
    if isinstance(kind, Date):
        return date(2026, 2, 28)
    if isinstance(kind, JSON):
        return {"list": [1, None, "é"], "number": number}
    if isinstance(kind, LargeBinary):
        return os.urandom(32)
    if isinstance(kind, Integer):
        return 40 + number
    assert isinstance(kind, String | Text), f"{column} has a type that this helper does not know"
    return f"{number}{column.name}"[: getattr(kind, "length", None)]
