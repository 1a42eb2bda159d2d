"""What texts may cost in a month and a sender send in a day; what waits then, what leaves all the same."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import campaigns, outbox
from service.actions.delivery import Receipt, apply_receipts, budget, results, tally
from service.actions.delivery.claims import Claimed, claim, mark_sending
from service.channels.base import Outcome, Result
from service.config import Settings
from service.errors import Invalid
from service.models.campaigns import CampaignKind, Delivery, DeliveryState, Purpose, Tally, Usage
from service.models.members import ChannelName, Member
from service.models.staff import AuditEntry
from tests.flows.world import add_member, send

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
US, GB = "+1202555{:04d}", "+447400{:06d}"


@pytest.fixture(autouse=True)
def _no_caps(database: db.Database, configure: Callable[..., Settings]) -> None:
    configure(daily_cap=0, weekly_cap=0)


def checkin(**more: Any) -> Any:
    made = send(CampaignKind.CHECKIN, "How are you, 1 to 5? 1 very hard, 5 good.", **more)
    while campaigns.start_due():
        pass
    return made


def leave(claimed: list[Claimed], outcome: Outcome = Outcome.ACCEPTED) -> None:
    """They go out, as a worker sends them."""
    marked = mark_sending(claimed)
    assert marked == {c.id for c in claimed}
    found = [Result(c.id, outcome, provider_id=f"SM{c.id}") for c in claimed]
    results.record(found, {c.id: c for c in claimed})


def spend(country: str, dollars: str, messages: int = 1000) -> None:
    with db.transaction() as session:
        cost = int(Decimal(dollars) * 1_000_000)
        today = clock.now().date()
        session.add(Usage(day=today, channel=SMS, country=country, messages=messages, segments=messages, cost=cost))


def standing(country: str) -> budget.Standing:
    with db.reading() as session:
        return next(s for s in budget.standings(session) if s.country == country)


def waiting(reason: str) -> list[Delivery]:
    with db.reading() as session:
        return list(session.scalars(select(Delivery).where(Delivery.reason == reason).order_by(Delivery.id)))


def say(member: Member, template: str, purpose: Purpose = Purpose.ANSWER, **context: Any) -> None:
    with db.transaction() as session:
        outbox.say(session, session.get_one(Member, member.id), template, SMS, purpose, context)


def test_what_leaves_is_counted_by_day_and_country_at_about_its_price() -> None:
    for n in range(3):
        add_member("Ana", US.format(n))
    add_member("Bea", GB.format(1), zone="Europe/London")
    checkin()
    batch = claim("texts", 100).claimed
    assert {c.phone_country for c in batch} == {"US", "GB"}
    for c in batch:
        c.segments = 2
    leave(batch[:2])
    leave(batch[2:], Outcome.UNKNOWN)
    us, gb = standing("US"), standing("GB")
    assert (us.messages, us.spent) == (3, Decimal("0.0123") * 6)
    assert (gb.messages, gb.spent) == (1, Decimal("0.0524") * 2), "what may have left may cost as much"
    assert us.limit is None
    assert us.part == 0


def test_what_did_not_leave_costs_nothing() -> None:
    add_member("Ana", US.format(1))
    checkin()
    leave(claim("texts", 100).claimed, Outcome.RETRY)
    assert standing("US").spent == 0


def test_at_the_limit_campaigns_wait_in_that_country_alone_and_go_on_when_it_is_raised() -> None:
    for n in range(4):
        add_member("Ana", US.format(n))
    add_member("Bea", GB.format(1), zone="Europe/London")
    add_member("Eve", email="eve@example.org")
    budget.set_budget("us", Decimal("10"), None)
    spend("US", "10")
    send(CampaignKind.CHECKIN, "How are you, 1 to 5?", "How are you, 1 to 5?")
    campaigns.start_due()
    assert [c.phone_country for c in claim("texts", 100).claimed] == ["GB"]
    assert len(claim("emails", 100).claimed) == 1, "a budget is about texts"
    held = waiting("budget")
    assert len(held) == 4
    assert all(timedelta(minutes=50) < d.due_at - clock.now() <= timedelta(hours=1) for d in held)
    assert not claim("texts", 100).examined

    budget.set_budget("US", Decimal("20"), None)
    assert len(claim("texts", 100).claimed) == 4, "it goes on at once"
    with db.reading() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.detail) == ("budget.set", {"country": "US", "cents": 2000})


def test_one_batch_does_not_overshoot() -> None:
    for n in range(40):
        add_member("Ana", US.format(n))
    budget.set_budget("US", Decimal("0.25"), None)  # twenty plain texts
    checkin()
    assert len(claim("texts", 100).claimed) == 20
    assert len(waiting("budget")) == 20


def test_a_new_month_begins_with_nothing_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    add_member("Ana", US.format(1))
    budget.set_budget("US", Decimal("5"), None)
    spend("US", "5")
    last_evening = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    with db.transaction() as session:
        session.execute(Usage.__table__.update().values(day=last_evening.date()))  # type: ignore[attr-defined]
    with db.reading() as session:
        old = budget.limits(session, last_evening)
        assert old.money == {"US": 0}
        assert old.month_ends == datetime(2027, 1, 1, tzinfo=UTC)
        assert budget.limits(session, old.month_ends).money == {"US": 5_000_000}


def test_at_the_limit_safety_stop_and_help_leave_all_the_same() -> None:
    ana = add_member("Ana", US.format(1))
    budget.set_budget("US", Decimal("0"), None)
    say(ana, "risk_answer", Purpose.SAFETY)
    say(ana, "stopped", everything=True)
    say(ana, "help")
    say(ana, "checkin_1", when="today")
    say(ana, "me_too_noted")
    with db.transaction() as session:
        outbox.write(session, session.get_one(Member, ana.id), SMS, "I read this. How is today?")
        outbox.write_to(session, SMS, "+12025550199", "Somebody needs you.", purpose=Purpose.PAGE)
    left = claim("replies", 100).claimed
    assert [c.purpose for c in left] == [Purpose.SAFETY, Purpose.PAGE, *[Purpose.ANSWER] * 3]
    found = {d.purpose: (d.state, d.due_at > clock.now()) for d in waiting("budget")}
    assert found == {
        Purpose.ANSWER: (DeliveryState.SKIPPED, False),  # weeks later it would be no answer
        Purpose.REPLY: (DeliveryState.QUEUED, True),
    }
    budget.set_budget("US", None, None)
    assert [c.purpose for c in claim("replies", 100).claimed] == [Purpose.REPLY]


def test_the_senders_day_holds_campaigns_back_and_no_answer(configure: Callable[..., Settings]) -> None:
    configure(twilio_per_day=5)
    people = [add_member("Ana", US.format(n)) for n in range(8)]
    checkin()
    leave(claim("texts", 3).claimed)
    assert len(claim("texts", 100).claimed) == 2
    held = waiting("sender_cap")
    assert len(held) == 3
    assert all(d.due_at <= clock.now() + timedelta(hours=1) for d in held)
    say(people[0], "me_too_noted")
    assert len(claim("replies", 100).claimed) == 1


def test_from_eighty_percent_on_it_is_pointed_out() -> None:
    budget.set_budget("US", Decimal("10"), None)
    spend("US", "7.99")
    with db.reading() as session:
        assert not budget.warnings(session)
    with db.transaction() as session:
        session.execute(Usage.__table__.update().values(cost=8_000_000))  # type: ignore[attr-defined]
    with db.reading() as session:
        [found] = budget.warnings(session)
    assert (found.country, found.left) == ("US", Decimal(2))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("country", "dollars"), [("USA", "1"), ("1!", "1"), ("US", "-1"), ("US", "99999999")])
def test_a_budget_that_cannot_be_is_refused(country: str, dollars: str) -> None:
    with pytest.raises(Invalid):
        budget.set_budget(country, Decimal(dollars), None)


def test_counts_by_the_minute_are_added_up_and_their_sum_never_shrinks() -> None:
    now = clock.now().replace(minute=30, second=10, microsecond=0)
    spans = [timedelta(0), timedelta(minutes=1), timedelta(hours=3), timedelta(hours=3, minutes=2), timedelta(days=9)]
    for n, span in enumerate(spans):
        with db.transaction() as session:
            tally.add(session, {("texts", "accepted", ""): 10**n, ("texts", "failed", "30007"): 1}, now - span)
            tally.add(session, {("texts", "accepted", ""): 10**n}, now - span)
    for _ in range(2):
        tally.fold(now)
        with db.reading() as session:
            assert tally.totals(session) == {("texts", "accepted"): 22222, ("texts", "failed"): 5}
            accepted = select(Tally).where(Tally.outcome == "accepted").order_by(Tally.minute.desc())
            assert [row.messages for row in session.scalars(accepted)] == [2, 20, 2200, 20000]
            assert tally.reasons(session, now - timedelta(hours=1)) == [("texts", "failed", "30007", 2)]
            pace = tally.paces(session, now)["texts"]
    assert (pace.last_minute, pace.this_minute, pace.seconds) == (20, 2, 10)


def test_what_becomes_of_messages_is_counted() -> None:
    add_member("Ana", US.format(1))
    add_member("Ben", US.format(2))
    checkin()
    batch = claim("texts", 100).claimed
    leave(batch[:1])
    mark_sending(batch[1:])
    results.record([Result(batch[1].id, Outcome.FAILED, code="21617")], {batch[1].id: batch[1]})
    with db.transaction() as session:
        apply_receipts(session, [Receipt(DeliveryState.DELIVERED, clock.now(), batch[0].id)])
    with db.reading() as session:
        assert tally.totals(session) == {
            ("texts", "accepted"): 1, ("texts", "failed"): 1, ("texts", "delivered"): 1,
        }  # fmt: skip


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("body", "expected"),
    [("", 0), ("Hi", 1), ("a" * 160, 1), ("a" * 161, 2), ("[" + "a" * 159, 2), ("ñ" * 160, 1), ("í" * 71, 2)],
)
def test_segments_are_counted_as_they_are_billed(body: str, expected: int) -> None:
    assert budget.segments_of(body) == expected
