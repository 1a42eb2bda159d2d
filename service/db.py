"""The database: one engine for web, workers and commands, on SQLite or PostgreSQL, and the column types they share.

`transaction()` is the only way to write. On SQLite it takes the write lock at its start: a reader that turns
into a writer half-way fails at once with SQLITE_BUSY whatever the time-out says.
"""

import fcntl
import os
import threading
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast
from uuid import UUID

import orjson
import uuid_utils.compat
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
    type_coerce,
)
from sqlalchemy import column as sql_column
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator, TypeEngine

from service import config, crypto
from service.errors import Unavailable


def uuid7() -> UUID:
    """A new id that sorts by time of making."""
    return uuid_utils.compat.uuid7()


Found = TypeVar("Found")


class Base(DeclarativeBase):
    """Every model's parent; constraint names are fixed so that migrations can name them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UTCTime(TypeDecorator[datetime]):
    """A timezone-aware moment, always UTC. A naive one is refused: it would silently shift by hours."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: use service.clock.now() or attach a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Encrypted(TypeDecorator[str]):
    """Text that is AES-256-GCM in the database and plain in Python. `context` ties a value to its column."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else keyring().encrypt(value.encode("utf-8", "replace"), self.context)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else keyring().decrypt(bytes(value), self.context).decode()


class State(TypeDecorator[StrEnum]):
    """A StrEnum stored as its short text, so that a new state needs no migration of a database type."""

    impl = String(24)
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.enum(value).value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """A plain look-up: this runs for several columns of every row that is claimed."""
        found: dict[str | None, StrEnum | None] = {None: None, **{member.value: member for member in self.enum}}
        return found.__getitem__

    @property
    def python_type(self) -> type[StrEnum]:
        return self.enum


system_values = Table(
    "system_values",
    Base.metadata,
    Column("name", String(60), primary_key=True),
    Column("value", LargeBinary, nullable=True),
    Column("data", JSON, nullable=True),
)
"""A few values of the installation itself: the wrapped key of the blind index, the clock's lease."""

INDEX_KEY = "blind_index_key"


def keyring() -> crypto.KeyRing:
    """The keys of this process (ENCRYPTION_KEYS)."""
    return crypto.ring(tuple(config.current().encryption_key_bytes))


