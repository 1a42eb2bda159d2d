"""What some rows of an import would change, worked out for all of them at once and without changing anything.

The dry run counts with it and the import writes it, so the two cannot disagree. A known address fills blanks and never
revives a stop; a suppressed one is kept as stopped; proof of consent makes an address active at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import consent, ledger, zones
from service.actions.imports_file import RowError
from service.actions.imports_rows import Row
from service.models.gatherings import CircleMembership
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    ConfirmationAsked,
    ConsentKind,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Suppression,
    Topic,
)

STOPPED_BEFORE = "import: this address had asked us to stop"
Values = dict[str, Any]
Found = Any
"""A row of a query over some columns of one table."""


@dataclass(frozen=True)
class Origin:
    """Where rows come from, as the ledger keeps it."""

    actor: str
    """`cli`, or `coordinator:ID`."""
    name: str
    """A file's name, or the page on which somebody was added."""
    at: datetime
    adult: bool = False
    """Whether somebody has made sure that these people are 18 or over."""
    shared: bool = False
    """Whether a known address means another person who shares it, not the same one."""

    def evidence(self, number: int) -> str:
        """What the ledger shows for a row."""
        row = f" row {number}" if number else ""
        return f"{self.name[:70]}{row}, {self.at:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Standing:
    """The same state of several topics on a new address: a row of each to insert."""

    member_id: UUID
    channel: ChannelName
    topics: tuple[Topic, ...]
    state: SubscriptionState


@dataclass
class Question:
    """One address that is to be asked, once ever, whether its owner agrees."""

    member: Values
    address: Values
    topics: tuple[Topic, ...]


@dataclass
class Plan:
    """Rows to insert and to change, by table, and what that comes to."""

    members: list[Values] = field(default_factory=list)
    addresses: list[Values] = field(default_factory=list)
    subscriptions: list[Standing] = field(default_factory=list)
    ledger: list[Values] = field(default_factory=list)
    places: list[Values] = field(default_factory=list)
    member_changes: list[Values] = field(default_factory=list)
    address_changes: list[Values] = field(default_factory=list)
    subscription_changes: list[Values] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    member_ids: dict[int, UUID] = field(default_factory=dict)
    """Row number → whom it became or was."""
    imported: int = 0
    updated: int = 0
    unchanged: int = 0


class _Facts:
    """What the database knows about the addresses of these rows, read with one query a table."""

    def __init__(self, session: Session, rows: Sequence[Row]) -> None:
        self.digests = {(c, v): db.blind_index(c, v) for row in rows for c, v in row.addresses.items()}
        wanted = list(self.digests.values())
        self.holders: dict[tuple[ChannelName, bytes], set[UUID]] = defaultdict(set)
        held = select(Address.channel, Address.index_hash, Address.member_id).where(Address.index_hash.in_(wanted))
        for channel, digest, member_id in session.execute(held):
            self.holders[channel, bytes(digest)].add(member_id)
        self.suppressed = _pairs(session, Suppression, wanted)
        self.asked = _pairs(session, ConfirmationAsked, wanted)
        ids = {i for found in self.holders.values() for i in found}
        self.members: dict[UUID, Found] = {}
        self.addresses: dict[tuple[UUID, ChannelName], Found] = {}
        self.waiting: dict[tuple[UUID, ChannelName], list[Found]] = defaultdict(list)
        self.places: set[tuple[UUID, UUID]] = set()
        if ids:
            self._known(session, ids)
        if ids and any(row.consented_at for row in rows):
            self._waiting(session, ids)

    def _known(self, session: Session, ids: set[UUID]) -> None:
        m, a, p = Member, Address, CircleMembership
        people = select(m.id, m.first_name, m.time_zone, m.country, m.locale, m.state, m.joined_at)
        self.members = {row.id: row for row in session.execute(people.where(m.id.in_(ids)))}
        held = select(a.id, a.member_id, a.channel, a.index_hash, a.verified_at).where(a.member_id.in_(ids))
        self.addresses = {(row.member_id, row.channel): row for row in session.execute(held)}
        placed = select(p.member_id, p.circle_id).where(p.member_id.in_(ids))
        self.places = {(row.member_id, row.circle_id) for row in session.execute(placed)}

    def _waiting(self, session: Session, ids: set[UUID]) -> None:
        """What proof would start; without any there is no need to know."""
        s = Subscription
        waiting = select(s.id, s.member_id, s.channel, s.topic).where(
            s.member_id.in_(ids), s.state == SubscriptionState.PENDING
        )
        for row in session.execute(waiting):
            self.waiting[row.member_id, row.channel].append(row)

    def digest(self, channel: ChannelName, value: str) -> bytes:
        return self.digests[channel, value]

    def whose(self, row: Row) -> UUID | RowError | None:
        """The member that a row is about, None for a new one; an error where it could be two."""
        groups = {c: self.holders.get((c, self.digest(c, v)), set()) for c, v in row.addresses.items()}
        found = [ids for ids in groups.values() if ids]
        if not found:
            return None
        both = set.intersection(*found)
        if len(both) == 1:
            return next(iter(both))
        if both:
            column = "phone" if groups.get(ChannelName.SMS) else "email"
            return RowError(
                row.number, column, "Two members share this. Find them under Members and correct them there."
            )
        return RowError(
            row.number,
            "email",
            "The number belongs to one member and the email to another. Find them under Members, and correct the row.",
        )


