"""A conversation of very many messages opens, turns its pages and takes one more as fast as a short one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, insert

from service import clock, db
from service.models.conversations import Conversation, Direction, Message
from service.models.members import ChannelName
from tests.flows.world import add_member
from tests.web import desk
from tests.web.desk import ANA

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]

MANY = 5_000
WHOLE_THREAD = ("SCAN messages", "MULTI-INDEX OR")
"""What SQLite plans where it would read all that was ever said."""


def fill(conversation: Conversation) -> None:
    """Give a conversation its many messages, a minute apart, the last of them just now."""
    now = clock.now()
    rows = [
        {
            "id": db.uuid7(), "conversation_id": conversation.id, "member_id": conversation.member_id,
            "direction": Direction.IN, "channel": ChannelName.SMS, "body": f"Line {number:04d}", "labels": {},
            "at": now - timedelta(minutes=MANY - number), "automatic": False,
        }
        for number in range(MANY)
    ]  # fmt: skip
    with db.transaction() as session:
        session.execute(insert(Message), rows)


@contextmanager
def plans_about_messages() -> Iterator[list[str]]:
    """How SQLite goes about every question asked of the table of messages meanwhile."""
    plans: list[str] = []
    engine = db.current().engine

    def explain(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "FROM messages" in statement and statement.lstrip().upper().startswith(("SELECT", "WITH")):
            own = cursor.connection.cursor()  # type: ignore[attr-defined]
            plans.extend(str(row[3]) for row in own.execute("EXPLAIN QUERY PLAN " + statement, parameters))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def test_no_page_and_no_arrival_reads_the_whole_of_a_long_conversation(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    fill(conversation)
    with plans_about_messages() as plans:
        page = console.get(f"/console/inbox/{conversation.id}").text
        link = re.search(r'href="([^"]+upto=[^"]+)">Show earlier', page)
        assert link is not None
        earlier = console.get(link[1].replace("&amp;", "&")).text
        desk.text(ANA, "Thank you, that helped")
    assert f"Line {MANY - 2:04d}" in page
    assert f"Line {MANY - 100:04d}" in earlier
    assert any("ix_messages_conversation" in plan and "at<" in plan for plan in plans), "an earlier page was asked for"
    assert [plan for plan in plans if any(bad in plan for bad in WHOLE_THREAD)] == []
