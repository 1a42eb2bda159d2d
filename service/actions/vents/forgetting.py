"""A vent is deleted when its time is over, or when its member says so: its words where they were kept, in the messages
that brought them, and in the raw webhooks. That there was a message, and when, stays; what it said does not.

What a flag is open about stays until a person has closed it: whoever is worried has to know what was said.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.orm import Session

from service import clock, db, queue
from service.actions.delivery.results import breathe
from service.models.conversations import Flag, Message, WebhookEvent
from service.models.inbox import Attachment, AttachmentPart, FileState
from service.models.vents import Vent, VentPiece

CHUNK = 100
EMPTY_FOR = timedelta(days=1)
"""VENT, and nothing after it: of no use to anybody on the next day."""


def forget_old() -> int:
    """Delete what was kept for as long as its member chose; how many. Run by the clock, safe to repeat."""
    done = 0
    while not queue.stopping.is_set():
        with db.transaction() as session:
            now = clock.now()
            over = (Vent.forget_at <= now) | ((Vent.pieces == 0) & (Vent.last_at < now - EMPTY_FOR))
            due = select(Vent.id).where(over, ~_watched()).order_by(Vent.forget_at).limit(CHUNK)
            if not db.current().is_sqlite:
                due = due.with_for_update(skip_locked=True)
            ids = list(session.scalars(due))
            _forget(session, ids)
        done += len(ids)
        breathe()
        if len(ids) < CHUNK:
            break
    return done


def forget(session: Session, vent: Vent) -> bool:
    """Delete one now, for its member. False where a flag is open: it goes as soon as that is closed."""
    watched = session.scalar(select(Vent.id).where(Vent.id == vent.id, _watched()))
    if watched is not None:
        vent.forget_at, vent.closed_at = clock.now(), vent.closed_at or clock.now()
        return False
    _forget(session, [vent.id])
    session.expunge(vent)
    return True


def _watched() -> ColumnElement[bool]:
    """SQL: whether a flag about its member is open."""
    return exists().where(Flag.member_id == Vent.member_id, Flag.cleared_at.is_(None)).correlate(Vent)


def _forget(session: Session, vent_ids: Collection[UUID]) -> None:
    if not vent_ids:
        return
    session.flush()
    pieces = list(session.scalars(select(VentPiece.message_id).where(VentPiece.vent_id.in_(vent_ids))))
    for start in range(0, len(pieces), CHUNK):
        _blank(session, pieces[start : start + CHUNK])
    session.execute(delete(VentPiece).where(VentPiece.vent_id.in_(vent_ids)))
    session.execute(delete(Vent).where(Vent.id.in_(vent_ids)).execution_options(synchronize_session=False))
    session.expire_all()


def _blank(session: Session, message_ids: Sequence[UUID]) -> None:
    """Empty messages where they stand, with what came along with them."""
    events = select(Message.event_id).where(Message.id.in_(message_ids), Message.event_id.is_not(None))
    changes: tuple[tuple[type[db.Base], ColumnElement[bool], dict[str, object]], ...] = (
        (WebhookEvent, WebhookEvent.id.in_(list(session.scalars(events))), {"raw": None}),
        (Message, Message.id.in_(message_ids), {"subject": None, "body": "", "body_full": None, "labels": {}}),
        (Attachment, Attachment.message_id.in_(message_ids), {"name": "file"}),
    )
    for model, which, values in changes:
        session.execute(update(model).where(which).values(values).execution_options(synchronize_session=False))
    for file in session.scalars(select(Attachment).where(Attachment.message_id.in_(message_ids))):
        session.execute(delete(AttachmentPart).where(AttachmentPart.attachment_id == file.id))
        if file.state not in (FileState.GONE, FileState.LISTED):
            file.state, file.attempts = FileState.GONE, 0
            file.next_try_at = clock.now() if file.url else None  # the provider forgets it as well
