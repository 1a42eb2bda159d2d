"""The delivery engine in any order of events: workers claim, stall and die, receipts come late, doubled and mixed up,
members stop and start, coordinators pause and cancel, the sweep runs whenever it likes.

A provider that remembers everything stands beside it. What must hold: nobody gets a second copy, nothing is sent after
a stop was committed, final states never go back, and in the end every message has an end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import case, delete, select, update

from service import clock, db
from service.actions import campaigns, consent, holds
from service.actions.delivery import Receipt, apply_receipts, claims, sweep, sweeping
from service.actions.delivery.claims import Claimed
from service.actions.delivery.results import record
from service.channels.base import Outcome, Result
from service.config import Settings
from service.models.campaigns import RANK, Campaign, CampaignKind, CampaignState, Delivery, DeliveryState
from service.models.conversations import WebhookEvent
from service.models.members import (
    Address,
    AddressState,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Suppression,
)
from tests.actions.engine import EMAIL, QUEUES, SMS, Provider, rows, start
from tests.flows.world import add_member

BEGIN = datetime(2026, 5, 5, 15, tzinfo=UTC)
NOT_LEFT = [Outcome.RETRY, Outcome.TOMORROW, Outcome.FAILED, Outcome.UNREACHABLE, Outcome.STOPPED,
            Outcome.CONFIGURATION, Outcome.UNKNOWN]  # fmt: skip
RECEIPTS = [DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.UNDELIVERED,
            DeliveryState.FAILED, DeliveryState.BOUNCED, DeliveryState.COMPLAINED]  # fmt: skip
ENDS = ["claimed", "marked", "marked", "left", "left", "recorded"]
TIMEOUT = timedelta(seconds=10)
OPEN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)
picks = st.integers(0, 1000)


@dataclass
class Worker:
    """A process in the middle of something: what it has claimed, marked, sent and not yet written down."""

    claimed: dict[int, Claimed]
    marked: dict[int, datetime] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)


class Engine(RuleBasedStateMachine):
    """Everything that can happen, one step at a time."""

    provider: Provider
    members: list[Member]
    campaigns: list[UUID]

    @initialize()
    def begin(self) -> None:
        self._at(BEGIN)
        reset()
        self.provider.copies.clear()
        self.provider.texts.clear()
        self.workers: list[Worker] = []
        self.stopped: set[UUID] = set()
        self.held: set[UUID] = set()
        self.seen: dict[int, DeliveryState] = {}
        self.request_of: dict[int, UUID] = {}
        self.heard: set[int] = set()
        self.member_of = {row.id: row.member_id for row in rows() if row.member_id}
        self.campaign_of = {row.id: row.campaign_id for row in rows()}
        assert len(self.member_of) == 12

    def _at(self, moment: datetime) -> None:
        clock._frozen = moment

    def _state(self, campaign_id: UUID | None) -> CampaignState:
        with db.reading() as session:
            found = session.scalar(select(Campaign.state).where(Campaign.id == campaign_id))
        assert found is not None
        return found

    # Workers

    @rule(queue=st.sampled_from(QUEUES[1:]), ends=st.lists(st.sampled_from(ENDS), min_size=1, max_size=6))
    def work(self, queue: str, ends: list[str]) -> None:
        """A worker takes some, and is interrupted in the middle: each is as far as `ends` says."""
        batch = claims.claim(queue, len(ends))
        worker = Worker({c.id: c for c in batch.claimed})
        if not batch.claimed:
            return
        for c in batch.claimed:
            assert self.provider.copies[c.id] == 0, "claimed although it has left"
        self.workers.append(worker)
        going = [c for c, end in zip(batch.claimed, ends, strict=False) if end != "claimed"]
        self._mark(worker, going)
        for c, end in zip(batch.claimed, ends, strict=False):
            if c.id in worker.marked and end in ("left", "recorded"):
                self._leave(worker, c.id)
            if c.id in worker.marked and end == "recorded":
                record([Result(c.id, Outcome.ACCEPTED, provider_id=worker.left[c.id])], worker.claimed)
                del worker.marked[c.id]

    @precondition(lambda self: self.workers)
    @rule(pick=picks, most=st.integers(1, 3))
    def mark(self, pick: int, most: int) -> None:
        worker = self._worker(pick)
        self._mark(worker, [c for i, c in worker.claimed.items() if i not in worker.marked][:most])

    def _mark(self, worker: Worker, wanted: list[Claimed]) -> None:
        request = db.uuid7() if wanted and wanted[0].channel == EMAIL else None
        for delivery_id in claims.mark_sending(wanted, request):
            member_id, campaign_id = self.member_of[delivery_id], self.campaign_of[delivery_id]
            assert member_id not in self.stopped, "about to leave after a stop"
            assert member_id not in self.held, "about to leave under a flag"
            assert self._state(campaign_id) == CampaignState.SENDING
            worker.marked[delivery_id] = clock.now()
            if request:
                self.request_of[delivery_id] = request

    @precondition(lambda self: self._ready())
    @rule(which=picks)
    def leave(self, which: int) -> None:
        """The bytes leave. A worker never begins a request that could outlive its lease."""
        ready = self._ready()
        self._leave(*ready[which % len(ready)])

    def _ready(self) -> list[tuple[Worker, int]]:
        in_time = clock.now() - TIMEOUT
        return [(w, i) for w in self.workers for i, at in w.marked.items() if i not in w.left and at >= in_time]

    def _leave(self, worker: Worker, delivery_id: int) -> None:
        """One text, or the whole request of an email: the provider takes all of it or nothing."""
        for each in self._together(worker, delivery_id):
            c = worker.claimed[each]
            body = "One." if self.campaign_of[each] == self.campaigns[0] else "Two."
            worker.left[each] = self.provider.take(c, f"{body}\n{self.footer(c)}")

    def _together(self, worker: Worker, delivery_id: int) -> list[int]:
        """What shares a request with this one, in the worker's hands."""
        request = self.request_of.get(delivery_id)
        if request is None:
            return [delivery_id]
        return [i for i in worker.marked if self.request_of.get(i) == request and i not in worker.left]

    def footer(self, c: Claimed) -> str:
        """The last line of a text, as it was when it left."""
        if c.introduced_at is None:
            return "Hearthline. Msg & data rates may apply. Reply STOP to stop, HELP for help."
        return "- Hearthline"

    @precondition(lambda self: any(w.marked for w in self.workers))
    @rule(pick=picks, which=picks, answered=st.booleans(), outcome=st.sampled_from(NOT_LEFT))
    def record(self, pick: int, which: int, answered: bool, outcome: Outcome) -> None:
        """The worker writes down what became of one, however late."""
        busy = [w for w in self.workers if w.marked]
        worker = busy[pick % len(busy)]
        delivery_id = sorted(worker.marked)[which % len(worker.marked)]
        if sid := worker.left.get(delivery_id):
            known = Result(delivery_id, Outcome.ACCEPTED if answered else Outcome.UNKNOWN, provider_id=sid * answered)
            record([known], worker.claimed)
            del worker.marked[delivery_id]
            return
        gone = self._together(worker, delivery_id)
        record([Result(i, outcome, code="x") for i in gone], worker.claimed)
        for i in gone:
            del worker.marked[i]
            if outcome == Outcome.STOPPED:  # about one channel; the model knows only whole stops
                self._stop_everything(self.member_of[i])

    def _stop_everything(self, member_id: UUID) -> None:
        with db.transaction() as session:
            consent.stop(session, session.get_one(Member, member_id), source="the model")
        self.stopped.add(member_id)

    @precondition(lambda self: self.workers)
    @rule(pick=picks, gives_back=st.booleans())
    def end(self, pick: int, gives_back: bool) -> None:
        """A worker is killed, or stops as it should."""
        worker = self._worker(pick)
        if gives_back:
            claims.give_back(list(worker.claimed.values()))
        self.workers.remove(worker)

    def _worker(self, pick: int) -> Worker:
        return self.workers[pick % len(self.workers)]

    # The provider

    @precondition(lambda self: +self.provider.copies)
    @rule(which=picks, state=st.sampled_from(RECEIPTS), times=st.integers(1, 2))
    def receipt(self, which: int, state: DeliveryState, times: int) -> None:
        left = sorted(+self.provider.copies)
        delivery_id = left[which % len(left)]
        for _ in range(times):
            self._receipt(delivery_id, state)
        if state == DeliveryState.COMPLAINED:
            self._stop_everything(self.member_of[delivery_id])

    def _receipt(self, delivery_id: int, state: DeliveryState) -> None:
        request = self.request_of.get(delivery_id)
        self.heard.add(delivery_id)
        with db.transaction() as session:
            apply_receipts(session, [Receipt(state, clock.now(), delivery_id, request_id=request)])

    @rule()
    def sweep(self) -> None:
        """A request is over when its time-out is; and whatever an email provider took, it has told within the grace."""
        for delivery_id in sorted(self.request_of):
            if self.provider.copies[delivery_id] and delivery_id not in self.heard:
                self._receipt(delivery_id, DeliveryState.ACCEPTED)
        sweep()

    @rule()
    def be_away_for_a_while(self) -> None:
        """Everybody is killed; long enough passes for every lease and grace, with the sweep at work."""
        self.workers.clear()
        for _ in range(3):
            self.wait(1000)
            self.sweep()

    @rule(seconds=st.sampled_from([1, 30, 61, 130, 1000, 90_000]))
    def wait(self, seconds: int) -> None:
        self._at(clock.now() + timedelta(seconds=seconds))
        with db.transaction() as session:  # other people's events keep coming in
            event = WebhookEvent(provider="sendgrid", event_id=str(db.uuid7()), kind="email_event",
                                 received_at=clock.now(), processed_at=clock.now(), attempts=0)  # fmt: skip
            session.add(event)

    # People

    @rule(which=st.integers(0, 8))
    def stop(self, which: int) -> None:
        if which > 1:
            return  # the third member stays to the end
        member = self.members[which]
        self._stop_everything(member.id)

    @rule(which=picks)
    def flag(self, which: int) -> None:
        member = self.members[which % 3]
        with db.transaction() as session:
            session.execute(update(Member).where(Member.id == member.id).values(held_at=clock.now()))
            holds.take_back(session, [member.id])
        self.held.add(member.id)

    @rule(which=picks)
    def clear(self, which: int) -> None:
        member = self.members[which % 3]
        with db.transaction() as session:
            session.execute(update(Member).where(Member.id == member.id).values(held_at=None))
            claims.release(session, member.id, "held")
        self.held.discard(member.id)

    @rule(which=st.integers(0, 1))
    def pause(self, which: int) -> None:
        if self._state(self.campaigns[which]) == CampaignState.SENDING:
            campaigns.pause(self.campaigns[which])

    @rule(which=st.integers(0, 1))
    def resume(self, which: int) -> None:
        if self._state(self.campaigns[which]) == CampaignState.PAUSED:
            campaigns.resume(self.campaigns[which])

    @rule(really=st.integers(0, 9))
    def cancel(self, really: int) -> None:
        if really == 0 and self._state(self.campaigns[1]) != CampaignState.CANCELLED:
            campaigns.cancel(self.campaigns[1])

    # What holds

    @invariant()
    def nobody_gets_a_second_copy(self) -> None:
        assert not [i for i, count in self.provider.copies.items() if count > 1]

    @invariant()
    def final_states_never_go_back(self) -> None:
        if not hasattr(self, "seen"):
            return
        for row in rows():
            before = self.seen.get(row.id)
            if before is not None and before not in OPEN:
                assert RANK[row.state] >= RANK[before], f"{before} became {row.state}"
            self.seen[row.id] = row.state
            if self.provider.copies[row.id]:
                assert row.state not in (DeliveryState.QUEUED, DeliveryState.SKIPPED), "it left, and we do not know it"

    def teardown(self) -> None:
        if not hasattr(self, "seen"):
            return
        self._to_the_end()

    def _to_the_end(self) -> None:
        """Everybody comes back to work: then every message gets its end."""
        self.workers.clear()
        for which in range(3):
            self.clear(which)
        for which in range(2):
            self.resume(which)
        for _ in range(30):
            self.wait(1000)
            self.sweep()
            for name in QUEUES:
                for c in claims.claim(name, 20).claimed:
                    worker = Worker({c.id: c})
                    self._mark(worker, [c])
                    if worker.marked:
                        self._leave(worker, c.id)
                        record([Result(c.id, Outcome.ACCEPTED, provider_id=worker.left[c.id])], worker.claimed)
            if not any(row.state in OPEN for row in rows()):
                break
            self._at(clock.now() + timedelta(hours=5))
        self.nobody_gets_a_second_copy()
        self.final_states_never_go_back()
        for row in rows():
            assert row.state not in OPEN, f"{row.channel} {row.state} {row.reason} is still open"
            left = self.provider.copies[row.id] == 1
            assert left == (row.sent_at is not None), f"{row.channel} {row.state}: left {left}"


