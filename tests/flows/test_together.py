"""Many people write at the same moment: their texts are taken in together, and nobody is lost, held up or mixed up."""

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select

from service import clock, db
from service.actions import conversations
from service.actions.conversations import receiving, store, words
from service.models.campaigns import CampaignKind
from service.models.conversations import CheckIn, Conversation, ConversationState, WebhookEvent
from service.models.members import Member
from tests.flows.replies import ANA, BEN, later, on_duty, stopped
from tests.flows.talk import SMS, Talk, flags, messages
from tests.flows.world import add_member

_numbers = itertools.count(1)


def arrive(*said: tuple[str, str]) -> None:
    """These texts are stored and wait: (phone, words)."""
    for phone, text in said:
        sid = f"SM{next(_numbers):032x}"
        form = {"MessageSid": sid, "From": phone, "To": "+15005550006", "Body": text}
        store.keep([store.Incoming("twilio", store.TEXT, sid, json.dumps({"form": form}))])


def phone(number: int) -> str:
    return f"+1202555{number:04d}"


def left() -> int:
    with db.reading() as session:
        return len(session.scalars(select(WebhookEvent.id).where(WebhookEvent.processed_at.is_(None))).all())


def test_one_that_fails_takes_nobody_with_it(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five write at once; the third trips over a bug half-way. The others are answered, and it reaches a person."""
    for number in range(5):
        add_member(f"Member {number}", phone(number))
    talk.send(CampaignKind.CHECKIN, "How are you today, 1 very hard … 5 good?")
    real = receiving._act

    def trips(session: Any, incoming: Any) -> None:
        real(session, incoming)
        if incoming.arrived.words == "3 so so":
            raise KeyError("bug")

    monkeypatch.setattr(receiving, "_act", trips)
    arrive(*[(phone(number), "3 so so" if number == 2 else "4") for number in range(5)])
    conversations.process_inbound()
    assert sorted((o.to, o.template) for o in talk.deliver()) == [(phone(n), "checkin_4") for n in (0, 1, 3, 4)]
    with db.reading() as session:
        assert session.scalars(select(CheckIn.score)).all() == [4] * 4  # nothing of the failed one is half-done
    assert left() == 1
    for minute in range(1, 5):
        with later(seconds=60 * minute):
            conversations.process_inbound()
    assert [f.reasons for f in flags()] == [["could not be read"]]
    assert left() == 0
    assert len([m for m in messages() if m.direction == "in"]) == 5


def test_what_one_member_writes_is_read_in_its_order_and_in_its_light(talk: Talk) -> None:
    """Several texts of one member wait with those of others: the second is read in the light of the first."""
    on_duty()
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    add_member("Cy", phone(1))
    arrive((ANA, "STOP"), (BEN, "START"), (ANA, "START"), (BEN, "STOP"), (phone(1), "I want to kill myself tonight"),
           (phone(1), "what is on this week?"), (ANA, "thank you all"))  # fmt: skip
    conversations.process_inbound()
    assert left() == 0
    assert not stopped(SMS, ANA)
    assert stopped(SMS, BEN)
    answers = [(o.to, o.template) for o in talk.deliver() if o.to == phone(1)]
    assert answers == [(phone(1), "risk_answer")]  # the second text goes to the person who has been paged, unanswered
    said = [m.body for m in messages() if m.direction == "in"]
    assert [s for s in said if s in ("STOP", "START")] == ["STOP", "START", "START", "STOP"]
    with db.reading() as session:
        cy = select(Conversation).where(Conversation.risk.is_not(None))
        assert session.scalars(cy).one().state == ConversationState.NEEDS_REPLY


def test_two_workers_take_each_text_once_and_keep_every_members_order(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [phone(number) for number in range(6)]
    for number in people:
        add_member("Somebody", number)
    arrive(*[(number, f"line {line} of what I have to say") for line in range(8) for number in people])
    taken: list[tuple[str, str]] = []
    real = receiving._act

    def noted(session: Any, incoming: Any) -> None:
        taken.append((incoming.arrived.sender, incoming.arrived.words))
        real(session, incoming)

    monkeypatch.setattr(receiving, "_act", noted)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: conversations.process_inbound(), range(2)))
    assert sum(done) == len(taken) == 48
    assert left() == 0
    for number in people:
        assert [said for sender, said in taken if sender == number] == [
            f"line {line} of what I have to say" for line in range(8)
        ]


def test_everybody_who_wrote_was_heard_and_has_one_message_unread(talk: Talk) -> None:
    several = [add_member(f"Member {number}", phone(number)) for number in range(3)]
    quiet = add_member("Quiet", phone(9))
    arrive(*[(phone(number), "what a long week it was") for number in range(3)])
    conversations.process_inbound()
    with db.reading() as session:
        heard = {member.id: member.last_heard_at for member in session.scalars(select(Member))}
        unread = session.scalars(select(Conversation.unread)).all()
    assert all(heard[member.id] == clock.now() for member in several)
    assert heard[quiet.id] is None
    assert unread == [1, 1, 1]
    assert left() == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("say", "most"), [("4", 5), ("I could not come on Tuesday, the bus was late again", 3)])
def test_an_ordinary_text_costs_a_handful_of_statements(talk: Talk, say: str, most: int) -> None:
    """Statements are nearly all of the work: with thirty for each text a machine dealt with fifty a second."""
    people = [phone(number) for number in range(2 * words.AT_ONCE)]
    for number in people:
        add_member("Somebody", number)
    talk.send(CampaignKind.CHECKIN, "How are you today, 1 very hard … 5 good?")
    for time in range(1, 6):  # from the fourth on it is asked whether that leads anywhere
        arrive(*[(number, say) for number in people])
        seen = _statements(lambda: conversations.process_inbound() == len(people))
        assert len(seen) <= most * len(people), "\n".join([f"time {time}", *seen])


def _statements(act: Callable[[], bool]) -> list[str]:
    """What is sent to the database while `act` succeeds."""
    seen: list[str] = []

    def count(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    engine = db.current().engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        assert act()
    finally:
        event.remove(engine, "before_cursor_execute", count)
    return seen
