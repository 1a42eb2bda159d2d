"""Writing down what a provider answered. Receipts that come later are in `receipts`.

Together these are the only places where a delivery changes state after it was claimed. States have a rank and only a
higher one applies, so results and receipts may come in any order and any number of times.
"""

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, literal, or_, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service import clock, db, logs
from service.actions import consent, holds
from service.actions.delivery import budget, tally
from service.actions.delivery.claims import Claimed
from service.actions.delivery.rules import MAX_ATTEMPTS, backoff
from service.actions.delivery.writing import STOP_LINE_EVERY, tells_stop
from service.channels.base import Outcome, Result
from service.channels.errors import remedy
from service.models.campaigns import RANK, Campaign, CampaignKind, Delivery, DeliveryState
from service.models.content import StoryRead
from service.models.members import Address, AddressState, ChannelName

log = logs.get("delivery")

FINAL_OF: dict[Outcome, DeliveryState] = {
    Outcome.STOPPED: DeliveryState.FAILED,
    Outcome.UNREACHABLE: DeliveryState.FAILED,
    Outcome.FAILED: DeliveryState.FAILED,
    Outcome.UNKNOWN: DeliveryState.UNKNOWN,
}
AGAIN = (Outcome.RETRY, Outcome.TOMORROW, Outcome.CONFIGURATION)
OPEN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)
LEFT = (DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.COMPLAINED)
"""States that mean: the member has it, or soon will."""
CONFIGURATION_WAIT = 300.0
"""Seconds until a single message is tried again after the provider refused our settings."""
TRIES = 4
"""How often results are written when the database stumbles: lost ones would have to be asked for at the provider."""
PAUSE = 0.001
"""Seconds between two commits of a bulk writer on SQLite, in which the next in line takes its turn (`db`)."""

rank = case({state.value: value for state, value in RANK.items()}, value=Delivery.state, else_=0)
"""SQL: the rank of a delivery's present state."""


OPEN_ROWS = text("deliveries.state IN ('sending', 'unknown')")
"""SQL: the very words of the partial index of open deliveries. SQLite takes that index for nothing else."""


def breathe() -> None:
    """Let others write: SQLite has one writer at a time and no queue for it."""
    if db.current().is_sqlite:
        time.sleep(PAUSE)


def record(results: Sequence[Result], claimed: dict[int, Claimed]) -> None:
    """Write the results of a group, in bulk, with what follows from them for addresses, consent and campaigns."""
    # One order for everybody who writes several deliveries: two that lock the same rows never wait in a circle.
    results = sorted(results, key=lambda r: r.delivery_id)
    for again in range(TRIES if results else 0):
        try:
            with db.transaction() as session:
                _record(session, results, claimed)
            break
        except OperationalError as error:
            if again == TRIES - 1:
                raise
            log.warning("results could not be written yet", count=len(results), exc_info=error)
            time.sleep(0.2 * 4**again)
    breathe()


def _record(session: Session, results: list[Result], claimed: dict[int, Claimed]) -> None:
    now = clock.now()
    _accept(session, [r for r in results if r.outcome == Outcome.ACCEPTED], now)
    _set_states(session, [r for r in results if r.outcome in FINAL_OF], claimed, now)
    _queue_again(session, [r for r in results if r.outcome in AGAIN], claimed, now)
    for result in results:
        if result.outcome in (Outcome.STOPPED, Outcome.UNREACHABLE):
            _mark_address(session, claimed[result.delivery_id], result)
        elif result.outcome == Outcome.CONFIGURATION:
            _stop_and_tell(session, claimed[result.delivery_id], result)
    accepted = [r.delivery_id for r in results if r.outcome == Outcome.ACCEPTED]
    remember(session, [i for i in accepted if _worth_remembering(claimed[i])], now)
    _count(session, results, claimed, now)


def _count(session: Session, results: list[Result], claimed: dict[int, Claimed], now: datetime) -> None:
    """For budgets, daily limits and operators. What may have left counts as well: it may cost as much.

    Last in the transaction: all workers add to the same few rows.
    """
    went = [claimed[r.delivery_id] for r in results if r.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)]
    budget.use(session, [budget.Left(c.channel, c.phone_country, c.to, c.segments) for c in went], now)
    keys = []
    for r in results:
        c = claimed[r.delivery_id]
        keys.append((tally.queue_of(c.channel, c.purpose), str(r.outcome), r.code or ""))
    tally.add(session, tally.count(keys), now)


def _accept(session: Session, results: list[Result], now: datetime) -> None:
    """The provider has them. That counts from anybody, also from a worker whose lease ran out long ago."""
    if not results:
        return
    ours = {"id": Delivery.id.type, "provider": Delivery.provider_id.type}
    has = db.given(ours, [(r.delivery_id, r.provider_id) for r in results])
    provider_id = func.coalesce(Delivery.provider_id, has.c.provider)
    values = {"state": DeliveryState.ACCEPTED, "provider_id": provider_id, "sent_at": now, "updated_at": now}
    settled = {"error_code": None, "reason": None, "claimed_until": None, "looked_at": None, "looks": 0}
    connection = session.connection()
    named = Delivery.id == has.c.id
    done = connection.execute(update(Delivery).where(named, Delivery.state.in_(OPEN)).values(values | settled))
    if done.rowcount != len(results):  # a receipt was quicker, and may not have named the provider's id
        # Without the index of the provider's ids, which would bring every message that has none.
        late = update(Delivery).where(named, func.coalesce(Delivery.provider_id, "") == "")
        connection.execute(late.values(provider_id=has.c.provider))