def reset() -> None:
    """The same three members and two campaigns as at the beginning; to make them anew each time would take longest."""
    with db.transaction() as session:
        session.execute(
            update(Delivery).values(
                state=DeliveryState.QUEUED, due_at=BEGIN, claim=None, claimed_until=None, reason=None, attempts=0,
                provider_id=None, error_code=None, request_id=None, sending_at=None, sent_at=None, looks=0,
                looked_at=None, queue=case((Delivery.channel == SMS, "texts"), else_="emails"),
            )
        )  # fmt: skip
        session.execute(update(Campaign).values(state=CampaignState.SENDING, finished_at=None))
        session.execute(update(Member).values(state=MemberState.ACTIVE, held_at=None))
        session.execute(update(Address).values(state=AddressState.OK, introduced_at=None))
        session.execute(update(Subscription).values(state=SubscriptionState.ACTIVE))
        for model in (Suppression, WebhookEvent):
            session.execute(delete(model))


def run(monkeypatch: pytest.MonkeyPatch, examples: int, steps: int) -> None:
    provider = Provider()
    monkeypatch.setattr(sweeping, "twilio", lambda: provider)
    with clock.frozen_at(BEGIN):
        members = [add_member(f"M{n}", f"+1202555012{n}", f"m{n}@example.org", both_channels=True) for n in range(3)]
        sent = [start(CampaignKind.STORY, "One.", mail="One."), start(CampaignKind.TOOL, "Two.", mail="Two.")]
    parts: dict[str, Any] = {"provider": provider, "members": members, "campaigns": sent}
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            type("Engine", (Engine,), parts),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        clock._frozen = None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "examples", "steps"), [("sqlite", 80, 25), ("postgresql", 15, 25)], indirect=["database"]
)
def test_any_order(
    database: db.Database,
    configure: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    examples: int,
    steps: int,
) -> None:
    configure(daily_cap=0, weekly_cap=0, sending_window="00:00-24:00")
    run(monkeypatch, examples, steps)
