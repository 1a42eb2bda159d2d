"""Writing down what became of messages: what a provider answered, and what its receipts say later.

The only place where a delivery changes state after it was claimed. States have a rank and only a higher one
applies, so results and receipts may come in any order and any number of times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service import clock, db, logs
from service.actions import consent, holds
from service.actions.delivery.claims import Claimed
from service.actions.delivery.rules import MAX_ATTEMPTS, backoff
from service.actions.delivery.writing import carries_stop_line
from service.channels.base import Outcome, Result
from service.channels.errors import outcome_of_code, remedy
from service.models.campaigns import RANK, Campaign, CampaignKind, Delivery, DeliveryState, Purpose
from service.models.content import StoryRead
from service.models.members import Address, AddressState, ChannelName

log = logs.get("delivery")

FINAL_OF: dict[Outcome, DeliveryState] = {
    Outcome.ACCEPTED: DeliveryState.ACCEPTED,
    Outcome.STOPPED: DeliveryState.FAILED,
    Outcome.UNREACHABLE: DeliveryState.FAILED,
    Outcome.FAILED: DeliveryState.FAILED,
    Outcome.UNKNOWN: DeliveryState.UNKNOWN,
}
AGAIN = (Outcome.RETRY, Outcome.TOMORROW, Outcome.CONFIGURATION)
CONFIGURATION_WAIT = 300.0
"""Seconds until a single message is tried again after the provider refused our settings."""

rank = case({state.value: value for state, value in RANK.items()}, value=Delivery.state, else_=0)
"""SQL: the rank of a delivery's present state."""


def record(results: Sequence[Result], claimed: dict[int, Claimed]) -> None:
    """Write the results of a group, in bulk, with what follows from them for addresses, consent and campaigns."""
    if not results:
        return
    now = clock.now()
    with db.transaction() as session:
        _set_states(session, [r for r in results if r.outcome in FINAL_OF], claimed, now)
        _queue_again(session, [r for r in results if r.outcome in AGAIN], claimed, now)
        for result in results:
            if result.outcome in (Outcome.STOPPED, Outcome.UNREACHABLE):
                _mark_address(session, claimed[result.delivery_id], result)
            elif result.outcome == Outcome.CONFIGURATION:
                _stop_and_tell(session, claimed[result.delivery_id], result)
        _remember(session, [claimed[r.delivery_id] for r in results if r.outcome == Outcome.ACCEPTED], now)


def _set_states(session: Session, results: list[Result], claimed: dict[int, Claimed], now: datetime) -> None:
    """Final and accepted states. A receipt may have been quicker: then only the provider's id is added."""
    if not results:
        return
    low = RANK[DeliveryState.UNKNOWN]
    statement = (
        update(Delivery)
        .where(Delivery.id == bindparam("_id"))
        .values(
            state=case((rank <= low, bindparam("_state", type_=Delivery.state.type)), else_=Delivery.state),
            provider_id=func.coalesce(Delivery.provider_id, bindparam("_provider")),
            error_code=func.coalesce(Delivery.error_code, bindparam("_code")),
            sent_at=func.coalesce(Delivery.sent_at, bindparam("_sent", type_=Delivery.sent_at.type)),
            looked_at=None,
            looks=0,
            updated_at=now,
        )
    )
    rows = [
        {
            "_id": r.delivery_id,
            "_state": FINAL_OF[r.outcome],
            "_provider": r.provider_id,
            "_code": r.code,
            "_sent": now if r.outcome == Outcome.ACCEPTED else None,
        }
        for r in results
    ]
    session.connection().execute(statement, rows)


def _queue_again(session: Session, results: list[Result], claimed: dict[int, Claimed], now: datetime) -> None:
    """Back into the queue, later; or failed when it has been tried often enough."""
    again, over = [], []
    for r in results:
        attempts = claimed[r.delivery_id].attempts + 1
        started = r.code != "not_started"
        if started and attempts >= MAX_ATTEMPTS and r.outcome == Outcome.RETRY:
            over.append({"_id": r.delivery_id, "_code": r.code})
            continue
        wait = _wait(r, attempts) if started else 0.0
        again.append(
            {
                "_id": r.delivery_id,
                "_due": now + timedelta(seconds=wait),
                "_code": r.code if started else None,
                "_attempts": attempts if started else attempts - 1,
            }
        )
    mine = (Delivery.id == bindparam("_id"), Delivery.state == DeliveryState.SENDING)
    connection = session.connection()
    if again:
        values = {
            "state": DeliveryState.QUEUED,
            "due_at": bindparam("_due", type_=Delivery.due_at.type),
            "error_code": bindparam("_code"),
            "attempts": bindparam("_attempts"),
            "claim": None,
            "claimed_until": None,
            "sending_at": None,
            "request_id": None,
            "updated_at": now,
        }
        connection.execute(update(Delivery).where(*mine).values(values), again)
    if over:
        final = {
            "state": DeliveryState.FAILED,
            "reason": "gave_up",
            "error_code": bindparam("_code"),
            "updated_at": now,
        }
        connection.execute(update(Delivery).where(*mine).values(final), over)


