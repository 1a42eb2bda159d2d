"""`hearthline api-key`: keys for programs that use /api/v1."""

from uuid import UUID

import click


@click.group(name="api-key")
def api_key() -> None:
    """Keys for programs that use /api/v1."""


@api_key.command()
@click.argument("name")
@click.option("--scopes", default="read,write", show_default=True, help="read, write, or both with a comma.")
def add(name: str, scopes: str) -> None:
    """Make a key called NAME and print it, once."""
    from service.actions import api_keys

    click.echo(api_keys.add(name, tuple(s.strip() for s in scopes.split(",") if s.strip())))


@api_key.command("list")
def list_() -> None:
    """Every key with its id, first letters and scopes; never the key itself."""
    from service import db
    from service.actions import api_keys

    with db.reading() as session:
        for key in api_keys.all_keys(session):
            state = "revoked" if key.revoked_at else "live"
            click.echo(f"{key.id}  {key.prefix}…  {state:8} {key.scopes:12} {key.name}")


@api_key.command()
@click.argument("key_id", type=click.UUID)
def revoke(key_id: UUID) -> None:
    """End a key at once."""
    from service.actions import api_keys

    api_keys.revoke(key_id)
    click.echo("The key no longer works.")
