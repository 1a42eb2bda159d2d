"""Notes, steps, sentences, feelings: kept once their author has said PASS, decided by a person, taken back any time."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import story_checks
from service.actions.belonging import places
from service.actions.giving import carried
from service.errors import NotFound
from service.models.content import Prompt
from service.models.giving import Gift, GiftState, Giving
from service.models.members import ChannelName, Member, MemberState

OPEN = (GiftState.REVIEW, GiftState.ASKED)
"""Where a person still has to decide."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Words that their author has just handed on."""

    giving: Giving
    member: Member
    channel: ChannelName
    words: str = field(repr=False)
    circle_id: UUID | None = None
    named: bool = False
    by_message: bool = False
    """Whether it came by text or mail, where a question can go with the answer."""
    remember: dict[str, Any] = field(default_factory=dict)
    """What OOPS needs to take it back; filled by whoever takes the words over."""


def hand_over(session: Session, passed: Passed) -> dict[str, Any]:
    """Put words before a person as a gift. They belong to the author's circle, if that is only one."""
    gift = keep(session, passed)
    passed.remember["gift"] = str(gift.id)
    return {}


def keep(session: Session, passed: Passed) -> Gift:
    """The gift that these words are from now on, waiting for a person."""
    gift = Gift(
        id=db.uuid7(),
        kind=passed.giving,
        member_id=passed.member.id,
        circle_id=passed.circle_id or _only_circle(session, passed.member),
        language=passed.member.language,
        channel=passed.channel,
        original=passed.words,
        body=passed.words,
        named=passed.named,
        mentions_self_harm=story_checks.mentions_self_harm(passed.words),
        passed_at=clock.now(),
    )
    session.add(gift)
    session.flush()
    return gift


def _only_circle(session: Session, member: Member) -> UUID | None:
    mine = places.of_member(session, member.id).places
    return mine[0].circle_id if len(mine) == 1 else None


def get(session: Session, gift_id: UUID) -> Gift:
    """The gift. Raises NotFound."""
    gift = session.get(Gift, gift_id)
    if gift is None:
        raise NotFound("There is nothing here any more. Its author may have taken it back.")
    return gift


def take_back(session: Session, gift: Gift) -> None:
    """By its author, at any time: its words go, and nothing more of it is carried."""
    gift.state, gift.decided_at = GiftState.TAKEN_BACK, clock.now()
    gift.original = gift.body = ""
    session.execute(delete(Prompt).where(Prompt.gift_id == gift.id))
    gift.question = None
    session.flush()
    carried.stop(session, [gift.id])


def usable() -> ColumnElement[bool]:
    """SQL over `Gift`: approved, and its author is here and under no flag (rule of conversation 6)."""
    here = exists().where(Member.id == Gift.member_id, Member.state == MemberState.ACTIVE, Member.held_at.is_(None))
    return and_(Gift.state == GiftState.APPROVED, here.correlate(Gift))


def last_of(session: Session, member_id: UUID, giving: Giving) -> Gift | None:
    """The newest gift of a kind that its author has not taken back."""
    mine = select(Gift).where(Gift.member_id == member_id, Gift.kind == giving, Gift.state != GiftState.TAKEN_BACK)
    return session.scalar(mine.order_by(Gift.passed_at.desc()).limit(1))


def names_somebody(words: str) -> bool:
    """Whether a number, an address or the like stands in the words: it is left out before anybody else reads them."""
    return any(finding.kind == "personal" for finding in story_checks.findings(words))
