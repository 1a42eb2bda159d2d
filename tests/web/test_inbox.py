"""The inbox, as coordinators use it: reading, answering, noting, passing on, and never losing what was typed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import func, select, update

from service import clock, db
from service.actions import campaigns, consent
from service.actions.conversations import presence, replying
from service.config import Settings
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from service.models.conversations import CheckIn, Conversation, ConversationState, Message, Note
from service.models.inbox import Attachment
from service.models.members import ChannelName, Member
from service.models.staff import AuditEntry, CannedReply
from service.web.console.inbox_words import chips
from tests.flows.world import add_circle, add_member, send
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA, BEN
from tests.web.pages import form_token

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]


def post(client: FlaskClient, conversation: Conversation, act: str, **data: object):  # type: ignore[no-untyped-def]
    """Send one of the conversation's forms, as its page would."""
    page = client.get(f"/console/inbox/{conversation.id}")
    return client.post(f"/console/inbox/{conversation.id}/{act}", data={"csrf_token": form_token(page), **data})


def test_words_wait_in_needs_reply_and_open_with_what_was_understood(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "The week was long and I miss my sister")
    page = console.get("/console/inbox/")
    assert "I miss my sister" in page.text
    opened = console.get(f"/console/inbox/{desk.conversation_of(ana).id}")
    assert "The week was long" in opened.text
    assert "automatic answer" in opened.text  # what the machine said is visibly the machine's
    assert "Their time now" in opened.text
    assert opened.headers["Cache-Control"] == "no-store"


def test_the_members_card_and_what_was_sent_stand_beside_the_words(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA, circle=add_circle("The Kitchen Table", "KITCHEN"))
    desk.text(ANA, "The week was long")
    where = f"/console/inbox/{desk.conversation_of(ana).id}"
    assert "sparkline" not in console.get(where).text
    with db.transaction() as session:
        for day, score in enumerate((2, 4)):
            session.add(CheckIn(member_id=ana.id, score=score, at=clock.now() - timedelta(days=9 - day)))
    campaign = send(CampaignKind.CHECKIN, "How are you?")
    campaigns.freeze(campaign)
    with db.transaction() as session:
        sent = {"state": DeliveryState.DELIVERED, "sending_at": clock.now()}
        session.execute(update(Delivery).where(Delivery.campaign_id == campaign).values(**sent))
    opened = console.get(where).text
    assert "On: check-ins, news of the circle, sessions, stories, tools" in opened
    assert "The Kitchen Table" in opened
    assert "Last check-ins, 1 very hard to 5 good: 2, 4" in opened
    assert "How are you?" in opened


def test_what_may_be_a_stop_says_what_rests(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "not sure I want these anymore")
    opened = console.get(f"/console/inbox/{desk.conversation_of(ana).id}")
    assert "may want to stop: rests for two weeks, please decide" in opened.text
    assert [chip.text for chip in chips({"may_stop": "said", "did": "rsvp no"})] == ["may want to stop", "RSVP no"]


