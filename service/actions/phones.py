"""What becomes of a phone that was asked whether it is still its member's (`delivery.silence` asks).

Any text of theirs shows that it is; no answer within two weeks, or a NO, ends texts to it. Emails go on.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from service import clock, db, queue
from service.actions import audit, holds
from service.actions.delivery.claims import release
from service.actions.delivery.results import breathe
from service.actions.delivery.silence import ANSWER_WITHIN, QUESTION, WAITS
from service.errors import Conflict
from service.models.campaigns import Delivery, DeliveryState
from service.models.conversations import Message
from service.models.members import Address, AddressState, ChannelName, Member
from service.models.staff import Coordinator

CHUNK = 500
IN_HAND = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)
ARRIVED = (DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED)


def of(members: Iterable[Member], phone: str) -> list[Address]:
    """The addresses of these members that are this number: one as a rule, two where they share it."""
    digest = db.blind_index(ChannelName.SMS, phone)
    found = [address for member in members if (address := member.address(ChannelName.SMS))]
    return sorted((a for a in found if bytes(a.index_hash) == digest), key=lambda a: a.id)


def asked(phone: Sequence[Address]) -> bool:
    """Whether an answer from this number is awaited, or did not come in time."""
    return any(address.still_asked_at is not None for address in phone)


def heard(session: Session, phone: Sequence[Address]) -> None:
    """Somebody wrote from this number who is not a stranger: it is still its members', and what waited may leave."""
    now = clock.now()
    for address in phone:  # deliveries before addresses, as a claim takes them: neither waits for the other
        if address.still_asked_at is not None:
            release(session, address.member_id, WAITS, "open_question")
    for address in phone:
        _trust(address, now)


def denied(session: Session, phone: Sequence[Address]) -> None:
    """Whoever has this number now says that it is not theirs: no text of ours goes there any more."""
    reachable = [address for address in phone if address.state == AddressState.OK]
    holds.take_back(session, [address.member_id for address in reachable])
    for address in reachable:
        address.state = AddressState.SILENT


def vouch(session: Session, coordinator: Coordinator, member: Member) -> None:
    """A person knows that the phone is still the member's. Raises Conflict when nothing is in doubt."""
    address = member.address(ChannelName.SMS)
    if address is None or (address.still_asked_at is None and address.state != AddressState.SILENT):
        raise Conflict("Nothing is in doubt about this number any more.")
    release(session, member.id, WAITS, "open_question")
    _trust(address, clock.now())
    audit.record(session, str(coordinator.id), "member.phone_vouched", member)


def _trust(address: Address, now: datetime) -> None:
    address.heard_at, address.still_asked_at = now, None
    if address.state == AddressState.SILENT:
        address.state = AddressState.OK


def give_up() -> int:
    """End texts to phones that did not answer in time; returns how many. Run by the clock.

    Where the question never arrived nothing is known, and the next text asks again.
    """
    done = 0
    while not queue.stopping.is_set():
        with db.transaction() as session:
            ids = _overdue(session, clock.now())
            if not ids:
                break
            done += len(ids)
        breathe()
    return done


def _overdue(session: Session, now: datetime) -> Sequence[UUID]:
    """Settle one piece of them: (addresses that were settled)."""
    until = now - ANSWER_WITHIN
    arrived, in_hand = _question(ARRIVED, until), _question(IN_HAND, None)
    recent = _question(ARRIVED, None)
    due = (Address.state == AddressState.OK, Address.still_asked_at <= until)
    settled = or_(arrived, and_(~in_hand, ~recent))
    rows = session.execute(select(Address.id, arrived).where(*due, settled).limit(CHUNK)).all()
    silent = [id_ for id_, was_asked in rows if was_asked]
    unasked = [id_ for id_, was_asked in rows if not was_asked]
    session.execute(update(Address).where(Address.id.in_(silent)).values(state=AddressState.SILENT))
    session.execute(update(Address).where(Address.id.in_(unasked)).values(still_asked_at=None))
    return silent + unasked


def _question(states: tuple[DeliveryState, ...], before: datetime | None) -> ColumnElement[bool]:
    """SQL: whether the question to an address is in one of these states; `before`: and left by that moment.

    Where two members share a number it went to one of them.
    """
    asked = aliased(Address)
    moment = [Delivery.sending_at <= before] if before is not None else []
    return exists(
        select(Delivery.id)
        .join(Message, Message.id == Delivery.message_id)
        .join(asked, asked.id == Delivery.address_id)
        .where(
            asked.index_hash == Address.index_hash,
            asked.channel == ChannelName.SMS,
            Delivery.member_id == asked.member_id,
            Message.template == QUESTION,
            Message.at >= asked.still_asked_at,
            Delivery.state.in_(states),
            *moment,
        )
        .correlate(Address)
    )