class Database:
    """One engine with its session factories; SQLite's writer shares the pool and begins IMMEDIATE."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgres_engine(url)
        self.read_session = sessionmaker(self.engine, expire_on_commit=False)
        writer = self.engine.execution_options(hearthline_write=True)
        self.write_session = sessionmaker(writer, expire_on_commit=False)
        self._index_key: bytes | None = None

    def index_key(self) -> bytes:
        """The random key of the blind index, made at the first `db upgrade`, kept wrapped, never changed."""
        if self._index_key is None:
            with self.read_session() as session:
                wrapped = session.scalar(select(system_values.c.value).where(system_values.c.name == INDEX_KEY))
            if wrapped is None:
                raise Unavailable("The database has not been prepared: run `hearthline db upgrade` first.")
            self._index_key = keyring().decrypt(bytes(wrapped), INDEX_KEY)
        return self._index_key


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 15, "check_same_thread": False}, pool_size=8, max_overflow=16)
    place = make_url(url).database
    turnstile = f"{place}-turn" if place and place != ":memory:" else ""

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event below does it, not the driver
        cursor = connection.cursor()
        # 4 MB of pages instead of 2: a campaign's rows and their indexes are visited again and again.
        settings = (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "busy_timeout=15000",
            "cache_size=-4000",
        )
        for pragma in settings:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if connection.get_execution_options().get("hearthline_write"):
            with _queueing(turnstile):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


@contextmanager
def _queueing(turnstile: str) -> Iterator[None]:
    """Wait in line for SQLite's one writer, with the other threads and processes of this machine.

    SQLite's own waiters look again every few milliseconds, up to a tenth of a second, and a bulk writer that pauses for
    five finds itself alone most of the time: a webhook would wait for a second. A file lock is given in order; it is
    held only until the transaction has begun, so that nobody who dies or waits for himself holds up the rest.
    """
    if not turnstile:
        yield
        return
    line = os.open(turnstile, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(line, fcntl.LOCK_EX)
        yield
    finally:
        os.close(line)


def _postgres_engine(url: str) -> Engine:
    # The encoding is told: a server set up without a locale says SQL_ASCII, and psycopg would then hand out bytes.
    told = {"connect_timeout": 5, "client_encoding": "utf8"}
    return create_engine(url, pool_size=8, max_overflow=16, pool_pre_ping=True, connect_args=told)


def insert(table: Any) -> Any:
    """An INSERT in the dialect of this process's database, which knows `on_conflict_do_nothing` and its like.

    The other dialect is not even loaded: it would cost every worker several megabytes.
    """
    if current().is_sqlite:
        from sqlalchemy.dialects.sqlite import insert as of_sqlite

        return of_sqlite(table)
    from sqlalchemy.dialects.postgresql import insert as of_postgresql

    return of_postgresql(table)


def among(column: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """SQL: `column` is one of these whole numbers: one parameter and one statement text, however many there are."""
    return _among(column, literal(many(ids), many_type()))


def among_given(column: Any, name: str = "ids") -> ColumnElement[bool]:
    """The same for a statement that is kept: the numbers come at each execution as the parameter `name`, by `many`."""
    return _among(column, bindparam(name, type_=many_type()))


def many(ids: Collection[int]) -> str | list[int]:
    """Whole numbers as one parameter."""
    return orjson.dumps(list(ids)).decode() if current().is_sqlite else list(ids)


def many_type() -> TypeEngine[Any]:
    """The type of that parameter."""
    return Text() if current().is_sqlite else ARRAY(BigInteger)


def _among(column: Any, numbers: ColumnElement[Any]) -> ColumnElement[bool]:
    if current().is_sqlite:
        return cast(ColumnElement[bool], column.in_(select(func.json_each(numbers).table_valued("value").c.value)))
    return cast(ColumnElement[bool], column == any_(numbers))


def given(columns: Mapping[str, TypeEngine[Any]], rows: Sequence[Sequence[Any]], name: str = "given") -> Any:
    """SQL: rows of values as a table with these columns, to join or to update from, in one parameter a column or fewer.

    A statement that changes a thousand rows is then one statement, and not a thousand.
    """
    if current().is_sqlite:
        dialect = current().engine.dialect
        plain = [type_.dialect_impl(dialect).bind_processor(dialect) or _as_it_is for type_ in columns.values()]
        data = orjson.dumps([[make(value) for make, value in zip(plain, row, strict=True)] for row in rows]).decode()
        each = func.json_each(data).table_valued("value", name=f"{name}_json")
        fields = [
            type_coerce(func.json_extract(each.c.value, f"$[{n}]"), type_).label(column)
            for n, (column, type_) in enumerate(columns.items())
        ]
        return select(*fields).select_from(each).subquery(name)  # no CTE: sqlite3 counts no rows behind a WITH
    arrays = [literal([row[n] for row in rows], ARRAY(type_)) for n, type_ in enumerate(columns.values())]
    listed = func.unnest(*arrays).table_valued(*[sql_column(c, t) for c, t in columns.items()], name=name)
    return listed.render_derived()


def _as_it_is(value: Any) -> Any:
    return value


_database: Database | None = None
_lock = threading.Lock()


def connect(url: str | None = None) -> Database:
    """Make `url` (default: DATABASE_URL) the database of this process. Connects lazily."""
    global _database
    with _lock:
        if _database is not None:
            _database.engine.dispose()
        _database = Database(url or config.current().database)
        return _database


def current() -> Database:
    """The database of this process, opened on first use."""
    return _database if _database is not None else connect()


def dispose() -> None:
    """Close every connection and forget the database."""
    global _database
    with _lock:
        if _database is not None:
            _database.engine.dispose()
        _database = None


@contextmanager
def transaction() -> Iterator[Session]:
    """One writing transaction: commits at the end of the block, rolls back on an error.

    What was registered by `on_commit` runs after the commit. Only `service.actions` may open one.
    """
    with current().write_session() as session:
        with session.begin():
            yield session
        callbacks = session.info.pop("on_commit", {})
    for callback in callbacks.values():
        callback()


@contextmanager
def reading() -> Iterator[Session]:
    """A session for reading only; nothing that is done in it is kept."""
    with current().read_session() as session:
        yield session


def one_at_a_time(session: Session, what: str) -> None:
    """Wait until no other transaction that does `what` is under way, on any machine. SQLite has one writer anyway."""
    if not current().is_sqlite:
        session.execute(select(func.pg_advisory_xact_lock(zlib.crc32(what.encode()))))


def once(session: Session, key: str, look: Callable[[], Found]) -> Found:
    """What `look` finds, looked up once in this transaction: for what hardly ever changes."""
    kept: dict[str, Any] = session.info.setdefault("once", {})
    if key not in kept:
        kept[key] = look()
    return cast(Found, kept[key])


def on_commit(session: Session, key: str, callback: Callable[[], object]) -> None:
    """Run `callback` once after this session's transaction has been committed; the same `key` counts once."""
    session.info.setdefault("on_commit", {})[key] = callback


def blind_index(context: str, value: str) -> bytes:
    """The keyed hash by which `value` (already normalised) is found in an encrypted column."""
    return crypto.blind_index(current().index_key(), context, value)
