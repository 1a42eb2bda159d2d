"""Something for others, written on a member's signed page and passed on with a tick: the same as PASS by text.

Everything that was sent is stored and judged first, also what is too long or is not passed on.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions.belonging import places
from service.actions.conversations import duty, on_page
from service.actions.conversations.on_page import Heard
from service.actions.giving import gifts, writing
from service.actions.giving.deciding import WEEKLY
from service.actions.giving.gifts import Passed
from service.actions.giving.kinds import KINDS
from service.actions.giving.wishes import Opening
from service.actions.leaving import existing
from service.db import reading, transaction
from service.errors import Invalid, NotFound
from service.models.conversations import Conversation, Direction, Message
from service.models.giving import Gift, GiftState, Giving, Writing
from service.models.members import ChannelName, Member

KEPT = (GiftState.REVIEW, GiftState.ASKED, GiftState.APPROVED)
MOST = 5
"""So many of those that were passed on before are shown, the newest first."""
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


@dataclass(frozen=True)
class Around:
    """Beside the form: circles to choose from, and what was passed on before, without its words."""

    circles: list[tuple[UUID, str]]
    mine: list[Gift]
    may_name: bool
    """Whether their first name may go with it."""
    room: Opening
    """Whether one more can be handed on now, or from when."""
    kept: bool
    """Whether something of this kind is written and waits for PASS."""


def around(member_id: UUID, giving: Giving) -> Around:
    """Circles only where there is a choice, and none are named to those who may be overlooked."""
    with reading() as session:
        member = existing(session, member_id)
        mine = (
            select(Gift)
            .where(Gift.member_id == member.id, Gift.kind == giving, Gift.state.in_(KEPT))
            .order_by(Gift.passed_at.desc(), Gift.id)
            .limit(MOST)
        )
        found = places.of_member(session, member.id).places if giving in WEEKLY and not member.discreet else []
        circles = [(place.circle_id, place.circle.name) for place in found] if len(found) > 1 else []
        open_ = session.get(Writing, member.id)
        return Around(
            circles, list(session.scalars(mine)), writing.may_be_named(giving, member),
            KINDS[giving].room(session, member),
            open_ is not None and open_.kind == giving and open_.pieces > 0 and writing.still_open(open_),
        )  # fmt: skip


def take_back(member_id: UUID, gift_id: UUID) -> None:
    """Take back what one passed on, at any time; nothing more of it is carried. Raises NotFound."""
    with transaction() as session:
        gift = gifts.get(session, gift_id)
        if gift.member_id != member_id:
            raise NotFound("There is nothing here any more.")
        gifts.take_back(session, gift)


def give(
    member_id: UUID, channel: ChannelName, giving: Giving, words: str, *, passed: bool, named: bool = False,
    circle_id: UUID | None = None,
) -> Given:  # fmt: skip
    """Take what a member wrote for others; with `passed` it goes before a person.

    `circle_id` is the one of their circles whose week it may be in; it counts for nothing if they are not in it.
    Raises Invalid where nothing was written, NotFound, and Conflict for somebody who has left.
    """
    words = words.replace("\r\n", "\n").strip()
    if not words:
        raise Invalid("Write a few words first.", field="words")
    with transaction() as session:
        member = existing(session, member_id)
        if passed and _just_passed(session, member, giving, words):
            return Given(Heard.KEPT, passed=True)
        written = on_page.take(session, member, channel, words, telling=True)
        when = duty.when_words(session, member)
        if written.heard in (Heard.RISK, Heard.PERSON):
            writing.keep_draft(session, member, channel, giving, words)
        if written.heard != Heard.KEPT:
            return Given(written.heard, when=when)
        most = KINDS[giving].longest
        if len(words) > most:
            return Given(Heard.KEPT, wrong="Please make it a little shorter.", field="words")
        if KINDS[giving].room(session, member).refused:
            writing.keep_draft(session, member, channel, giving, words)
            return Given(Heard.KEPT, wrong="There is room for your next one soon. Your words are kept here.")
        if not passed:
            writing.keep_draft(session, member, channel, giving, words)
            return Given(Heard.KEPT, wrong="Nobody gets it before you tick this.", field="pass")
        KINDS[giving].begins(session, member)
        own = {place.circle_id for place in places.of_member(session, member.id).places} if circle_id else set()
        chosen = circle_id if circle_id in own and giving in WEEKLY else None
        writing.hand_on(session, Passed(giving, member, channel, words, chosen, named), written.message)
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
