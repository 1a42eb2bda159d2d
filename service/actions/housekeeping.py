"""What has to happen now and then, whoever is there: closing finished campaigns, paging again, zones, retention."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from service import clock, db, queue
from service.actions import campaigns, safety, zones
from service.models.conversations import Conversation, ConversationState, WebhookEvent
from service.models.staff import StaffSession

RAW_DAYS = 30
"""Days for which a webhook is kept as it came; after that only what was made of it remains."""
CHUNK = 500


def run() -> dict[str, int]:
    """One round; returns counts by what was done. Every part may be repeated and interrupted."""
    now = clock.now()
    done = {
        "fetched": campaigns.fetch_stranded(),
        "finished": campaigns.finish_done(),
        "paged": safety.page_again(),
        "raised": safety.raise_daily(),
        "zones": zones.refresh(),
        "woken": _wake(now),
        "forgotten": _forget_raw(now),
        "sessions": _old_sessions(now),
    }
    return {name: count for name, count in done.items() if count}


def _wake(now: datetime) -> int:
    """Conversations that were snoozed until now need a reply again."""
    with db.transaction() as session:
        result = session.execute(
            update(Conversation)
            .where(Conversation.state == ConversationState.SNOOZED, Conversation.snoozed_until <= now)
            .values(state=ConversationState.NEEDS_REPLY, snoozed_until=None, waiting_since=now)
            .execution_options(synchronize_session=False)
        )
        return int(result.rowcount)  # type: ignore[attr-defined]


def _forget_raw(now: datetime) -> int:
    """Empty raw webhooks after RAW_DAYS, in small pieces; their ids stay, so that a late repeat is still known."""
    done = 0
    while not queue.stopping.is_set():
        with db.transaction() as session:
            old = (
                select(WebhookEvent.id)
                .where(
                    WebhookEvent.received_at < now - timedelta(days=RAW_DAYS),
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
        if count < CHUNK:
            break
    return done


def _old_sessions(now: datetime) -> int:
    """Sign-ins that ended or were left alone for 60 days are forgotten."""
    with db.transaction() as session:
        result = session.execute(delete(StaffSession).where(StaffSession.last_seen_at < now - timedelta(days=60)))
        return int(result.rowcount)  # type: ignore[attr-defined]
