"""Who may be contacted: every yes and every stop, with its line in the append-only ledger.

A stop always wins. It takes effect in the transaction that records it, and takes back what is about to leave.
Rules: facts on safety (rules of conversation 8, 11), 47 CFR 64.1200(a)(10)–(12), RFC 8058.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock, db
from service.actions import contacts, holds
from service.actions.ledger import ended_by_stop_all, in_order
from service.actions.ledger import record as record
from service.actions.ledger import staff as staff
from service.actions.ledger import suppress as suppress
from service.actions.ledger import suppressed as suppressed
from service.actions.ledger import unsuppress as unsuppress
from service.errors import Conflict, Invalid
from service.models.members import (
    AddressState,
    ChannelName,
    ConsentKind,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Topic,
)

CONFIRM_WITHIN = timedelta(hours=72)
"""A YES or a click counts this long after the question (rule of conversation 8)."""
LONGEST_PAUSE = timedelta(days=366)
GONE = (MemberState.DIED, MemberState.ERASED)
"""Nothing ever starts again for these."""


def stop(
    session: Session,
    member: Member,
    *,
    channel: ChannelName | None = None,
    topics: Collection[Topic] = (),
    source: str,
    evidence: str = "",
    reason: str = "opt_out",
    actor: str = "member",
) -> None:
    """End contact about `topics` (none named: everything) on `channel` (None: on every channel).

    Without topics the address is suppressed as well, and a member of whom nothing is left has LEFT. To be repeated
    at will: every request gets its line in the ledger.
    """
    for each in [channel] if channel else list(ChannelName):
        _stop_channel(session, member, each, topics, source=source, evidence=evidence, reason=reason, actor=actor)
    if not topics:
        _settle_state(member)
    holds.take_back(session, [member.id])


def stop_address(
    session: Session, channel: ChannelName, value: str, *, source: str, evidence: str = "", reason: str = "opt_out"
) -> list[Member]:
    """STOP from an address: ends it for every member who has it, and marks it even if nobody does. Who it was for."""
    members = contacts.find_members(session, channel, value)
    for member in members:
        stop(session, member, channel=channel, source=source, evidence=evidence, reason=reason)
    suppress(session, channel, value, reason, source)
    return members


def start(
    session: Session, member: Member, channel: ChannelName, *, source: str, evidence: str = "", actor: str = "member"
) -> list[Topic]:
    """START or JOIN from the address itself: the topics that are on again (or for the first time).

    Brings back what stopping everything ended on this channel, not what the member had switched off by topic, and
    confirms what was waiting: the message proves the address. Only for a message that surely came from it (a text;
    a mail to a signed reply address).
    """
    address = member.address(channel)
    if address is None or member.state in GONE:
        return []
    lifted = unsuppress(session, channel, address.value)
    ended = ended_by_stop_all(session, member.id, channel)
    back = [
        s
        for s in _on(member, channel)
        if s.state == SubscriptionState.PENDING or (s.state == SubscriptionState.STOPPED and s.topic in ended)
    ]
    if back or lifted:
        address.verified_at = address.verified_at or clock.now()
        address.state = AddressState.OK
        _switch(back, SubscriptionState.ACTIVE)
        _activate(member)
        record(
            session,
            member.id,
            ConsentKind.STARTED,
            channel=channel,
            topics=[s.topic for s in back],
            source=source,
            evidence=evidence,
            actor=actor,
        )
    resume(session, member, source=source, evidence=evidence, actor=actor)
    return in_order(s.topic for s in back)


def confirm(
    session: Session, member: Member, channel: ChannelName, *, source: str, evidence: str = "", ip: str | None = None
) -> bool:
    """The second half of a double opt-in, by YES or by the button behind the link. Whether it holds now.

    False after 72 hours, for a stopped address and for one that was never asked. Repeating it changes nothing.
    """
    address = member.address(channel)
    if address is None or member.state in (*GONE, MemberState.LEFT) or suppressed(session, channel, address.value):
        return False
    waiting = [s for s in _on(member, channel) if s.state == SubscriptionState.PENDING]
    if address.verified_at is not None and not waiting:
        return True
    if address.asked_at is None or clock.now() - address.asked_at > CONFIRM_WITHIN:
        return False
    address.verified_at = address.verified_at or clock.now()
    _switch(waiting, SubscriptionState.ACTIVE)
    _activate(member)
    record(
        session,
        member.id,
        ConsentKind.CONFIRMED,
        channel=channel,
        topics=[s.topic for s in waiting],
        source=source,
        evidence=evidence,
        ip=ip,
    )
    return True


def pause(
    session: Session, member: Member, until: datetime, *, source: str, evidence: str = "", actor: str = "member"
) -> datetime:
    """Send nothing of our own accord until then; returns the moment. At most a year. Raises Invalid for the past."""
    now = clock.now()
    if until <= now:
        raise Invalid("Choose a day that is still to come.", field="pause_until")
    member.paused_until = min(until, now + LONGEST_PAUSE)
    record(
        session,
        member.id,
        ConsentKind.PAUSED,
        source=source,
        evidence=evidence or f"until {member.paused_until:%Y-%m-%d %H:%M} UTC",
        actor=actor,
    )
    holds.take_back(session, [member.id])
    return member.paused_until


def resume(session: Session, member: Member, *, source: str, evidence: str = "", actor: str = "member") -> bool:
    """End a pause before its time; whether there was one."""
    if member.paused_until is None:
        return False
    running = member.paused_until > clock.now()
    member.paused_until = None
    if running:
        record(session, member.id, ConsentKind.RESUMED, source=source, evidence=evidence, actor=actor)
    return running


def set_subscription(
    session: Session,
    member: Member,
    topic: Topic,
    channel: ChannelName,
    on: bool,
    *,
    source: str,
    evidence: str = "",
    wording: str = "",
    ip: str | None = None,
    actor: str = "member",
) -> bool:
    """Switch one topic on one channel; whether that changed anything.

    Raises Conflict for what only the address itself may lift (a stop of everything), Invalid without an address.
    """
    found = next((s for s in _on(member, channel) if s.topic == topic), None)
    if not on:
        if found is None or found.state == SubscriptionState.STOPPED:
            return False
        stop(session, member, channel=channel, topics=[topic], source=source, evidence=evidence, actor=actor)
        return True
    address = member.address(channel)
    if address is None or member.state in GONE:
        raise Invalid("There is no such address with us. Add it first.", field=channel.value)
    if suppressed(session, channel, address.value):
        raise Conflict("You stopped everything here. Answer START to any of our messages to begin again.")
    wanted = SubscriptionState.ACTIVE if address.verified_at else SubscriptionState.PENDING
    if found is None:
        found = add_subscription(member, topic, channel, SubscriptionState.STOPPED)
    if found.state in (wanted, SubscriptionState.ACTIVE, SubscriptionState.PAUSED):
        return False
    _switch([found], wanted)
    kind = ConsentKind.STARTED if wanted == SubscriptionState.ACTIVE else ConsentKind.REQUESTED
    record(
        session,
        member.id,
        kind,
        channel=channel,
        topics=[topic],
        source=source,
        wording=wording,
        evidence=evidence,
        ip=ip,
        actor=actor,
    )
    if wanted == SubscriptionState.ACTIVE:
        _activate(member)
    return True


def staff_undo(
    session: Session, member: Member, channel: ChannelName, *, coordinator_id: UUID, why: str, source: str = "console"
) -> list[Topic]:
    """Take back a stop of everything that was read into words that did not mean it. The topics that are on again.

    What had never been confirmed waits again. Raises Invalid without `why`, which the ledger keeps as evidence.
    """
    if not why.strip():
        raise Invalid("Say why this was not a request to stop; it is kept with the consents.", field="why")
    address = member.address(channel)
    if address is None or member.state in GONE:
        return []
    ended = ended_by_stop_all(session, member.id, channel)
    back = [s for s in _on(member, channel) if s.state == SubscriptionState.STOPPED and s.topic in ended]
    unsuppress(session, channel, address.value)
    _switch(back, SubscriptionState.ACTIVE if address.verified_at else SubscriptionState.PENDING)
    if back and address.verified_at:
        _activate(member)
    elif member.state == MemberState.LEFT:
        member.state = MemberState.PENDING
    record(
        session,
        member.id,
        ConsentKind.STAFF_UNDONE,
        channel=channel,
        topics=[s.topic for s in back],
        source=source,
        evidence=why.strip(),
        actor=staff(coordinator_id),
    )
    return in_order(s.topic for s in back)


def enter_opt_out(
    session: Session,
    member: Member,
    *,
    coordinator_id: UUID | str,
    how: str,
    channel: ChannelName | None = None,
    topics: Collection[Topic] = (),
) -> None:
    """A stop that somebody was told by phone or in person (`how`); it counts like one that was written."""
    stop(session, member, channel=channel, topics=topics, source=f"told us: {how}", actor=staff(coordinator_id))


def add_subscription(
    member: Member, topic: Topic, channel: ChannelName, state: SubscriptionState = SubscriptionState.PENDING
) -> Subscription:
    """A new row of a member's grid. The caller records the consent that stands behind it."""
    row = Subscription(id=db.uuid7(), topic=topic, channel=channel, state=state, changed_at=clock.now())
    member.subscriptions.append(row)
    return row


