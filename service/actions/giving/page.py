"""Something for others, written on a member's signed page and passed on with a tick: the same as PASS by text.

Everything that was sent is stored and judged first, also what is too long or is not passed on.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions.conversations import duty, on_page
from service.actions.conversations.on_page import Heard
from service.actions.giving import writing
from service.actions.giving.gifts import Passed
from service.actions.giving.kinds import KINDS
from service.actions.leaving import existing
from service.db import transaction
from service.errors import Invalid
from service.models.conversations import Conversation, Direction, Message
from service.models.giving import Giving
from service.models.members import ChannelName, Member

TWICE = timedelta(minutes=30)
"""The same words within this time are one tap too many, not a second gift."""


@dataclass(frozen=True)
class Given:
    """What became of it. `wrong` says what keeps it from being passed on, and `field` where."""

    heard: Heard
    passed: bool = False
    when: str = ""
    wrong: str = ""
    field: str = ""


def give(
    member_id: UUID, channel: ChannelName, giving: Giving, words: str, *, passed: bool, named: bool = False
) -> Given:
    """Take what a member wrote for others; with `passed` it goes before a person.

    Raises Invalid where nothing was written, NotFound, and Conflict for somebody who has left.
    """
    words = words.replace("\r\n", "\n").strip()
    if not words:
        raise Invalid("Write a few words first.", field="words")
    with transaction() as session:
        member = existing(session, member_id)
        if passed and _just_passed(session, member, giving, words):
            return Given(Heard.KEPT, passed=True)
        written = on_page.take(session, member, channel, words)
        when = duty.when_words(session, member)
        if written.heard in (Heard.RISK, Heard.PERSON):
            writing.keep_draft(session, member, channel, giving, words)
        if written.heard != Heard.KEPT:
            return Given(written.heard, when=when)
        most = KINDS[giving].longest
        if len(words) > most:
            return Given(Heard.KEPT, wrong="Please make it a little shorter.", field="words")
        if not passed:
            writing.keep_draft(session, member, channel, giving, words)
            return Given(Heard.KEPT, wrong="Nobody gets it before you tick this.", field="pass")
        writing.hand_on(session, Passed(giving, member, channel, words, named=named), written.message)
        writing.forget(session, member)
        written.message.labels = written.message.labels | {"did": _did(giving)}
        return Given(Heard.KEPT, passed=True, when=when)


def _did(giving: Giving) -> str:
    return f"keyword PASS {giving}"


def _just_passed(session: Session, member: Member, giving: Giving, words: str) -> bool:
    thread = select(Conversation.id).where(Conversation.member_id == member.id).scalar_subquery()
    mine = select(Message).where(Message.conversation_id == thread, Message.direction == Direction.IN)
    last = session.scalar(mine.order_by(Message.at.desc(), Message.id.desc()).limit(1))
    if last is None or last.at < clock.now() - TWICE:
        return False
    return last.labels.get("did") == _did(giving) and last.body == words
