"""READ: one story now, never had before. Asked for, so it also comes in the weeks after a loss (rule of conversation
12); under a flag a person is in the conversation first, and this is not reached.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions.conversations.saying import Incoming, answer
from service.actions.hope import choosing
from service.models.content import Attribution, Story, StoryRead
from service.models.conversations import Message
from service.models.members import ChannelName, Member


def one(session: Session, incoming: Incoming, member: Member) -> str:
    """Send the next story for this member on the channel that they wrote on; what it did."""
    channel = incoming.arrived.channel
    story = choosing.next_for(session, member, channel)
    if story is None:
        answer(session, incoming, "story_no_more")
        return "READ, none left"
    quiet = member.discreet
    facts = {
        "story_title": "" if quiet else story.title,
        "story_about": "" if quiet else story.about,
        "story_body": story.body_sms if channel == ChannelName.SMS else story.body_email,
        "story_by": "" if quiet or story.attribution == Attribution.ANONYMOUS else story.author_name,
        "me_too": story.me_too_allowed,
    }
    before = clock.now()
    answer(session, incoming, "story_card", facts)
    carried = select(Message.id).where(
        Message.conversation_id == incoming.conversation.id, Message.template == "story_card", Message.at >= before
    )
    message_id = session.scalar(carried.order_by(Message.at.desc(), Message.id.desc()).limit(1))
    if message_id is not None:  # a loop that was noticed got no answer
        session.add(StoryRead(story_id=story.id, member_id=member.id, at=clock.now(), message_id=message_id))
        session.flush()
    return "story sent"


def last(session: Session, member_id: UUID) -> StoryRead | None:
    """The newest story that a member has had from us, other than their own."""
    had = (
        select(StoryRead)
        .join(Story, Story.id == StoryRead.story_id)
        .where(StoryRead.member_id == member_id, Story.author_id.is_distinct_from(member_id))
        .order_by(StoryRead.at.desc(), StoryRead.message_id.desc())
    )
    return session.scalar(had.limit(1))
