"""How Alembic reaches the database: on the connection that `actions.database.upgrade` hands over."""

from typing import Any, Literal

from alembic import context

from service import db


def render_item(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Migrations speak of plain column types, so that they stay true when our own types move."""
    if kind != "type":
        return False
    if isinstance(item, db.Encrypted):
        return "sa.LargeBinary()"
    if isinstance(item, db.State):
        return "sa.String(24)"
    if isinstance(item, db.UTCTime):
        return "sa.DateTime(timezone=True)"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=db.Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_item,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
