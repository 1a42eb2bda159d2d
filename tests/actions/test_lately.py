"""What we said lately is read for many conversations at once, and each is judged by its own lines only."""

from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from service import clock, db
from service.actions.conversations import lately
from service.models.campaigns import Purpose
from service.models.conversations import Conversation, Direction, Message
from service.models.members import ChannelName

DAY = timedelta(days=1)


def conversation(session: Session, *said: tuple[timedelta, str | None]) -> Conversation:
    """One in which we said these texts so long ago: (age, template); None is something that they wrote."""
    now = clock.now()
    ours = [now - age for age, template in said if template]
    made = Conversation(
        id=db.uuid7(), channel=ChannelName.SMS, created_at=now, last_out_at=max(ours, default=None), unread=0
    )
    session.add(made)
    session.flush()
    for age, template in said:
        message = Message(
            id=db.uuid7(), conversation_id=made.id, channel=ChannelName.SMS, body="…", at=now - age,
            direction=Direction.OUT if template else Direction.IN, template=template,
            purpose=Purpose.ANSWER if template else None, automatic=template is not None,
        )  # fmt: skip
        session.add(message)
    session.flush()
    return made


def ago(**time: float) -> timedelta:
    return timedelta(**time)


def test_each_conversation_has_its_own_lines_newest_first(database: db.Database) -> None:
    with db.transaction() as session:
        one = conversation(session, (ago(hours=3), "menu"), (ago(hours=2), None), (ago(hours=1), "help"))
        two = conversation(session, (ago(days=13), "checkin_4"), (ago(days=15), "menu"))
        silent = conversation(session, (ago(minutes=5), None))
        read = lately.read(session, [two, silent, one])
        assert [[line.template for line in each.lines()] for each in read] == [["checkin_4"], [], ["help", "menu"]]
        assert [line.template for line in read[2].lines(ago(hours=2))] == ["help"]
        assert [each.said(DAY, "help") for each in read] == [False, False, True]
        assert not read[0].said(DAY, "checkin_4")


def test_what_is_said_from_now_on_counts_first(database: db.Database) -> None:
    with db.transaction() as session:
        one, fresh = conversation(session, (ago(hours=3), "menu")), conversation(session)
        for read in lately.read(session, [one, fresh]):
            assert not read.said(DAY, "cannot_place")
            read.add(Message(template="cannot_place", automatic=True, purpose=Purpose.ANSWER, at=clock.now()))
            assert read.lines()[0].template == "cannot_place"
            assert read.said(DAY, "cannot_place")


def test_what_was_said_before_the_newest_twenty_is_looked_up(database: db.Database) -> None:
    """Somebody who plays with the menu all day is told only once that a person will read it."""
    with db.transaction() as session:
        often = [(ago(minutes=n), "menu") for n in range(1, lately.MOST + 3)]
        busy = conversation(session, *often, (ago(hours=5), "free_text_received"), (ago(days=2), "not_adult"))
        other = conversation(session, (ago(hours=5), "help"))
        read, beside = lately.read(session, [busy, other])
        assert [line.template for line in read.lines()] == ["menu"] * lately.MOST
        assert read.said(DAY, "free_text_received")
        assert not read.said(DAY, "not_adult")
        assert not read.said(DAY, "help")
        assert not beside.said(DAY, "free_text_received")


@pytest.mark.parametrize("count", [1, 30])
def test_one_question_is_enough_however_many_there_are(database: db.Database, count: int) -> None:
    with db.transaction() as session:
        many = [conversation(session, (ago(hours=n % 5 + 1), "menu")) for n in range(count)]
        asked: list[str] = []
        event.listen(database.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
        read = lately.read(session, many)
        assert [each.said(DAY, "menu") for each in read] == [True] * count
        assert [each.by_people() for each in read] == [[]] * count
        assert len(asked) == 1
