"""The people who sign in: `coordinator add`."""

import click

from service.models.staff import Role


@click.group()
def coordinator() -> None:
    """The people who sign in to the console."""


@coordinator.command()
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="What they may do [coordinator].")
@click.option("--name", default="", help="What the others call them.")
def add(email: str, role: str | None, name: str) -> None:
    """Add somebody, or give somebody who is there a new link. Prints a one-time link to set a password."""
    from service.actions import staff

    click.echo(staff.add_coordinator(email, Role(role) if role else None, name))
