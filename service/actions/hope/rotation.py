"""Stories in rotation: each time every member gets the next story, in their language, that they have never had.

One occurrence is as many ordinary campaigns as there are stories that somebody should get: few, for most members are at
the same place. Who gets which is chosen in the database when a campaign is frozen: the first story of the order that a
member has not had, about nothing that they left out, on a channel that they have. Nobody gets two of one occurrence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, not_, select
from sqlalchemy.orm import Session, aliased

from service.actions.hope import choosing
from service.models.campaigns import Campaign, Delivery
from service.models.content import Story, StoryRead
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    Subscription,
    SubscriptionState,
    Suppression,
    Topic,
)

LOOKED_AT = 200
"""Stories of a language that are looked at, the oldest first."""


@dataclass(frozen=True)
class Place:
    """Where a campaign stands in its occurrence. `earlier`: the stories before its own, by the channels they have."""

    rhythm_id: UUID
    occurs_on: date
    story_id: UUID
    earlier: tuple[tuple[tuple[ChannelName, ...], tuple[UUID, ...]], ...] = ()

    def spec(self) -> dict[str, Any]:
        """What the campaign keeps of it in its audience."""
        return {
            "rhythm": str(self.rhythm_id),
            "day": self.occurs_on.isoformat(),
            "earlier": [[list(channels), [str(i) for i in ids]] for channels, ids in self.earlier],
        }


def read_spec(spec: dict[str, Any] | None, story_id: UUID | None) -> Place | None:
    """The place that a campaign's audience keeps; None where it is of no rotation."""
    if not spec or story_id is None:
        return None
    earlier = tuple((tuple(ChannelName(c) for c in cs), tuple(UUID(i) for i in ids)) for cs, ids in spec["earlier"])
    return Place(UUID(spec["rhythm"]), date.fromisoformat(spec["day"]), story_id, earlier)


def order(session: Session, channels: Sequence[ChannelName], today: date) -> dict[str, list[Story]]:
    """language → the stories that may go round on one of these channels, the next first."""
    found: dict[str, list[Story]] = {}
    stories = choosing.in_order(select(Story).where(*choosing.sendable(today))).limit(LOOKED_AT)
    for story in session.scalars(stories):
        if channels_of(story, channels):
            found.setdefault(story.language, []).append(story)
    return found


def channels_of(story: Story, channels: Sequence[ChannelName]) -> tuple[ChannelName, ...]:
    """Those of the channels for which the author agreed."""
    agreed = {ChannelName.SMS: story.consent_sms, ChannelName.EMAIL: story.consent_email}
    return tuple(channel for channel in channels if agreed[channel])


def place(rhythm_id: UUID, day: date, channels: Sequence[ChannelName], before: Sequence[Story], story: Story) -> Place:
    """The place of a story behind those before it."""
    groups: dict[tuple[ChannelName, ...], list[UUID]] = {}
    for earlier in before:
        groups.setdefault(channels_of(earlier, channels), []).append(earlier.id)
    return Place(rhythm_id, day, story.id, tuple((cs, tuple(ids)) for cs, ids in groups.items()))


def gets(member: Any, at: Place, all_channels: Sequence[ChannelName]) -> ColumnElement[bool]:
    """SQL: whether this story is the member's next one of this occurrence."""
    clauses = [not_(_has_another(member, at))]
    for channels, ids in at.earlier:
        waits = _waits_for_one(member, ids)
        if set(channels) != set(all_channels):
            waits = and_(waits, _reachable(member, channels))
        clauses.append(not_(waits))
    return and_(*clauses)


def _has_another(member: Any, at: Place) -> ColumnElement[bool]:
    """Whether the member is down for another story of the same occurrence."""
    return exists().where(
        Delivery.member_id == member.id,
        Delivery.campaign_id == Campaign.id,
        Campaign.rhythm_id == at.rhythm_id,
        Campaign.occurs_on == at.occurs_on,
        Campaign.story_id != at.story_id,
    )


def _waits_for_one(member: Any, ids: Sequence[UUID]) -> ColumnElement[bool]:
    """Whether one of these stories comes before: not had yet, and about nothing that the member left out."""
    earlier = aliased(Story)
    had = exists().where(StoryRead.story_id == earlier.id, StoryRead.member_id == member.id)
    had = had.correlate_except(StoryRead)
    return (
        select(earlier.id)
        .where(earlier.id.in_(ids), not_(had), not_(choosing.left_out(member.id, earlier)))
        .correlate(member)
        .exists()
    )


def _reachable(member: Any, channels: Sequence[ChannelName]) -> ColumnElement[bool]:
    """Whether the member gets stories on one of these channels at all."""
    address, subscription = aliased(Address), aliased(Subscription)
    stopped = exists().where(Suppression.channel == address.channel, Suppression.index_hash == address.index_hash)
    return (
        select(address.id)
        .join(subscription, and_(subscription.member_id == address.member_id, subscription.channel == address.channel))
        .where(
            address.member_id == member.id,
            address.channel.in_(channels),
            address.state == AddressState.OK,
            address.verified_at.is_not(None),
            subscription.topic == Topic.STORIES,
            subscription.state == SubscriptionState.ACTIVE,
            not_(stopped),
        )
        .correlate(member)
        .exists()
    )
