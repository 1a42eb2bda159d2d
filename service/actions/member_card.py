"""Everything that a member's page shows, read at once for whoever looks, and noted in the audit trail."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, defer, selectinload

from service import clock
from service.actions import audit, consent, contacts, directory
from service.actions.access import access_campaigns, access_circles, sees_addresses
from service.actions.hope import topics
from service.db import reading, transaction
from service.models.campaigns import Campaign, Delivery, DeliveryState, Purpose
from service.models.conversations import CheckIn, Conversation, Flag
from service.models.gatherings import Circle, CircleMembership
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    ConsentEvent,
    Member,
    Subscription,
    SubscriptionState,
    Topic,
)
from service.models.staff import Coordinator

SENT_SHOWN = 25
CHECKINS_SHOWN = 24
LEDGER_SHOWN = 200


@dataclass(frozen=True)
class Reach:
    """One address, as far as the viewer may see it."""

    channel: ChannelName
    shown: str = field(repr=False)
    verified_at: datetime | None
    asked_at: datetime | None
    state: AddressState
    still_asked_at: datetime | None
    """When a phone was asked whether it is still theirs; None once somebody answered."""
    suppressed: bool
    shared: bool
    """Whether another member has it as well."""


@dataclass(frozen=True)
class Sent:
    """One message that went, or was to go, to the member."""

    purpose: Purpose
    channel: ChannelName
    state: DeliveryState
    reason: str
    at: datetime
    campaign_id: UUID | None
    campaign_name: str | None
    """None for a campaign that the viewer may not see, and for single messages."""


@dataclass(frozen=True)
class Card:
    """A member's page."""

    member: Member
    reach: Sequence[Reach]
    grid: dict[Topic, dict[ChannelName, SubscriptionState]]
    """Topic → channel → state; what is missing was never chosen."""
    circles: Sequence[tuple[Circle, datetime]]
    left_out: Sequence[str]
    """Names of the topics of which they want no stories."""
    ledger: Sequence[ConsentEvent]
    """Newest first."""
    actors: dict[str, str]
    """Names of the coordinators in the ledger."""
    checkins: Sequence[CheckIn]
    """Oldest first."""
    sent: Sequence[Sent]
    """Newest first."""
    conversation_id: UUID | None
    flagged: bool

    @property
    def on_break(self) -> bool:
        """Whether a pause runs now."""
        return self.member.paused_until is not None and self.member.paused_until > clock.now()

    @property
    def stopped_channels(self) -> list[ChannelName]:
        """Channels on which they asked for everything to stop."""
        return [r.channel for r in self.reach if r.suppressed]


def card(coordinator: Coordinator, member_id: UUID) -> Card:
    """A member's page. Raises NotFound for one that this coordinator may not see; the reading is audited."""
    with reading() as session:
        found = _card(session, coordinator, directory.require(session, coordinator, member_id))
    with transaction() as session:
        audit.record(session, str(coordinator.id), "member.read", found.member)
    return found


def _card(session: Session, coordinator: Coordinator, member: Member) -> Card:
    ledger = session.scalars(
        select(ConsentEvent)
        .options(defer(ConsentEvent.ip))
        .where(ConsentEvent.member_id == member.id)
        .order_by(ConsentEvent.id.desc())
        .limit(LEDGER_SHOWN)
    ).all()
    subscriptions = session.scalars(select(Subscription).where(Subscription.member_id == member.id))
    grid: dict[Topic, dict[ChannelName, SubscriptionState]] = {topic: {} for topic in Topic}
    for row in subscriptions:
        grid[row.topic][row.channel] = row.state
    checkins = session.scalars(
        select(CheckIn)
        .options(defer(CheckIn.words))
        .where(CheckIn.member_id == member.id)
        .order_by(CheckIn.at.desc())
        .limit(CHECKINS_SHOWN)
    ).all()
    flag = select(Flag.id).where(Flag.member_id == member.id, Flag.cleared_at.is_(None)).limit(1)
    return Card(
        member=member,
        reach=_reach(session, coordinator, member),
        grid=grid,
        circles=_circles(session, coordinator, member.id),
        left_out=topics.names_left_out(session, member.id, "en"),
        ledger=ledger,
        actors=_actors(session, ledger),
        checkins=checkins[::-1],
        sent=_sent(session, coordinator, member.id),
        conversation_id=session.scalar(select(Conversation.id).where(Conversation.member_id == member.id)),
        flagged=session.scalar(flag) is not None,
    )


def _reach(session: Session, coordinator: Coordinator, member: Member) -> list[Reach]:
    whole = sees_addresses(coordinator)
    hashes = [a.index_hash for a in member.addresses]
    others = select(Address.channel, Address.index_hash).where(
        Address.index_hash.in_(hashes), Address.member_id != member.id
    )
    shared = {(channel, bytes(digest)) for channel, digest in session.execute(others)}
    return [
        Reach(
            channel=a.channel,
            shown=a.value if whole else contacts.mask(a.channel, a.value),
            verified_at=a.verified_at,
            asked_at=a.asked_at,
            state=a.state,
            still_asked_at=a.still_asked_at,
            suppressed=consent.suppressed(session, a.channel, a.value),
            shared=(a.channel, bytes(a.index_hash)) in shared,
        )
        for a in member.addresses
    ]


def _circles(session: Session, coordinator: Coordinator, member_id: UUID) -> list[tuple[Circle, datetime]]:
    places = (
        select(CircleMembership)
        .join(Circle, Circle.id == CircleMembership.circle_id)
        .options(selectinload(CircleMembership.circle))
        .where(CircleMembership.member_id == member_id, CircleMembership.left_at.is_(None), access_circles(coordinator))
        .order_by(Circle.name)
    )
    return [(place.circle, place.joined_at) for place in session.scalars(places)]


def _actors(session: Session, ledger: Sequence[ConsentEvent]) -> dict[str, str]:
    ids = {e.actor: e.actor.removeprefix("coordinator:") for e in ledger if e.actor.startswith("coordinator:")}
    known = {}
    for actor, raw in ids.items():
        try:
            known[actor] = UUID(raw)
        except ValueError:  # an API key, or an id of before
            continue
    people = session.execute(select(Coordinator.id, Coordinator.name).where(Coordinator.id.in_(known.values())))
    names: dict[UUID, str] = {person[0]: person[1] for person in people}
    return {actor: names[i] for actor, i in known.items() if i in names}


def _sent(session: Session, coordinator: Coordinator, member_id: UUID) -> list[Sent]:
    rows = session.execute(
        select(Delivery, Campaign.id, Campaign.name)
        .outerjoin(Campaign, (Campaign.id == Delivery.campaign_id) & access_campaigns(coordinator))
        .where(Delivery.member_id == member_id)
        .order_by(Delivery.id.desc())
        .limit(SENT_SHOWN)
    )
    sent = [
        Sent(
            purpose=delivery.purpose,
            channel=delivery.channel,
            state=delivery.state,
            reason=delivery.reason or "",
            at=delivery.sending_at or delivery.due_at,
            campaign_id=campaign_id,
            campaign_name=name,
        )
        for delivery, campaign_id, name in rows
    ]
    return sorted(sent, key=lambda one: one.at, reverse=True)