def _stop_channel(
    session: Session,
    member: Member,
    channel: ChannelName,
    topics: Collection[Topic],
    *,
    source: str,
    evidence: str,
    reason: str,
    actor: str,
) -> None:
    address = member.address(channel)
    rows = _on(member, channel)
    if address is None and not rows:
        return
    ended = [s for s in rows if s.state != SubscriptionState.STOPPED and (not topics or s.topic in topics)]
    _switch(ended, SubscriptionState.STOPPED)
    about = {"channel": channel, "source": source, "evidence": evidence, "actor": actor}
    # No topics in this line means everything; the next line says what that was, so that START can bring it back.
    record(session, member.id, ConsentKind.STOPPED, topics=topics, **about)  # type: ignore[arg-type]
    if not topics and address is not None:
        suppress(session, channel, address.value, reason, source)
        record(session, member.id, ConsentKind.SUPPRESSED, topics=[s.topic for s in ended], **about)  # type: ignore[arg-type]


def _on(member: Member, channel: ChannelName) -> list[Subscription]:
    return [s for s in member.subscriptions if s.channel == channel]


def _switch(rows: Iterable[Subscription], state: SubscriptionState) -> None:
    for row in rows:
        row.state, row.paused_until, row.changed_at = state, None, clock.now()


def _activate(member: Member) -> None:
    if member.state in (MemberState.PENDING, MemberState.LEFT):
        member.state = MemberState.ACTIVE
        member.joined_at = member.joined_at or clock.now()


def _settle_state(member: Member) -> None:
    """After a stop of everything: LEFT if nothing is left, PENDING if all that is left was never confirmed."""
    if member.state in GONE:
        return
    left = {s.state for s in member.subscriptions} - {SubscriptionState.STOPPED}
    if not left:
        member.state = MemberState.LEFT
    elif left == {SubscriptionState.PENDING}:
        member.state = MemberState.PENDING
