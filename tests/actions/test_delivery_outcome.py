"""What becomes of messages after they were claimed: results, receipts, settling what nobody knows. One story each."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from service import clock, db
from service.actions import campaigns, consent, conversations
from service.actions.conversations import store
from service.actions.delivery import Receipt, apply_receipts, claims, sweep, sweeping
from service.actions.delivery.claims import Claimed
from service.actions.delivery.results import record
from service.actions.delivery.rules import MAX_ATTEMPTS
from service.channels.base import Outcome, Result, SendError
from service.channels.twilio import ProviderMessage
from service.config import Settings
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery, DeliveryState
from service.models.content import Story, StoryRead, StoryState
from service.models.conversations import WebhookEvent
from service.models.members import Address, AddressState, ChannelName, Member
from tests.actions.engine import Provider, accept, change_delivery, claim, row_of, rows, start
from tests.flows.world import add_member

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
NOON = datetime(2026, 5, 5, 16, tzinfo=UTC)
S = DeliveryState


@pytest.fixture(autouse=True)
def noon(database: db.Database, configure: Callable[..., Settings]) -> Iterator[None]:
    configure(daily_cap=0, weekly_cap=0, sending_window="00:00-24:00")
    with clock.frozen_at(NOON):
        yield


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    fake = Provider()
    monkeypatch.setattr(sweeping, "twilio", lambda: fake)
    return fake


def after(seconds: float) -> Any:
    return clock.frozen_at(NOON + timedelta(seconds=seconds))


def marked(count: int = 1, *, mail: str = "", request: UUID | None = None) -> list[Claimed]:
    """Messages of a campaign, about to leave."""
    for n in range(count):
        add_member(f"M{n}", None if mail else f"+120255501{n:02}", f"m{n}@example.org" if mail else None)
    start(CampaignKind.TOOL, "" if mail else "Breathe.", mail=mail)
    found = claim()
    assert claims.mark_sending(found, request) == {c.id for c in found}
    return found


def tell(*results: Result, claimed: list[Claimed]) -> None:
    record(results, {c.id: c for c in claimed})


def receipts(*given: Receipt) -> int:
    with db.transaction() as session:
        return apply_receipts(session, given)


def the_row() -> Delivery:
    [row] = rows()
    return row


def address() -> Address:
    with db.reading() as session:
        return session.scalars(select(Address)).one()


def stopped(phone: str = "+12025550100") -> bool:
    with db.reading() as session:
        return consent.suppressed(session, SMS, phone)


# Results


def test_what_was_not_sent_goes_again_later_and_one_day_no_more() -> None:
    [c] = marked()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        tell(Result(c.id, Outcome.RETRY, code="429", retry_after=7), claimed=[c])
        row = the_row()
        if attempt == MAX_ATTEMPTS:
            break
        assert (row.state, row.attempts, row.sending_at, row.claim) == (S.QUEUED, attempt, None, None)
        assert row.due_at >= clock.now() + timedelta(seconds=7)
        clock._frozen = row.due_at
        [c] = claim()
        claims.mark_sending([c])
    assert (row.state, row.reason, row.error_code) == (S.FAILED, "gave_up", "429")


def test_what_was_never_begun_costs_no_attempt_and_waits_for_nothing() -> None:
    [c] = marked()
    tell(Result(c.id, Outcome.RETRY, code="not_started"), claimed=[c])
    row = the_row()
    assert (row.state, row.attempts, row.due_at, row.error_code) == (S.QUEUED, 0, NOON, None)


def test_a_daily_limit_waits_for_tomorrow() -> None:
    [c] = marked()
    tell(Result(c.id, Outcome.TOMORROW, code="30023"), claimed=[c])
    assert the_row().due_at == NOON + timedelta(days=1)


def test_our_own_mistake_pauses_the_campaign_with_what_to_do() -> None:
    mine = marked(2)
    tell(Result(mine[0].id, Outcome.CONFIGURATION, code="21408"), claimed=mine)
    with db.reading() as session:
        campaign = session.scalars(select(Campaign)).one()
    assert campaign.state == CampaignState.PAUSED
    assert "Geo permissions" in campaign.paused_reason
    assert rows()[0].state == S.QUEUED  # it goes when that is mended


def test_the_providers_stop_counts_like_one_that_was_written_to_us() -> None:
    [c] = marked()
    tell(Result(c.id, Outcome.STOPPED, code="21610"), claimed=[c])
    assert the_row().state == S.FAILED
    assert stopped()


def test_a_dead_number_is_marked() -> None:
    [c] = marked()
    tell(Result(c.id, Outcome.UNREACHABLE, code="30005"), claimed=[c])
    assert address().state == AddressState.UNREACHABLE


def test_the_reason_shown_is_the_last_one() -> None:
    [c] = marked()
    tell(Result(c.id, Outcome.RETRY, code="429"), claimed=[c])
    with after(4000):
        [c] = claim()
        claims.mark_sending([c])
        tell(Result(c.id, Outcome.FAILED, code="21617"), claimed=[c])
        assert the_row().error_code == "21617"


def test_accepted_leaves_no_trace_of_earlier_troubles() -> None:
    [c] = marked()
    tell(Result(c.id, Outcome.RETRY, code="429"), claimed=[c])
    with after(4000):
        accept(claim())
        assert (the_row().state, the_row().error_code) == (S.ACCEPTED, None)


def test_a_worker_that_was_away_knows_nothing_about_the_second_try(provider: Provider) -> None:
    """It slept through its lease; the message was found absent and is leaving again, from another worker."""
    [first] = marked()
    for seconds in (200, 300):
        with after(seconds):
            sweep()
    with after(310):
        [second] = claim()
        claims.mark_sending([second])
        for late in (Outcome.RETRY, Outcome.FAILED, Outcome.UNKNOWN):
            tell(Result(first.id, late, code="x"), claimed=[first])
            assert the_row().state == S.SENDING, late
        tell(Result(first.id, Outcome.ACCEPTED, provider_id="SM1"), claimed=[first])
        assert the_row().state == S.ACCEPTED  # that it has it counts from anybody


def test_results_are_written_again_when_the_database_stumbles(monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    from service.actions.delivery import results

    [c] = marked()
    real, left = results._record, [2]

    def stumble(*args: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise OperationalError("UPDATE", {}, Exception("deadlock detected"))
        real(*args)

    monkeypatch.setattr(results, "_record", stumble)
    monkeypatch.setattr(results.time, "sleep", lambda _: None)
    tell(Result(c.id, Outcome.ACCEPTED, provider_id="SM1"), claimed=[c])
    assert the_row().state == S.ACCEPTED


# Receipts


@pytest.mark.parametrize("order", [[S.SENT, S.DELIVERED], [S.DELIVERED, S.SENT], [S.DELIVERED, S.UNDELIVERED, S.SENT]])
def test_receipts_in_any_order_end_at_the_same(order: list[DeliveryState]) -> None:
    [c] = marked()
    for state in [*order, *order]:
        receipts(Receipt(state, NOON, c.id))
    assert the_row().state == S.DELIVERED
    assert receipts(*[Receipt(state, NOON, c.id) for state in order]) == 0


def test_a_receipt_quicker_than_the_answer_is_not_undone_by_it() -> None:
    [c] = marked()
    receipts(Receipt(S.DELIVERED, NOON, c.id))
    tell(Result(c.id, Outcome.ACCEPTED, provider_id="SM1"), claimed=[c])
    row = the_row()
    assert (row.state, row.provider_id) == (S.DELIVERED, "SM1")
    tell(Result(c.id, Outcome.UNKNOWN), claimed=[c])
    assert the_row().state == S.DELIVERED


def test_a_receipt_proves_that_what_waits_again_did_leave(provider: Provider) -> None:
    [c] = marked()
    for seconds in (200, 300):
        with after(seconds):
            sweep()
    assert the_row().state == S.QUEUED
    with after(301):
        receipts(Receipt(S.SENT, NOON, c.id))
        assert claim() == []


def test_a_receipt_without_our_name_is_found_by_the_providers() -> None:
    [c] = marked()
    tell(Result(c.id, Outcome.ACCEPTED, provider_id="SM77"), claimed=[c])
    assert receipts(Receipt(S.DELIVERED, NOON, None, "SM77"), Receipt(S.DELIVERED, NOON, None, "SM-unknown")) == 1
    assert receipts(Receipt(S.DELIVERED, NOON, 999_999)) == 0


def test_a_skipped_message_stays_skipped() -> None:
    add_member("Ana", "+12025550123")
    campaign = start()
    campaigns.cancel(campaign)
    receipts(Receipt(S.DELIVERED, NOON, row_of(campaign).id))
    assert row_of(campaign).state == S.SKIPPED


def test_one_event_settles_its_whole_request() -> None:
    request = db.uuid7()
    mine = marked(3, mail="Breathe.", request=request)
    assert receipts(Receipt(S.DELIVERED, NOON, mine[0].id, request_id=request)) == 3
    assert [row.state for row in rows()] == [S.DELIVERED, S.ACCEPTED, S.ACCEPTED]


def test_a_story_of_which_only_the_receipt_told_us_has_been_read_all_the_same() -> None:
    with db.transaction() as session:
        story = Story(
            id=db.uuid7(), title="T", body_email="b", body_sms="b", state=StoryState.PUBLISHED, created_at=NOON,
            updated_at=NOON,
        )  # fmt: skip
        session.add(story)
    member = add_member("Ana", "+12025550123")
    start(words="{{ story_body }}", story_id=story.id)
    [c] = claim()
    claims.mark_sending([c])  # and the worker is killed
    receipts(Receipt(S.SENT, NOON, c.id))
    with db.reading() as session:
        assert session.get(StoryRead, (story.id, member.id)) is not None
        found = session.scalars(select(Address)).one()
        assert found.introduced_at == NOON  # and how to stop has been told
    assert rows(start(words="{{ story_body }}", story_id=story.id)) == []


@pytest.mark.parametrize(
    ("receipt", "state", "stops"),
    [
        ({"state": S.COMPLAINED}, AddressState.COMPLAINED, True),
        ({"state": S.DELIVERED, "unsubscribe": True}, AddressState.OK, True),
        ({"state": S.FAILED, "outcome": Outcome.STOPPED, "code": "unsubscribed_before"}, AddressState.OK, True),
        ({"state": S.BOUNCED, "outcome": Outcome.UNREACHABLE}, AddressState.BOUNCED, False),
        ({"state": S.BOUNCED}, AddressState.OK, False),  # a full mailbox is no dead one
        ({"state": S.UNDELIVERED}, AddressState.OK, False),
    ],
)
def test_what_an_email_receipt_means_for_the_address(receipt: dict[str, Any], state: AddressState, stops: bool) -> None:
    [c] = marked(mail="Breathe.")
    receipts(Receipt(at=NOON, delivery_id=c.id, **receipt))
    assert address().state == state
    with db.reading() as session:
        assert consent.suppressed(session, EMAIL, "m0@example.org") is stops


def test_what_a_text_receipt_means() -> None:
    mine = marked(3)
    receipts(
        Receipt(S.UNDELIVERED, NOON, mine[0].id, code="21610", outcome=Outcome.STOPPED),
        Receipt(S.UNDELIVERED, NOON, mine[1].id, code="30006", outcome=Outcome.UNREACHABLE),
        Receipt(S.UNDELIVERED, NOON, mine[2].id, code="30034", outcome=Outcome.CONFIGURATION),
    )
    assert stopped("+12025550100")
    with db.reading() as session:
        assert {a.state for a in session.scalars(select(Address))} == {AddressState.OK, AddressState.UNREACHABLE}
        assert session.scalars(select(Campaign)).one().state == CampaignState.PAUSED
        assert session.scalars(select(Member).where(Member.first_name == "M1")).one()


# Settling


def test_a_text_that_left_is_found_and_never_sent_again(provider: Provider) -> None:
    [c] = marked()
    provider.take(c, "Breathe.\nHearthline. Msg & data rates may apply. Reply STOP to stop, HELP for help.")
    with after(59):
        assert sweep() == {"expired": 0}  # the lease is obeyed
    with after(61):
        assert sweep() == {"expired": 1}
        assert the_row().state == S.UNKNOWN
    with after(119):
        assert sweep() == {"expired": 0}  # so is the grace
    with after(121):
        assert sweep() == {"expired": 0, "found": 1}
    assert (the_row().state, the_row().provider_id) == (S.SENT, provider.texts[0].sid)


def test_absence_needs_two_lists_a_minute_apart(provider: Provider) -> None:
    marked()
    with after(121):
        assert sweep() == {"expired": 1, "looked": 1}
    with after(180):
        assert sweep() == {"expired": 0}
    with after(182):
        assert sweep() == {"expired": 0, "requeued": 1}
        assert the_row().state == S.QUEUED
        assert len(claim()) == 1


def test_a_provider_that_does_not_answer_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Down:
        def find(self, to: str, since: datetime) -> list[ProviderMessage]:
            raise SendError(Outcome.RETRY, "not_connected")

    monkeypatch.setattr(sweeping, "twilio", Down)
    marked(5)
    for seconds in (200, 300, 400):
        with after(seconds):
            counts = sweep()
            assert counts["unanswered"] == 3  # then it is left alone until the next time
    assert {row.state for row in rows()} == {S.UNKNOWN}


def listed(c: Claimed, body: str, **more: Any) -> ProviderMessage:
    values: dict[str, Any] = {
        "sid": "SM1", "to": c.to, "sender": "+15005550006", "body": body, "status": "delivered",
        "created_at": NOON, "error_code": None,
    }  # fmt: skip
    return ProviderMessage(**(values | more))


FIRST = "Breathe.\nHearthline. Msg & data rates may apply. Reply STOP to stop, HELP for help."


@pytest.mark.parametrize(
    ("body", "more", "found"),
    [
        (FIRST, {}, True),
        ("Breathe.\n- Hearthline", {}, True),  # another text told how to stop meanwhile: it was written without
        (FIRST, {"created_at": NOON - timedelta(seconds=59)}, True),  # clocks differ
        (FIRST, {"created_at": NOON - timedelta(seconds=61)}, False),  # an earlier campaign of the same words
        ("Something else.", {}, False),
        (FIRST, {"to": "+12025550199"}, False),
    ],
)
def test_what_counts_as_the_same_message(provider: Provider, body: str, more: dict[str, Any], found: bool) -> None:
    [c] = marked()
    provider.texts.append(listed(c, body, **more))
    with after(200):
        assert sweep().get("found", 0) == found


def test_with_a_number_of_our_own_the_sender_must_be_it(provider: Provider, configure: Callable[..., Settings]) -> None:
    configure(twilio_messaging_service_sid="", twilio_from="+15005550006")
    [c] = marked()
    provider.texts.append(listed(c, FIRST, sender="+15005559999"))
    with after(200):
        assert "found" not in sweep()
    provider.texts.append(listed(c, FIRST, sid="SM2"))
    with after(300):
        assert sweep()["found"] == 1


def test_links_differ_each_time_they_are_signed_and_quotes_are_made_plain(provider: Provider) -> None:
    add_member("Ana", "+12025550123")
    start(CampaignKind.TOOL, "It’s here: {{ preferences_url }}")
    [c] = claim()
    claims.mark_sending([c])
    left = FIRST.replace("Breathe.", "It's here: http://localhost:8000/p/other-signature")
    provider.texts.append(listed(c, left))
    with after(200):
        assert sweep()["found"] == 1


def test_one_listed_message_is_not_taken_for_two(provider: Provider) -> None:
    """Two campaigns of the same words to one phone, both unknown, and one of them left."""
    add_member("Ana", "+12025550123")
    for _ in range(2):
        start(CampaignKind.TOOL, "Breathe.")
    both = claim()
    claims.mark_sending(both)
    provider.texts.append(listed(both[0], FIRST))
    with after(200):
        counts = sweep()
    assert (counts["found"], counts["looked"]) == (1, 1)


def test_what_can_no_longer_be_written_proves_nothing(provider: Provider) -> None:
    add_member("Ana", "+12025550123")
    start(CampaignKind.TOOL, "Hello {{ first_name }}.")
    [c] = claim()
    claims.mark_sending([c])
    provider.texts.append(listed(c, "Hello Ana."))
    with db.transaction() as session:
        session.scalars(select(Member)).one().first_name = ""
    with after(200):
        assert sweep()["unsettled"] == 1
    assert the_row().state == S.UNKNOWN


def test_proven_absent_for_the_last_time_is_given_up(provider: Provider) -> None:
    [c] = marked()
    change_delivery(c.id, attempts=MAX_ATTEMPTS)
    for seconds in (200, 300):
        with after(seconds):
            sweep()
    assert (the_row().state, the_row().reason) == (S.FAILED, "gave_up")


def an_event(at: datetime, *, read: bool = True) -> None:
    with db.transaction() as session:
        event = WebhookEvent(provider="sendgrid", event_id=str(db.uuid7()), kind="email_event", received_at=at,
                             processed_at=at if read else None, attempts=0)  # fmt: skip
        session.add(event)


def test_an_email_is_presumed_absent_only_while_events_arrive_at_all() -> None:
    marked(2, mail="Breathe.", request=db.uuid7())
    an_event(NOON - timedelta(minutes=1))
    with after(899):
        assert sweep() == {"expired": 2}
    with after(901):
        assert sweep() == {"expired": 0, "unsettled": 2}  # nothing since: perhaps nobody can reach us
        an_event(clock.now())
        assert sweep() == {"expired": 0, "requeued": 2}
        assert len(claim("emails")) == 2


def test_while_events_wait_to_be_read_no_email_is_presumed_absent() -> None:
    marked(2, mail="Breathe.", request=db.uuid7())
    an_event(NOON + timedelta(seconds=5), read=False)  # perhaps of this very request: nobody has looked
    with after(2000):
        an_event(clock.now())
        assert sweep() == {"expired": 2}
        with db.transaction() as session:
            session.execute(update(WebhookEvent).values(processed_at=clock.now()))
        assert sweep() == {"expired": 0, "requeued": 2}


def test_while_events_come_late_no_email_is_presumed_absent() -> None:
    """Our web server was away: the provider brings old news little by little, and new news at once."""
    marked(2, mail="Breathe.", request=db.uuid7())

    def news(happened: datetime, about: str) -> None:
        entry = {"event": "processed", "sg_event_id": about, "timestamp": int(happened.timestamp()), "d": "999999"}
        conversations.keep([store.Incoming("sendgrid", store.EMAIL_EVENT, about, json.dumps(entry))])
        conversations.process_inbound()

    with after(2000):
        news(NOON - timedelta(seconds=40), "old")  # of another email, and half an hour late
        news(clock.now(), "new")
        assert sweep() == {"expired": 2, "unsettled": 2}
    with after(2000 + 4 * 900 - 5):
        news(clock.now(), "newer")
        assert sweep() == {"expired": 0, "unsettled": 2}
    with after(2000 + 4 * 900 + 5):
        news(clock.now(), "newest")
        assert sweep() == {"expired": 0, "requeued": 2}


def test_events_before_a_request_say_nothing_about_it() -> None:
    marked(1, mail="Breathe.", request=db.uuid7())
    with after(1000):
        add_member("Late", None, "late@example.org")
        start(CampaignKind.CHECKIN, "", mail="How are you?", member_ids=(rows()[0].member_id,))
        [late] = claim("emails")
        claims.mark_sending([late], db.uuid7())
        an_event(clock.now() - timedelta(seconds=1))
        assert sweep() == {"expired": 1, "requeued": 1}
    with after(2000):
        assert sweep() == {"expired": 1, "unsettled": 1}
