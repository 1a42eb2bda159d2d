"""Numbers are given to other people. A phone from which no text has come for 90 days is asked a neutral question before
anything else goes there; a stranger who has it by now learns nothing (rule of conversation 11).
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from service import clock, db
from service.actions import housekeeping, phones
from service.config import Settings
from service.errors import Conflict
from service.models.campaigns import Campaign, CampaignKind, Delivery, DeliveryState, Purpose
from service.models.conversations import Message
from service.models.members import Address, AddressState, ChannelName, Member
from service.models.staff import Coordinator, Role
from tests.actions.engine import claim, row_of, rows, standing, start
from tests.flows.talk import EMAIL, NOON, SMS, Out, Talk, conversation, waits
from tests.flows.world import World, add_member
from tests.flows.world import send as send_campaign

ANA, BEN, MAIL = "+12025550123", "+12025550145", "ana@example.org"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
QUEUED, SKIPPED = DeliveryState.QUEUED, DeliveryState.SKIPPED
QUESTION = "Still A? Reply YES or STOP."


class Ringing(Talk):
    """What a claim of texts puts into the queue of replies leaves as well: the bell rings again."""

    def deliver(self) -> list[Out]:
        return super().deliver() + super().deliver()


@pytest.fixture
def talk(talk: Talk) -> Talk:
    return Ringing()


def long_ago(days: float = 91) -> Any:
    return clock.frozen_at(clock.now() - days * DAY)


def silent_member(name: str = "Ana", phone: str = ANA, mail: str | None = None, **more: Any) -> Member:
    """Somebody who gave us their number 91 days ago, and has not written since."""
    with long_ago():
        return add_member(name, phone, mail, **more)


def address_of(member: Member, channel: ChannelName = SMS) -> Address:
    with db.reading() as session:
        found = session.scalars(select(Address).where(Address.member_id == member.id, Address.channel == channel))
        return found.one()


def state_of(member: Member) -> AddressState:
    return address_of(member).state


def questions() -> list[str]:
    with db.reading() as session:
        return list(session.scalars(select(Message.body).where(Message.template == "still_there").order_by(Message.at)))


@pytest.fixture
def by_day(world: World, configure: Callable[..., Settings]) -> World:
    """At an hour when texts are welcome, whenever this runs."""
    configure(sending_window="00:00-24:00")
    return world


def test_the_whole_of_it_in_the_world(by_day: World) -> None:
    world = by_day
    silent_member(mail=MAIL)
    add_member("Ben", BEN)
    send_campaign(CampaignKind.STORY, "A story of hope.")
    world.work()
    assert world.phone(ANA) == [QUESTION]
    assert len(world.phone(BEN)) == 1
    world.text(ANA, "Yes")
    said = world.phone(ANA)
    assert said[1] == "Thank you, Ana. We'll go on texting this number. STOP ends it."
    assert said[2].startswith("A story of hope.")
    send_campaign(CampaignKind.TOOL, "Breathe.")
    world.work()
    assert world.phone(ANA)[3].startswith("Breathe.")


def test_a_stranger_in_the_world_learns_nothing_and_gets_no_more(by_day: World) -> None:
    world = by_day
    silent_member(mail=MAIL)
    send_campaign(CampaignKind.STORY, "A story of hope.")
    world.work()
    world.text(ANA, "New phone, who is this?")
    send_campaign(CampaignKind.TOOL, "Breathe.", "Breathe.")
    world.work()
    assert world.phone(ANA)[0] == QUESTION
    assert not [said for said in world.phone(ANA) if "hope" in said or "Breathe" in said or "Ana" in said]


def test_it_is_asked_once_and_only_after_ninety_days(talk: Talk) -> None:
    with long_ago(90):
        member = add_member("Ana", ANA, MAIL)
    talk.send(CampaignKind.STORY, "One.")
    assert [o.body for o in talk.left] == ["One."]  # ninety days to the minute
    with clock.frozen_at(NOON + timedelta(minutes=1)):
        talk.send(CampaignKind.STORY, "Two.")
        talk.send(CampaignKind.TOOL, "Three.")
        assert [(o.body, o.purpose) for o in talk.left[1:]] == [(QUESTION, Purpose.CONFIRM)]
        assert address_of(member).still_asked_at == clock.now()
        assert {row.reason for row in rows() if row.state == QUEUED} == {"still_there"}
    with clock.frozen_at(NOON + 3 * DAY):
        talk.deliver()
        assert len(talk.left) == 2
        assert talk.text(ANA, "yes!") == ["still_there_yes", "Two.", "Three."]
    assert not waits(member)  # nobody has to read a yes


@pytest.mark.parametrize(
    ("words", "answers", "state", "goes_on"),
    [
        ("YES", ["still_there_yes", "Hello."], AddressState.OK, True),
        ("Sí, soy yo", ["still_there_yes", "Hello."], AddressState.OK, True),
        ("Hi! Sorry, I lost my phone", ["free_text_received", "Hello."], AddressState.OK, True),
        ("NO", ["wrong_number_done"], AddressState.SILENT, False),
        ("who is this?", ["wrong_number_done"], AddressState.OK, False),  # suppressed, as any wrong number
        ("STOP", ["stopped"], AddressState.OK, False),
        ("what is this", ["help"], AddressState.OK, False),
        ("I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I get where I'm going.",
         [], AddressState.OK, False),
        ("Liked “Still A? Reply YES or STOP.”", [], AddressState.OK, False),
    ],
    ids=["yes", "spanish", "words", "no", "who", "stop", "what", "automatic", "tapback"],
)  # fmt: skip
def test_what_an_answer_does(talk: Talk, words: str, answers: list[str], state: AddressState, goes_on: bool) -> None:
    member = silent_member()
    talk.send(CampaignKind.STORY, "Hello.")
    assert talk.text(ANA, words) == answers
    assert state_of(member) == state
    assert (address_of(member).still_asked_at is None) == goes_on
    talk.send(CampaignKind.TOOL, "More.")
    assert [o.body for o in talk.left if o.body == "More."] == ["More."] * goes_on
    assert len(questions()) == 1


def test_a_no_is_put_before_a_person_and_a_later_yes_counts(talk: Talk) -> None:
    member = silent_member()
    talk.send(CampaignKind.STORY, "Hello.")
    talk.text(ANA, "No")
    assert waits(member)
    assert talk.text(ANA, "No") == []  # said once
    talk.text(ANA, "Yes")
    assert state_of(member) == AddressState.OK


def test_a_mail_does_not_prove_the_phone(talk: Talk) -> None:
    member = silent_member(mail=MAIL, both_channels=True)
    talk.send(CampaignKind.TOOL, "Hello.", "Hello by mail.")
    mail = next(o for o in talk.left if o.channel == EMAIL)
    talk.mail(MAIL, "Thank you, that was good to read.", answers=mail)
    assert address_of(member).still_asked_at is not None
    assert standing_of(member, SMS) == (QUEUED, "still_there")


def standing_of(member: Member, channel: ChannelName) -> tuple[DeliveryState, str | None]:
    [row] = [r for r in rows() if r.member_id == member.id and r.channel == channel and r.campaign_id]
    return row.state, row.reason


def test_no_answer_in_two_weeks_ends_texts_and_mails_go_on(talk: Talk) -> None:
    member = silent_member(mail=MAIL)
    first = talk.send(CampaignKind.TOOL, "Hello.", "Hello by mail.")
    with clock.frozen_at(NOON + 14 * DAY - HOUR):
        assert "silent" not in housekeeping.run()
        talk.deliver()
    with clock.frozen_at(NOON + 14 * DAY):
        assert housekeeping.run()["silent"] == 1
        assert "silent" not in housekeeping.run()
        talk.deliver()
        assert state_of(member) == AddressState.SILENT
        assert standing(first) == (SKIPPED, "silent")
        talk.send(CampaignKind.TOOL, "Again.", "Again by mail.")
        assert [(o.body, o.channel) for o in talk.left] == [(QUESTION, SMS), ("Again by mail.", EMAIL)]
    with clock.frozen_at(NOON + 30 * DAY):
        assert talk.text(ANA, "Hello, I am back") == ["free_text_received"]
        assert state_of(member) == AddressState.OK
        talk.send(CampaignKind.TOOL, "Third.")
        assert talk.last.body == "Third."
    with clock.frozen_at(NOON + 121 * DAY):
        talk.send(CampaignKind.TOOL, "Fourth.")
        assert talk.last.body == QUESTION  # ninety days later it is asked again
        assert len(questions()) == 2


def test_a_question_that_never_arrived_says_nothing_and_is_asked_again(talk: Talk) -> None:
    member = silent_member()
    talk.send(CampaignKind.TOOL, "Hello.")
    with db.transaction() as session:
        session.execute(
            update(Delivery).where(Delivery.purpose == Purpose.CONFIRM).values(state=DeliveryState.UNDELIVERED)
        )
    with clock.frozen_at(NOON + 15 * DAY):
        housekeeping.run()
        assert (state_of(member), address_of(member).still_asked_at) == (AddressState.OK, None)
        talk.send(CampaignKind.TOOL, "Again.")
        assert talk.last.body == QUESTION
        assert len(questions()) == 2
    with clock.frozen_at(NOON + 28 * DAY):
        assert "silent" not in housekeeping.run()  # two weeks count from the one that arrived


def test_what_is_too_old_by_then_says_why(talk: Talk) -> None:
    silent_member()
    campaign = talk.send(CampaignKind.CHECKIN, "How are you?")
    assert row_of(campaign).due_at == NOON + DAY  # it can leave to its last minute
    with clock.frozen_at(NOON + DAY):
        talk.deliver()
    assert standing(campaign) == (SKIPPED, "silent")


def test_a_shared_phone_is_asked_once_for_both(talk: Talk) -> None:
    ana, ben = silent_member("Ana"), silent_member("Ben")
    with db.reading() as session:
        ids = session.scalars(select(Member.id).order_by(Member.id)).all()
    for one in ids:
        talk.send(CampaignKind.TOOL, "Hello.", member_ids=(one,))
    assert len(questions()) == 1
    assert {address_of(m).still_asked_at for m in (ana, ben)} == {NOON}
    talk.text(ANA, "Yes")
    assert {address_of(m).still_asked_at for m in (ana, ben)} == {None}
    talk.deliver()
    assert [o.body for o in talk.left].count("Hello.") == 2


def test_on_a_shared_phone_a_no_may_be_the_other_one_and_a_person_decides(talk: Talk) -> None:
    ana, ben = silent_member("Ana"), silent_member("Ben")
    talk.send(CampaignKind.TOOL, "Hello.")
    talk.text(ANA, "No")
    assert {state_of(m) for m in (ana, ben)} == {AddressState.OK}
    assert address_of(ana).still_asked_at is not None


def test_at_night_even_what_cannot_wait_waits_for_the_morning(talk: Talk, configure: Callable[..., Settings]) -> None:
    configure(sending_window="10:00-18:00")
    member = silent_member()
    night = datetime(2026, 5, 6, 5, tzinfo=UTC)
    with clock.frozen_at(night):
        campaign = talk.send(CampaignKind.TOOL, "Hello.", override=True)
        assert standing(campaign) == (QUEUED, "window")
        assert address_of(member).still_asked_at is None
    with clock.frozen_at(night + 9 * HOUR):
        talk.deliver()
        assert [o.body for o in talk.left] == [QUESTION]


def test_two_questions_that_take_a_yes_are_never_open_at_once(talk: Talk) -> None:
    member = silent_member(mail=MAIL)
    both = {"override": False}
    talk.send(CampaignKind.TOOL, "Hello.")  # the phone is asked
    with db.transaction() as session:
        session.execute(update(Member).values(preferred_channel=EMAIL))
    invite = talk.send(CampaignKind.INVITE, "", "Come on Tuesday?", **both)
    assert standing(invite) == (QUEUED, "open_question")
    assert row_of(invite).due_at == NOON + 2 * DAY
    assert talk.text(ANA, "Yes") == ["still_there_yes", "Hello."]
    talk.deliver()
    assert talk.last.body == "Come on Tuesday?"
    with clock.frozen_at(NOON + 95 * DAY):
        talk.send(CampaignKind.INVITE, "", "And this Tuesday?", **both)
        with db.transaction() as session:
            session.execute(update(Member).values(preferred_channel=SMS))
        other = talk.send(CampaignKind.TOOL, "Hello.")
        assert standing(other) == (QUEUED, "open_question")  # the phone is asked when the invite is over
    with clock.frozen_at(NOON + 98 * DAY):
        talk.deliver()
        assert talk.last.body == QUESTION
    assert address_of(member).still_asked_at == NOON + 98 * DAY


def test_a_flag_or_a_break_asks_nothing(talk: Talk) -> None:
    member = silent_member()
    for values, reason in (({"held_at": NOON}, "held"), ({"held_at": None, "paused_until": NOON + DAY}, "paused")):
        campaign = start(CampaignKind.TOOL, "Hello.", override=False)
        with db.transaction() as session:
            session.execute(update(Member).values(**values))
        assert claim() == []
        if rows(campaign):
            assert standing(campaign)[1] == reason
    assert address_of(member).still_asked_at is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"discreet": True}, QUESTION),
        ({"locale": "es"}, "¿Sigues siendo A? Responde SÍ o STOP."),
    ],
)
def test_the_words_tell_a_stranger_nothing(talk: Talk, more: dict[str, Any], words: str) -> None:
    silent_member(**more)
    talk.send(CampaignKind.STORY, "Hello.")
    assert questions() == [words]


def test_a_person_can_vouch_for_the_number(talk: Talk) -> None:
    member = silent_member()
    talk.send(CampaignKind.TOOL, "Hello.")
    with db.transaction() as session:
        maya = Coordinator(
            id=db.uuid7(), email="maya@example.org", name="Maya", role=Role.ADMIN, password_hash="", created_at=NOON
        )
        session.add(maya)
    with db.transaction() as session:
        phones.vouch(session, maya, session.get_one(Member, member.id))
    talk.deliver()
    assert talk.last.body == "Hello."
    with db.transaction() as session, pytest.raises(Conflict):
        phones.vouch(session, maya, session.get_one(Member, member.id))


def test_the_conversation_keeps_the_question_and_thousands_cost_few_statements(talk: Talk) -> None:
    members = [silent_member("Ana", f"+1202555{n:04d}") for n in range(100, 140)]
    campaign_id = start(CampaignKind.TOOL, "Hello.")
    from sqlalchemy import event

    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    event.listen(db.current().engine, "before_cursor_execute", count)
    try:
        assert claim("texts") == []
    finally:
        event.remove(db.current().engine, "before_cursor_execute", count)
    assert statements < 40
    assert len(questions()) == 40
    assert conversation(members[0]).last_out_at == NOON
    assert {row.reason for row in rows(campaign_id)} == {"still_there"}


numbers = itertools.count(1)
HAPPENS = st.lists(
    st.sampled_from(
        [
            "campaign",
            "campaign",
            "checkin",
            "yes",
            "hello",
            "no",
            "mail",
            "housekeeping",
            "day",
            "week",
            "month",
            "month",
        ]
    ),
    min_size=6,
    max_size=16,
)


@pytest.mark.slow
def test_in_any_order_no_text_goes_to_a_phone_that_was_silent(talk: Talk) -> None:
    """A text leaves only to a phone heard of in 90 days, and no second question before an answer, whatever happens."""
    examples = 25 if db.current().is_sqlite else 4

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None, phases=[Phase.generate])
    @given(HAPPENS)
    def holds(happens: list[str]) -> None:
        number = next(numbers)
        phone, mail = f"+1202555{number:04d}", f"ana{number}@example.org"
        now = heard = NOON
        with clock.frozen_at(now):
            member = add_member("Ana", phone, mail)
        asked: datetime | None = None
        for what in happens:
            now += {"day": DAY, "week": 7 * DAY, "month": 31 * DAY}.get(what, HOUR)
            seen = len(talk.left)
            with clock.frozen_at(now):
                if what in ("campaign", "checkin"):
                    kind = CampaignKind.TOOL if what == "campaign" else CampaignKind.CHECKIN
                    talk.send(kind, f"Campaign {what}.", member_ids=(member.id,))
                elif what == "housekeeping":
                    housekeeping.run()
                elif what == "mail":
                    talk.mail(mail, "thank you for this")
                elif what in ("yes", "hello", "no"):
                    if what != "no" or asked is None:
                        heard, asked = now, None
                    talk.text(phone, {"yes": "Yes", "hello": "hello there", "no": "No"}[what])
                talk.deliver()
            for out in talk.left[seen:]:
                if out.to != phone:
                    continue
                if out.template == "still_there":
                    assert asked is None, "asked twice"
                    assert now - heard > 90 * DAY, "asked too early"
                    asked = now
                elif out.purpose == Purpose.CAMPAIGN:
                    assert now - heard <= 90 * DAY, "a text went to a phone that was silent"
                    assert asked is None, "a text went to a phone of which nobody knows whose it is"
        with db.transaction() as session:  # leave nothing for the next one
            session.execute(update(Delivery).values(state=SKIPPED))
            session.execute(update(Campaign).values(state="finished"))

    holds()
