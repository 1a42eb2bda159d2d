"""What we hold about a member, shown only after a code that went to another address than the link did.

Phones are shared and homes are not always safe: whoever holds the phone that got the link must not be able to read a
member's words with it (rule of conversation 5). Without a second confirmed address, a person helps.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import audit, consent, contacts, outbox
from service.actions.belonging import places
from service.actions.checkins import lines
from service.actions.giving import carrying
from service.actions.hope import topics
from service.actions.leaving import existing
from service.actions.vents import keeping
from service.db import reading, transaction
from service.errors import Conflict, Invalid, LinkExpired, TooMany
from service.models.checkins import OwnLine
from service.models.conversations import CheckIn, Message
from service.models.members import (
    AccessCode,
    Address,
    AddressState,
    ChannelName,
    ConsentEvent,
    Member,
    MemberState,
    Subscription,
)
from service.models.vents import Vent

VALID_FOR = timedelta(minutes=10)
OPEN_FOR = timedelta(minutes=15)
"""How long what is held stays open in the browser that typed the code."""
TRIES = 5
CODES_PER_HOUR = 3
CODES_PER_DAY = 6
MOST_MESSAGES = 200


@dataclass(frozen=True)
class Held:
    """Everything that a member may see of themselves."""

    first_name: str
    country: str
    time_zone: str
    locale: str
    joined_at: datetime | None
    addresses: list[Address]
    subscriptions: list[Subscription]
    left_out: list[str]
    """Names of the topics of which they want no stories."""
    ledger: list[ConsentEvent]
    messages: list[Message]
    """The newest, newest first; campaigns' copies are not kept one by one."""
    checkins: list[CheckIn]
    """Newest first."""
    own_line: OwnLine | None
    """What they left for themselves on a harder day."""
    vents: list[Vent]
    """What they needed to say, as long as it is kept; newest first."""
    notes: list[tuple[datetime, str]]
    """Notes that came to them from others, newest first."""
    circles: list[tuple[str, datetime]]
    """Names of the circles to which they belong or for which they wait, and since when."""


def other_address(member_id: UUID, link_channel: ChannelName) -> str | None:
    """The masked address that a code would go to, None if a person has to help."""
    with reading() as session:
        address = _other(session, existing(session, member_id), link_channel)
        return contacts.mask(address.channel, address.value) if address else None


def send_access_code(member_id: UUID, link_channel: ChannelName) -> str:
    """Send a code to another address than the link came by; returns that address, masked.

    Raises Conflict where there is none (a person helps then), TooMany after three in an hour or six in a day.
    """
    with transaction() as session:
        member = existing(session, member_id)
        address = _other(session, member, link_channel)
        if address is None:
            raise Conflict("There is no second confirmed address of yours to send a code to. Please write to us.")
        _hold_back(session, member.id)
        code = f"{secrets.randbelow(1_000_000):06}"
        row = AccessCode(
            id=db.uuid7(),
            member_id=member.id,
            channel=address.channel,
            link_channel=link_channel,
            created_at=clock.now(),
            expires_at=clock.now() + VALID_FOR,
            code_hash=b"",
        )
        row.code_hash = _digest(row.id, code)
        session.add(row)
        minutes = int(VALID_FOR.total_seconds() // 60)
        outbox.say(session, member, "access_code", address.channel, context={"code": code, "minutes": minutes})
        return contacts.mask(address.channel, address.value)


def check_access_code(member_id: UUID, link_channel: ChannelName, code: str) -> None:
    """Accept the newest code, once. Raises Invalid for a wrong one, LinkExpired for an old one, TooMany after five."""
    wrong = False
    with transaction() as session:
        row = session.scalar(
            select(AccessCode)
            .where(AccessCode.member_id == member_id, AccessCode.link_channel == link_channel)
            .order_by(AccessCode.created_at.desc(), AccessCode.id.desc())
            .limit(1)
            .with_for_update()
        )
        if row is None or row.used_at is not None or row.expires_at <= clock.now():
            raise LinkExpired("This code is too old. Ask for a new one.")
        if row.tries >= TRIES:
            raise TooMany("Those were too many tries. Ask for a new code.")
        row.tries += 1
        wrong = not hmac.compare_digest(row.code_hash, _digest(row.id, "".join(code.split())))
        if not wrong:
            row.used_at = clock.now()
            audit.record(session, "member", "member.held_opened", session.get(Member, member_id))
    if wrong:  # after the commit: a try that failed counts
        raise Invalid("That is not the code. Please check the six digits.", field="code")


def held(member_id: UUID) -> Held:
    """What we hold. The caller has seen a code, or is staff and has recorded the reading. Raises NotFound."""
    with reading() as session:
        member = existing(session, member_id)
        own = select(Message).where(Message.member_id == member_id)
        # A code shown here would be a code sent to one address and read at the other.
        own = own.where(func.coalesce(Message.template, "") != "access_code")
        return Held(
            first_name=member.first_name,
            country=member.country,
            time_zone=member.time_zone,
            locale=member.locale,
            joined_at=member.joined_at,
            addresses=list(member.addresses),
            subscriptions=list(member.subscriptions),
            left_out=topics.names_left_out(session, member_id, member.language),
            ledger=list(
                session.scalars(
                    select(ConsentEvent).where(ConsentEvent.member_id == member_id).order_by(ConsentEvent.id)
                )
            ),
            messages=list(session.scalars(own.order_by(Message.at.desc()).limit(MOST_MESSAGES))),
            checkins=list(
                session.scalars(select(CheckIn).where(CheckIn.member_id == member_id).order_by(CheckIn.at.desc()))
            ),
            own_line=lines.current(session, member_id),
            vents=keeping.newest_first(session, member),
            notes=carrying.received(session, member),
            circles=_circles(session, member_id),
        )


def _circles(session: Session, member_id: UUID) -> list[tuple[str, datetime]]:
    belongs = places.of_member(session, member_id)
    return [(p.circle.name, p.joined_at) for p in belongs.places] + [(a.circle.name, a.asked_at) for a in belongs.asks]


def _other(session: Session, member: Member, link_channel: ChannelName) -> Address | None:
    if member.state not in (MemberState.ACTIVE, MemberState.LEFT):
        return None
    for address in member.addresses:
        usable = address.verified_at is not None and address.state == AddressState.OK
        if (
            address.channel != link_channel
            and usable
            and not consent.suppressed(session, address.channel, address.value)
        ):
            return address
    return None


def _hold_back(session: Session, member_id: UUID) -> None:
    now = clock.now()
    for span, most in ((timedelta(hours=1), CODES_PER_HOUR), (timedelta(days=1), CODES_PER_DAY)):
        sent = select(func.count()).where(AccessCode.member_id == member_id, AccessCode.created_at > now - span)
        if (session.scalar(sent) or 0) >= most:
            raise TooMany("We have sent several codes already. Please try again later, or write to us.")


def _digest(row_id: UUID, code: str) -> bytes:
    """Keyed and bound to its row: a million codes are quickly tried against a plain hash."""
    return hmac.new(config.current().secret_keys[0].encode(), row_id.bytes + code.encode(), hashlib.sha256).digest()
