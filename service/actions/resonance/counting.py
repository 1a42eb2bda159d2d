"""How many said ME TOO, told so that no number gives anybody away (docs/decisions/0016-counting-me-too.md).

Nothing below the floor, and then only fives. What was told once never goes down, whoever takes an answer back or is
erased; each reader hears one number for each thing, however often they ask; and the number is never counted by circle,
channel or campaign. Where a thing went to a circle only, a third of it always stays out of the number: "5 others" among
six people would name them all.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from service.models.campaigns import Campaign, CampaignKind
from service.models.content import Prompt, Resonance, Story
from service.models.giving import Gift
from service.models.members import Member

FLOOR = 5
"""No count of fellow feelers below this (rule of conversation 12)."""
STEPS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""When an author hears of it."""
LIVE = Resonance.taken_back_at.is_(None)

ASKING = (CampaignKind.STORY, CampaignKind.PROMPT)

Thing = Story | Prompt
"""What can be answered with ME TOO."""


def rounded(count: int) -> int:
    """A count that may be told: none below the floor, and rounded down to fives."""
    return 0 if count < FLOOR else count - count % FLOOR


def step(count: int) -> int:
    """The last step that a count has reached; 0 before the first."""
    return max((s for s in STEPS if s <= count), default=0)


def answers(thing: Thing) -> ColumnElement[bool]:
    """SQL: the ME TOOs to this."""
    return Resonance.story_id == thing.id if isinstance(thing, Story) else Resonance.prompt_id == thing.id


def author_of(session: Session, thing: Thing) -> UUID | None:
    """Whose words they are; None for a coordinator's, or where the author is gone."""
    if isinstance(thing, Story):
        return thing.author_id
    gift = session.get(Gift, thing.gift_id) if thing.gift_id else None
    return gift.member_id if gift else None


def record(session: Session, thing: Thing, member: Member, message_id: UUID | None, at: datetime) -> Resonance:
    """Keep a ME TOO, once for each member, with the number that they are told: `told`, 0 for none."""
    session.refresh(thing, with_for_update=True)  # two answers at one moment are counted one after the other
    known = session.scalar(select(Resonance).where(answers(thing), Resonance.member_id == member.id))
    if known is not None:
        if known.taken_back_at is not None:
            known.taken_back_at, known.message_id, known.at = None, message_id, at
        return known
    author = author_of(session, thing)
    told = 0 if member.id == author else _tell(session, thing, member.id, author)
    made = Resonance(
        story_id=thing.id if isinstance(thing, Story) else None,
        prompt_id=thing.id if isinstance(thing, Prompt) else None,
        member_id=member.id, message_id=message_id, at=at, told=told,
    )  # fmt: skip
    session.add(made)
    thing.felt_at = at
    session.flush()
    return made


def _tell(session: Session, thing: Thing, member_id: UUID, author: UUID | None) -> int:
    others = count(session, thing, besides=[i for i in (member_id, author) if i])
    thing.felt_shown = max(thing.felt_shown, within(session, thing, rounded(others)))
    return thing.felt_shown


def count(session: Session, thing: Thing, besides: list[UUID]) -> int:
    """How many have said ME TOO and not taken it back, without these."""
    found = select(func.count()).select_from(Resonance).where(answers(thing), LIVE)
    return session.scalar(found.where(Resonance.member_id.not_in(besides)) if besides else found) or 0


def within(session: Session, thing: Thing, number: int) -> int:
    """The number, or as much of it as may be told where the thing went to a part of us only: two thirds of the others.

    A part is a circle, and for a prompt, which nobody comes upon in any other way, those of one language.
    """
    carried = Campaign.story_id == thing.id if isinstance(thing, Story) else Campaign.prompt_id == thing.id
    rows = session.execute(
        select(Campaign.circle_id, Campaign.audience, Campaign.audience_size).where(
            carried, Campaign.kind.in_(ASKING), Campaign.frozen_at.is_not(None), Campaign.started_at.is_not(None)
        )
    ).all()
    parts = isinstance(thing, Prompt)
    if not rows or any(circle is None and not (parts and spec.get("languages")) for circle, spec, _ in rows):
        return number
    others = sum(size or 0 for _, _, size in rows) - 1
    return min(number, rounded(max(others, 0) * 2 // 3))
