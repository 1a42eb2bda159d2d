"""The migrations make exactly the tables that the models speak of, on both databases."""

from collections.abc import Callable

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.exc import DatabaseError

from service import clock, db
from service.actions import consent, database
from service.config import Settings
from service.models.members import ConsentKind


def test_migrations_and_models_agree(database: db.Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, db.Base.metadata) == []


def test_upgrading_twice_changes_nothing(database: db.Database) -> None:
    before = database.index_key()
    revision = _upgrade()
    assert (revision, db.current().index_key()) == (revision, before)
    assert _upgrade() == revision


def _upgrade() -> str:
    return database.upgrade()


@pytest.mark.parametrize("change", ["UPDATE consent_events SET source = 'forged'", "DELETE FROM consent_events"])
def test_the_ledger_refuses_to_be_rewritten(database: db.Database, change: str) -> None:
    with db.transaction() as session:
        consent.record(session, db.uuid7(), ConsentKind.CONFIRMED, source="a test")
    with pytest.raises(DatabaseError, match="append-only"), db.transaction() as session:
        session.execute(text(change))
    with db.transaction() as session:
        session.execute(text("UPDATE consent_events SET ip = NULL"))  # erasure may blank the address of the browser
    assert clock.now()


def test_a_server_without_a_locale_serves_as_well(postgres: str, configure: Callable[..., Settings]) -> None:
    """Such a PostgreSQL calls itself SQL_ASCII, as on a small Debian; `hearthline db upgrade` failed there."""
    plain = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    with psycopg.connect(postgres, autocommit=True) as session:
        session.execute(f"CREATE DATABASE without_locale {plain}")
    configure(database_url=make_url(postgres).set(database="without_locale").render_as_string(hide_password=False))
    db.connect()
    try:
        assert _upgrade() == database.newest_revision()
        with db.transaction() as session:
            consent.record(session, db.uuid7(), ConsentKind.CONFIRMED, source="Zoë’s mañana")
        with db.reading() as session:
            assert session.scalar(text("SELECT source FROM consent_events")) == "Zoë’s mañana"
    finally:
        db.dispose()
        with psycopg.connect(postgres, autocommit=True) as session:
            session.execute("DROP DATABASE without_locale WITH (FORCE)")
