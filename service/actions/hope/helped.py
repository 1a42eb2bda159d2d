"""Whether a story helped: one answer per story and member. Coordinators see counts, never below the privacy floor."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from service import clock
from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer
from service.actions.hope import reading
from service.actions.resonance.counting import FLOOR, rounded
from service.models.campaigns import Asks, Campaign, Delivery
from service.models.content import StoryRead
from service.models.members import Member

ANSWER_WITHIN = timedelta(days=14)
"""For so long HELPED counts for the last story."""


def meant(session: Session, incoming: Incoming, member: Member, card_at: datetime | None) -> StoryRead | None:
    """The story that HELPED is about: that of the mail, else the last one, if no tool card came after it."""
    arrived = incoming.arrived
    if arrived.answers_delivery or arrived.answers_campaign:
        return _of_mail(session, incoming, member)
    newest = reading.last(session, member.id)
    if newest is None or newest.at < clock.now() - ANSWER_WITHIN or (card_at is not None and card_at > newest.at):
        return None
    return newest


def _of_mail(session: Session, incoming: Incoming, member: Member) -> StoryRead | None:
    delivery = session.get(Delivery, incoming.arrived.answers_delivery) if incoming.arrived.answers_delivery else None
    campaign_id = incoming.arrived.answers_campaign or (delivery.campaign_id if delivery else None)
    if campaign_id is not None:
        story_id = session.scalar(select(Campaign.story_id).where(Campaign.id == campaign_id))
        return session.get(StoryRead, (story_id, member.id)) if story_id else None
    if delivery is None or delivery.message_id is None:
        return None
    read = select(StoryRead).where(StoryRead.member_id == member.id, StoryRead.message_id == delivery.message_id)
    return session.scalar(read)


def take(session: Session, incoming: Incoming, member: Member, read: StoryRead, yes: bool) -> str | None:
    """Keep the answer in place of an earlier one, and say so."""
    newest = incoming.asked[0] if incoming.asked else None
    if not yes and newest is not None and newest.asks == Asks.YES_NO and newest.at > read.at:
        return None  # "not really" may be about the invite
    data = {"story": str(read.story_id), "before": read.helped, "now": yes}
    read.helped, read.answered_at = yes, clock.now()
    undo.remember(session, member, incoming.message, "story_helped", data)
    answer(session, incoming, "story_noted", {"helped": yes})
    return "story helped" if yes else "story did not help"


def counts(session: Session, story_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """story → (how many it helped, how many answered): for `helped_words`, which keeps the floor."""
    rows: Any = session.execute(
        select(StoryRead.story_id, func.sum(cast(StoryRead.helped, Integer)), func.count(StoryRead.helped))
        .where(StoryRead.story_id.in_(story_ids), StoryRead.helped.is_not(None))
        .group_by(StoryRead.story_id)
    )
    return {story_id: (int(helped or 0), int(answers)) for story_id, helped, answers in rows}


def counted(yes: int, answers: int) -> str:
    """`it helped 10 or more, of about 15`: rounded down to fives, and nothing from which one voice could be told."""
    if answers < FLOOR:
        return f"said by fewer than {FLOOR}"
    if yes < FLOOR or answers - yes < FLOOR:
        return f"{rounded(answers)} or more answered"
    return f"it helped {rounded(yes)} or more, of about {rounded(answers)}"
