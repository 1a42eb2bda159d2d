"""The migrations make exactly the tables that the models speak of, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from service import clock, db
from service.actions import consent, database
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
