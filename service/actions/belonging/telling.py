"""What a member is told about their places in circles, once each: you're in, you're in line, a person answers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from service import clock
from service.actions import gatherings, member_links, outbox
from service.actions.belonging import places, words
from service.models.campaigns import Purpose
from service.models.gatherings import AskFor, AskState, Circle
from service.models.members import ChannelName, Member, MemberState

NEW = timedelta(days=30)
"""A place older than this needs no welcome: it came by an import, or long before the member's first confirmation."""


def news(session: Session, member: Member, channel: ChannelName) -> Iterator[tuple[str, dict[str, Any]]]:
    """(template, context) of everything that this member has not been told yet; it counts as told from now on."""
    if member.state != MemberState.ACTIVE:
        return  # nothing before they have confirmed
    now = clock.now()
    belongs = places.of_member(session, member.id)
    for place in belongs.places:
        if place.welcomed_at is None and place.joined_at > now - NEW:
            place.welcomed_at = now
            yield "circle_welcome", about(session, member, place.circle, channel)
    for ask in belongs.asks:
        if ask.told_at is None and ask.state == AskState.WAITING:
            ask.told_at = now
            template = "circle_asked" if ask.waits_for == AskFor.WORD else "circle_waiting"
            yield template, about(session, member, ask.circle, channel)


def tell(session: Session, member: Member, channel: ChannelName) -> int:
    """Say all of it on this channel; how many messages that made."""
    said = 0
    for template, context in news(session, member, channel):
        outbox.say(session, member, template, channel, Purpose.ANSWER, context)
        said += 1
    return said


def about(session: Session, member: Member, circle: Circle, channel: ChannelName) -> dict[str, Any]:
    """What every text about a circle may speak of, as this member may hear it."""
    meeting = None if circle.on_hold else gatherings.next_session(session, circle)
    when = words.in_zone(meeting.starts_at, circle, member.time_zone, member.locale) if meeting else ""
    return {
        "circle": words.name_for(circle, member),
        "circle_word": "" if member.discreet else circle.keyword,
        "next_when": when,
        "circles_url": member_links.circles_url(member.id, channel),
    }
