"""A stop always wins, whatever came before and in whichever order; and the ledger can prove every yes."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError

from service import clock, db
from service.actions import consent, join_limits, member_links, members, preferences
from service.actions.new_members import new_member
from service.errors import Conflict, Invalid, LinkExpired
from service.models.campaigns import Delivery, DeliveryState, Purpose
from service.models.members import (
    ChannelName,
    ConsentEvent,
    ConsentKind,
    Member,
    MemberState,
    SubscriptionState,
    Topic,
)
from tests.actions.joining import MAIL, PHONE, SMS, asks_to_join, found, joined, ledger, on

NOON = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
ALL = set(Topic)


def test_a_yes_confirms_for_three_days_and_no_longer(database: db.Database) -> None:
    with clock.frozen_at(NOON):
        asks_to_join()
    with clock.frozen_at(NOON + timedelta(hours=72, seconds=1)), db.transaction() as session:
        member = found(session, SMS, PHONE)
        assert not consent.confirm(session, member, SMS, source="YES")
        assert member.state == MemberState.PENDING
        assert on(session, member, SMS) == set()
    with clock.frozen_at(NOON + timedelta(hours=71)), db.transaction() as session:
        member = found(session, SMS, PHONE)
        assert consent.confirm(session, member, SMS, source="YES", evidence="message 1")
        assert consent.confirm(session, member, SMS, source="YES again")
        assert member.state == MemberState.ACTIVE
        assert member.joined_at == clock.now()
        assert (on(session, member, SMS), on(session, member, MAIL)) == (ALL, set())
        kinds = [(e.kind, e.channel) for e in ledger(session, member)]
        assert kinds.count((ConsentKind.CONFIRMED, SMS)) == 1  # the second YES changed nothing


def test_stop_then_start_brings_back_what_stop_ended_and_nothing_else(database: db.Database) -> None:
    member = joined()
    with db.transaction() as session:
        member = found(session, SMS, PHONE)
        consent.set_subscription(session, member, Topic.STORIES, SMS, False, source="settings")
        assert consent.stop_address(session, SMS, PHONE, source="text: STOP", evidence="message 2") == [member]
        assert consent.suppressed(session, SMS, PHONE)
        assert (on(session, member, SMS), on(session, member, MAIL)) == (set(), ALL)
        assert member.state == MemberState.ACTIVE  # email goes on
    with db.transaction() as session:
        member = found(session, SMS, PHONE)
        consent.stop(session, member, channel=SMS, source="text: STOP", evidence="said twice")
        back = consent.start(session, member, SMS, source="text: START")
        assert set(back) == on(session, member, SMS) == ALL - {Topic.STORIES}
        assert not consent.suppressed(session, SMS, PHONE)


def test_leaving_on_the_last_channel_is_leaving(database: db.Database) -> None:
    joined()
    with db.transaction() as session:
        member = found(session, SMS, PHONE)
        consent.stop(session, member, channel=SMS, source="text: STOP")
        consent.stop(session, member, channel=MAIL, source="mail: STOP")
        assert member.state == MemberState.LEFT
        assert not consent.confirm(session, member, SMS, source="YES")  # YES does not undo a stop, only START does
        consent.start(session, member, SMS, source="text: START")
        assert member.state == MemberState.ACTIVE
        assert on(session, member, MAIL) == set()


def test_a_number_that_nobody_has_may_say_stop_and_is_never_asked(database: db.Database) -> None:
    with db.transaction() as session:
        assert consent.stop_address(session, SMS, PHONE, source="text: STOP") == []
    asks_to_join(email="")
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert member.addresses[0].asked_at is None
        assert consent.suppressed(session, SMS, "(202) 555-0123")  # any spelling of it


def test_stop_from_a_shared_phone_stops_both(database: db.Database) -> None:
    joined()
    with db.transaction() as session:
        second = new_member(session, first_name="Leo", addresses={SMS: PHONE}, topics=[Topic.TOOLS])
        consent.start(session, second, SMS, source="test")
    with db.transaction() as session:
        both = consent.stop_address(session, SMS, PHONE, source="text: STOP")
        assert len(both) == 2
        assert [on(session, m, SMS) for m in both] == [set(), set()]


def test_only_the_address_itself_lifts_a_stop_of_everything(database: db.Database) -> None:
    member = joined()
    preferences.leave(member.id, link_channel=MAIL)
    with db.transaction() as session:
        member = found(session, SMS, PHONE)
        assert member.state == MemberState.LEFT
        with pytest.raises(Conflict, match="START"):
            consent.set_subscription(session, member, Topic.TOOLS, SMS, True, source="settings page")


def test_a_break_takes_back_what_was_about_to_leave(database: db.Database) -> None:
    member = joined()
    with clock.frozen_at(NOON), db.transaction() as session:
        now = clock.now()
        session.add(
            Delivery(
                member_id=member.id,
                channel=SMS,
                purpose=Purpose.CAMPAIGN,
                queue="texts",
                priority=50,
                claim=db.uuid7(),
                claimed_until=now + timedelta(seconds=30),
                due_at=now,
                created_at=now,
                updated_at=now,
            )
        )
    with clock.frozen_at(NOON), db.transaction() as session:
        until = consent.pause(session, found(session, SMS, PHONE), NOON + timedelta(days=7), source="text: PAUSE")
        assert until == NOON + timedelta(days=7)
    with db.reading() as session:
        waiting = [d for d in session.query(Delivery) if d.purpose == Purpose.CAMPAIGN]
        assert [(d.state, d.claim) for d in waiting] == [(DeliveryState.QUEUED, None)]
    with clock.frozen_at(NOON), db.transaction() as session:
        member = found(session, SMS, PHONE)
        with pytest.raises(Invalid, match="still to come"):
            consent.pause(session, member, NOON, source="text: PAUSE")
        assert consent.resume(session, member, source="settings page")
        assert not consent.resume(session, member, source="settings page")
        assert [e.kind for e in ledger(session, member)][-2:] == [ConsentKind.PAUSED, ConsentKind.RESUMED]


def test_staff_may_undo_a_stop_that_was_none_but_confirm_nobody(database: db.Database) -> None:
    asks_to_join()
    someone = db.uuid7()
    with db.transaction() as session:
        member = found(session, SMS, PHONE)
        consent.confirm(session, member, SMS, source="YES")
        consent.stop(session, member, source="read as a stop")
        assert member.state == MemberState.LEFT
        with pytest.raises(Invalid):
            consent.staff_undo(session, member, SMS, coordinator_id=someone, why=" ")
        assert set(consent.staff_undo(session, member, SMS, coordinator_id=someone, why="about a bus stop")) == ALL
        consent.staff_undo(session, member, MAIL, coordinator_id=someone, why="about a bus stop")
        assert (on(session, member, SMS), on(session, member, MAIL)) == (ALL, set())  # mail was never confirmed
        last = ledger(session, member)[-1]
        assert (last.kind, last.evidence, last.actor) == (
            ConsentKind.STAFF_UNDONE,
            "about a bus stop",
            f"coordinator:{someone}",
        )


def test_the_ledger_can_only_grow(database: db.Database) -> None:
    member = joined()
    forbidden = [
        update(ConsentEvent).values(wording="something else"),
        update(ConsentEvent).values(kind=ConsentKind.CONFIRMED),
        delete(ConsentEvent).where(ConsentEvent.member_id == member.id),
        text("UPDATE consent_events SET at = at, source = 'x'"),
    ]
    for statement in forbidden:
        with pytest.raises(DBAPIError, match="append-only"), db.transaction() as session:
            session.execute(statement)
    with db.transaction() as session:
        session.execute(update(ConsentEvent).values(ip=None))  # erasure may blank where somebody was
        assert len(ledger(session, member)) == 4


def test_the_exact_words_are_kept(database: db.Database) -> None:
    asks_to_join()
    with db.reading() as session:
        text_, mail = [e for e in ledger(session, found(session, SMS, PHONE)) if e.kind == ConsentKind.REQUESTED]
    assert "Msg & data rates may apply" in text_.wording
    assert "Reply STOP to stop, HELP for help" in text_.wording
    assert (text_.evidence, mail.evidence) == ("2026-11/sms.US.en", "2026-11/email.any.en")
    assert (text_.ip, text_.source) == ("203.0.113.7", "join page")
    assert "Msg & data rates" not in mail.wording


CHANNELS = st.sampled_from(list(ChannelName))
TOPICS = st.sampled_from(list(Topic))
SAYS_YES = {ConsentKind.CONFIRMED, ConsentKind.IMPORTED, ConsentKind.STARTED, ConsentKind.STAFF_UNDONE}
_people = count(1)


class Consents(RuleBasedStateMachine):
    """One person on two channels, and everything that can happen to their consents, in any order."""

    def __init__(self) -> None:
        super().__init__()
        number = next(_people)
        self.phone, self.email = f"+1202{5550000 + number:07}", f"person{number}@example.org"
        self.now = NOON
        join_limits._limiters.cache_clear()  # so many people of one range at once would be refused
        with clock.frozen_at(self.now):
            asks_to_join(self.phone, self.email, ip=None, network=f"network {number}")
        with db.reading() as session:
            self.id = found(session, SMS, self.phone).id
        self.gone = False
        self.marked: set[tuple[ChannelName, str]] = set()

    def act(self, what, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Do one thing to this person in a transaction of its own."""
        with clock.frozen_at(self.now), db.transaction() as session:
            return what(session, session.get(Member, self.id), *args, **kwargs)

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(channel=CHANNELS)
    def says_yes(self, channel: ChannelName) -> None:
        self.act(consent.confirm, channel, source="YES")

    @rule(channel=CHANNELS)
    def says_stop(self, channel: ChannelName) -> None:
        value = self.phone if channel == SMS else self.email
        with clock.frozen_at(self.now), db.transaction() as session:
            consent.stop_address(session, channel, value, source="STOP")
            self.marked.add((channel, value))

    @rule(channel=CHANNELS)
    def says_start(self, channel: ChannelName) -> None:
        if self.act(consent.start, channel, source="START") or not self.gone:
            self.marked.discard((channel, self.phone if channel == SMS else self.email))

    @rule(channel=CHANNELS, topic=TOPICS)
    def taps_unsubscribe(self, channel: ChannelName, topic: Topic) -> None:
        with clock.frozen_at(self.now):
            preferences.unsubscribe(self.id, channel, topic, source="one-click unsubscribe")

    @rule(channel=CHANNELS, topic=TOPICS, wanted=st.booleans())
    def sets_a_box(self, channel: ChannelName, topic: Topic, wanted: bool) -> None:
        try:
            self.act(consent.set_subscription, topic, channel, wanted, source="settings page")
        except (Conflict, Invalid):
            assert wanted

    @precondition(lambda self: not self.gone)
    @rule()
    def leaves_in_one_tap(self) -> None:
        with clock.frozen_at(self.now):
            preferences.leave(self.id, link_channel=SMS)
        self.marked |= {(SMS, self.phone), (MAIL, self.email)}

    @rule(days=st.integers(1, 30))
    def takes_a_break(self, days: int) -> None:
        self.act(consent.pause, self.now + timedelta(days=days), source="PAUSE")

    @rule(channel=CHANNELS)
    def staff_undo(self, channel: ChannelName) -> None:
        self.act(consent.staff_undo, channel, coordinator_id=db.uuid7(), why="not a stop")
        if not self.gone:
            self.marked.discard((channel, self.phone if channel == SMS else self.email))

    @rule()
    def presses_the_button_in_the_mail(self) -> None:
        with db.reading() as session:
            address = session.get_one(Member, self.id).address(MAIL)
        if address is None:
            return
        token = member_links.confirm_url(address.id).rsplit("/", 1)[1]
        try:
            with clock.frozen_at(self.now):
                members.confirm_by_link(token, None)
        except LinkExpired:
            pass

    @precondition(lambda self: not self.gone)
    @rule(erased=st.booleans())
    def is_gone(self, erased: bool) -> None:
        with clock.frozen_at(self.now):
            if erased:
                members.erase(self.id, "cli")
            else:
                members.mark_died(self.id, db.uuid7())
        self.gone = True
        self.marked |= {(SMS, self.phone), (MAIL, self.email)}

    @invariant()
    def every_active_topic_has_a_yes_after_its_last_stop(self) -> None:
        with db.reading() as session:
            member = session.get_one(Member, self.id)
            lines = ledger(session, member)
            for row in member.subscriptions:
                if row.state == SubscriptionState.ACTIVE:
                    own = [e for e in lines if e.channel == row.channel]
                    yes = [e.id for e in own if e.kind in SAYS_YES and row.topic in e.topics.split(",")]
                    stops = [
                        e.id
                        for e in own
                        if e.kind == ConsentKind.STOPPED and (not e.topics or row.topic in e.topics.split(","))
                    ]
                    assert yes, f"{row.topic} by {row.channel} is on without a yes"
                    assert max(yes) > max(stops, default=0)
                    address = member.address(row.channel)
                    assert address is not None
                    assert address.verified_at is not None
                    assert not consent.suppressed(session, row.channel, address.value)
                    assert not self.gone

    @invariant()
    def a_mark_outlives_the_member(self) -> None:
        with db.reading() as session:
            for channel, value in self.marked:
                assert consent.suppressed(session, channel, value)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_order_of_events_contacts_somebody_who_said_stop(database: db.Database) -> None:
    run_state_machine_as_test(
        Consents,
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
