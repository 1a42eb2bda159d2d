"""What we said in one conversation lately: what a menu, a loop or a bare YES is judged against. Read once a message,
and not at all where nothing was said: most people answer a campaign, and its copies are no messages of a conversation.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.models.campaigns import Purpose
from service.models.conversations import Conversation, Direction, Message

LONGEST = timedelta(days=14)
MOST = 20
"""Messages that are looked at; of more than that only the newest count here."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message of ours, without its words."""

    at: datetime
    template: str | None
    purpose: Purpose | None
    coordinator_id: UUID | None
    automatic: bool


class Lately:
    """Our newest messages in a conversation, read when somebody asks."""

    def __init__(self, session: Session, conversation: Conversation) -> None:
        self._session, self._conversation = session, conversation
        self._lines: list[Line] | None = None

    def lines(self, within: timedelta = LONGEST) -> list[Line]:
        """The messages of that time, newest first; MOST at most."""
        since = clock.now() - within
        if self._lines is None:
            last = self._conversation.last_out_at
            if last is None or last <= since:
                return []
            self._lines = self._read()
        return [line for line in self._lines if line.at > since]

    def add(self, message: Message) -> None:
        """We have just said this."""
        if self._lines is not None:
            self._lines.insert(0, _line_of(message))

    def by_people(self) -> list[tuple[datetime, str]]:
        """The last two messages that a person wrote, with their words."""
        lines = self.lines()
        if len(lines) < MOST and all(line.automatic for line in lines):
            return []
        newest = (
            select(Message.at, Message.body)
            .where(*self._ours(), Message.automatic.is_(False))
            .order_by(Message.at.desc())
            .limit(2)
        )
        return [(at, body) for at, body in self._session.execute(newest)]

    def _read(self) -> list[Line]:
        newest = (
            select(Message.at, Message.template, Message.purpose, Message.coordinator_id, Message.automatic)
            .where(*self._ours())
            .order_by(Message.at.desc(), Message.id.desc())
            .limit(MOST)
        )
        return [Line(*row) for row in self._session.execute(newest)]

    def _ours(self) -> tuple[Any, ...]:
        return (
            Message.conversation_id == self._conversation.id,
            Message.direction == Direction.OUT,
            Message.at > clock.now() - LONGEST,
        )


def _line_of(message: Message) -> Line:
    return Line(message.at, message.template, message.purpose, message.coordinator_id, message.automatic)
