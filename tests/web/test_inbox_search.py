"""Finding a conversation again: by a tag, by words in it, by its turn; and reading one of any length page by page."""

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import LargeBinary, event, insert, select, type_coerce

from service import clock, db
from service.actions import outbox
from service.actions.conversations import finding, folders, threads
from service.models.conversations import Conversation, ConversationState, Direction, Message
from service.models.inbox import Tag
from service.models.members import ChannelName, Member
from service.models.staff import AuditEntry
from tests.flows.world import add_circle, add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA, BEN
from tests.web.pages import form_token
from tests.web.test_inbox import console_list, post

pytestmark = pytest.mark.usefixtures("valkey")


def ana_writes(words: str = "Could somebody write back, please?") -> Conversation:
    ana = add_member("Ana", ANA)
    desk.text(ANA, words)
    return desk.conversation_of(ana)


def tag_id() -> Any:
    with db.reading() as session:
        return session.scalars(select(Tag.id)).first()


def test_tags_are_put_on_filter_and_are_taken_off(console: FlaskClient) -> None:
    conversation = ana_writes()
    add_member("Ben", BEN)
    desk.text(BEN, "And me")
    assert post(console, conversation, "tags", tag="  Housing   help ").status_code == 302
    assert post(console, conversation, "tags", tag="HOUSING HELP").status_code == 302  # the same one
    page = console.get(f"/console/inbox/{conversation.id}").text
    assert page.count('class="tag"') == 1
    assert "Housing help" in page
    filtered = console.get(f"/console/inbox/list?folder=needs_reply&tag={tag_id()}").text
    assert "Ana" in filtered
    assert "Ben" not in filtered
    with db.reading() as session:
        assert b"Housing" not in session.scalars(select(type_coerce(Tag.name, LargeBinary))).one()
    assert post(console, conversation, f"tags/{tag_id()}/remove").status_code == 302
    assert tag_id() is None  # nothing carries it any more
    assert post(console, conversation, "tags/018f0000-0000-7000-8000-000000000000/remove").status_code == 404


def test_a_tag_that_cannot_be_used_comes_back_with_the_reason(console: FlaskClient) -> None:
    conversation = ana_writes()
    for tag, reason in (("  ", "a word or two"), ("x" * 31, "30 letters at most")):
        answer = post(console, conversation, "tags", tag=tag)
        assert answer.status_code == 422
        assert reason in answer.text
    for number in range(12):
        post(console, conversation, "tags", tag=f"tag {number}")
    assert "12 tags already" in post(console, conversation, "tags", tag="one more").text


def test_words_are_found_in_any_case_and_without_accents(console: FlaskClient) -> None:
    conversation = ana_writes("Mañana voy a la Biblioteca con mi hermana, gracias por el ánimo")
    for query, there in (
        ("biblioteca", True), ("MANANA hermana", True), ("animo", True), ("biblioteca perro", False), ("x", False),
    ):  # fmt: skip
        page = console.get("/console/inbox/", query_string={"q": query}).text
        assert ("In messages" in page) is there, query
        assert "Messages are encrypted where they are stored" in page
    page = console.get("/console/inbox/", query_string={"q": "biblioteca"}).text
    assert "<mark>Biblioteca</mark>" in page
    assert "That is all there is." in page
    link = re.search(r'href="([^"]+upto=[^"]+)"', page)
    assert link is not None
    assert str(conversation.id) in link[1]
    assert "Biblioteca" in console.get(link[1].split("#")[0].replace("&amp;", "&")).text
    with db.reading() as session:
        searches = session.scalars(select(AuditEntry).where(AuditEntry.action == "conversation.search")).all()
    assert len(searches) == 6
    assert all("biblioteca" not in str(entry.detail).lower() for entry in searches)


def test_what_a_search_shows_is_escaped(console: FlaskClient) -> None:
    ana_writes("before <script>alert(1)</script> after")
    page = console.get("/console/inbox/", query_string={"q": "<script>alert"}).text
    assert "<script>alert" not in page
    assert "<mark>&lt;script&gt;alert</mark>" in page


def test_a_search_says_how_far_it_looked_and_goes_on(console: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "WINDOW", 5)
    with clock.frozen_at(clock.now() - timedelta(days=3)):
        ana_writes("The oldest word is umbrella")
    for number in range(6):
        desk.text(ANA, f"Something else {number}")
    page = console.get("/console/inbox/", query_string={"q": "umbrella"}).text
    assert "<mark>" not in page
    assert "Looked through 5 messages" in page
    for _ in range(5):
        link = re.search(r'href="([^"]+before=[^"]+)"', page)
        if link is None:
            break
        page = console.get(link[1].replace("&amp;", "&")).text
        if "<mark>" in page:
            break
    assert "<mark>umbrella</mark>" in page


