"""What we said in one conversation lately: what a menu, a loop or a bare YES is judged against. Read once for a batch
of messages, and not at all where nothing was said: a campaign's copies are no messages of a conversation.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import clock
from service.models.campaigns import Purpose
from service.models.conversations import Conversation, Direction, Message

LONGEST = timedelta(days=14)
MOST = 20
"""Messages that are looked at; of more than that only the newest count here."""
ROUNDS = 3
"""Answers in an hour after which somebody has to look whether they lead anywhere (`loops`)."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One message of ours, without its words."""

    at: datetime
    template: str | None
    purpose: Purpose | None
    coordinator_id: UUID | None
    automatic: bool


class Lately:
    """Our newest messages in a conversation, and what we say in it from now on."""

    def __init__(
        self, session: Session, conversation: Conversation, lines: Sequence[Line], heard: Sequence[str] | None = None
    ) -> None:
        self._session, self._conversation = session, conversation
        self._lines, self._heard = list(lines), heard

    def lines(self, within: timedelta = LONGEST) -> list[Line]:
        """The messages of that time, newest first; MOST at most."""
        since = clock.now() - within
        return [line for line in self._lines if line.at > since]

    def add(self, message: Message) -> None:
        """We have just said this."""
        self._lines.insert(0, _line_of(message))

    def said(self, within: timedelta, *templates: str) -> bool:
        """Whether one of these texts of ours was said in that time."""
        lines = self.lines(within)
        if any(line.template in templates for line in lines):
            return True
        if len(lines) < MOST:
            return False
        earlier = select(Message.id).where(*_ours([self._conversation.id], within), Message.template.in_(templates))
        return self._session.scalar(earlier.limit(1)) is not None

    def heard(self, besides: UUID) -> Sequence[str]:
        """The words of the last ROUNDS messages that came in it within the hour, without the message `besides`."""
        if self._heard is None:
            self._heard = [body for _, body in self._session.execute(_heard([self._conversation.id], besides))]
        return self._heard

    def by_people(self) -> list[tuple[datetime, str]]:
        """The last two messages that a person wrote, with their words."""
        lines = self.lines()
        if len(lines) < MOST and all(line.automatic for line in lines):
            return []
        newest = (
            select(Message.at, Message.body)
            .where(*_ours([self._conversation.id]), Message.automatic.is_(False))
            .order_by(Message.at.desc())
            .limit(2)
        )
        return [(at, body) for at, body in self._session.execute(newest)]


def read(session: Session, conversations: Sequence[Conversation]) -> list[Lately]:
    """What was said lately in each of these conversations, in their order."""
    since = clock.now() - LONGEST
    ids = [c.id for c in conversations if c.last_out_at is not None and c.last_out_at > since]
    found: dict[UUID | None, list[Line]] = defaultdict(list)
    for conversation_id, *line in session.execute(_newest(ids)) if ids else ():
        found[conversation_id].append(Line(*line))
    heard = _heard_where_much_is_said(session, found)
    return [Lately(session, c, found[c.id], heard.get(c.id)) for c in conversations]


def _heard_where_much_is_said(
    session: Session, found: Mapping[UUID | None, Sequence[Line]]
) -> dict[UUID | None, list[str]]:
    """Where ROUNDS automatic answers were given within the hour, what came before: all of it in one question."""
    since = clock.now() - HOUR
    often = [
        id_
        for id_, lines in found.items()
        if id_ is not None and sum(line.automatic and line.at > since for line in lines) >= ROUNDS
    ]
    heard: dict[UUID | None, list[str]] = {id_: [] for id_ in often}
    for conversation_id, body in session.execute(_heard(often)) if often else ():
        heard[conversation_id].append(body)
    return heard


def _newest(ids: Sequence[UUID]) -> Any:
    """SQL: our MOST newest messages in each of these conversations, newest first."""
    order = (Message.at.desc(), Message.id.desc())
    place = func.row_number().over(partition_by=Message.conversation_id, order_by=order)
    ours = select(Message.id, place.label("place")).where(*_ours(ids)).subquery()
    return (
        select(
            Message.conversation_id,
            Message.at,
            Message.template,
            Message.purpose,
            Message.coordinator_id,
            Message.automatic,
        )
        .join(ours, ours.c.id == Message.id)
        .where(ours.c.place <= MOST)
        .order_by(*order)
    )


def _heard(ids: Sequence[UUID], besides: UUID | None = None) -> Any:
    """SQL: the ROUNDS newest messages that came in each of these conversations within the hour, newest first."""
    order = (Message.at.desc(), Message.id.desc())
    place = func.row_number().over(partition_by=Message.conversation_id, order_by=order)
    came = select(Message.id, place.label("place")).where(
        Message.conversation_id.in_(ids), Message.direction == Direction.IN, Message.at > clock.now() - HOUR
    )
    if besides is not None:
        came = came.where(Message.id != besides)
    newest = came.subquery()
    return (
        select(Message.conversation_id, Message.body)
        .join(newest, newest.c.id == Message.id)
        .where(newest.c.place <= ROUNDS)
        .order_by(*order)
    )


def _ours(ids: Sequence[UUID], within: timedelta = LONGEST) -> tuple[Any, ...]:
    return (
        Message.conversation_id.in_(ids),
        Message.direction == Direction.OUT,
        Message.at > clock.now() - within,
    )


def _line_of(message: Message) -> Line:
    return Line(message.at, message.template, message.purpose, message.coordinator_id, message.automatic)