def plan(session: Session, rows: Sequence[Row], origin: Origin) -> Plan:
    """What these rows would change now. The rows share no address among themselves. Reads only."""
    made = Plan()
    facts = _Facts(session, rows)
    for row in rows:
        whose = None if origin.shared else facts.whose(row)
        if isinstance(whose, RowError):
            made.errors.append(whose)
        elif whose is None:
            _new(made, facts, row, origin)
        else:
            made.member_ids[row.number] = whose
            _known(made, facts, row, facts.members[whose], origin)
    return made


def _new(made: Plan, facts: _Facts, row: Row, origin: Origin) -> None:
    number = row.addresses.get(ChannelName.SMS)
    member: Values = {
        "id": db.uuid7(),
        "first_name": row.first_name,
        "locale": row.locale,
        "country": row.country,
        "time_zone": row.time_zone or zones.guess(row.country, number),
        "state": MemberState.LEFT,
        "adult_confirmed_at": origin.at if origin.adult else None,
        "joined_at": None,
        "created_at": clock.now(),
    }
    states = {_address(made, facts, row, channel, member, origin) for channel in row.addresses}
    if SubscriptionState.ACTIVE in states:
        member["state"], member["joined_at"] = MemberState.ACTIVE, row.consented_at
    elif SubscriptionState.PENDING in states:
        member["state"] = MemberState.PENDING
    made.members.append(member)
    made.member_ids[row.number] = member["id"]
    if row.circle_id:
        made.places.append(_place(member["id"], row.circle_id))
    made.imported += 1


def _known(made: Plan, facts: _Facts, row: Row, known: Found, origin: Origin) -> None:
    if known.state in consent.GONE:
        made.unchanged += 1
        return
    changes: Values = {}
    for column in ("first_name", "country"):
        if getattr(row, column) and not getattr(known, column):
            changes[column] = getattr(row, column)
    if row.time_zone and (not known.time_zone or known.time_zone.startswith(zones.COUNTRY)):
        changes["time_zone"] = row.time_zone
    touched = False
    if known.state != MemberState.LEFT:  # who left stays gone: no new address, no circle, nothing switched on
        started = _consents(made, facts, row, known, origin)
        touched = started is not None
        if started == SubscriptionState.ACTIVE and known.state == MemberState.PENDING:
            changes |= {"state": MemberState.ACTIVE, "joined_at": known.joined_at or row.consented_at}
        if row.circle_id and (known.id, row.circle_id) not in facts.places:
            made.places.append(_place(known.id, row.circle_id))
            touched = True
    if changes:
        made.member_changes.append({"id": known.id, **changes})
    if changes or touched:
        made.updated += 1
    else:
        made.unchanged += 1


