"""Searching members' words. They are encrypted where they are stored, so the newest few thousand are opened one by one,
and the page says how far back that was: docs/decisions/0011-search.md.
"""

import time
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service import db
from service.actions import access, audit
from service.models.conversations import Conversation, Direction, Message
from service.models.members import Member
from service.models.staff import Coordinator

WINDOW = 4000
"""Messages that one search opens at most."""
BUDGET = 1.5
"""Seconds that it takes at most, however slow the machine is."""
MOST = 30
AROUND = 60
SHORTEST = 2
SECRET = ("access_code",)
"""Our own texts that are not shown to coordinators: whoever reads the code could read what is held."""


@dataclass(frozen=True)
class Hit:
    """A message with the words in it."""

    conversation_id: UUID
    message_id: UUID
    name: str
    at: datetime
    mine: bool
    """Whether we wrote it."""
    before: str = field(repr=False)
    match: str = field(repr=False)
    after: str = field(repr=False)


@dataclass(frozen=True)
class Found:
    """What a search found, newest first, and how far it looked."""

    hits: list[Hit]
    opened: int
    back_to: datetime | None
    further: UUID | None
    """The oldest message that was opened, if there are older ones: the next search begins before it."""


def find(session: Session, coordinator: Coordinator, words: str, *, before: UUID | None = None) -> Found:
    """Messages that hold every one of `words`, in any case and without accents, among the newest WINDOW that this
    coordinator may read (older than `before`).
    """
    terms = [_fold(term) for term in words.split()]
    if not terms or max(map(len, terms)) < SHORTEST:
        return Found([], 0, None, None)
    statement = (
        select(Message.id, Message.conversation_id, Message.at, Message.direction, Message.subject, Message.body)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(access.access_conversations(coordinator), func.coalesce(Message.template, "").not_in(SECRET))
        .order_by(Message.at.desc(), Message.id.desc())
        .limit(WINDOW)
    )
    start = session.get(Message, before) if before else None
    if start is not None:
        older = (Message.at == start.at) & (Message.id < start.id)
        statement = statement.where(or_(Message.at < start.at, older))
    ends = time.monotonic() + BUDGET
    hits, opened, last = [], 0, None
    for row in session.execute(statement.execution_options(yield_per=250)):
        opened, last = opened + 1, row
        text = f"{row.subject}: {row.body}" if row.subject else row.body
        if (place := _place(text, terms)) is not None:
            hits.append((row, text, place))
        if len(hits) >= MOST or time.monotonic() > ends:
            break
    names = _names(session, {row.conversation_id for row, _, _ in hits})
    whole = opened < WINDOW and len(hits) < MOST and time.monotonic() <= ends
    return Found(
        [_hit(row, text, place, names) for row, text, place in hits],
        opened,
        last.at if last is not None else None,
        None if whole or last is None else last.id,
    )


def note_search(coordinator: Coordinator) -> None:
    """That somebody searched members' words is audited; what for is not."""
    with db.transaction() as session:
        audit.record(session, str(coordinator.id), "conversation.search")


def _hit(row: Any, text: str, place: tuple[int, int], names: dict[UUID, str]) -> Hit:
    start, end = place
    cut = max(0, start - AROUND)
    return Hit(
        conversation_id=row.conversation_id, message_id=row.id, at=row.at,
        name=names.get(row.conversation_id, "Unknown sender"),
        mine=row.direction == Direction.OUT,
        before=("…" if cut else "") + text[cut:start], match=text[start:end],
        after=text[end : end + AROUND] + ("…" if len(text) > end + AROUND else ""),
    )  # fmt: skip


def _names(session: Session, ids: set[UUID]) -> dict[UUID, str]:
    rows: Any = session.execute(
        select(Conversation.id, Member.first_name)
        .join(Member, Member.id == Conversation.member_id)
        .where(Conversation.id.in_(ids))
    )
    return dict(rows.all())


def _place(text: str, terms: list[str]) -> tuple[int, int] | None:
    """Where the first of the terms stands, if all of them do."""
    folded = _fold(text)
    if not all(term in folded for term in terms):
        return None
    start = folded.index(terms[0])
    return start, start + len(terms[0])


def _fold(text: str) -> str:
    """Small letters without accents, one for one, so that places stay the same."""
    if text.isascii():
        return text.lower()
    return "".join(unicodedata.normalize("NFD", c)[0].lower()[:1] or c for c in text)
