"""What the stand-in remembers: one SQLite file, one connection, one lock.

A single process owns it, so a lock is simpler and faster than a pool, and nothing can be "database is locked".
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from service.clock import now
from service.config import Settings
from service.sandbox import keys

SCHEMA = """
CREATE TABLE IF NOT EXISTS contact (            -- a phone or a mailbox
    kind TEXT NOT NULL, address TEXT NOT NULL, name TEXT NOT NULL DEFAULT '', preview TEXT NOT NULL DEFAULT '',
    touched REAL NOT NULL, unread INTEGER NOT NULL DEFAULT 0, blocked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, address)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contact_touched ON contact (touched DESC);
CREATE TABLE IF NOT EXISTS text (               -- a Message resource, in or out
    n INTEGER PRIMARY KEY, sid TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, phone TEXT NOT NULL,
    sender TEXT NOT NULL, recipient TEXT NOT NULL, body TEXT NOT NULL, segments INTEGER NOT NULL,
    service_sid TEXT NOT NULL, callback TEXT NOT NULL, created REAL NOT NULL, initial TEXT NOT NULL,
    sent_at REAL, done_at REAL, final TEXT NOT NULL, error_code INTEGER, canceled INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS text_phone ON text (phone, n);
CREATE INDEX IF NOT EXISTS text_recipient ON text (recipient, n);
CREATE TABLE IF NOT EXISTS media (              -- a picture that a member sent with a text
    sid TEXT PRIMARY KEY, text_sid TEXT NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS media_text ON media (text_sid);
CREATE TABLE IF NOT EXISTS request (            -- one mail/send; what its recipients share is kept once
    id TEXT PRIMARY KEY, payload TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mail (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, mailbox TEXT NOT NULL,
    request TEXT NOT NULL, personalization TEXT NOT NULL, subject TEXT NOT NULL, created REAL NOT NULL,
    done_at REAL, final TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', seen INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS mail_box ON mail (mailbox, n);
CREATE TABLE IF NOT EXISTS outbox (             -- what is yet to be posted to the service
    n INTEGER PRIMARY KEY, due REAL NOT NULL, kind TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due);
CREATE TABLE IF NOT EXISTS provocation (
    n INTEGER PRIMARY KEY, channel TEXT NOT NULL, address TEXT NOT NULL, kind TEXT NOT NULL, code INTEGER,
    seconds REAL, remaining INTEGER);
CREATE TABLE IF NOT EXISTS suppression (        -- SendGrid's own lists: bounces, spam_reports, ...
    list TEXT NOT NULL, email TEXT NOT NULL, reason TEXT NOT NULL, created INTEGER NOT NULL,
    PRIMARY KEY (list, email)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (key TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
TABLES = ("contact", "text", "media", "request", "mail", "outbox", "provocation", "suppression", "setting")

Row = sqlite3.Row


@dataclass
class Store:
    """The open file with its lock, and the settings and keys that belong to it."""

    settings: Settings
    connection: sqlite3.Connection
    event_key: ec.EllipticCurvePrivateKey
    inbound_key: ec.EllipticCurvePrivateKey
    lock: threading.RLock = field(default_factory=threading.RLock)
    wake: threading.Event = field(default_factory=threading.Event)
    """Set when the outbox has something new, so that the dispatcher need not wait for its next look."""

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction; rolled back if the block raises."""
        with self.lock:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def all(self, sql: str, *values: Any) -> list[Row]:
        """Every row of a query."""
        with self.lock:
            return self.connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> Row | None:
        """The first row of a query, or None."""
        with self.lock:
            row: Row | None = self.connection.execute(sql, values).fetchone()
            return row

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.connection.close()


def open_store(settings: Settings) -> Store:
    """Open DATA_DIR/sandbox.db, made if there is none. Raises ConfigurationError if a key cannot be read."""
    path: Path = settings.data_path / "sandbox.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    # A killed process loses nothing this way; only a power cut could, and these messages are pretend.
    connection.execute("PRAGMA synchronous=OFF")
    connection.executescript(SCHEMA)
    path.chmod(0o600)
    return Store(
        settings, connection, keys.load(settings.data_path, keys.EVENTS), keys.load(settings.data_path, keys.INBOUND)
    )


def timestamp() -> float:
    """Seconds since 1970, with fractions."""
    return now().timestamp()


def touch(db: sqlite3.Connection, kind: str, address: str, preview: str, *, name: str = "", unread: int = 1) -> None:
    """Note activity on a phone (`kind="phone"`) or a mailbox (`"mailbox"`), which appears if it was not there."""
    db.execute(
        "INSERT INTO contact (kind, address, name, preview, touched, unread) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (kind, address) DO UPDATE SET preview = excluded.preview, touched = excluded.touched, "
        "unread = unread + excluded.unread, name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END",
        (kind, address, name, " ".join(preview.split())[:120], timestamp(), unread),
    )


def introduce(settings: Settings, people: Iterable[tuple[str, str, str]]) -> None:
    """Say whose phones and mailboxes there are: (kind, address, name). Those that are known already are left alone."""
    store = open_store(settings)
    with store.write() as db:
        db.executemany(
            "INSERT INTO contact (kind, address, name, preview, touched, unread) VALUES (?, ?, ?, '', ?, 0) "
            "ON CONFLICT (kind, address) DO NOTHING",
            [(kind, address, name, timestamp()) for kind, address, name in people],
        )
    store.close()


def reset(store: Store) -> None:
    """Forget every phone, mailbox, message, provocation and switch."""
    with store.write() as db:
        for table in TABLES:
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the constant above
