"""Made-up members by the thousand, to see the service at size: plain rows, written in bulk."""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import phonenumbers
from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import zones
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    ConsentEvent,
    ConsentKind,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Topic,
)

CHUNK = 5_000
"""Members per transaction."""
MIX: dict[str, float] = {"sms": 0.45, "email": 0.35, "both": 0.2}
"""Shares of members with a phone, with a mailbox, and with both (one copy, on the one they prefer)."""
NAMES = (
    "Ada", "Amos", "Bea", "Ben", "Cleo", "Dev", "Edie", "Emre", "Faith", "Gus", "Hope", "Ida", "Ivan", "June", "Kit",
    "Lena", "Milo", "Nell", "Omar", "Pia", "Quinn", "Rafa", "Sol", "Tam", "Uma", "Vera", "Wes", "Xenia", "Yara", "Zed",
)  # fmt: skip
SPANISH_EVERY = 7
SOURCE = "made up, for a trial of many"
_COMMUNITY_USES = frozenset([202, 212, 213, 303, 310, 312, 347, 480, 602, 720, 773, 808, 917])
"""Area codes of the community's own numbers, so that no two members meet by chance."""
_RESERVED = range(100, 200)
"""555-0100 to 555-0199 are kept free for fiction; beyond them the exchange is all but empty."""
_BEYOND = range(200, 10_000)


def add(session: Session, there: int, until: int, mix: Mapping[str, float]) -> int:
    """Write the next members, at most CHUNK of them, from number `there` on and below `until`; how many."""
    last = min(until, there + CHUNK)
    if last <= there:
        return 0
    zones.ensure(session, {zone for _, zone in areas()})
    members: list[dict[str, Any]] = []
    addresses: list[dict[str, Any]] = []
    for number in range(there, last):
        _write(members, addresses, number, mix)
    session.execute(insert(Member.__table__), members)  # type: ignore[arg-type]
    session.execute(insert(Address.__table__), addresses)  # type: ignore[arg-type]
    _agree(session, members[0]["id"])
    return last - there


def _agree(session: Session, first: UUID) -> None:
    """Every topic on every address of the members from `first` on, and the proof: made in the database, from what
    is there, since these are most of the rows.
    """
    made = Address.member_id >= first  # ids grow with time
    sqlite = session.get_bind().dialect.name == "sqlite"
    new_id: Any = func.lower(func.hex(func.randomblob(16))) if sqlite else func.gen_random_uuid()
    for topic in Topic:
        active = literal(SubscriptionState.ACTIVE, Subscription.state.type)
        about = (literal(topic, Subscription.topic.type), Address.channel, active, Address.verified_at)
        session.execute(
            insert(Subscription).from_select(
                ["id", "member_id", "topic", "channel", "state", "changed_at"],
                select(new_id, Address.member_id, *about).where(made),
                include_defaults=False,
            )
        )
    proof = {
        "kind": literal(ConsentKind.IMPORTED, ConsentEvent.kind.type), "channel": Address.channel,
        "topics": literal(",".join(Topic)), "source": literal(SOURCE), "wording": literal(""),
        "evidence": literal(""), "actor": literal("cli"), "at": Address.verified_at,
    }  # fmt: skip
    session.execute(
        insert(ConsentEvent).from_select(
            ["member_id", *proof], select(Address.member_id, *proof.values()).where(made), include_defaults=False
        )
    )


def phone(number: int) -> str:
    """The phone of made-up member `number`. Raises ValueError when there are no more."""
    codes = areas()
    turn, at = divmod(number, len(codes))
    lines = _RESERVED if turn < len(_RESERVED) else _BEYOND
    turn -= 0 if lines is _RESERVED else len(_RESERVED)
    if turn >= len(lines):
        raise ValueError(f"there are numbers for {len(codes) * (len(_RESERVED) + len(_BEYOND)):,} members at most")
    return f"+1{codes[at][0]}555{lines[turn]:04}"


@lru_cache(maxsize=1)
def areas() -> tuple[tuple[int, str], ...]:
    """Area codes of the United States with their time zones."""
    found = []
    for code in range(201, 990):
        example = f"+1{code}5550100"
        number = phonenumbers.parse(example)
        if phonenumbers.is_valid_number(number) and phonenumbers.region_code_for_number(number) == "US":
            found.append((code, zones.guess("US", example)))
    return tuple(area for area in found if area[0] not in _COMMUNITY_USES)


def _write(
    members: list[dict[str, Any]], addresses: list[dict[str, Any]], number: int, mix: Mapping[str, float]
) -> None:
    joined = clock.now() - timedelta(days=1 + number % 25)
    channels, preferred = _channels(number, mix)
    name, member_id = NAMES[number % len(NAMES)], db.uuid7()
    members.append(
        {
            "id": member_id, "first_name": name, "locale": "en" if number % SPANISH_EVERY else "es",
            "time_zone": areas()[number % len(areas())][1], "country": "US", "state": MemberState.ACTIVE,
            "discreet": False, "adult_confirmed_at": joined, "preferred_channel": preferred, "both_channels": False,
            "joined_at": joined, "created_at": joined, "demo": True,
        }
    )  # fmt: skip
    for channel in channels:
        value = phone(number) if channel == ChannelName.SMS else f"{name.lower()}.{number}@example.org"
        addresses.append(
            {
                "id": db.uuid7(), "member_id": member_id, "channel": channel, "value": value,
                "index_hash": db.blind_index(channel, value), "country": "US" if channel == ChannelName.SMS else "",
                "state": AddressState.OK, "verified_at": joined, "introduced_at": joined, "created_at": joined,
            }
        )  # fmt: skip


def _channels(number: int, mix: Mapping[str, float]) -> tuple[list[ChannelName], ChannelName | None]:
    """Whom the shares make of member `number`; steps of the golden ratio keep every stretch of numbers fair."""
    at = number * 0.6180339887498949 % 1 * sum(mix.values())
    if at < mix.get("sms", 0):
        return [ChannelName.SMS], None
    if at < mix.get("sms", 0) + mix.get("email", 0):
        return [ChannelName.EMAIL], None
    return [ChannelName.SMS, ChannelName.EMAIL], list(ChannelName)[number % 2]
