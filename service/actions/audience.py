"""The only query for who may be contacted, on which channel, about what.

The audience page counts with it, a campaign is frozen with it, and the claim judges with the same clauses again
just before a message leaves. One copy per person, on the channel they prefer, unless they chose both; one copy per
address, for two people may share a phone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, exists, false, func, literal, not_, or_, select, union
from sqlalchemy.orm import Session, aliased

from service import clock
from service.actions.hope import choosing
from service.actions.hope import rotation as turns
from service.models.campaigns import Campaign, CampaignKind
from service.models.content import Prompt, Story, StoryRead
from service.models.gatherings import CircleMembership
from service.models.giving import Gift
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Suppression,
    Topic,
)

TOPIC_OF: dict[CampaignKind, Topic | None] = {
    CampaignKind.STORY: Topic.STORIES,
    CampaignKind.CHECKIN: Topic.CHECKINS,
    CampaignKind.INVITE: Topic.SESSIONS,
    CampaignKind.TOOL: Topic.TOOLS,
    CampaignKind.PROMPT: Topic.STORIES,
    CampaignKind.ANNOUNCEMENT: None,  # the coordinator says which
}

REASONS: dict[str, str] = {
    "left": "asked us to stop",
    "not_confirmed": "has not confirmed yet",
    "died": "has died",
    "no_address": "has no address on this channel",
    "unreachable": "cannot be reached on this channel",
    "silent": "did not answer whether the number is still theirs",
    "suppressed": "asked us to stop",
    "topic_off": "has this topic switched off",
    "paused": "is taking a break",
    "held": "rests under an open safety flag",
    "already_read": "has already had this story",
    "topic_left_out": "wants no stories about this",
    "not_their_next": "gets another story first",
    "same_address": "shares an address with someone who gets it",
}
"""Why somebody is left out, in the words that the compose page and the reports use."""


MOST_SHARED = 5_000


@dataclass(frozen=True)
class Audience:
    """Who a campaign is for, before anybody's consent is looked at."""

    channels: tuple[ChannelName, ...]
    topic: Topic | None = None
    circle_id: UUID | None = None
    languages: tuple[str, ...] = ()
    """Only members of these languages; empty: all."""
    story_id: UUID | None = None
    prompt_id: UUID | None = None
    """A prompt that goes to everybody but the one whose words it is."""
    member_ids: tuple[UUID, ...] = field(default=())
    """Only these; empty: everybody."""
    rotation: turns.Place | None = None
    """The story's place among those that come round: only whose next one it is."""
    rotation_channels: tuple[ChannelName, ...] = ()


def of_campaign(campaign: Campaign) -> Audience:
    """The audience that a campaign describes."""
    spec = campaign.audience or {}
    return Audience(
        channels=campaign.channel_names,
        topic=campaign.topic,
        circle_id=campaign.circle_id,
        languages=tuple(spec.get("languages", ())),
        story_id=campaign.story_id,
        prompt_id=campaign.prompt_id,
        member_ids=tuple(UUID(i) for i in spec.get("member_ids", ())),
        rotation=turns.read_spec(spec.get("rotation"), campaign.story_id),
        rotation_channels=tuple(ChannelName(c) for c in spec.get("of", "").split(",") if c),
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
        (_suppressed(address), "suppressed"),
        (address.state == AddressState.SILENT, "silent"),
        (address.state != AddressState.OK, "unreachable"),
        (or_(member.state == MemberState.PENDING, address.verified_at.is_(None)), "not_confirmed"),
        (no_topic, "topic_off"),
        (subscription.state == SubscriptionState.PENDING, "not_confirmed"),
        else_=None,
    )


def _suppressed(address: Any) -> ColumnElement[bool]:
    return exists().where(Suppression.channel == address.channel, Suppression.index_hash == address.index_hash)


def _in_scope(member: Any, audience: Audience) -> list[ColumnElement[bool]]:
    """The member clauses that do not depend on consent."""
    clauses: list[ColumnElement[bool]] = []
    if audience.circle_id:
        clauses.append(member.id.in_(_in_circle(audience.circle_id)))
    if audience.languages:
        clauses.append(or_(*[member.locale.like(f"{language}%") for language in audience.languages]))
    if audience.member_ids:
        clauses.append(member.id.in_(audience.member_ids))
    if audience.prompt_id:
        clauses.append(member.id.not_in(_author_of_prompt(audience.prompt_id)))
    return clauses


def _author_of_prompt(prompt_id: UUID) -> Select[Any]:
    return select(Gift.member_id).join(Prompt, Prompt.gift_id == Gift.id).where(Prompt.id == prompt_id)


def _in_circle(circle_id: UUID) -> Select[Any]:
    return select(CircleMembership.member_id).where(
        CircleMembership.circle_id == circle_id, CircleMembership.left_at.is_(None)
    )


