"""Files that came with a text: fetched by a worker, kept encrypted, shown to coordinators, forgotten after MEDIA_DAYS.

As soon as a file is here it is deleted at the provider, where its address alone would open it (unless HTTP
authentication for media is switched on there): docs/decisions/0009-pictures.md.
"""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service import clock, config, db, logs, queue
from service.actions import access
from service.channels import media
from service.errors import NotFound
from service.models.conversations import Conversation, Message
from service.models.inbox import Attachment, AttachmentPart, FileState
from service.models.staff import Coordinator

log = logs.get("media")

BUDGET = 10.0
"""Seconds of one round: other chores wait in the same queue."""
PIECE = 64 * 1024
TRIES = 8
"""Spread over about two hours, then a person is told that the file could not be had."""
LEASE = timedelta(minutes=2)
CHUNK = 100
SHOWN = tuple(kind for kind in media.SUFFIXES if kind.startswith("image/"))


@dataclass(frozen=True)
class File:
    """A member's file, ready to be shown."""

    kind: str
    name: str
    """One that we made up: theirs may say who they are, or hold what a browser trips over."""
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class _Due:
    id: UUID
    url: str
    state: FileState
    attempts: int


def expect(session: Session, message: Message, name: str, content_type: str, url: str) -> None:
    """List a file that is at the provider, and have it fetched."""
    session.add(
        Attachment(
            message_id=message.id, name=name, content_type=content_type, url=url, state=FileState.WAITING,
            next_try_at=message.at, at=message.at, attempts=0,
        )
    )  # fmt: skip
    queue.ring_after(session, "fetch_media")


def fetch_waiting(budget: float = BUDGET) -> int:
    """Fetch what is waiting, and delete at the provider what is here, for at most `budget` seconds; how many."""
    ends = time.monotonic() + budget
    done = 0
    while not queue.stopping.is_set() and (due := _claim()) is not None:
        _deal_with(due)
        done += 1
        if time.monotonic() >= ends:
            queue.ring("fetch_media")
            break
    return done


def _claim() -> _Due | None:
    """Take the file that has waited longest; for two minutes nobody else will."""
    now = clock.now()
    with db.transaction() as session:
        statement = select(Attachment).where(Attachment.next_try_at <= now).order_by(Attachment.next_try_at).limit(1)
        if not db.current().is_sqlite:
            statement = statement.with_for_update(skip_locked=True)
        found = session.scalar(statement)
        if found is None:
            return None
        if not found.url:
            found.next_try_at = None
            return None
        found.attempts += 1
        found.next_try_at = now + LEASE
        return _Due(found.id, found.url, found.state, found.attempts)


def _deal_with(due: _Due) -> None:
    """Fetch it, or have the provider forget it. Nothing is held open in the database meanwhile."""
    settings = config.current()
    try:
        if due.state == FileState.WAITING:
            _keep(due, media.fetch(settings, due.url))
        elif media.delete(settings, due.url):
            _write(due.id, url=None, next_try_at=None)
        else:
            raise media.MediaError("not deleted", again=True)
    except media.MediaError as error:
        _failed(due, error)


def _keep(due: _Due, content: bytes) -> None:
    kind = media.kind_of(content)
    if kind is None:
        _write(due.id, state=FileState.REFUSED, reason="kind", size=len(content), next_try_at=None)
        return
    with db.transaction() as session:
        found = session.get(Attachment, due.id)
        if found is None or found.state != FileState.WAITING:
            return  # erased meanwhile, or another worker was quicker
        pieces = range(0, len(content), PIECE)
        session.add_all(AttachmentPart(attachment_id=due.id, number=n, content=content[at : at + PIECE])
                        for n, at in enumerate(pieces))  # fmt: skip
        found.state, found.kind, found.size, found.attempts = FileState.KEPT, kind, len(content), 0
        found.next_try_at = clock.now()  # next: the provider forgets it


def _failed(due: _Due, error: media.MediaError) -> None:
    log.warning("a file was not fetched", attachment=str(due.id), reason=error.reason, attempt=due.attempts)
    if error.again and due.attempts < TRIES:
        wait = timedelta(seconds=min(15.0 * 2**due.attempts, 3600.0))
        _write(due.id, next_try_at=clock.now() + wait)
    elif due.state == FileState.WAITING:
        _write(due.id, state=FileState.REFUSED, reason=error.reason[:40], next_try_at=None)
    else:
        _write(due.id, next_try_at=None, reason="still at the provider")


def _write(attachment_id: UUID, **values: Any) -> None:
    with db.transaction() as session:
        session.execute(
            update(Attachment)
            .where(Attachment.id == attachment_id)
            .values(**values)
            .execution_options(synchronize_session=False)
        )


def show(session: Session, coordinator: Coordinator, attachment_id: UUID) -> File:
    """A file that is kept, for a coordinator who may read its conversation. Raises NotFound."""
    found = session.scalar(
        select(Attachment)
        .join(Message, Message.id == Attachment.message_id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Attachment.id == attachment_id,
            Attachment.state == FileState.KEPT,
            access.access_conversations(coordinator),
        )
    )
    if found is None or found.kind is None:
        raise NotFound("There is no such file, or it has been deleted.")
    parts = session.scalars(
        select(AttachmentPart.content)
        .where(AttachmentPart.attachment_id == attachment_id)
        .order_by(AttachmentPart.number)
    )
    what = found.kind.partition("/")[0].replace("application", "document")
    return File(found.kind, f"{what}-{found.at:%Y-%m-%d}.{media.SUFFIXES[found.kind]}", b"".join(parts))


def forget_old() -> int:
    """Delete files after MEDIA_DAYS, here and at the provider; what was sent stays listed. Run by the clock."""
    long_ago = clock.now() - timedelta(days=config.current().media_days)
    done = 0
    while not queue.stopping.is_set():
        with db.transaction() as session:
            old = list(
                session.scalars(
                    select(Attachment)
                    .where(Attachment.at < long_ago, Attachment.state.not_in((FileState.GONE, FileState.LISTED)))
                    .order_by(Attachment.at)
                    .limit(CHUNK)
                )
            )
            session.execute(delete(AttachmentPart).where(AttachmentPart.attachment_id.in_([a.id for a in old])))
            for attachment in old:
                attachment.state, attachment.attempts = FileState.GONE, 0
                attachment.next_try_at = clock.now() if attachment.url else None
        done += len(old)
        if len(old) < CHUNK:
            return done
    return done
