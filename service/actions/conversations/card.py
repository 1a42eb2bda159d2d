"""Who a coordinator is talking with, and on which channel they may answer: what stands beside a conversation."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import access, consent, contacts
from service.actions.gatherings import next_session
from service.models.conversations import CheckIn, Conversation
from service.models.gatherings import Circle, CircleMembership, GroupSession, Invitation
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    ConsentEvent,
    Member,
    MemberState,
    SubscriptionState,
)
from service.models.staff import Coordinator

CHECK_INS = 12
"""How many of the last check-ins are drawn."""
_UNREACHABLE = {
    AddressState.UNREACHABLE: "the provider says that it cannot be reached",
    AddressState.BOUNCED: "mail to it comes back",
    AddressState.COMPLAINED: "it marked our mail as spam",
    AddressState.SILENT: "the number may be somebody else's by now: nobody answered whether it is still theirs",
}


@dataclass(frozen=True)
class Way:
    """One channel to answer on. `reason` says, for the middle of a sentence, why it cannot be used; "" if it can."""

    channel: ChannelName
    shown: str
    """The address, masked where the coordinator's role asks for it."""
    reason: str = ""


@dataclass(frozen=True)
class Standing:
    """What a member agreed to on one channel."""

    channel: ChannelName
    shown: str
    verified: bool
    topics: tuple[str, ...]
    paused: bool
    suppressed: bool
    state: AddressState


@dataclass(frozen=True)
class Meeting:
    """The next session of one of the member's circles, and what they answered."""

    circle: Circle
    session: GroupSession | None
    invitation: Invitation | None


@dataclass(frozen=True)
class Card:
    """A member, as a coordinator who answers needs to know them."""

    member: Member
    standings: list[Standing]
    check_ins: list[CheckIn]
    meetings: list[Meeting]
    joined_by: ConsentEvent | None
    on_break_until: datetime | None


def card(session: Session, coordinator: Coordinator, member: Member) -> Card:
    """What is known of a member, with their addresses masked where the coordinator may not see them whole."""
    newest = select(CheckIn).where(CheckIn.member_id == member.id).order_by(CheckIn.at.desc()).limit(CHECK_INS)
    first = select(ConsentEvent).where(ConsentEvent.member_id == member.id).order_by(ConsentEvent.id).limit(1)
    circles = session.scalars(
        select(Circle)
        .join(CircleMembership, CircleMembership.circle_id == Circle.id)
        .where(CircleMembership.member_id == member.id, CircleMembership.left_at.is_(None))
        .order_by(Circle.name)
    )
    resting = member.paused_until if member.paused_until and member.paused_until > clock.now() else None
    return Card(
        member=member,
        standings=_standings(session, coordinator, member),
        check_ins=list(session.scalars(newest))[::-1],
        meetings=[_meeting(session, circle, member) for circle in circles],
        joined_by=session.scalar(first),
        on_break_until=resting,
    )


def _meeting(session: Session, circle: Circle, member: Member) -> Meeting:
    coming = next_session(session, circle)
    answer = None
    if coming is not None:
        answer = session.scalar(
            select(Invitation).where(Invitation.session_id == coming.id, Invitation.member_id == member.id)
        )
    return Meeting(circle, coming, answer)


def _standings(session: Session, coordinator: Coordinator, member: Member) -> list[Standing]:
    found = []
    for address in member.addresses:
        rows = [s for s in member.subscriptions if s.channel == address.channel]
        found.append(
            Standing(
                channel=address.channel,
                shown=shown(coordinator, address.channel, address.value),
                verified=address.verified_at is not None,
                topics=tuple(sorted(s.topic for s in rows if s.state == SubscriptionState.ACTIVE)),
                paused=any(s.state == SubscriptionState.PAUSED for s in rows),
                suppressed=consent.suppressed(session, address.channel, address.value),
                state=address.state,
            )
        )
    return found


def shown(coordinator: Coordinator, channel: ChannelName, value: str) -> str:
    """An address as this coordinator may see it."""
    return value if access.sees_addresses(coordinator) else contacts.mask(channel, value)


def ways(session: Session, coordinator: Coordinator, conversation: Conversation) -> list[Way]:
    """The channels on which this conversation can be answered, the one that was last written on first."""
    member = session.get(Member, conversation.member_id) if conversation.member_id else None
    if member is None:
        if not conversation.unknown_from:
            return []
        value = conversation.unknown_from
        stopped = consent.suppressed(session, conversation.channel, value)
        reason = "this address asked us to stop" if stopped else _off(conversation.channel)
        return [Way(conversation.channel, shown(coordinator, conversation.channel, value), reason)]
    found = [
        Way(a.channel, shown(coordinator, a.channel, a.value), _refusal(session, member, a.channel, a.value, a.state))
        for a in member.addresses
    ]
    return sorted(found, key=lambda way: (bool(way.reason), way.channel != conversation.channel))


def _refusal(session: Session, member: Member, channel: ChannelName, value: str, state: AddressState) -> str:
    if member.state == MemberState.DIED:
        return f"{member.first_name} has died"
    if member.state == MemberState.ERASED:
        return "this member was erased"
    if consent.suppressed(session, channel, value):
        return f"{member.first_name} asked us to stop here"
    if state in (AddressState.UNREACHABLE, AddressState.SILENT):
        return _UNREACHABLE[state]
    return _off(channel)


def _off(channel: ChannelName) -> str:
    return "" if channel in config.current().enabled_channels else "this installation does not use this channel"


def find_members(session: Session, coordinator: Coordinator, words: str, limit: int = 12) -> list[Member]:
    """Members whose first name begins with `words`, or whose number or address is exactly that."""
    words = words.strip()
    if not words:
        return []
    by_name = func.lower(Member.first_name).startswith(words.lower(), autoescape=True)
    by_address = Member.addresses.any(
        or_(*(Address.index_hash == db.blind_index(c, contacts.normal(c, words)) for c in ChannelName))
    )
    found = select(Member).where(
        or_(by_name, by_address), Member.state != MemberState.ERASED, access.access_members(coordinator)
    )
    return list(session.scalars(found.order_by(Member.first_name, Member.id).limit(limit)))
