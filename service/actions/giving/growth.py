"""Growth notes, small steps and how somebody said it, as they go on: into which circle's week, and the word to their
author that they are in.
"""

from sqlalchemy.orm import Session

from service.actions import consent, outbox
from service.models.campaigns import Purpose
from service.models.giving import Gift
from service.models.members import ChannelName, Member, MemberState


def tell_author(session: Session, gift: Gift) -> None:
    """Say once to its author that it is in. Nothing to whoever has stopped, or is under a flag."""
    author = session.get(Member, gift.member_id)
    if author is None or author.state != MemberState.ACTIVE or author.held_at is not None:
        return
    for channel in sorted(ChannelName, key=lambda c: c != gift.channel):
        address = author.address(channel)
        if address is not None and not consent.suppressed(session, channel, address.value):
            outbox.say(session, author, "gift_in", channel, Purpose.ANSWER)
            return
