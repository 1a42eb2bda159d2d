"""What a provider says later about messages: its receipts, applied in batches, in any order and any number of times."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, func, select, update
from sqlalchemy.orm import Session

from service import clock, db, logs
from service.actions import consent, holds
from service.actions.delivery import tally
from service.actions.delivery.results import OPEN, rank, remember
from service.channels.base import Outcome
from service.channels.errors import remedy
from service.models.campaigns import RANK, Delivery, DeliveryState, Purpose
from service.models.members import Address, AddressState, ChannelName

log = logs.get("delivery")

GRAVE = (DeliveryState.BOUNCED, DeliveryState.COMPLAINED, DeliveryState.UNDELIVERED, DeliveryState.FAILED)
"""States that may say something about the address or the account."""
CONDEMNED: dict[ChannelName, AddressState] = {
    ChannelName.SMS: AddressState.UNREACHABLE,
    ChannelName.EMAIL: AddressState.BOUNCED,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider says about one message, found by our delivery id, or by the provider's own."""

    state: DeliveryState
    at: datetime
    delivery_id: int | None = None
    provider_id: str | None = None
    request_id: UUID | None = None
    code: str | None = None
    outcome: Outcome | None = None
    """What its error means for the address, the consent or the account; None where there is no error."""
    unsubscribe: bool = False


def apply_receipts(session: Session, receipts: Iterable[Receipt]) -> int:
    """Apply a batch in any order; returns how many deliveries moved. Final states never regress.

    A receipt for a message that waits to be sent again proves that it did leave: it is not sent a second time.
    For email one event settles its whole request: the provider took all of it or nothing.
    """
    known = _with_ids(session, list(receipts))
    best: dict[int, Receipt] = {}
    for r in known:
        if r.delivery_id and (r.delivery_id not in best or RANK[r.state] > RANK[best[r.delivery_id].state]):
            best[r.delivery_id] = r
    now = clock.now()
    requests = {r.request_id for r in known if r.request_id}
    opened = _open(session, best, requests)
    moved = _move(session, best, now)
    moved += _settle_requests(session, requests, now)
    remember(session, opened, now)
    _consequences(session, known, best, now)
    tally.add_receipts(session, {i: (r.state, r.code or "") for i, r in best.items()})
    return moved


def _with_ids(session: Session, receipts: list[Receipt]) -> list[Receipt]:
    """The receipts with our id filled in where one knows only the provider's."""
    wanted = {r.provider_id for r in receipts if r.delivery_id is None and r.provider_id}
    if not wanted:
        return receipts
    # Of emails the provider's id is one for a whole request, so it names nobody.
    pairs: Any = session.execute(
        select(Delivery.provider_id, Delivery.id).where(
            Delivery.provider_id.in_(wanted), Delivery.channel == ChannelName.SMS
        )
    )
    found: dict[str | None, int] = dict(pairs.all())
    return [
        replace(r, delivery_id=found[r.provider_id]) if r.delivery_id is None and r.provider_id in found else r
        for r in receipts
    ]


def _open(session: Session, best: dict[int, Receipt], requests: set[UUID]) -> set[int]:
    """Those of the deliveries of which nobody knew until now that they have left."""
    open_ = select(Delivery.id).where(Delivery.state.in_(OPEN))
    found = set(session.scalars(open_.where(db.among(Delivery.id, best)))) if best else set()
    if requests:
        found |= set(session.scalars(open_.where(Delivery.request_id.in_(requests))))
    return found


def _move(session: Session, best: dict[int, Receipt], now: datetime) -> int:
    if not best:
        return 0
    columns = {
        "id": Delivery.id.type, "rank": Integer(), "state": Delivery.state.type, "provider": Delivery.provider_id.type,
        "code": Delivery.error_code.type, "at": Delivery.sent_at.type,
    }  # fmt: skip
    # In the same order as in `results.record`.
    rows = [(i, RANK[r.state], r.state, r.provider_id, r.code, r.at) for i, r in sorted(best.items())]
    said = db.given(columns, rows)
    statement = (
        update(Delivery)
        .where(Delivery.id == said.c.id, rank < said.c.rank, Delivery.state != DeliveryState.SKIPPED)
        .values(
            state=said.c.state,
            provider_id=func.coalesce(Delivery.provider_id, said.c.provider),
            error_code=func.coalesce(said.c.code, Delivery.error_code),
            sent_at=func.coalesce(Delivery.sent_at, said.c.at),
            reason=None,
            updated_at=now,
        )
    )
    return int(session.connection().execute(statement).rowcount)


def _settle_requests(session: Session, requests: set[UUID], now: datetime) -> int:
    if not requests:
        return 0
    result = session.execute(
        update(Delivery)
        .where(Delivery.request_id.in_(requests), Delivery.state.in_([DeliveryState.SENDING, DeliveryState.UNKNOWN]))
        .values(
            state=DeliveryState.ACCEPTED, error_code=None, sent_at=func.coalesce(Delivery.sent_at, now), updated_at=now
        )
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def _consequences(session: Session, receipts: list[Receipt], best: dict[int, Receipt], now: datetime) -> None:
    """Bounces, complaints, stops and dead numbers change what may be sent next."""
    grave = {i: r for i, r in best.items() if r.state in GRAVE}
    # Not only the last word counts: whoever left and then marked it as spam has done both.
    grave |= {r.delivery_id: r for r in receipts if r.delivery_id and (r.unsubscribe or r.outcome == Outcome.STOPPED)}
    if not grave:
        return
    rows = session.execute(
        select(
            Delivery.id, Delivery.channel, Delivery.campaign_id, Delivery.purpose, Delivery.address_id,
            Delivery.sending_at, Address.value,
        )
        .outerjoin(Address, Address.id == Delivery.address_id)
        .where(db.among(Delivery.id, grave))
        .order_by(Delivery.id)
    )  # fmt: skip
    for row in rows:
        receipt = grave[row.id]
        if receipt.outcome == Outcome.CONFIGURATION and row.purpose == Purpose.CAMPAIGN and row.campaign_id:
            log.warning("provider refuses our configuration", code=receipt.code, campaign=str(row.campaign_id))
            holds.pause_campaign(session, row.campaign_id, remedy(receipt.code or ""))
        elif row.address_id is not None:
            _about_address(session, row, receipt)


def _about_address(session: Session, row: Any, receipt: Receipt) -> None:
    complained = receipt.state == DeliveryState.COMPLAINED
    if complained or receipt.unsubscribe or receipt.outcome == Outcome.STOPPED:
        reason = "complaint" if complained else "provider_stop"
        consent.stop_address(
            session, row.channel, row.value, source="provider", evidence=f"delivery {row.id}", reason=reason
        )
        if complained:
            _set_address(session, row.address_id, AddressState.COMPLAINED)
    elif receipt.outcome == Outcome.UNREACHABLE:
        _set_address(session, row.address_id, CONDEMNED[row.channel])


def _set_address(session: Session, address_id: UUID, state: AddressState) -> None:
    session.execute(
        update(Address).where(Address.id == address_id, Address.state == AddressState.OK).values(state=state)
    )
