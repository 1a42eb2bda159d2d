"""The `hearthline` command. A command parses, calls one action, and prints; what it knows lives elsewhere.

Exit status: 0 done, 1 it could not be done and the message says why, 2 settings or arguments need attention.
"""

from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from service import config, logs
from service.cli import admin, api_key, backup, bench, campaign, coordinator, demo, members, run, sweep
from service.cli.understand import understand
from service.errors import ConfigurationError, DomainError


class _Commands(click.Group):
    """Turns the errors that a person can do something about into a message and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            _say(error.message)
            ctx.exit(2)
        except DomainError as error:
            _say(error.message)
            ctx.exit(1)
        except (OperationalError, ProgrammingError) as error:
            # Its own text may quote values; the driver's kind of error says enough.
            kind = type(error.orig).__name__ if error.orig else type(error).__name__
            _say(f"The database could not be used ({kind}). `hearthline doctor` looks into it.")
            ctx.exit(1)


def _say(message: str) -> None:
    click.echo(message, err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hearthline")
def main() -> None:
    """Hearthline keeps a peer-support community warm between its meetings, by text and email.

    `hearthline demo` starts everything on this machine, with made-up members and no account anywhere.
    """
    logs.configure(config.current().log_level)


COMMANDS: tuple[click.Command, ...] = (
    demo.demo,
    run.web,
    run.worker,
    run.clock,
    run.sandbox,
    admin.db,
    admin.keys,
    admin.doctor,
    api_key.api_key,
    coordinator.coordinator,
    members.members,
    backup.backup,
    backup.restore,
    campaign.campaign,
    sweep.sweep,
    understand,
    bench.bench,
)
"""Every command and group. A new one gets a module beside this one and a line here."""

for _command in COMMANDS:
    main.add_command(_command)
