"""The inbox's folders: risk on top, then what was promised for today, then who has waited longest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select, true
from sqlalchemy.orm import Session

from service import clock
from service.actions import access
from service.actions.conversations import card, promises, tags
from service.models.conversations import Conversation, ConversationState, Direction, Message, RiskTier
from service.models.members import Member
from service.models.staff import Coordinator

PAGE = 30
UNKNOWN = {"shared": "Shared number", "unproven": "Unproven sender", "spam": "Perhaps spam"}
"""What a conversation with no member is called, by its mark."""


class Folder(StrEnum):
    """The inbox's shelves."""

    NEEDS_REPLY = "needs_reply"
    MINE = "mine"
    UNASSIGNED = "unassigned"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    HELD = "held"
    PROMISED = "promised"  # across the others: a coordinator said that they would do something on a day
    RISK = "risk"  # across the others: every conversation with an open safety flag


def _in_folder(folder: Folder, coordinator: Coordinator) -> ColumnElement[bool]:
    waiting = Conversation.state == ConversationState.NEEDS_REPLY
    if folder == Folder.MINE:
        return waiting & (Conversation.assigned_to == coordinator.id)
    if folder == Folder.UNASSIGNED:
        return waiting & Conversation.assigned_to.is_(None)
    if folder == Folder.PROMISED:
        return Conversation.promise_at.is_not(None)
    if folder == Folder.RISK:
        return Conversation.risk.is_not(None)
    return Conversation.state == ConversationState(folder.value)


@dataclass(frozen=True)
class Line:
    """One conversation in a list."""

    conversation: Conversation
    name: str
    last_words: str
    last_channel: str
    labels: dict[str, Any]
    last_at: datetime | None


def folder(
    session: Session,
    coordinator: Coordinator,
    which: Folder,
    *,
    after: UUID | None = None,
    tag: UUID | None = None,
    limit: int = PAGE,
) -> list[Line]:
    """A page of a folder: risk on top, then promises for today, then who has waited longest (in the end folders, the
    newest first; under Promised the next day first).

    `after` is the last conversation of the page before; `tag` leaves only those that carry it.
    """
    statement = select(Conversation, Member.first_name).outerjoin(Member, Member.id == Conversation.member_id)
    statement = statement.where(_in_folder(which, coordinator), access.access_conversations(coordinator))
    if (tagged := tags.carries(tag)) is not None:
        statement = statement.where(tagged)
    rank = _rank()
    newest_first = which in (Folder.RESOLVED, Folder.HELD)
    start = session.get(Conversation, after) if after else None
    moment, own = _moment(which, start)
    if start is not None:
        statement = statement.where(_behind(start, own, rank, moment, newest_first))
    order = (moment.desc(), Conversation.id.desc()) if newest_first else (moment.asc(), Conversation.id.asc())
    rows = session.execute(statement.order_by(rank, *order).limit(limit)).all()
    return _lines(session, [(conversation, name) for conversation, name in rows])


def search(session: Session, coordinator: Coordinator, words: str, limit: int = PAGE) -> list[Line]:
    """Conversations in any folder with whom `words` name: the beginning of a first name, a number, an address."""
    members = {m.id: m.first_name for m in card.find_members(session, coordinator, words, limit)}
    found = session.scalars(
        select(Conversation)
        .where(Conversation.member_id.in_(members), access.access_conversations(coordinator))
        .order_by(_rank(), func.coalesce(Conversation.last_in_at, Conversation.created_at).desc())
    )
    return _lines(session, [(c, members.get(c.member_id) if c.member_id else None) for c in found])


def _moment(which: Folder, start: Conversation | None) -> tuple[Any, datetime | None]:
    """What a folder is ordered by, and that of the conversation `start`."""
    if which == Folder.PROMISED:
        return Conversation.promise_at, start.promise_at if start else None
    if which in (Folder.RESOLVED, Folder.HELD):
        lately = (start.last_in_at or start.created_at) if start else None
        return func.coalesce(Conversation.last_in_at, Conversation.created_at), lately
    return Conversation.waiting_since, start.waiting_since if start else None


def _rank() -> ColumnElement[int]:
    tier = case((Conversation.risk == RiskTier.IMMINENT, 0), (Conversation.risk == RiskTier.CONCERN, 2), else_=4)
    return tier + case((promises.is_due(), 0), else_=1)


def _rank_of(conversation: Conversation) -> int:
    tier = {RiskTier.IMMINENT: 0, RiskTier.CONCERN: 2}.get(conversation.risk, 4) if conversation.risk else 4
    return tier + (0 if conversation.promise_at and conversation.promise_at <= clock.now() else 1)


def _behind(
    start: Conversation, own: datetime | None, rank: Any, moment: Any, newest_first: bool
) -> ColumnElement[bool]:
    own_rank = _rank_of(start)
    if own is None:
        return true()
    further: ColumnElement[bool] = moment < own if newest_first else moment > own
    same: ColumnElement[bool] = (moment == own) & (
        Conversation.id < start.id if newest_first else Conversation.id > start.id
    )
    behind: ColumnElement[bool] = (rank > own_rank) | ((rank == own_rank) & (further | same))
    return behind


def _lines(session: Session, found: Sequence[tuple[Conversation, str | None]]) -> list[Line]:
    ids = [conversation.id for conversation, _ in found]
    newest = (  # one step in the index for each conversation, however many messages it has
        select(Message.id)
        .where(Message.conversation_id == Conversation.id, Message.direction == Direction.IN)
        .order_by(Message.at.desc(), Message.id.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )
    last_ones = select(Message).where(Message.id.in_(select(newest).where(Conversation.id.in_(ids))))
    messages = {m.conversation_id: m for m in session.scalars(last_ones)}
    lines = []
    for conversation, name in found:
        last = messages.get(conversation.id)
        lines.append(
            Line(
                conversation,
                name or UNKNOWN.get(conversation.tags, "Unknown sender"),
                last.body[:140] if last else "",
                str(last.channel if last else conversation.channel),
                last.labels if last else {},
                conversation.last_in_at,
            )
        )
    return lines


def counts(session: Session, coordinator: Coordinator) -> dict[Folder, int]:
    """How many conversations are in each folder."""
    return {
        each: session.scalar(
            select(func.count())
            .select_from(Conversation)
            .where(_in_folder(each, coordinator), access.access_conversations(coordinator))
        )
        or 0
        for each in Folder
        if each != Folder.RESOLVED
    }