def _set_states(session: Session, results: list[Result], claimed: dict[int, Claimed], now: datetime) -> None:
    """Failed and unknown, unless a receipt knows better already.

    Bad news counts only from whoever still holds the claim: a worker that was away for so long that somebody else
    took over knows nothing about the second try.
    """
    rows = [
        {
            "_id": r.delivery_id,
            "_claim": claimed[r.delivery_id].claim,
            "_state": FINAL_OF[r.outcome],
            "_provider": r.provider_id,
            "_code": r.code,
        }
        for r in results
    ]
    if not rows:
        return
    values = {
        "state": bindparam("_state", type_=Delivery.state.type),
        "provider_id": func.coalesce(Delivery.provider_id, bindparam("_provider", type_=Delivery.provider_id.type)),
        "error_code": bindparam("_code", type_=Delivery.error_code.type),
        "claimed_until": None,  # the request is over, and nobody works on this any more
        "updated_at": now,
    }
    session.connection().execute(update(Delivery).where(*_in_hand()).values(values), rows)


def _in_hand() -> tuple[ColumnElement[bool], ...]:
    """SQL: the delivery `_id`, while it is in the claim `_claim` and about to leave."""
    return (
        Delivery.id == bindparam("_id"),
        Delivery.claim == bindparam("_claim", type_=Delivery.claim.type),
        _any_of((DeliveryState.SENDING, DeliveryState.UNKNOWN)),
    )


def _any_of(states: Sequence[DeliveryState]) -> ColumnElement[bool]:
    return or_(*[Delivery.state == state for state in states])  # IN does not go with executemany


def _queue_again(session: Session, results: list[Result], claimed: dict[int, Claimed], now: datetime) -> None:
    """Back into the queue, later; or failed when it has been tried often enough."""
    again, over = [], []
    for r in results:
        c = claimed[r.delivery_id]
        attempts = c.attempts + 1
        started = r.code != "not_started"
        row = {"_id": r.delivery_id, "_claim": c.claim, "_code": r.code if started else None}
        if started and attempts >= MAX_ATTEMPTS and r.outcome == Outcome.RETRY:
            over.append(row)
            continue
        wait = _wait(r, attempts) if started else 0.0
        due = now + timedelta(seconds=wait)
        again.append(row | {"_due": due, "_attempts": attempts if started else c.attempts})
    connection = session.connection()
    if again:
        values = {
            "state": DeliveryState.QUEUED,
            "due_at": bindparam("_due", type_=Delivery.due_at.type),
            "error_code": bindparam("_code", type_=Delivery.error_code.type),
            "attempts": bindparam("_attempts"),
            **AFRESH,
            "updated_at": now,
        }
        connection.execute(update(Delivery).where(*_in_hand()).values(values), again)
    if over:
        final = {
            "state": DeliveryState.FAILED,
            "reason": "gave_up",
            "error_code": bindparam("_code", type_=Delivery.error_code.type),
            "updated_at": now,
        }
        connection.execute(update(Delivery).where(*_in_hand()).values(final), over)


AFRESH: dict[str, Any] = {
    "claim": None, "claimed_until": None, "sending_at": None, "request_id": None, "looked_at": None, "looks": 0,
}  # fmt: skip
"""What a delivery loses that goes back into the queue."""


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


def _worth_remembering(c: Claimed) -> bool:
    """Whether `remember` has anything to note about a message that has left."""
    return c.campaign_id is not None and (
        c.tells_story or (c.channel == ChannelName.SMS and tells_stop(c.introduced_at))
    )


def remember(session: Session, ids: Collection[int], now: datetime) -> None:
    """Note for messages that have left who has been told how to stop, and which story has been read.

    Called with everything that was open and is settled now, however that came about: a message of which only its
    receipt told us has been read like any other.
    """
    if not ids:
        return
    left = (db.among(Delivery.id, ids), Delivery.state.in_(LEFT))
    by_campaign = select(Delivery.address_id).where(
        *left, Delivery.campaign_id.is_not(None), Delivery.channel == ChannelName.SMS
    )
    session.execute(
        update(Address)
        .where(
            Address.id.in_(by_campaign),
            Address.introduced_at.is_(None) | (Address.introduced_at < now - STOP_LINE_EVERY),
        )
        .values(introduced_at=now)
        .execution_options(synchronize_session=False)
    )
    read = (
        select(Campaign.story_id, Delivery.member_id, literal(now, StoryRead.at.type))
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(
            *left, Campaign.kind == CampaignKind.STORY, Campaign.story_id.is_not(None), Delivery.member_id.is_not(None)
        )
        .order_by(Delivery.member_id)
    )
    session.execute(db.insert(StoryRead).from_select(["story_id", "member_id", "at"], read).on_conflict_do_nothing())
