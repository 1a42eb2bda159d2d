"""May this member be contacted at this address, about this: as a reason (`refusal`, `standing`) for counting and for
the claim, and as conditions (`may`) for choosing. Both say the same.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, false, func, literal, not_, or_
from sqlalchemy.orm import aliased

from service import clock
from service.actions.audience.described import Audience
from service.actions.hope import choosing
from service.actions.hope import rotation as turns
from service.models.content import Story, StoryRead
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    MemberState,
    Subscription,
    SubscriptionState,
    Suppression,
)


def refusal(
    member: Any, address: Any, subscription: Any, topic_needed: ColumnElement[bool] | bool = True
) -> ColumnElement[str | None]:
    """SQL: why this member may not be contacted at this address about this topic, or NULL when they may.

    The three are (aliases of) Member, Address and Subscription, outer-joined where they may be missing.
    """
    no_topic = and_(
        literal(topic_needed) if isinstance(topic_needed, bool) else topic_needed,
        or_(subscription.id.is_(None), subscription.state == SubscriptionState.STOPPED),
    )
    return case(
        (member.state == MemberState.DIED, "died"),
        (member.state.in_([MemberState.LEFT, MemberState.ERASED]), "left"),
        (address.id.is_(None), "no_address"),
        (suppressed(address), "suppressed"),
        (address.state == AddressState.SILENT, "silent"),
        (address.state != AddressState.OK, "unreachable"),
        (or_(member.state == MemberState.PENDING, address.verified_at.is_(None)), "not_confirmed"),
        (no_topic, "topic_off"),
        (subscription.state == SubscriptionState.PENDING, "not_confirmed"),
        else_=None,
    )


def suppressed(address: Any) -> ColumnElement[bool]:
    return exists().where(Suppression.channel == address.channel, Suppression.index_hash == address.index_hash)


def may(member: Any, address: Any, subscription: Any, audience: Audience) -> ColumnElement[bool]:
    """SQL: whether `standing` has nothing against it; the same rules, as conditions that an index and a planner like.

    Never NULL: where there is no address, the first is false.
    """
    now = clock.now()
    conditions = [
        address.id.is_not(None),
        address.state == AddressState.OK,
        address.verified_at.is_not(None),
        not_(suppressed(address)),
        member.state == MemberState.ACTIVE,
        member.held_at.is_(None),
        or_(member.paused_until.is_(None), member.paused_until <= now),
    ]
    if audience.topic is not None:
        over = and_(subscription.state == SubscriptionState.PAUSED, subscription.paused_until <= now)
        active = or_(subscription.state == SubscriptionState.ACTIVE, over)
        conditions.append(and_(subscription.id.is_not(None), func.coalesce(active, false())))
    if audience.story_id is not None:
        conditions.append(not_(_already_read(member, audience)))
        conditions.append(not_(_topic_left_out(member, audience)))
    if audience.rotation is not None:
        conditions.append(turns.gets(member, audience.rotation, audience.rotation_channels))
    return and_(*conditions)


def standing(member: Any, channel: ChannelName, audience: Audience) -> tuple[Any, Any, ColumnElement[str | None]]:
    """(address, subscription, why not) of one channel, for outer joins onto `member`."""
    address, subscription = aliased(Address), aliased(Subscription)
    reason = refusal(member, address, subscription, topic_needed=audience.topic is not None)
    full = case(
        (reason.is_not(None), reason),
        (_pausing(member, subscription), "paused"),
        (member.held_at.is_not(None), "held"),
        (_already_read(member, audience), "already_read"),
        (_topic_left_out(member, audience), "topic_left_out"),
        (_not_their_next(member, audience), "not_their_next"),
        else_=None,
    )
    return address, subscription, full


def _pausing(member: Any, subscription: Any) -> ColumnElement[bool]:
    """Whether a break runs now; one that is over needs nobody to end it."""
    now = clock.now()
    topic_rests = and_(
        subscription.state == SubscriptionState.PAUSED,
        or_(subscription.paused_until.is_(None), subscription.paused_until > now),
    )
    return or_(func.coalesce(member.paused_until > now, False), func.coalesce(topic_rests, False))


def _already_read(member: Any, audience: Audience) -> ColumnElement[bool]:
    if audience.story_id is None:
        return literal(False)
    return exists().where(StoryRead.story_id == audience.story_id, StoryRead.member_id == member.id)


def _topic_left_out(member: Any, audience: Audience) -> ColumnElement[bool]:
    if audience.story_id is None:
        return literal(False)
    return exists().where(Story.id == audience.story_id, choosing.left_out(member.id))


def _not_their_next(member: Any, audience: Audience) -> ColumnElement[bool]:
    if audience.rotation is None:
        return literal(False)
    return not_(turns.gets(member, audience.rotation, audience.rotation_channels))
