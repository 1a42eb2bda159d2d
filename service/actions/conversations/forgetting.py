"""Words are kept for CONVERSATION_DAYS, then blanked where they stand: that somebody wrote, when, and what was done
about it stays; what they said does not. How far it has come is kept in the database, so each round looks at new ground
only.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.actions.delivery.results import breathe
from service.models.conversations import CheckIn, Flag, Message, Note
from service.models.giving import Gift, GiftState, Writing
from service.models.inbox import Attachment

DONE = "words_forgotten_until"
CHUNK = 500
EVERY = timedelta(hours=1)
"""Between two rounds; most find nothing."""


def forget_words() -> int:
    """Blank what is older than CONVERSATION_DAYS (0: never); how many messages. Run by the clock."""
    days = config.current().conversation_days
    if not days:
        return 0
    until = clock.now() - timedelta(days=days)
    with db.reading() as session:
        since = _done(session)
    if since is not None and until - since < EVERY:
        return 0
    with db.transaction() as session:
        _rest(session, since, until)
    count = 0
    while not queue.stopping.is_set():
        with db.transaction() as session:
            reached, blanked = _messages(session, since, until)
            _note(session, reached or until)
        count += blanked
        breathe()
        if reached is None:
            break
        since = reached
    return count


def forgotten(at: datetime) -> bool:
    """Whether words of that moment are gone by now, or will be within the hour."""
    days = config.current().conversation_days
    return bool(days) and at < clock.now() - timedelta(days=days)


def _messages(session: Session, since: datetime | None, until: datetime) -> tuple[datetime | None, int]:
    """Blank a chunk; the moment up to which everything is blank then (None: all of it), and how many that were."""
    old = select(Message.id, Message.at).where(Message.at < until).order_by(Message.at).limit(CHUNK)
    if since is not None:
        old = old.where(Message.at >= since)
    rows = session.execute(old).all()
    if not rows:
        return None, 0
    # Everything of the last moment of a full chunk is blanked with it: the next one begins behind that moment.
    last = rows[-1].at
    same = (Message.at >= rows[0].at) & (Message.at <= last)
    result = session.execute(
        update(Message)
        .where(same, Message.at < until)
        .values(subject=None, body="", body_full=None)
        .execution_options(synchronize_session=False)
    )
    count = int(result.rowcount)  # type: ignore[attr-defined]
    return (last + timedelta(microseconds=1) if len(rows) == CHUNK else None), count


def _rest(session: Session, since: datetime | None, until: datetime) -> None:
    """What stands beside messages: notes, names of files, the words of check-ins, the outcomes of flags."""
    beside: tuple[tuple[Any, Any, dict[str, Any]], ...] = (
        (Note, Note.at, {"body": ""}),
        (CheckIn, CheckIn.at, {"words": None}),
        (Flag, Flag.cleared_at, {"outcome": None}),
        (Attachment, Attachment.at, {"name": "file"}),
    )
    for model, at, values in beside:
        span = [at < until] if since is None else [at < until, at >= since]
        session.execute(update(model).where(*span).values(values).execution_options(synchronize_session=False))
    _given(session, since, until)


def _given(session: Session, since: datetime | None, until: datetime) -> None:
    """What members wrote for others: of what was approved the words as they go on are kept, and nothing else."""
    span = [Gift.decided_at < until] if since is None else [Gift.decided_at < until, Gift.decided_at >= since]
    blank = update(Gift).where(*span).values(original="", question=None)
    session.execute(blank.execution_options(synchronize_session=False))
    unused = update(Gift).where(*span, Gift.state != GiftState.APPROVED).values(body="")
    session.execute(unused.execution_options(synchronize_session=False))
    session.execute(delete(Writing).where(Writing.last_at < until).execution_options(synchronize_session=False))


def _done(session: Session) -> datetime | None:
    data = session.scalar(select(db.system_values.c.data).where(db.system_values.c.name == DONE))
    return datetime.fromisoformat(data["at"]) if data else None


def _note(session: Session, at: datetime) -> None:
    data = {"at": at.isoformat()}
    known = session.execute(update(db.system_values).where(db.system_values.c.name == DONE).values(data=data))
    if not known.rowcount:  # type: ignore[attr-defined]
        session.execute(insert(db.system_values).values(name=DONE, data=data))
