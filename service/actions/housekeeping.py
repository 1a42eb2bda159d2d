"""What has to happen now and then, whoever is there: closing finished campaigns, paging again, zones, retention."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import delete, select, update

from service import clock, db, logs, queue
from service.actions import campaigns, phones, safety, zones
from service.actions.checkins import making
from service.actions.conversations import forgetting, media, promises
from service.actions.delivery import tally
from service.actions.delivery.results import breathe
from service.actions.giving import carrying
from service.actions.tools import series_cards
from service.actions.vents import forgetting as vents_forgetting
from service.models.conversations import Conversation, ConversationState, WebhookEvent
from service.models.staff import StaffSession

log = logs.get("upkeep")

RAW_DAYS = 30
"""Days for which a webhook is kept as it came; after that only what was made of it remains."""
CHUNK = 500


def run() -> dict[str, int]:
    """One round; returns counts by what was done. Every part may be repeated and interrupted.

    People come first, and a part that fails keeps none of the others from being done.
    """
    chores: dict[str, Callable[[], int]] = {
        "paged": safety.page_again,
        "raised": safety.raise_daily,
        "woken": _wake,
        "promised": promises.raise_due,
        "zones": zones.refresh,
        "fetched": campaigns.fetch_stranded,
        "silent": phones.give_up,
        "rhythms": making.make_due,
        "series": series_cards.send_due,
        "finished": campaigns.finish_done,
        "forgotten": _forget_raw,
        "files": media.forget_old,
        "words": forgetting.forget_words,
        "vents": vents_forgetting.forget_old,
        "notes": carrying.settle,
        "sessions": _old_sessions,
        "added_up": lambda: tally.fold(clock.now()),
    }
    done = {}
    for name, chore in chores.items():
        try:
            done[name] = chore()
        except Exception as error:
            log.error("a chore failed", chore=name, exc_info=error)
    return {name: count for name, count in done.items() if count}


def _wake() -> int:
    """Conversations that were snoozed until now need a reply again."""
    now = clock.now()
    with db.transaction() as session:
        result = session.execute(
            update(Conversation)
            .where(Conversation.state == ConversationState.SNOOZED, Conversation.snoozed_until <= now)
            .values(state=ConversationState.NEEDS_REPLY, snoozed_until=None, waiting_since=now)
            .execution_options(synchronize_session=False)
        )
        return int(result.rowcount)  # type: ignore[attr-defined]


def _forget_raw() -> int:
    """Empty raw webhooks after RAW_DAYS, in small pieces; their ids stay, so that a late repeat is still known."""
    long_ago = clock.now() - timedelta(days=RAW_DAYS)
    done = 0
    while not queue.stopping.is_set():
        with db.transaction() as session:
            old = (
                select(WebhookEvent.id)
                .where(
                    WebhookEvent.received_at < long_ago,
                    WebhookEvent.processed_at.is_not(None),
                    WebhookEvent.raw.is_not(None),
                )
                .limit(CHUNK)
            )
            result = session.execute(
                update(WebhookEvent)
                .where(WebhookEvent.id.in_(old))
                .values(raw=None)
                .execution_options(synchronize_session=False)
            )
            count = int(result.rowcount)  # type: ignore[attr-defined]
        done += count
        breathe()
        if count < CHUNK:
            break
    return done


def _old_sessions() -> int:
    """Sign-ins that ended or were left alone for 60 days are forgotten."""
    long_ago = clock.now() - timedelta(days=60)
    with db.transaction() as session:
        result = session.execute(delete(StaffSession).where(StaffSession.last_seen_at < long_ago))
        return int(result.rowcount)  # type: ignore[attr-defined]
