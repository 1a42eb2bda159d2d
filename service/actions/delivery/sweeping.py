"""Settling what nobody knows: messages that may have left while a worker or a connection died.

Nothing is sent again unless its absence is proven: a doubled message costs more trust than a late one (DESIGN 6.5).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.orm import Session

from service import clock, config, db, logs, queue
from service.actions.delivery import lateness, writing
from service.actions.delivery.draining import twilio
from service.actions.delivery.receipts import Receipt, apply_receipts
from service.actions.delivery.results import AFRESH, OPEN_ROWS, breathe
from service.actions.delivery.rules import MAX_ATTEMPTS
from service.channels.base import SendError
from service.channels.errors import outcome_of_code
from service.channels.events import TWILIO_STATES
from service.channels.twilio import ProviderMessage
from service.errors import Invalid
from service.models.campaigns import Delivery, DeliveryState
from service.models.conversations import Message, WebhookEvent
from service.models.members import Address, ChannelName, Member

log = logs.get("sweep")

BATCH = 200
LOOKS_APART = timedelta(seconds=60)
LOOKS_NEEDED = 2
"""Absence of a text needs this many successful empty lists, LOOKS_APART from each other."""
ENOUGH = 3
"""Questions without an answer after which the provider is left alone until the next pass."""
CLOCK_SLACK = timedelta(seconds=60)


def sweep() -> dict[str, int]:
    """One pass over what is open; returns counts by outcome. Leases and graces are obeyed."""
    now = clock.now()
    counts: Counter[str] = Counter(expired=_expire(now))
    grace = config.current()
    for row in _open_texts(now, timedelta(seconds=grace.unknown_grace_sms)):
        if queue.stopping.is_set() or counts["unanswered"] >= ENOUGH:
            break
        counts[_settle_text(row, now)] += 1
    counts.update(_settle_emails(now, timedelta(seconds=grace.unknown_grace_email)))
    return {name: count for name, count in sorted(counts.items()) if count or name == "expired"}


def _expire(now: datetime) -> int:
    """A lease that ran out in the middle of a request: the worker is gone and nobody knows how far it came."""
    with db.transaction() as session:
        result = session.execute(
            update(Delivery)
            .where(OPEN_ROWS, Delivery.state == DeliveryState.SENDING, Delivery.claimed_until < now)
            .values(state=DeliveryState.UNKNOWN, updated_at=now)
            .execution_options(synchronize_session=False)
        )
        return int(result.rowcount)  # type: ignore[attr-defined]


def _unknown(now: datetime, channel: ChannelName, grace: timedelta) -> tuple[Any, ...]:
    """SQL: open for longer than the grace, and out of every worker's hands."""
    return (
        OPEN_ROWS,
        Delivery.state == DeliveryState.UNKNOWN,
        Delivery.channel == channel,
        Delivery.sending_at < now - grace,
        or_(Delivery.claimed_until.is_(None), Delivery.claimed_until < now),
    )


def _open_texts(now: datetime, grace: timedelta) -> Sequence[Row[Any]]:
    """Texts to ask about, those that were never looked for first: a provider that is down must not hide them."""
    with db.reading() as session:
        rows: Any = session.execute(
            select(
                Delivery.id, Delivery.campaign_id, Delivery.message_id, Delivery.sending_at, Delivery.looks,
                Delivery.attempts, Delivery.member_id, Delivery.direct_to, Address.value, Address.introduced_at,
                Member.first_name, Member.locale, Member.time_zone, Member.country, Member.discreet,
            )
            .outerjoin(Address, Address.id == Delivery.address_id)
            .outerjoin(Member, Member.id == Delivery.member_id)
            .where(
                *_unknown(now, ChannelName.SMS, grace),
                or_(Delivery.looked_at.is_(None), Delivery.looked_at <= now - LOOKS_APART),
            )
            .order_by(Delivery.id)
            .limit(BATCH)
        ).all()  # fmt: skip
        return list(rows)


def _settle_text(row: Row[Any], now: datetime) -> str:
    """Ask the provider about one text: `found`, `looked` (absent so far), `requeued`, `gave_up`, or `unanswered`.

    `moved` is one that somebody else has settled meanwhile; `unsettled` one whose words cannot be made again, so that
    nothing can be proven.
    """
    to = row.direct_to or row.value
    if not to:
        return _without_address(row)
    try:
        listed = twilio().find(to, row.sending_at - CLOCK_SLACK)
    except SendError as error:
        log.warning("the provider could not be asked", code=error.code, delivery=row.id)
        return "unanswered"
    with db.transaction() as session:
        if not _still_open(session, row):
            return "moved"
        bodies = _bodies(session, row)
        if listed and not bodies:
            return "unsettled"
        match = _match(session, row, listed, bodies)
        if match is not None:
            state = DeliveryState(TWILIO_STATES.get(match.status, "accepted"))
            outcome = outcome_of_code(match.error_code) if match.error_code else None
            apply_receipts(
                session, [Receipt(state, now, row.id, match.sid, code=match.error_code or None, outcome=outcome)]
            )
            return "found"
        if row.looks + 1 < LOOKS_NEEDED:
            looked = {"looks": row.looks + 1, "looked_at": now}
            session.execute(update(Delivery).where(Delivery.id == row.id).values(looked))
            return "looked"
        return "requeued" if _queue_again(session, [row.id], now) else "gave_up"


def _still_open(session: Session, row: Row[Any]) -> bool:
    """Lock the row; whether it is in the state in which it was read. One sweep at a time settles texts.

    Two sweeps could otherwise take one listed message for two deliveries of the same words.
    """
    if not db.current().is_sqlite:
        session.execute(select(func.pg_advisory_xact_lock(SWEEP_LOCK)))
    found = session.execute(
        select(Delivery.state, Delivery.sending_at, Delivery.looks).where(Delivery.id == row.id).with_for_update()
    ).one_or_none()
    return found is not None and tuple(found) == (DeliveryState.UNKNOWN, row.sending_at, row.looks)