def test_reading_is_audited_once_an_hour_and_a_get_leaves_it_unread(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Hello there, long time")
    conversation = desk.conversation_of(ana)
    for _ in range(3):
        console.get(f"/console/inbox/{conversation.id}")
    assert desk.conversation_of(ana).unread == 1
    assert post(console, conversation, "read").status_code == 204
    assert desk.conversation_of(ana).unread == 0
    with db.reading() as session:
        read = select(func.count()).where(AuditEntry.action == "conversation.read")
        assert session.scalar(read) == 1
    with clock.frozen_at(clock.now() + timedelta(hours=2)):
        console.get(f"/console/inbox/{conversation.id}")
    with db.reading() as session:
        assert session.scalar(read) == 2


def test_a_reply_is_queued_at_once_and_the_conversation_is_done(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    seen = desk.messages(conversation)[-1].id
    answer = post(console, conversation, "reply", body="Dear Ana, here I am.", channel="sms", seen=str(seen))
    assert answer.status_code == 302
    with db.reading() as session:
        message = session.scalars(select(Message).order_by(Message.at.desc())).first()
        assert message is not None
        assert message.body == "Dear Ana, here I am."
        assert session.scalars(select(Delivery.queue).where(Delivery.message_id == message.id)).one() == "replies"
    assert desk.conversation_of(ana).state == ConversationState.RESOLVED
    assert "waiting to leave" in console.get(f"/console/inbox/{conversation.id}").text


def test_two_people_answering_at_once_are_warned_and_no_word_is_lost(enter: Enter) -> None:
    first, second = enter("coordinator"), enter("admin", name="Bo")
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    seen = str(desk.messages(conversation)[-1].id)
    assert post(second, conversation, "reply", body="Hello Ana", channel="sms", seen=seen).status_code == 302
    answer = post(first, conversation, "reply", body="Words that took a while", channel="sms", seen=seen)
    assert answer.status_code == 409
    assert "Somebody was quicker" in answer.text
    assert "Words that took a while" in answer.text
    assert "Hello Ana" in answer.text
    newest = desk.messages(conversation)[-1].id
    assert f'name="seen" value="{newest}"' in answer.text  # sending it once more is a decision, and works
    assert post(first, conversation, "reply", body="Words that took a while", seen=str(newest)).status_code == 302


def test_whoever_has_it_open_sees_that_another_is_writing(enter: Enter, client: FlaskClient, valkey: Redis) -> None:
    first, second = enter("coordinator"), enter("admin", name="Bo Lind")
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    page = first.get(f"/console/inbox/{conversation.id}/thread").text
    seen = page.split("seen=")[1].split('"')[0].split("&")[0]
    assert post(second, conversation, "writing").status_code == 204
    fresh = first.get(f"/console/inbox/{conversation.id}/thread?seen={seen}")
    assert "Bo Lind is writing an answer here." in fresh.text
    assert "is writing" not in second.get(f"/console/inbox/{conversation.id}").text  # one knows it of oneself
    valkey.flushall()
    assert "is writing" not in first.get(f"/console/inbox/{conversation.id}").text
    assert client.post(f"/console/inbox/{conversation.id}/writing").status_code in (302, 400)


def test_without_redis_nobody_is_told_and_nothing_breaks(
    enter: Enter, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_resting_until", 0.0)  # put back after the test
    first = enter("coordinator")
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    configure(redis_url="redis://127.0.0.1:9/0")
    conversation = desk.conversation_of(ana)
    assert post(first, conversation, "writing").status_code == 204
    assert first.get(f"/console/inbox/{conversation.id}").status_code == 200


def test_an_empty_reply_says_so_beside_its_field(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    answer = post(console, desk.conversation_of(ana), "reply", body="  ", channel="sms")
    assert answer.status_code == 422
    assert "Write a few words first." in answer.text


def test_nobody_who_stopped_can_be_written_to_and_the_page_says_why(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Please take me off your list, and thank you for everything")
    conversation = desk.conversation_of(ana)
    page = console.get(f"/console/inbox/{conversation.id}")
    assert "Ana asked us to stop here" in page.text
    assert 'name="body"' not in page.text
    assert "opt-out" in page.text
    assert post(console, conversation, "reply", body="But wait", channel="sms").status_code == 422


def test_one_stopped_channel_is_disabled_and_the_other_offered(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA, "ana@example.org")
    desk.text(ANA, "Could somebody write back, please?")
    with db.transaction() as session:
        consent.stop(session, session.get_one(Member, ana.id), channel=ChannelName.SMS, source="test")
    page = console.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert 'value="sms" id="way-sms" disabled' in page
    assert 'value="email" id="way-email" checked' in page


def test_notes_are_for_the_team_and_are_never_sent(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    before = len(desk.messages(conversation))
    assert post(console, conversation, "note", note="").status_code == 422
    assert post(console, conversation, "note", note="Her sister is Eva.").status_code == 302
    page = console.get(f"/console/inbox/{conversation.id}").text
    assert "Her sister is Eva." in page
    assert "only the team sees this" in page
    assert len(desk.messages(conversation)) == before
    with db.reading() as session:
        assert len(list(session.scalars(select(Note)))) == 1


def test_assigning_puts_it_into_mine(enter: Enter) -> None:
    client = enter("coordinator")
    me = desk.coordinator("coordinator@example.org")
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    assert "Ana" in console_list(client, "unassigned")
    assert post(client, desk.conversation_of(ana), "assign", to=str(me.id)).status_code == 302
    assert "Ana" in console_list(client, "mine")
    assert "Ana" not in console_list(client, "unassigned")
    assert post(client, desk.conversation_of(ana), "assign", to="").status_code == 302
    assert "Ana" not in console_list(client, "mine")


def console_list(client: FlaskClient, folder: str) -> str:
    return client.get(f"/console/inbox/list?folder={folder}").text


def test_snoozing_hides_it_until_its_time(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    assert post(console, conversation, "snooze", until="yesterday", **{"for": "moment"}).status_code == 422
    assert post(console, conversation, "snooze", until="2020-01-01T10:00", **{"for": "moment"}).status_code == 422
    assert post(console, conversation, "snooze", **{"for": "hour"}).status_code == 302
    assert "Ana" in console_list(console, "snoozed")
    assert "Ana" not in console_list(console, "needs_reply")
    until = desk.conversation_of(ana).snoozed_until
    assert until is not None
    assert timedelta(minutes=55) < until - clock.now() <= timedelta(hours=1)


def test_tomorrow_is_the_coordinators_own_morning(enter: Enter) -> None:
    with clock.frozen_at(datetime(2026, 12, 2, 22, 30, tzinfo=UTC)):  # the coordinator is in London
        console = enter("coordinator")
        ana = add_member("Ana", ANA)
        desk.text(ANA, "Could somebody write back, please?")
        post(console, desk.conversation_of(ana), "snooze", **{"for": "tomorrow"})
        assert desk.conversation_of(ana).snoozed_until == datetime(2026, 12, 3, 9, 0, tzinfo=UTC)
        post(console, desk.conversation_of(ana), "snooze", **{"for": "week"})
        assert desk.conversation_of(ana).snoozed_until == datetime(2026, 12, 7, 9, 0, tzinfo=UTC)


def test_resolving_and_reopening(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    assert post(console, conversation, "resolve").status_code == 302
    assert desk.conversation_of(ana).state == ConversationState.RESOLVED
    assert post(console, conversation, "reopen").status_code == 302
    assert desk.conversation_of(ana).state == ConversationState.NEEDS_REPLY


def test_words_of_a_stranger_are_held_and_given_to_a_member(console: FlaskClient) -> None:
    ben = add_member("Ben", email="ben@example.org")
    desk.text(BEN, "Hi it's Ben on my new phone, can I still come")
    held = desk.held()
    assert "Unknown sender" in console_list(console, "held")
    found = console.get(f"/console/inbox/{held.id}?member=be")
    assert "Whose words are these?" in found.text
    assert ">Ben" in found.text
    assert post(console, held, "match").status_code == 422
    assert post(console, held, "match", member_id=str(ben.id)).status_code == 302
    own = desk.conversation_of(ben)
    assert own.state == ConversationState.NEEDS_REPLY
    assert desk.messages(own)[0].body.startswith("Hi it's Ben")


def test_live_refresh_sends_nothing_while_nothing_changed(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    page = console.get(f"/console/inbox/{conversation.id}/thread")
    seen = page.text.split("seen=")[1].split('"')[0].split("&")[0]
    assert console.get(f"/console/inbox/{conversation.id}/thread?seen={seen}").status_code == 204
    desk.text(ANA, "And another thing")
    fresh = console.get(f"/console/inbox/{conversation.id}/thread?seen={seen}")
    assert fresh.status_code == 200
    assert "And another thing" in fresh.text
    assert "<form" not in fresh.text  # nothing that is being typed is touched
    rows = console.get("/console/inbox/list?folder=needs_reply").text
    mark = rows.split("seen=")[1].split('"')[0]
    assert console.get(f"/console/inbox/list?folder=needs_reply&seen={mark}").status_code == 204


def test_attachments_are_listed_with_kind_and_size_and_not_shown(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Here is my cat", media=("image/jpeg",))
    with db.transaction() as session:
        session.scalars(select(Attachment)).one().size = 120_000
    page = console.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert "image/jpeg" in page
    assert "117 KB" in page
    assert "<img" not in page


def test_a_mail_can_be_read_whole(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "The new words")
    conversation = desk.conversation_of(ana)
    desk.change(Message, desk.messages(conversation)[0].id, body_full="The new words\n> and the old ones")
    page = console.get(f"/console/inbox/{conversation.id}").text
    assert "Show whole mail" in page
    assert "and the old ones" in page


def test_a_reply_that_is_ready_is_filled_with_the_name(console: FlaskClient) -> None:
    with db.transaction() as session:
        session.add(CannedReply(title="Warm hello", language="en", body="Dear {{ first_name }}, thank you."))
        session.add(CannedReply(title="Hola", language="es", body="Hola {{ first_name }}"))
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    page = console.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert "Dear Ana, thank you." in page
    assert "Hola" not in page


def test_search_finds_by_the_beginning_of_a_name_and_by_a_whole_number(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    for query, there in (("an", True), ("AN", True), ("na", False), ("+1 202 555 0123", True), ("0123", False)):
        page = console.get("/console/inbox/", query_string={"q": query})
        assert ("Could somebody" in page.text) is there, query


def test_a_circle_coordinator_sees_their_own_circle_and_masked_addresses(enter: Enter) -> None:
    client = enter("circle_coordinator")
    mine, other = add_circle(), add_circle("Other", "OTHER")
    desk.give_circle(desk.coordinator("circle_coordinator@example.org"), mine)
    ana, ben = add_member("Ana", ANA, "ana@example.org", circle=mine), add_member("Ben", BEN, circle=other)
    desk.text(ANA, "Could somebody write back, please?")
    desk.text(BEN, "Nobody else should read this")
    page = client.get("/console/inbox/").text
    assert "Could somebody" in page
    assert "Nobody else" not in page
    opened = client.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert ANA not in opened
    assert "ana@example.org" not in opened
    assert "••• 0123" in opened
    hidden = desk.conversation_of(ben)
    assert client.get(f"/console/inbox/{hidden.id}").status_code == 404
    token = form_token(client.get("/console/inbox/"))
    for act in ("reply", "note", "assign", "snooze", "resolve", "reopen", "read", "match"):
        data = {"csrf_token": token, "body": "x", "note": "x", "for": "hour", "member_id": str(ben.id)}
        assert client.post(f"/console/inbox/{hidden.id}/{act}", data=data).status_code == 404, act


def test_nothing_changes_without_signing_in_or_without_a_token(client: FlaskClient, console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation = desk.conversation_of(ana)
    assert client.get(f"/console/inbox/{conversation.id}").status_code == 302
    assert console.post(f"/console/inbox/{conversation.id}/resolve").status_code == 400
    assert desk.conversation_of(ana).state == ConversationState.NEEDS_REPLY


def test_a_long_conversation_shows_its_end_and_more_on_request(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "Could somebody write back, please?")
    conversation, person = desk.conversation_of(ana), desk.coordinator("coordinator@example.org")
    for number in range(70):
        replying.reply(conversation.id, person, f"Answer {number:03d}")
    page = console.get(f"/console/inbox/{conversation.id}").text
    assert "Answer 069" in page
    assert "Answer 000" not in page
    assert "Show earlier" in page
    pages = 1
    while link := re.search(r'href="([^"]+upto=[^"]+)">Show earlier', page):
        page = console.get(link[1].replace("&amp;", "&")).text
        pages += 1
    assert pages == 2  # 72 messages, 60 on a page, one page's first being the other's last
    assert "Could somebody write back" in page
    assert "Answer 000" in page
    assert "Answer 069" not in page
    assert "To the newest" in page
