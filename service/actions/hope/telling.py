"""What an author hears of their story: that it is published, once; or a kind no."""

from sqlalchemy.orm import Session

from service import clock
from service.actions import consent, outbox
from service.actions.conversations import replying
from service.errors import Invalid
from service.models.campaigns import Purpose
from service.models.content import Story
from service.models.members import ChannelName, Member, MemberState
from service.models.staff import Coordinator

KIND_WORDS = ("declined_kept", "declined_later", "declined_heard")
"""Our kind wordings for a no (templates/sms); none of them names a fault."""


def reach(session: Session, author: Member) -> list[ChannelName]:
    """The channels on which the author can be written to, the one that they used last first."""
    if author.state != MemberState.ACTIVE:
        return []
    last = outbox.conversation_of(session, author, ChannelName.SMS).channel
    found = []
    for channel in sorted(ChannelName, key=lambda c: c != last):
        address = author.address(channel)
        if address is not None and address.verified_at and not consent.suppressed(session, channel, address.value):
            found.append(channel)
    return found


def thank(session: Session, story: Story) -> None:
    """Tell the author once that their story is published. Nothing to whoever has stopped, or is under a flag."""
    author = session.get(Member, story.author_id) if story.author_id else None
    if author is None or author.held_at is not None or story.thanked_at is not None:
        return
    for channel in reach(session, author)[:1]:
        outbox.say(session, author, "story_published", channel, Purpose.ANSWER)
        story.thanked_at = clock.now()


def kind_no(session: Session, story: Story, words: str) -> bool:
    """Say one of our kind wordings to the author; whether they could be written to. Raises Invalid for other words."""
    if words not in KIND_WORDS:
        raise Invalid("Choose one of the answers.", field="words")
    author = session.get(Member, story.author_id) if story.author_id else None
    if author is None or not (channels := reach(session, author)):
        return False
    name = "historia" if author.language == "es" else "story"
    outbox.say(session, author, words, channels[0], Purpose.REPLY, {"kind": name})
    return True


def own_no(session: Session, story: Story, coordinator: Coordinator, words: str) -> bool:
    """Send a coordinator's own words to the author; whether they could be written to."""
    author = session.get(Member, story.author_id) if story.author_id else None
    if author is None or not (channels := reach(session, author)):
        return False
    thread = outbox.conversation_of(session, author, channels[0])
    replying.send(session, thread, coordinator, channels[0], words)
    return True