def piece(audience: Audience, after: UUID | None, size: int) -> Select[Any]:
    """SELECT the last of the next `size` member ids behind `after` among whom the audience is found; no row at the end.

    Looks at ids alone and at nobody's consent, so that cutting an audience in pieces costs next to nothing.
    """
    if audience.circle_id:
        ids = _in_circle(audience.circle_id)
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


def _may(member: Any, address: Any, subscription: Any, audience: Audience) -> ColumnElement[bool]:
    """SQL: whether `_standing` has nothing against it; the same rules, as conditions that an index and a planner like.

    Never NULL: where there is no address, the first is false.
    """
    now = clock.now()
    conditions = [
        address.id.is_not(None),
        address.state == AddressState.OK,
        address.verified_at.is_not(None),
        not_(_suppressed(address)),
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


def _standing(member: Any, channel: ChannelName, audience: Audience) -> tuple[Any, Any, ColumnElement[str | None]]:
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


def _joined(
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


def reachable(member: Any, channels: Sequence[ChannelName], topic: Topic) -> ColumnElement[bool]:
    """SQL: whether `member` (or an alias) may be contacted about a topic now, on any of these channels."""
    ways = []
    for channel in channels:
        address, subscription = aliased(Address), aliased(Subscription)
        about = and_(subscription.member_id == address.member_id, subscription.channel == channel)
        may = _may(member, address, subscription, Audience((channel,), topic))
        way = select(address.id).join(subscription, and_(about, subscription.topic == topic))
        ways.append(way.where(address.member_id == member.id, address.channel == channel, may))
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
    statement = _joined(statement, member, channel, audience, address, subscription, outer=False)
    clauses = [_may(member, address, subscription, audience), *_in_scope(member, audience)]
    for other in audience.channels:
        if other != channel:
            theirs, topic = aliased(Address), aliased(Subscription)
            statement = _joined(statement, member, other, audience, theirs, topic)
            elsewhere = and_(_better(member, other), _may(member, theirs, topic, audience))
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


@dataclass(frozen=True)
class Summary:
    """What the compose page shows: how many get it, on what, and who is left out and why."""

    by_channel: dict[ChannelName, int]
    left_out: dict[str, int]
    """reason (a key of REASONS) → members"""

    @property
    def people(self) -> int:
        """Copies that will leave; somebody who chose both channels counts twice."""
        return sum(self.by_channel.values())


def summary(session: Session, audience: Audience) -> Summary:
    """Count the audience. Reads every member in scope once: for pages, never for the sending path."""
    chosen = {channel: recipients(audience, channel).subquery() for channel in audience.channels}
    by_channel = {
        channel: session.scalar(select(func.count()).select_from(rows)) or 0 for channel, rows in chosen.items()
    }
    reached = 0
    if chosen:
        people = union(*[select(rows.c[0]) for rows in chosen.values()]).subquery()
        reached = session.scalar(select(func.count()).select_from(people)) or 0
    return Summary(by_channel, _left_out(session, audience, reached))


def _left_out(session: Session, audience: Audience, reached: int) -> dict[str, int]:
    """reason → members. Whoever could be reached and is not among the `reached` shares an address with one who is."""
    standings = [(channel, _standing(Member, channel, audience)) for channel in audience.channels]
    if not standings:
        return {}
    columns: list[Any] = [*(standing[2] for _, standing in standings), func.count()]
    statement: Select[Any] = select(*columns).select_from(Member)
    for channel, standing in standings:
        statement = _joined(statement, Member, channel, audience, standing[0], standing[1])
    statement = statement.where(*_in_scope(Member, audience), Member.state != MemberState.ERASED)
    counts: dict[str, int] = {}
    eligible = 0
    for *reasons, count in session.execute(statement.group_by(*[s[2] for _, s in standings])):
        if any(reason is None for reason in reasons):
            eligible += count
            continue
        reason = _most_telling(reasons)
        counts[reason] = counts.get(reason, 0) + count
    if eligible > reached:
        counts["same_address"] = eligible - reached
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _most_telling(reasons: Sequence[str]) -> str:
    """Of the reasons of two channels the one that says more than "no address"."""
    return next((r for r in reasons if r != "no_address"), reasons[0])


def sample(session: Session, audience: Audience, limit: int = 25) -> list[Member]:
    """A few members who would get it, for previews."""
    found: dict[UUID, Member] = {}
    for channel in audience.channels:
        ids = [row[0] for row in session.execute(recipients(audience, channel).limit(limit))]
        for member in session.scalars(select(Member).where(Member.id.in_(ids)).order_by(Member.first_name)):
            found[member.id] = member
    return list(found.values())[:limit]
