"""What is said by itself, and when it stops: two machines that answer one another, hours in which nobody reads."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from service import clock, config, db
from service.actions import outbox
from service.config import Settings
from service.models.conversations import Conversation, ConversationState
from service.models.members import Member
from tests.flows.replies import ANA, MAIL, later, on_duty
from tests.flows.talk import EMAIL, NOON, SMS, Talk, conversation, messages, waits
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def settle(member: Member | None = None, state: ConversationState = ConversationState.RESOLVED) -> None:
    """A person has dealt with it."""
    with db.transaction() as session:
        found = conversation(member).id
        until = clock.now() + timedelta(days=3) if state == ConversationState.SNOOZED else None
        session.execute(update(Conversation).where(Conversation.id == found).values(state=state, snoozed_until=until))


# Loops


@pytest.mark.parametrize(
    "words",
    ["HELP", "OOPS", "9", "Thanks for your note, I will get to it."],
    ids=["help", "oops", "9", "a"],
)
def test_after_three_answers_to_the_same_words_a_person_has_it(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    answers = [len(talk.text(ANA, words)) for _ in range(6)]
    assert sum(answers) <= 3
    assert answers[3:] == [0, 0, 0]
    assert waits(ana)


def test_a_machine_that_numbers_its_answers_is_noticed_by_ours(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    answers = [talk.text(ANA, str(n)) for n in range(7, 12)]
    assert answers == [["odd_number"]] * 3 + [[], []]
    assert messages()[-1].labels["loop"]
    assert waits(ana)
    with later(hours=2):
        assert talk.text(ANA, "9") == ["odd_number"]  # it may have been a person after all


def test_two_mail_systems_come_to_rest(talk: Talk) -> None:
    add_member("Ana", None, MAIL)
    talk.mail(MAIL, "HELP")
    for _ in range(8):  # each of our answers is answered, with other words each time and no sign of a machine
        if talk.left and talk.left[-1].channel == EMAIL:
            quoted = "\n".join(f"> {line}" for line in talk.left[-1].body.splitlines())
            talk.mail(MAIL, f"HELP\n\n{quoted}", answers=talk.left[-1], subject=f"Re: {len(talk.left)}")
    assert [o.template for o in talk.left] == ["help"] * 3


def test_a_person_in_between_begins_a_new_count(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", ANA)
    for _ in range(3):
        talk.text(ANA, "9")
    with db.transaction() as session:
        outbox.write(session, session.get_one(Member, ana.id), SMS, "Is anybody there?", coordinator_id=maya.id)
    talk.deliver()
    assert talk.text(ANA, "9") == ["odd_number"]


def test_a_stop_and_a_risk_are_heard_in_any_loop(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    for _ in range(5):
        talk.text(ANA, "9")
    assert talk.text(ANA, "I want to kill myself tonight") == ["risk_answer"]
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert conversation(ana).risk == "imminent"


# Hours


def at(day: int, hour: int, minute: int = 0) -> Any:
    """A moment in the first full week of May 2026 (the 4th is a Monday), in UTC."""
    return clock.frozen_at(datetime(2026, 5, day, hour, minute, tzinfo=NOON.tzinfo))


HOURS = "mon-fri 09:00-17:00; sat 10:00-12:00"
WORDS = "hello there, how was the meeting"


@pytest.mark.parametrize(
    ("day", "hour", "said"),
    [
        (5, 12, None),  # Tuesday, somebody is there
        (5, 20, "tomorrow after 9:00"),
        (5, 6, "today after 9:00"),
        (8, 18, "tomorrow after 10:00"),  # Friday evening
        (9, 13, "Monday"),  # Saturday afternoon
        (10, 9, "tomorrow after 9:00"),  # Sunday
    ],
)
def test_outside_the_hours_words_get_one_answer_that_names_the_next(
    talk: Talk, configure: Callable[..., Settings], day: int, hour: int, said: str | None
) -> None:
    configure(answer_hours=HOURS, answer_zone="UTC")
    ana = add_member("Ana", ANA, zone="UTC")
    with at(day, hour):
        answers = talk.text(ANA, WORDS)
        assert answers == (["free_text_received"] if said else [])
        assert said is None or said in talk.last.body
        assert talk.text(ANA, WORDS) == []  # once in 24 hours
    with at(day, hour), clock.frozen_at(clock.now() + timedelta(hours=25)):
        reading = config.parse_hours(HOURS)
        begins, ends = reading.get(clock.now().weekday(), (0, 0))
        open_now = begins <= clock.now().hour * 60 < ends
        assert talk.text(ANA, WORDS) == ([] if open_now else ["free_text_received"])
    assert waits(ana)


def test_the_answer_can_be_switched_off_and_risk_is_answered_all_the_same(
    talk: Talk, configure: Callable[..., Settings]
) -> None:
    configure(answer_hours="off")
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, WORDS) == []
    assert waits(ana)
    assert talk.text(ANA, "I want to kill myself tonight") == ["risk_answer"]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("value", ["9-5", "mon-fri", "mon 17:00-09:00", "lun-vie 09:00-17:00", "mon 09:00-17:00,"])
def test_hours_that_cannot_be_read_are_refused_at_the_start(configure: Callable[..., Settings], value: str) -> None:
    with pytest.raises(ValueError, match=r"must"):
        configure(answer_hours=value)


@pytest.mark.usefixtures("database")
def test_hours_may_go_over_the_weekend() -> None:
    assert sorted(config.parse_hours("fri-mon 08:00-20:00")) == [0, 4, 5, 6]


# Back before a person


@pytest.mark.parametrize("state", [ConversationState.RESOLVED, ConversationState.SNOOZED])
def test_new_words_bring_a_conversation_back(talk: Talk, state: ConversationState) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, WORDS)
    settle(ana, state)
    talk.text(ANA, "One more thing")
    assert waits(ana)
    assert conversation(ana).snoozed_until is None


@pytest.mark.parametrize("words", ["OOPS", 'Liked "Breathe."'])
def test_what_a_machine_deals_with_does_not(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, WORDS)
    settle(ana)
    talk.text(ANA, words)
    assert not waits(ana)


def test_a_strangers_new_words_are_held_again(talk: Talk) -> None:
    talk.text(ANA, "I found your leaflet, may I come on Tuesday?")
    settle()
    talk.text(ANA, "Are you there?")
    assert conversation().state == ConversationState.HELD
