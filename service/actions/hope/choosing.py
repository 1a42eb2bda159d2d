"""Which story a member may get next: published, in their language, agreed to for the channel, about nothing that they
left out, and never one that they have had, or told themselves.
"""

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, literal, or_, select
from sqlalchemy.orm import Session

from service import clock
from service.models.content import Story, StoryRead, StoryState, TopicLeftOut
from service.models.members import ChannelName, Member

CONSENT = {ChannelName.SMS: Story.consent_sms, ChannelName.EMAIL: Story.consent_email}


def sendable(today: date, channel: ChannelName | None = None) -> list[ColumnElement[bool]]:
    """SQL over Story: published, agreed to (on a channel), and the consent has not ended."""
    agreed = CONSENT[channel].is_(True) if channel else or_(Story.consent_sms, Story.consent_email)
    return [
        Story.state == StoryState.PUBLISHED,
        or_(Story.consent_until.is_(None), Story.consent_until >= today),
        agreed,
    ]


def left_out(member_id: Any, story: Any = Story) -> ColumnElement[bool]:
    """SQL: whether the member wants no stories about one of this one's topics."""
    listed = literal(",") + story.topics + literal(",")
    out = exists().where(
        TopicLeftOut.member_id == member_id,
        listed.like(literal("%,") + TopicLeftOut.topic + literal(",%")),
    )
    return out.correlate_except(TopicLeftOut)  # the member may stand two queries further out


def in_order(statement: Select[Any]) -> Select[Any]:
    """The order in which stories come round: the one that was published first comes first."""
    return statement.order_by(Story.published_at, Story.id)


def next_for(session: Session, member: Member, channel: ChannelName) -> Story | None:
    """The next story for one member on a channel, or None."""
    read = exists().where(StoryRead.story_id == Story.id, StoryRead.member_id == member.id)
    fits = select(Story).where(
        *sendable(clock.now().date(), channel),
        Story.language == member.language,
        or_(Story.author_id.is_(None), Story.author_id != member.id),
        ~read,
        ~left_out(member.id),
    )
    return session.scalars(in_order(fits).limit(1)).first()
