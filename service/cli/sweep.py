"""`hearthline sweep`: settle what was left half-way, once and now."""

import json

import click


@click.command()
def sweep() -> None:
    """One pass over what is open; prints counts by outcome as JSON. Leases and graces are obeyed."""
    from service.actions import delivery

    click.echo(json.dumps(delivery.sweep()))
    delivery.close()
