"""Alembic's migrations, for SQLite and PostgreSQL alike; `hearthline db upgrade` applies them."""
