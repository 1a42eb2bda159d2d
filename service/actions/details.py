"""What staff may correct about a member. A new number or address has to be confirmed like any other."""

from collections.abc import Callable
from datetime import date
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock
from service.actions import audit, consent, contacts, holds, zones
from service.actions.leaving import existing
from service.actions.new_members import LANGUAGES, ask, claim_question, new_address
from service.db import transaction
from service.errors import Conflict, Invalid
from service.models.members import ChannelName, ConsentKind, Member, SubscriptionState, Topic


class Details(TypedDict, total=False):
    """What may be corrected; whatever is not named stays. An empty phone or email takes the address away."""

    first_name: str
    locale: str
    time_zone: str
    country: str
    discreet: bool
    loss_on: date | None
    phone: str
    email: str


def update_details(member_id: UUID, coordinator_id: UUID, **changes: Unpack[Details]) -> list[str]:
    """Correct a member's details; the names of what changed. Raises Invalid beside its field, Conflict, NotFound."""
    with transaction() as session:
        member = existing(session, member_id)
        if member.state in consent.GONE:
            raise Conflict("This member's details can no longer be changed.")
        changed = _plain(session, member, changes)
        if "phone" in changes:
            country = changes.get("country", member.country)
            value = contacts.phone(changes["phone"], country) if changes["phone"].strip() else ""
            changed += ["phone"] * _readdress(session, member, ChannelName.SMS, value, coordinator_id)
        if "email" in changes:
            value = contacts.email(changes["email"]) if changes["email"].strip() else ""
            changed += ["email"] * _readdress(session, member, ChannelName.EMAIL, value, coordinator_id)
        audit.record(session, str(coordinator_id), "member.changed", member, fields=changed)
        return changed


def _plain(session: Session, member: Member, changes: Details) -> list[str]:
    if "first_name" in changes and not changes["first_name"].strip():
        raise Invalid("A name is needed; a nickname is fine.", field="first_name")
    if "time_zone" in changes:
        if not zones.valid(changes["time_zone"]):
            raise Invalid("Choose a time zone from the list.", field="time_zone")
        zones.ensure(session, [changes["time_zone"]])
    if "locale" in changes and changes["locale"].split("-")[0] not in LANGUAGES:
        raise Invalid("Choose English or Spanish.", field="locale")
    tidy: dict[str, Callable[[Any], Any]] = {
        "first_name": str.strip,
        "locale": str,
        "time_zone": str,
        "country": str.upper,
        "discreet": bool,
        "loss_on": lambda day: day,
    }
    changed = []
    for name, clean in tidy.items():
        if name in changes and getattr(member, name) != (value := clean(changes[name])):  # type: ignore[literal-required]
            setattr(member, name, value)
            changed.append(name)
    return changed


def _readdress(session: Session, member: Member, channel: ChannelName, value: str, coordinator_id: UUID) -> bool:
    """Replace an address ("": take it away). The consents were given for the old one, so they end with it."""
    old = member.address(channel)
    if (old.value if old else "") == value:
        return False
    on = [s for s in member.subscriptions if s.channel == channel and s.state != SubscriptionState.STOPPED]
    topics = [s.topic for s in on] or ([] if old else list(Topic))
    source, actor = "address changed by staff", consent.staff(coordinator_id)
    if old is not None:
        member.addresses.remove(old)
        for row in on:
            row.state, row.paused_until, row.changed_at = SubscriptionState.STOPPED, None, clock.now()
        consent.record(session, member.id, ConsentKind.STOPPED, channel=channel, source=source, actor=actor)
        holds.take_back(session, [member.id])
        session.flush()  # the old row goes before the new one comes: one address per channel
    if value:
        _add_address(session, member, channel, value, topics, source, actor)
    return True


def _add_address(
    session: Session, member: Member, channel: ChannelName, value: str, topics: list[Topic], source: str, actor: str
) -> None:
    member.addresses.append(new_address(channel, value))
    have = {s.topic: s for s in member.subscriptions if s.channel == channel}
    for topic in topics:
        row = have.get(topic) or consent.add_subscription(member, topic, channel)
        row.state, row.changed_at = SubscriptionState.PENDING, clock.now()
    session.flush()
    consent.record(
        session, member.id, ConsentKind.REQUESTED, channel=channel, topics=topics, source=source, actor=actor
    )
    if topics and claim_question(session, channel, value):
        ask(session, member, channel)
