"""Whether a phone is still its member's: carriers give numbers to others. When no text has come from one for long, the
next text to it is a neutral question, and what was to go there waits for the answer (rule of conversation 11).

What answers do is in `service.actions.phones`.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, false, func, select
from sqlalchemy.orm import Session, aliased

from service.actions import outbox
from service.models.campaigns import Asks, Delivery, Purpose
from service.models.members import Address, ChannelName, Member

SILENT_AFTER = timedelta(days=90)
"""US carriers hand out a number again 45 to 90 days after it was given up (47 CFR 52.15(f)(1)(ii))."""
ANSWER_WITHIN = timedelta(days=14)
"""No answer in this time, and the phone counts as somebody else's: long enough for a holiday or an empty battery."""
QUESTION = "still_there"
WAITS = "still_there"
"""The reason of what waits for the answer."""


def is_silent(since: Any) -> ColumnElement[bool]:
    """SQL: whether a delivery goes to a phone from which no text has come since that moment.

    A mail from the member does not prove the phone. A number that never wrote counts from when it was given to us.
    """
    return and_(Delivery.channel == ChannelName.SMS, func.coalesce(Address.heard_at, Address.created_at) < since)


def question_stands(since: Any) -> ColumnElement[bool]:
    """SQL: whether this message asks for a YES by mail while the member's phone was asked for one since that moment:
    two questions that take the same answer are never open at once, over both channels (rule of conversation 8).

    CASE, because SQLite works out both sides of AND.
    """
    phone = aliased(Address)
    asked = select(phone.id).where(
        phone.member_id == Delivery.member_id, phone.channel == ChannelName.SMS, phone.still_asked_at > since
    )
    by_mail = and_(Delivery.asks == Asks.YES_NO, Delivery.channel == ChannelName.EMAIL)
    return case((by_mail, asked.exists()), else_=false())


def phone_asked_at() -> ColumnElement[datetime | None]:
    """SQL: when we asked whether the member's phone is still theirs; NULL unless an answer is awaited."""
    phone = aliased(Address)
    mine = (phone.member_id == Delivery.member_id, phone.channel == ChannelName.SMS)
    return select(phone.still_asked_at).where(*mine).scalar_subquery()


def ask(session: Session, address_ids: Collection[UUID], now: datetime) -> int:
    """Ask at these phones whether they are still their members'; returns how many questions were queued.

    Each number is asked once, whoever else finds it silent at this moment, and also where two members share it.
    """
    if not address_ids:
        return 0
    hashes = select(Address.index_hash).where(Address.id.in_(address_ids))
    by_number: dict[bytes, list[Address]] = defaultdict(list)
    found = (
        select(Address)
        .where(Address.channel == ChannelName.SMS, Address.index_hash.in_(hashes))
        .order_by(Address.id)  # everybody locks in this order, so nobody waits for one who waits for them
        .with_for_update(key_share=True)  # SQLite has one writer anyway
        .execution_options(populate_existing=True)
    )
    for address in session.scalars(found):
        by_number[bytes(address.index_hash)].append(address)
    new: list[UUID] = []
    for sharing in by_number.values():
        before = min((a.still_asked_at for a in sharing if a.still_asked_at), default=None)
        if before is None:
            new.append(next(a.id for a in sharing if a.id in address_ids))
        for address in sharing:
            address.still_asked_at = address.still_asked_at or before or now
    session.flush()
    to = select(Member, Address.id).join(Address, Address.member_id == Member.id).where(Address.id.in_(new))
    outbox.say_to_many(
        session,
        [(member, address_id) for member, address_id in session.execute(to)],
        QUESTION,
        ChannelName.SMS,
        Purpose.CONFIRM,
        lambda member: {"initial": member.first_name[:1].upper()},
    )
    return len(new)