def _wait(result: Result, attempts: int) -> float:
    if result.outcome == Outcome.TOMORROW:
        return 24 * 3600.0
    if result.outcome == Outcome.CONFIGURATION:
        return CONFIGURATION_WAIT
    return backoff(attempts, result.retry_after)


def _mark_address(session: Session, c: Claimed, result: Result) -> None:
    if result.outcome == Outcome.STOPPED:
        consent.stop_address(
            session, c.channel, c.to, source="provider", evidence=str(result.code or ""), reason="provider_stop"
        )
    elif c.address_id:
        session.execute(update(Address).where(Address.id == c.address_id).values(state=AddressState.UNREACHABLE))


def _stop_and_tell(session: Session, c: Claimed, result: Result) -> None:
    """The provider refuses our settings: every further message would meet the same, so the campaign pauses."""
    log.warning("provider refuses our configuration", code=result.code, channel=c.channel, campaign=str(c.campaign_id))
    if c.campaign_id:
        holds.pause_campaign(session, c.campaign_id, remedy(result.code or ""))


def _remember(session: Session, accepted: list[Claimed], now: datetime) -> None:
    """Note who has been told how to stop, and which story has been read."""
    told = [c.address_id for c in accepted if c.channel == ChannelName.SMS and c.campaign_id and c.address_id
            and carries_stop_line(c.introduced_at)]  # fmt: skip
    if told:
        session.execute(update(Address).where(Address.id.in_(told)).values(introduced_at=now))
    addresses = [c.address_id for c in accepted if c.address_id]
    if addresses:
        session.execute(update(Address).where(Address.id.in_(addresses)).values(last_sent_at=now))
    by_campaign: dict[UUID, list[UUID]] = {}
    for c in accepted:
        if c.campaign_id and c.member_id:
            by_campaign.setdefault(c.campaign_id, []).append(c.member_id)
    if not by_campaign:
        return
    stories = select(Campaign.id, Campaign.story_id).where(
        Campaign.id.in_(by_campaign), Campaign.kind == CampaignKind.STORY, Campaign.story_id.is_not(None)
    )
    for campaign_id, story_id in session.execute(stories):
        if story_id:
            rows = [{"story_id": story_id, "member_id": m, "at": now} for m in by_campaign[campaign_id]]
            builder = sqlite_insert if db.current().is_sqlite else postgresql_insert
            session.execute(builder(StoryRead).on_conflict_do_nothing(), rows)


def refuse(c: Claimed, reason: str) -> None:
    """A message that cannot be written is skipped with its reason; nothing has left."""
    with db.transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id == c.id, Delivery.state == DeliveryState.QUEUED)
            .values(state=DeliveryState.SKIPPED, reason=reason, updated_at=clock.now())
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider says later about one message, found by our delivery id, or by the provider's own."""

    state: DeliveryState
    at: datetime
    delivery_id: int | None = None
    provider_id: str | None = None
    request_id: UUID | None = None
    code: str | None = None
    unsubscribe: bool = False


