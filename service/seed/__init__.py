"""The demo's community: read from `seed_data`, placed around this moment, planted once per database.

It sits beside the command line; what writes is in `service.actions.seeding`.
"""

from service import clock
from service.actions import seeding
from service.seed import files


def run(password: str) -> tuple[str, str] | None:
    """Invite the community unless it is there already; who signs in, and with what. `password` is for a first start.

    Raises Conflict on an installation that is no demo, with real providers, or among members nobody made up.
    """
    seeding.plant(files.read(clock.now()), password)
    return seeding.sign_in(password)


def many(n: int, mix: dict[str, float] | None = None) -> int:
    """Add made-up active members, all subscribed to everything, until there are `n` beside the community.

    `mix` are the shares of those with a phone, a mailbox or both: `{"sms": 0.45, "email": 0.35, "both": 0.2}`.
    Returns how many were added. Raises Conflict as `run` does (it needs no demo), and ValueError beyond 3.6 million.
    """
    return seeding.fill_up(n, mix)


def phones_and_mailboxes() -> list[tuple[str, str, str]]:
    """(`phone` or `mailbox`, address, first name) of everybody in the community, for the sandbox's page."""
    return seeding.addresses()
