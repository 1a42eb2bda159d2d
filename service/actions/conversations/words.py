"""Members' words, from the stored webhook to what they do: the oldest first, several in one transaction, for a commit
and the questions to the database cost more than all the rest. One that fails takes nobody with it: then each is taken
by itself.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from service import clock, db, logs
from service.actions import contacts
from service.actions.conversations import receiving, store, unreadable
from service.actions.conversations.incoming import Arrived
from service.actions.conversations.waiting import GIVE_UP_AFTER, failed, waiting
from service.models.conversations import WebhookEvent

log = logs.get("inbound")

AT_ONCE = 48
"""Messages in one transaction. On SQLite a webhook waits for them, up to a fifth of a second, and comes next."""


def take_next() -> int:
    """Deal with the oldest messages from members; how many those were. A failure is tried again, later."""
    ids: list[int] = []
    try:
        return _take(AT_ONCE, ids)
    except Exception as error:
        if not ids:
            raise
        if len(ids) == 1:
            failed(ids[0], error)
            return 1
        log.warning("messages are taken one by one", messages=len(ids), problem=type(error).__name__)
    return sum(_take_one() for _ in ids)


def _take_one() -> int:
    ids: list[int] = []
    try:
        return _take(1, ids)
    except Exception as error:
        if not ids:
            raise
        failed(ids[0], error)
    return 1


def _take(most: int, ids: list[int]) -> int:
    """Deal with at most so many in one transaction; `ids` tells which ones that were, also where it fails.

    One worker at a time: of two, the second would take what somebody wrote second, and might be done first.
    """
    with db.transaction() as session:
        db.one_at_a_time(session, "words")
        events = list(session.scalars(waiting(store.WORDS, most)))
        together = _fresh_texts(events) or events[:1]
        ids[:] = [event.id for event in together]
        if together and together[0].attempts >= GIVE_UP_AFTER:
            unreadable.hand_to_person(session, together[0])
            _done(session, together)
        elif together:
            together = _receive(session, together)
            _done(session, together, error=None)
    return len(together)


def _done(session: Session, events: Sequence[WebhookEvent], **also: Any) -> None:
    session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_([event.id for event in events]))
        .values(processed_at=clock.now(), **also)
        .execution_options(synchronize_session=False)
    )


def _fresh_texts(events: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    """The texts up to the first mail, or the first that has failed before: those are dealt with alone."""
    odd = (n for n, event in enumerate(events) if event.kind != store.TEXT or event.attempts)
    return list(events[: next(odd, len(events))])


def _receive(session: Session, events: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    """Take in the first message of each sender; which ones. What somebody writes next is read in the light of it."""
    first: dict[str, tuple[WebhookEvent, Arrived]] = {}
    for event in events:
        arrived = receiving.read(session, event)
        first.setdefault(contacts.normal(arrived.channel, arrived.sender), (event, arrived))
    receiving.receive(session, [arrived for _, arrived in first.values()])
    return [event for event, _ in first.values()]
