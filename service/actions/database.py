"""Preparing the database: migrations, the key of the blind index, the table of time zones."""

import secrets

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select

from service import config, db
from service.actions import zones


def upgrade() -> str:
    """Bring the database to the newest revision and make what every installation needs. Returns the revision.

    Safe to repeat, and safe when several processes start at once: the second waits for the first.
    """
    database = db.current()
    with database.engine.execution_options(hearthline_write=True).connect() as connection:
        if database.is_sqlite:
            with connection.begin():
                _migrate(connection)
        else:
            with connection.begin():
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(704301)")
                _migrate(connection)
    _ensure_index_key()
    zones.refresh()
    return revision() or ""


def revision() -> str | None:
    """The revision that the database is at, or None when it is empty."""
    with db.current().engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    """The revision that this code expects."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config() -> Config:
    """Alembic's settings, without an ini file."""
    settings = Config()
    settings.set_main_option("script_location", str(config.MIGRATIONS))
    settings.set_main_option("path_separator", "os")
    return settings


def _migrate(connection: object) -> None:
    settings = alembic_config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")


def _ensure_index_key() -> None:
    table = db.system_values
    with db.transaction() as session:
        if session.scalar(select(table.c.name).where(table.c.name == db.INDEX_KEY)) is None:
            wrapped = db.keyring().encrypt(secrets.token_bytes(32), db.INDEX_KEY)
            session.execute(insert(table).values(name=db.INDEX_KEY, value=wrapped))