def _consents(made: Plan, facts: _Facts, row: Row, known: Found, origin: Origin) -> SubscriptionState | None:
    """Add the addresses that are missing and confirm with proof what waits; the best state that came of it."""
    states = set()
    for channel, value in row.addresses.items():
        there = facts.addresses.get((known.id, channel))
        digest = facts.digest(channel, value)
        if there is None:
            member = {
                "id": known.id,
                "first_name": known.first_name or row.first_name,
                "locale": known.locale,
                "country": known.country or row.country,
                "time_zone": known.time_zone or row.time_zone,
            }
            states.add(_address(made, facts, row, channel, member, origin))
        elif bytes(there.index_hash) == digest and row.consented_at and (channel, digest) not in facts.suppressed:
            waiting = [s for s in facts.waiting[known.id, channel] if s.topic in row.topics]
            if waiting:
                verified = there.verified_at or row.consented_at
                made.address_changes.append({"id": there.id, "verified_at": verified})
                made.subscription_changes += [
                    {"id": s.id, "state": SubscriptionState.ACTIVE, "changed_at": clock.now()} for s in waiting
                ]
                _record(made, known.id, ConsentKind.IMPORTED, channel, [s.topic for s in waiting], row, origin)
                states.add(SubscriptionState.ACTIVE)
    order = (SubscriptionState.ACTIVE, SubscriptionState.PENDING, SubscriptionState.STOPPED)
    return next((state for state in order if state in states), None)


def _address(
    made: Plan, facts: _Facts, row: Row, channel: ChannelName, member: Values, origin: Origin
) -> SubscriptionState:
    """A new address of a member with its subscriptions and its line in the ledger; the state that these are in."""
    value = row.addresses[channel]
    digest = facts.digest(channel, value)
    if (channel, digest) in facts.suppressed:
        state, kind = SubscriptionState.STOPPED, ConsentKind.SUPPRESSED
    elif row.consented_at:
        state, kind = SubscriptionState.ACTIVE, ConsentKind.IMPORTED
    else:
        state, kind = SubscriptionState.PENDING, ConsentKind.REQUESTED
    address: Values = {
        "id": db.uuid7(),
        "member_id": member["id"],
        "channel": channel,
        "value": value,
        "index_hash": digest,
        "country": row.number_country if channel == ChannelName.SMS else "",
        "state": AddressState.OK,
        "verified_at": row.consented_at if state == SubscriptionState.ACTIVE else None,
        "asked_at": None,
        "created_at": clock.now(),
    }
    made.addresses.append(address)
    made.subscriptions.append(Standing(member["id"], channel, row.topics, state))
    _record(made, member["id"], kind, channel, row.topics, row, origin)
    asked = (channel, digest) in facts.asked
    if state == SubscriptionState.PENDING and not asked and channel.value in config.current().enabled_channels:
        made.questions.append(Question(member, address, row.topics))
    return state


def _record(
    made: Plan,
    member_id: UUID,
    kind: ConsentKind,
    channel: ChannelName,
    topics: Iterable[Topic],
    row: Row,
    origin: Origin,
) -> None:
    """A line of the ledger. An imported consent has the time at which it was given; when it came here is evidence."""
    imported = kind == ConsentKind.IMPORTED
    sources = {ConsentKind.IMPORTED: row.source, ConsentKind.SUPPRESSED: STOPPED_BEFORE}
    made.ledger.append(
        {
            "member_id": member_id,
            "kind": kind,
            "channel": channel,
            "topics": ",".join(t.value for t in ledger.in_order(topics)),
            "source": sources.get(kind, "import without proof of consent"),
            "evidence": origin.evidence(row.number),
            "actor": origin.actor,
            "at": row.consented_at if imported else clock.now(),
        }
    )


def _place(member_id: UUID, circle_id: UUID) -> Values:
    return {"id": db.uuid7(), "circle_id": circle_id, "member_id": member_id, "joined_at": clock.now()}


def _pairs(
    session: Session, model: type[Suppression] | type[ConfirmationAsked], wanted: list[bytes]
) -> set[tuple[ChannelName, bytes]]:
    found = select(model.channel, model.index_hash).where(model.index_hash.in_(wanted))
    return {(channel, bytes(digest)) for channel, digest in session.execute(found)}