def apply_receipts(session: Session, receipts: Iterable[Receipt]) -> int:
    """Apply a batch in any order; returns how many deliveries moved. Final states never regress.

    A receipt for a message that waits to be sent again proves that it did leave: it is not sent a second time.
    For email one event settles its whole request: the provider took all of it or nothing.
    """
    receipts = list(receipts)
    _find_by_provider(session, receipts)
    best: dict[int, Receipt] = {}
    for r in receipts:
        if r.delivery_id and (r.delivery_id not in best or RANK[r.state] > RANK[best[r.delivery_id].state]):
            best[r.delivery_id] = r
    now = clock.now()
    moved = 0
    if best:
        statement = (
            update(Delivery)
            .where(
                Delivery.id == bindparam("_id"),
                rank < bindparam("_rank"),
                Delivery.state != DeliveryState.SKIPPED,
            )
            .values(
                state=bindparam("_state", type_=Delivery.state.type),
                provider_id=func.coalesce(Delivery.provider_id, bindparam("_provider")),
                error_code=func.coalesce(bindparam("_code"), Delivery.error_code),
                sent_at=func.coalesce(Delivery.sent_at, bindparam("_at", type_=Delivery.sent_at.type)),
                updated_at=now,
            )
        )
        rows = [
            {
                "_id": i,
                "_rank": RANK[r.state],
                "_state": r.state,
                "_provider": r.provider_id,
                "_code": r.code,
                "_at": r.at,
            }
            for i, r in best.items()
        ]
        moved = int(session.connection().execute(statement, rows).rowcount)
    moved += _settle_requests(session, {r.request_id for r in receipts if r.request_id}, now)
    _consequences(session, receipts, best)
    return moved


def _find_by_provider(session: Session, receipts: list[Receipt]) -> None:
    """Fill in our id where a receipt knows only the provider's."""
    wanted = {r.provider_id for r in receipts if r.delivery_id is None and r.provider_id}
    if not wanted:
        return
    pairs: Any = session.execute(
        select(Delivery.provider_id, Delivery.id).where(
            Delivery.provider_id.in_(wanted), Delivery.channel == ChannelName.SMS
        )
    )
    found: dict[str | None, int] = dict(pairs.all())
    for i, r in enumerate(receipts):
        if r.delivery_id is None and r.provider_id in found:
            receipts[i] = Receipt(
                r.state, r.at, found[r.provider_id], r.provider_id, r.request_id, r.code, r.unsubscribe
            )


def _settle_requests(session: Session, requests: set[UUID], now: datetime) -> int:
    if not requests:
        return 0
    result = session.execute(
        update(Delivery)
        .where(
            Delivery.request_id.in_(requests),
            Delivery.state.in_([DeliveryState.SENDING, DeliveryState.UNKNOWN]),
        )
        .values(state=DeliveryState.ACCEPTED, sent_at=func.coalesce(Delivery.sent_at, now), updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def _consequences(session: Session, receipts: list[Receipt], best: dict[int, Receipt]) -> None:
    """Bounces, complaints, stops and dead numbers change what may be sent next."""
    grave = {i: r for i, r in best.items() if _is_grave(r)}
    grave |= {r.delivery_id: r for r in receipts if r.unsubscribe and r.delivery_id}
    if not grave:
        return
    rows = session.execute(
        select(Delivery.id, Delivery.channel, Delivery.address_id, Delivery.purpose, Address.value)
        .join(Address, Address.id == Delivery.address_id)
        .where(Delivery.id.in_(grave))
    )
    for id_, channel, address_id, purpose, value in rows:
        if address_id is None:
            continue
        receipt = grave[id_]
        outcome = outcome_of_code(receipt.code) if receipt.code and channel == ChannelName.SMS else None
        if receipt.state == DeliveryState.COMPLAINED or receipt.unsubscribe or outcome == Outcome.STOPPED:
            reason = "complaint" if receipt.state == DeliveryState.COMPLAINED else "provider_stop"
            consent.stop_address(session, channel, value, source="provider", evidence=f"delivery {id_}", reason=reason)
        elif receipt.state == DeliveryState.BOUNCED:
            _set_address(session, address_id, AddressState.BOUNCED)
        elif outcome == Outcome.UNREACHABLE:
            _set_address(session, address_id, AddressState.UNREACHABLE)
        elif outcome == Outcome.CONFIGURATION and purpose == Purpose.CAMPAIGN:
            campaign_id = session.scalar(select(Delivery.campaign_id).where(Delivery.id == id_))
            if campaign_id:
                holds.pause_campaign(session, campaign_id, remedy(receipt.code or ""))


def _is_grave(r: Receipt) -> bool:
    return r.state in (
        DeliveryState.BOUNCED, DeliveryState.COMPLAINED, DeliveryState.UNDELIVERED, DeliveryState.FAILED,
    )  # fmt: skip


def _set_address(session: Session, address_id: UUID, state: AddressState) -> None:
    session.execute(
        update(Address).where(Address.id == address_id, Address.state == AddressState.OK).values(state=state)
    )
