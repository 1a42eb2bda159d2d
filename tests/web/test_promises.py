"""A day in a reply, offered as a promise; it comes back that day, whoever looks after the conversation by then."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db
from service.actions import housekeeping
from service.actions.conversations import promises, replying
from service.models.conversations import Conversation, ConversationState, Note
from service.models.inbox import Promise, PromiseState
from tests.flows.world import add_circle, add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA, BEN
from tests.web.pages import form_token
from tests.web.test_inbox import console_list, post

pytestmark = pytest.mark.usefixtures("valkey")

TUESDAY = datetime(2026, 11, 24, 12, tzinfo=UTC)


def promise() -> Promise:
    with db.reading() as session:
        return session.scalars(select(Promise).order_by(Promise.created_at.desc(), Promise.id.desc())).first()  # type: ignore[return-value]


def answer(client: FlaskClient, conversation: Conversation, words: str) -> str:
    """Reply, and the page that follows."""
    assert post(client, conversation, "reply", body=words, channel="sms").status_code == 302
    return client.get(f"/console/inbox/{conversation.id}").text


def act(client: FlaskClient, what: str, **data: str) -> int:
    token = form_token(client.get("/console/inbox/"))
    return client.post(f"/console/inbox/promises/{promise().id}/{what}", data={"csrf_token": token, **data}).status_code


def waiting(words: str = "Could somebody ring me?", phone: str = ANA) -> Conversation:
    ana = add_member("Ana", phone)
    desk.text(phone, words)
    return desk.conversation_of(ana)


def test_a_day_is_offered_kept_with_one_click_and_comes_back(enter: Enter) -> None:
    with clock.frozen_at(TUESDAY):
        maya, idris = enter("coordinator"), enter("safeguarding", name="Idris")
        conversation = waiting()
        page = answer(maya, conversation, "Dear Ana,\nI'll ring Thursday after work.")
        assert "Keep it as a promise?" in page
        assert "I&#39;ll ring Thursday after work." in page
        assert 'value="2026-11-26"' in page
        assert "Keep it as a promise?" not in idris.get(f"/console/inbox/{conversation.id}").text  # it was not theirs
        assert act(maya, "keep", due_on="2026-11-26") == 302
        assert promise().state == PromiseState.OPEN
        assert "Promised for Thursday" in maya.get(f"/console/inbox/{conversation.id}").text
        assert "Ana" in console_list(maya, "promised")
        assert "Ana" not in console_list(maya, "needs_reply")
        me = desk.coordinator("safeguarding@example.org")
        replying.assign(conversation.id, me, me.id)  # a handover
    with clock.frozen_at(TUESDAY + timedelta(days=1)):
        assert "promised" not in housekeeping.run()
    with clock.frozen_at(datetime(2026, 11, 26, 0, 5, tzinfo=UTC)):
        desk.text(BEN, "Which room is it on Tuesday?")
        assert housekeeping.run()["promised"] == 1
        assert "promised" not in housekeeping.run()
        lee = enter("coordinator", email="lee@example.org", name="Lee")  # sign-ins end over night
        rows = console_list(lee, "needs_reply")
        assert "promised for today" in rows
        today = lee.get("/console/today/").text
        assert "Promised for today" in today
        assert "I&#39;ll ring Thursday after work." in today
        assert act(lee, "done") == 302
        assert promise().state == PromiseState.DONE
        assert promise().settled_by == desk.coordinator("lee@example.org").id
        assert "Promised for today" not in lee.get("/console/today/").text
        assert desk.conversation_of_id(conversation.id).promise_at is None


def test_what_was_promised_stands_before_what_has_waited_longer(enter: Enter) -> None:
    with clock.frozen_at(TUESDAY):
        maya = enter("coordinator")
        ben = add_member("Ben", BEN)
        desk.text(BEN, "Which room is it on Tuesday?")
    with clock.frozen_at(TUESDAY + timedelta(hours=1)):
        conversation = waiting()
        answer(maya, conversation, "I'll write tomorrow.")
        act(maya, "keep")
    with clock.frozen_at(TUESDAY + timedelta(days=1)):
        housekeeping.run()
        rows = console_list(enter("coordinator", email="lee@example.org"), "needs_reply")
        assert rows.index("Ana") < rows.index("Ben")
        assert ben.id


def test_an_offer_can_be_declined_moved_or_left(enter: Enter) -> None:
    with clock.frozen_at(TUESDAY):
        maya = enter("coordinator")
        conversation = waiting()
        answer(maya, conversation, "I'll ring Thursday.")
        assert act(maya, "decline") == 302
        assert "Keep it as a promise?" not in maya.get(f"/console/inbox/{conversation.id}").text
        answer(maya, conversation, "Te llamo el jueves.")
        assert promise().due_on == date(2026, 11, 26)
        assert act(maya, "keep", due_on="2026-12-03") == 302
        assert promise().due_on == date(2026, 12, 3)
        assert act(maya, "keep", due_on="2026-11-30") == 302  # moved
        assert promise().due_on == date(2026, 11, 30)
        assert act(maya, "keep", due_on="2026-11-01") == 302  # a day that has passed: nothing changes
        assert act(maya, "keep", due_on="Thursday") == 302
        assert promise().due_on == date(2026, 11, 30)
        answer(maya, conversation, "I'll ring on Friday.")
    with clock.frozen_at(TUESDAY + timedelta(hours=25)):
        person = desk.coordinator("coordinator@example.org")
        with db.reading() as session:
            _, offered = promises.of(session, person, conversation.id)
        assert offered == []  # for a day only
        page = enter("coordinator", email="lee@example.org").get(f"/console/inbox/{conversation.id}").text
        assert "Promised for Monday" in page


def test_it_survives_resolving_and_snoozing(enter: Enter) -> None:
    with clock.frozen_at(TUESDAY):
        maya = enter("coordinator")
        conversation = waiting()
        answer(maya, conversation, "I'll write in three days.")
        act(maya, "keep")
        post(maya, conversation, "reopen")
        post(maya, conversation, "snooze", until="2026-12-20T10:00", **{"for": "moment"})
    with clock.frozen_at(TUESDAY + timedelta(days=3)):
        housekeeping.run()
        assert desk.conversation_of_id(conversation.id).state == ConversationState.NEEDS_REPLY


def test_another_circles_promise_is_out_of_reach(enter: Enter) -> None:
    with clock.frozen_at(TUESDAY):
        maya, other = enter("coordinator"), enter("circle_coordinator", name="Cy")
        desk.give_circle(desk.coordinator("circle_coordinator@example.org"), add_circle())
        conversation = waiting()
        answer(maya, conversation, "I'll ring today.")
        for what in ("keep", "decline", "done"):
            assert act(other, what) == 404
        assert act(maya, "keep") == 302
        assert "I&#39;ll ring today" not in other.get("/console/today/").text
        assert conversation.id


def test_what_was_said_to_a_stranger_goes_with_them(enter: Enter) -> None:
    with clock.frozen_at(TUESDAY):
        maya = enter("coordinator")
        ben = add_member("Ben", email="ben@example.org")
        desk.text(BEN, "It's Ben. I want to kill myself tonight")
        held = desk.held()
        post(maya, held, "note", note="Sounds like Ben.")
        answer(maya, held, "I'll ring you today.")
        act(maya, "keep")
        post(maya, held, "match", member_id=str(ben.id))
        own = desk.conversation_of(ben)
        assert (own.risk, desk.flag().conversation_id, desk.flag().member_id) == ("imminent", own.id, ben.id)
        assert promise().conversation_id == own.id
        assert own.promise_at is not None
        page = maya.get(f"/console/inbox/{own.id}").text
        assert "Sounds like Ben." in page
        assert re.search("Everything scheduled for Ben waits", page)
        with db.reading() as session:
            assert session.scalars(select(Note.conversation_id)).all() == [own.id]
