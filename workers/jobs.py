"""The jobs: each calls one action. No job takes an argument, for the doorbell says nothing but "look".

`service.queue.JOBS` names every function here and the queue that it belongs to. Each imports what it needs itself: a
worker has one queue for all its life, and what only the others need would be a third of its memory.
"""


def prepare(name: str) -> None:
    """Read what the first job of the queue `name` would have to read, before somebody waits for its answer."""
    if name == "inbound":
        from service.actions import conversations

        conversations.prepare()


def process_inbound() -> None:
    """Deal with every webhook that has been stored and not yet been read."""
    from service.actions import conversations

    conversations.process_inbound(linger=conversations.LINGER)


def fetch_media() -> None:
    """Fetch the pictures and sounds that came with texts."""
    from service.actions.conversations import media

    media.fetch_waiting()


def drain_replies() -> None:
    """Send what answers a member: confirmations, automatic replies, what a coordinator wrote."""
    from service.actions import delivery

    delivery.drain("replies")


def drain_texts() -> None:
    """Send the campaign texts that are due."""
    from service.actions import delivery

    delivery.drain("texts")


def drain_emails() -> None:
    """Send the campaign emails that are due."""
    from service.actions import delivery

    delivery.drain("emails")


def start_campaigns() -> None:
    """Start the campaigns whose time has come."""
    from service.actions import campaigns

    campaigns.start_due()


def run_imports() -> None:
    """Carry out the imports that coordinators have uploaded."""
    from service.actions import imports

    imports.run_waiting()


def sweep() -> None:
    """Settle what was left half-way: expired leases and sends of unknown outcome."""
    from service.actions import delivery

    delivery.sweep()


def circles() -> None:
    """Offer places that came free, say what circles say by themselves, and what became of ME TOO."""
    from service.actions.belonging import life
    from service.actions.resonance import telling

    life.run()
    telling.run()


def housekeeping() -> None:
    """Delete what has been kept long enough, and do the other chores of the minute."""
    from service.actions import housekeeping as chores

    chores.run()
