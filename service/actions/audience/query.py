"""The only query for who gets something, on which channel: one copy per person and per address."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from service.actions.audience.described import Audience
from service.actions.audience.rules import may
from service.models.content import Prompt
from service.models.gatherings import CircleMembership
from service.models.giving import Gift
from service.models.members import Address, ChannelName, Member, Subscription, Topic

MOST_SHARED = 5_000


def reachable(member: Any, channels: Sequence[ChannelName], topic: Topic) -> ColumnElement[bool]:
    """SQL: whether `member` (or an alias) may be contacted about a topic now, on any of these channels."""
    ways = []
    for channel in channels:
        address, subscription = aliased(Address), aliased(Subscription)
        about = and_(subscription.member_id == address.member_id, subscription.channel == channel)
        allowed = may(member, address, subscription, Audience((channel,), topic))
        way = select(address.id).join(subscription, and_(about, subscription.topic == topic))
        ways.append(way.where(address.member_id == member.id, address.channel == channel, allowed))
    return or_(*[way.exists() for way in ways])


def recipients(
    audience: Audience,
    channel: ChannelName,
    *extra: Any,
    after: Any = None,
    upto: Any = None,
    shared: Sequence[bytes] | None = None,
) -> Select[Any]:
    """SELECT member id, address id (and `extra` columns of Member) of everybody who gets this on `channel`.

    Somebody who may be reached on two of the audience's channels gets it on the preferred one (a text where
    nothing is preferred), or on both if they chose both. Ordered by member id, so that it can be cut in pieces:
    `after` begins behind that member's id, `upto` ends with that one (or parameters that stand for them). `shared`
    are the `shared_addresses`, if known.
    """
    statement, address, clauses = _reached(select(Member.id), Member, channel, audience)
    first = _first_at_the_address(address, channel, audience)
    if shared is None:
        clauses.append(first)
    elif shared:
        clauses.append(or_(address.index_hash.not_in(shared), first))
    if after is not None:
        clauses.append(Member.id > after)
    if upto is not None:
        clauses.append(Member.id <= upto)
    return statement.add_columns(address.id, *extra).where(*clauses).order_by(Member.id)


def _reached(
    statement: Select[Any], member: Any, channel: ChannelName, audience: Audience
) -> tuple[Select[Any], Any, list[ColumnElement[bool]]]:
    """(joined statement, address, clauses) of whoever may be reached on `channel` and gets this there."""
    address, subscription = aliased(Address), aliased(Subscription)
    statement = joined(statement, member, channel, audience, address, subscription, outer=False)
    clauses = [may(member, address, subscription, audience), *in_scope(member, audience)]
    for other in audience.channels:
        if other != channel:
            theirs, topic = aliased(Address), aliased(Subscription)
            statement = joined(statement, member, other, audience, theirs, topic)
            elsewhere = and_(_better(member, other), may(member, theirs, topic, audience))
            clauses.append(or_(member.both_channels, not_(elsewhere)))
    return statement, address, clauses


def _better(member: Any, other: ChannelName) -> ColumnElement[bool]:
    """Whether `other` would be chosen over the channel at hand, if it may be used."""
    if other == ChannelName.SMS:
        return or_(member.preferred_channel.is_(None), member.preferred_channel == ChannelName.SMS)
    return and_(member.preferred_channel.is_not(None), member.preferred_channel == ChannelName.EMAIL)


def _first_at_the_address(address: Any, channel: ChannelName, audience: Audience) -> ColumnElement[bool]:
    """No earlier member has the same address and gets this there: two people may share a phone."""
    twin = aliased(Member)
    statement, twin_address, clauses = _reached(select(twin.id).select_from(twin), twin, channel, audience)
    same = (twin_address.index_hash == address.index_hash, twin_address.member_id < address.member_id)
    return not_(statement.where(*same, *clauses).correlate(address).exists())


def joined(
    statement: Select[Any],
    member: Any,
    channel: ChannelName,
    audience: Audience,
    address: Any,
    subscription: Any,
    *,
    outer: bool = True,
) -> Select[Any]:
    statement = statement.join(address, and_(address.member_id == member.id, address.channel == channel), isouter=outer)
    if audience.topic is None:
        return statement.outerjoin(subscription, false())
    return statement.outerjoin(
        subscription,
        and_(
            subscription.member_id == member.id,
            subscription.channel == channel,
            subscription.topic == audience.topic,
        ),
    )


def in_scope(member: Any, audience: Audience) -> list[ColumnElement[bool]]:
    """The member clauses that do not depend on consent."""
    clauses: list[ColumnElement[bool]] = []
    if audience.circle_id:
        clauses.append(member.id.in_(in_circle(audience.circle_id)))
    if audience.languages:
        clauses.append(or_(*[member.locale.like(f"{language}%") for language in audience.languages]))
    if audience.member_ids:
        clauses.append(member.id.in_(audience.member_ids))
    if audience.prompt_id:
        clauses.append(member.id.not_in(_author_of_prompt(audience.prompt_id)))
    return clauses


def _author_of_prompt(prompt_id: UUID) -> Select[Any]:
    return select(Gift.member_id).join(Prompt, Prompt.gift_id == Gift.id).where(Prompt.id == prompt_id)


def in_circle(circle_id: UUID) -> Select[Any]:
    return select(CircleMembership.member_id).where(
        CircleMembership.circle_id == circle_id, CircleMembership.left_at.is_(None)
    )


def piece(audience: Audience, after: UUID | None, size: int) -> Select[Any]:
    """SELECT the last of the next `size` member ids behind `after` among whom the audience is found; no row at the end.

    Looks at ids alone and at nobody's consent, so that cutting an audience in pieces costs next to nothing.
    """
    if audience.circle_id:
        ids = in_circle(audience.circle_id)
    else:
        ids = select(Member.id)
        if audience.member_ids:
            ids = ids.where(Member.id.in_(audience.member_ids))
    id_ = ids.selected_columns[0]
    ids = ids.where(id_ > after) if after is not None else ids
    among = ids.order_by(id_).limit(size).subquery()
    return select(among.c[0]).order_by(among.c[0].desc()).limit(1)


def shared_addresses(session: Session, channel: ChannelName) -> list[bytes] | None:
    """The hashes of the addresses that several members share; None where they are too many to be listed.

    They are few. Known beforehand, only their members need the question who of them comes first.
    """
    found = session.scalars(
        select(Address.index_hash)
        .where(Address.channel == channel)
        .group_by(Address.index_hash)
        .having(func.count() > 1)
        .limit(MOST_SHARED + 1)
    ).all()
    return list(found) if len(found) <= MOST_SHARED else None