SWEEP_LOCK = 0x48454152
"""The number of PostgreSQL's advisory lock that a sweep holds while it settles one text."""


def _without_address(row: Row[Any]) -> str:
    """The address was erased meanwhile: there is nobody to send it to again."""
    with db.transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id == row.id, Delivery.state == DeliveryState.UNKNOWN)
            .values(state=DeliveryState.FAILED, reason="no_address", updated_at=clock.now())
        )
    return "gave_up"


def _match(session: Session, row: Row[Any], listed: list[ProviderMessage], bodies: list[str]) -> ProviderMessage | None:
    """The listed message that is this delivery: same words, same sender, and no other delivery's."""
    wanted = {_bones(body) for body in bodies}
    taken = set(
        session.scalars(
            select(Delivery.provider_id).where(Delivery.provider_id.in_([m.sid for m in listed]), Delivery.id != row.id)
        )
    )
    settings = config.current()
    for message in sorted(listed, key=lambda m: (m.created_at is None, m.created_at)):
        same_sender = settings.twilio_messaging_service_sid or message.sender in (settings.twilio_from, None, "")
        if message.sid not in taken and _bones(message.body) in wanted and same_sender:
            return message
    return None


def _bodies(session: Session, row: Row[Any]) -> list[str]:
    """The words that may have left. How a text ends depends on when its address was last told how to stop, and
    another message may have told it since: so it is written in each of the ways that were possible.
    """
    if row.message_id:
        message = session.get(Message, row.message_id)
        return [message.body] if message else []
    reader = writing.Reader(
        row.member_id, row.first_name or "", row.locale or "en", row.time_zone or "UTC", row.country or "", row.discreet
    )
    pack = writing.load_pack(session, row.campaign_id)
    moments = (None, clock.now() - 2 * writing.STOP_LINE_EVERY, clock.now())
    try:
        return [writing.text_body(pack, reader, told) for told in moments]
    except Invalid:
        return []


_LINK = re.compile(r"https?://\S+")
_PLAIN = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014\u00a0", "''\"\"-- ")


def _bones(body: str) -> str:
    """A text without what may differ between two writings of it: signed links, and quotes that providers make plain."""
    return " ".join(_LINK.sub("[link]", body.translate(_PLAIN).replace("\u2026", "...")).split())


@dataclass
class _Request:
    """One request to the email provider of which we have no answer."""

    at: datetime
    ids: list[int]


def _settle_emails(now: datetime, grace: timedelta) -> Counter[str]:
    """An email without an event for its request after the grace is presumed absent, if events arrive, and in time.

    An event settles its whole request (`receipts`), so what is still open here has had none.
    """
    counts: Counter[str] = Counter()
    with db.transaction() as session:
        waiting = session.execute(
            select(Delivery.request_id, Delivery.sending_at, Delivery.id)
            .where(*_unknown(_read_up_to(session, now), ChannelName.EMAIL, grace))
            .order_by(Delivery.id)
            .limit(5 * BATCH)
        ).all()
        requests: dict[UUID | None, _Request] = {}
        for request_id, sending_at, id_ in waiting:
            requests.setdefault(request_id, _Request(sending_at or now, [])).ids.append(id_)
        heard = _last_event(session) if requests else None
        late = bool(requests) and lateness.may_come(session, now, grace)
        for request in requests.values():
            if late or heard is None or heard <= request.at:
                counts["unsettled"] += len(request.ids)
                continue
            again = _queue_again(session, request.ids, now)
            counts["requeued"] += again
            counts["gave_up"] += len(request.ids) - again
    if waiting:
        breathe()
    return counts


def _read_up_to(session: Session, now: datetime) -> datetime:
    """The moment up to which every event about an email that has come was read: an unread one may tell of any request,
    so no grace runs out while the workers of inbound are behind.
    """
    unread: datetime | None = session.scalar(
        select(WebhookEvent.received_at)
        .where(WebhookEvent.kind == "email_event", WebhookEvent.processed_at.is_(None))
        .order_by(WebhookEvent.id)
        .limit(1)
    )
    return min(unread or now, now)


def _last_event(session: Session) -> datetime | None:
    """When the last signed event about an email came: without any, silence proves nothing."""
    last: datetime | None = session.scalar(
        select(WebhookEvent.received_at)
        .where(WebhookEvent.kind == "email_event")
        .order_by(WebhookEvent.received_at.desc())
        .limit(1)
    )
    return last


def _queue_again(session: Session, ids: list[int], now: datetime) -> int:
    """Proven absent: it goes again, under every rule of a new claim; returns how many. One that was tried often
    enough has failed, and is known never to have left.
    """
    unknown = (Delivery.id.in_(ids), Delivery.state == DeliveryState.UNKNOWN)
    session.execute(
        update(Delivery)
        .where(*unknown, Delivery.attempts >= MAX_ATTEMPTS)
        .values(state=DeliveryState.FAILED, reason="gave_up", updated_at=now)
        .execution_options(synchronize_session=False)
    )
    result = session.execute(
        update(Delivery)
        .where(*unknown)
        .values(state=DeliveryState.QUEUED, due_at=now, updated_at=now, **AFRESH)
        .execution_options(synchronize_session=False)
    )
    for name in ("texts", "emails", "replies"):
        queue.ring_after(session, f"drain_{name}")
    return int(result.rowcount)  # type: ignore[attr-defined]
