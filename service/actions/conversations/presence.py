"""Who is writing an answer at this moment, so that two do not answer at once. Kept in Redis for seconds only: without
it nobody is told before, and whoever sends second is told all the same (`replying.reply`).
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import Session

from service import db, queue
from service.actions import access
from service.models.staff import Coordinator

LASTS = 20.0
"""Seconds; the page says so again every eight while somebody types."""
_REST = 10.0  # seconds without a try after Redis failed: a dead host must not cost every page its time-out
_resting_until = 0.0


def writing(conversation_id: UUID, coordinator: Coordinator) -> None:
    """Note that this coordinator is writing here now. Raises NotFound for a conversation out of their reach."""
    with db.reading() as session:
        access.require_conversation(session, coordinator, conversation_id)
    key = _key(conversation_id)

    def note(client: Any, now: float) -> None:
        with client.pipeline() as pipe:
            pipe.zadd(key, {str(coordinator.id): now})
            pipe.zremrangebyscore(key, 0, now - LASTS)
            pipe.expire(key, int(LASTS))
            pipe.execute()

    _in_redis(note)


def others_writing(session: Session, conversation_id: UUID, coordinator: Coordinator) -> list[str]:
    """The names of others who are writing in this conversation, in order. Empty without Redis."""
    key = _key(conversation_id)
    found = _in_redis(lambda client, now: client.zrangebyscore(key, now - LASTS, "+inf")) or []
    ids = {UUID(one.decode()) for one in found} - {coordinator.id}
    if not ids:
        return []
    return sorted(session.scalars(select(Coordinator.name).where(Coordinator.id.in_(ids))))


def _in_redis(act: Callable[[Any, float], Any]) -> Any:
    """What `act` gives back for the client and Redis's own time; None, and a rest, when Redis is away."""
    global _resting_until
    if time.monotonic() < _resting_until:
        return None
    try:
        client: Any = queue.connection(read_timeout=1)
        seconds, micros = client.time()
        return act(client, seconds + micros / 1e6)
    except (RedisError, OSError):
        _resting_until = time.monotonic() + _REST
        return None  # a courtesy, and no more


def _key(conversation_id: UUID) -> str:
    return f"hearthline:writing:{conversation_id}"