def test_a_circle_coordinator_finds_words_and_tags_of_their_own_circle_only(enter: Enter) -> None:
    client, other = enter("circle_coordinator"), enter("coordinator")
    mine = add_circle()
    desk.give_circle(desk.coordinator("circle_coordinator@example.org"), mine)
    add_member("Ben", BEN, circle=mine)
    desk.text(BEN, "An umbrella in the hall")
    conversation = ana_writes("My umbrella is a secret")
    post(other, conversation, "tags", tag="only for others")
    page = client.get("/console/inbox/", query_string={"q": "umbrella"}).text
    assert "in the hall" in page
    assert "a secret" not in page
    assert "only for others" not in client.get("/console/inbox/").text
    token = form_token(client.get("/console/inbox/"))
    where = f"/console/inbox/{conversation.id}/tags"
    assert client.post(where, data={"csrf_token": token, "tag": "x"}).status_code == 404


def test_an_access_code_is_not_found(console: FlaskClient) -> None:
    conversation = ana_writes()
    with db.transaction() as session:
        member = session.get_one(Member, conversation.member_id)
        outbox.say(session, member, "access_code", ChannelName.SMS, context={"code": "123456", "minutes": 10})
    assert "<mark>" not in console.get("/console/inbox/", query_string={"q": "123456"}).text


def test_snoozed_until_they_write(console: FlaskClient) -> None:
    conversation = ana_writes()
    assert post(console, conversation, "snooze", **{"for": "words"}).status_code == 302
    assert "until they write" in console_list(console, "snoozed")
    from service.actions import housekeeping

    with clock.frozen_at(clock.now() + timedelta(days=300)):
        housekeeping.run()
    assert desk.conversation_of_id(conversation.id).state == ConversationState.SNOOZED
    desk.text(ANA, "OOPS")  # even what the machine deals with
    assert desk.conversation_of_id(conversation.id).state == ConversationState.NEEDS_REPLY


def test_a_very_long_conversation_is_paged_by_key_and_costs_no_more(console: FlaskClient) -> None:
    """Every statement of the page, the list and the search, on a conversation of 60,000 messages."""
    conversation = ana_writes()
    many(conversation, 60_000)
    skipped: list[str] = []

    def listen(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        for place in re.finditer("OFFSET", statement):  # SQLAlchemy writes one of 0 for SQLite
            if values[statement[: place.start()].count("?")] != 0:
                skipped.append(statement)

    engine = db.current().engine
    event.listen(engine, "before_cursor_execute", listen)
    begun = time.thread_time()
    page = console.get(f"/console/inbox/{conversation.id}").text
    for _ in range(3):
        link = re.search(r'href="([^"]+upto=[^"]+)">Show earlier', page)
        assert link is not None
        page = console.get(link[1].replace("&amp;", "&")).text
    assert "Number 59820" in page
    console.get("/console/inbox/list?folder=needs_reply")
    took = time.thread_time() - begun
    event.remove(engine, "before_cursor_execute", listen)
    assert took < 3.0  # five pages; reading all of it once would take longer than that
    assert skipped == []
    with db.reading() as session:
        person = desk.coordinator("coordinator@example.org")
        begun = time.thread_time()
        found = finding.find(session, person, "nowhere")
        assert (found.opened, found.further is not None) == (finding.WINDOW, True)
        assert time.thread_time() - begun < finding.BUDGET + 0.5
        deep = threads.read(session, person, conversation.id, limit=60)
        assert len(deep.entries) == 60
        assert folders.folder(session, person, folders.Folder.NEEDS_REPLY)[0].last_words == "Number 59999"


def many(conversation: Conversation, count: int) -> None:
    """So many messages, the newest a minute ago."""
    begins = clock.now() - timedelta(minutes=1) - timedelta(seconds=count)
    rows = [
        {
            "id": db.uuid7(), "conversation_id": conversation.id, "member_id": conversation.member_id,
            "direction": Direction.IN, "channel": ChannelName.SMS, "body": f"Number {number}", "labels": {},
            "automatic": False, "at": begins + timedelta(seconds=number),
        }
        for number in range(count)
    ]  # fmt: skip
    with db.transaction() as session:
        first = session.scalars(select(Message).where(Message.conversation_id == conversation.id)).all()
        for message in first:
            session.delete(message)
        session.flush()
        for start in range(0, count, 5000):
            session.execute(insert(Message), rows[start : start + 5000])
