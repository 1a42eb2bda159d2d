"""Settling what nobody knows: messages that may have left while a worker or a connection died.

Nothing is sent again unless its absence is proven: a doubled message costs more trust than a late one (DESIGN 6.5).
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, or_, select, update
from sqlalchemy.orm import Session

from service import clock, config, db, logs, queue
from service.actions.delivery import results, writing
from service.actions.delivery.draining import twilio
from service.channels.base import SendError
from service.channels.events import TWILIO_STATES
from service.channels.twilio import ProviderMessage
from service.models.campaigns import Delivery, DeliveryState
from service.models.conversations import Message, WebhookEvent
from service.models.members import Address, ChannelName, Member

log = logs.get("sweep")

BATCH = 200
LOOKS_APART = timedelta(seconds=60)
LOOKS_NEEDED = 2
"""Absence of a text needs this many successful empty lists, LOOKS_APART from each other."""
CLOCK_SLACK = timedelta(seconds=60)


def sweep() -> dict[str, int]:
    """One pass over what is open; returns counts by outcome. Leases and graces are obeyed."""
    now = clock.now()
    counts: Counter[str] = Counter(expired=_expire(now))
    grace = config.current()
    for row in _open_texts(now, timedelta(seconds=grace.unknown_grace_sms)):
        if queue.stopping.is_set():
            break
        counts[_settle_text(row, now)] += 1
    counts.update(_settle_emails(now, timedelta(seconds=grace.unknown_grace_email)))
    return {name: count for name, count in sorted(counts.items()) if count or name == "expired"}


def _expire(now: datetime) -> int:
    """A lease that ran out in the middle of a request: the worker is gone and nobody knows how far it came."""
    with db.transaction() as session:
        result = session.execute(
            update(Delivery)
            .where(Delivery.state == DeliveryState.SENDING, Delivery.claimed_until < now)
            .values(state=DeliveryState.UNKNOWN, updated_at=now)
            .execution_options(synchronize_session=False)
        )
        return int(result.rowcount)  # type: ignore[attr-defined]


def _open_texts(now: datetime, grace: timedelta) -> Sequence[Row[Any]]:
    with db.reading() as session:
        rows: Any = session.execute(
            select(
                Delivery.id, Delivery.campaign_id, Delivery.message_id, Delivery.sending_at, Delivery.looks,
                Delivery.member_id, Delivery.direct_to, Address.value, Address.introduced_at, Member.first_name,
                Member.locale, Member.time_zone, Member.country, Member.discreet,
            )
            .outerjoin(Address, Address.id == Delivery.address_id)
            .outerjoin(Member, Member.id == Delivery.member_id)
            .where(
                Delivery.state == DeliveryState.UNKNOWN,
                Delivery.channel == ChannelName.SMS,
                Delivery.sending_at < now - grace,
                or_(Delivery.looked_at.is_(None), Delivery.looked_at < now - LOOKS_APART),
            )
            .order_by(Delivery.id)
            .limit(BATCH)
        ).all()  # fmt: skip
        return list(rows)


def _settle_text(row: Row[Any], now: datetime) -> str:
    """Ask the provider about one text: `found`, `looked` (absent so far), `requeued`, or `unanswered`."""
    to = row.direct_to or row.value
    since = row.sending_at - CLOCK_SLACK
    try:
        listed = twilio().find(to, since) if to else []
    except SendError as error:
        log.warning("the provider could not be asked", code=error.code, delivery=row.id)
        return "unanswered"
    with db.transaction() as session:
        match = _match(session, row, listed)
        if match is not None:
            state = DeliveryState(TWILIO_STATES.get(match.status, "accepted"))
            receipt = results.Receipt(state, now, row.id, match.sid, code=str(match.error_code or "") or None)
            results.apply_receipts(session, [receipt])
            return "found"
        if row.looks + 1 < LOOKS_NEEDED:
            _change(session, row.id, looks=row.looks + 1, looked_at=now)
            return "looked"
        _queue_again(session, [row.id], now)
        return "requeued"


def _match(session: Session, row: Row[Any], listed: list[ProviderMessage]) -> ProviderMessage | None:
    """The listed message that is this delivery: same words, same sender, and no other delivery's."""
    body = _body(session, row)
    taken = set(
        session.scalars(
            select(Delivery.provider_id).where(Delivery.provider_id.in_([m.sid for m in listed]), Delivery.id != row.id)
        )
    )
    settings = config.current()
    for message in listed:
        same_sender = settings.twilio_messaging_service_sid or message.sender in (settings.twilio_from, None, "")
        if message.sid not in taken and message.body == body and same_sender:
            return message
    return None


def _body(session: Session, row: Row[Any]) -> str:
    if row.message_id:
        message = session.get(Message, row.message_id)
        return message.body if message else ""
    reader = writing.Reader(
        row.member_id, row.first_name or "", row.locale or "en", row.time_zone or "UTC", row.country or "", row.discreet
    )
    return writing.text_body(writing.load_pack(session, row.campaign_id), reader, row.introduced_at)


def _settle_emails(now: datetime, grace: timedelta) -> Counter[str]:
    """An email without any event for its request after the grace is presumed absent, if events arrive at all."""
    counts: Counter[str] = Counter()
    with db.transaction() as session:
        open_requests = session.execute(
            select(Delivery.request_id, Delivery.sending_at, Delivery.id)
            .where(
                Delivery.state == DeliveryState.UNKNOWN,
                Delivery.channel == ChannelName.EMAIL,
                Delivery.sending_at < now - grace,
            )
            .limit(5 * BATCH)
        ).all()
        by_request: dict[UUID | None, list[int]] = {}
        for request_id, _, id_ in open_requests:
            by_request.setdefault(request_id, []).append(id_)
        since = min((at for _, at, _ in open_requests if at), default=now)
        arriving = bool(open_requests) and session.scalar(
            select(exists().where(WebhookEvent.kind == "email_event", WebhookEvent.received_at > since))
        )
        for ids in by_request.values():
            if arriving:
                _queue_again(session, ids, now)
                counts["requeued"] += len(ids)
            else:
                counts["unsettled"] += len(ids)
    return counts


def _change(session: Session, delivery_id: int, **values: Any) -> None:
    session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))


def _queue_again(session: Session, ids: list[int], now: datetime) -> None:
    """Proven absent: it goes again, under every rule of a new claim."""
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.UNKNOWN)
        .values(
            state=DeliveryState.QUEUED, due_at=now, claim=None, claimed_until=None, sending_at=None, request_id=None,
            looks=0, looked_at=None, updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    for name in ("texts", "emails", "replies"):
        queue.ring_after(session, f"drain_{name}")
