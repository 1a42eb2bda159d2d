"""Texts through the official `twilio` package: what it creates it can list, fetch, redact, cancel and delete."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from service.sandbox.segments import measure
from tests.sandbox.standin import ACCOUNT, OURS, TOKEN, Standin

ANA = "+12125550123"


def test_a_text_is_created_delivered_fetched_and_listed(twilio: Client, standin: Standin) -> None:
    standin.post("switches", pace=0.3)
    made = twilio.messages.create(to=ANA, from_=OURS, body="Hi Ana 🌊")
    assert (made.status, made.num_segments, made.direction) == ("queued", "1", "outbound-api")
    assert made.sid.startswith("SM")
    assert len(made.sid) == 34
    assert made.date_sent is None
    assert made.date_created.tzinfo is not None

    time.sleep(0.8)
    now = twilio.messages(made.sid).fetch()
    assert (now.status, now.body, now.error_code) == ("delivered", "Hi Ana 🌊", None)
    assert now.date_sent is not None
    assert [m.sid for m in twilio.messages.list(to=ANA)] == [made.sid]
    assert twilio.messages.list(to="+12125550199") == []


def test_a_messaging_service_accepts_first_and_chooses_the_sender_later(twilio: Client, standin: Standin) -> None:
    standin.post("switches", pace=0.3)
    made = twilio.messages.create(to=ANA, messaging_service_sid="MG" + "1" * 32, body="Hi")
    assert (made.status, made.from_, made.num_segments) == ("accepted", None, "0")
    time.sleep(0.8)
    assert twilio.messages(made.sid).fetch().from_ == OURS


def test_the_list_goes_on_over_pages_newest_first(twilio: Client) -> None:
    sids = [twilio.messages.create(to=ANA, from_=OURS, body=f"{i}").sid for i in range(7)]
    assert [m.sid for m in twilio.messages.list(to=ANA, page_size=3)] == sids[::-1]
    assert [m.sid for m in twilio.messages.list(to=ANA, limit=2)] == sids[:-3:-1]
    first = twilio.messages.page(to=ANA, page_size=3)
    assert first.previous_page_url is None
    second = first.next_page()
    assert second is not None
    assert [m.sid for m in second] == sids[3:0:-1]


def test_date_sent_filters_by_day_and_by_moment(twilio: Client) -> None:
    made = twilio.messages.create(to=ANA, from_=OURS, body="today")
    today = datetime.now(UTC)
    listed = twilio.messages.list
    assert [m.sid for m in listed(date_sent=today.date())] == [made.sid]
    assert listed(date_sent=date(2020, 1, 1)) == []
    assert [m.sid for m in listed(date_sent_after=today - timedelta(minutes=1))] == [made.sid]
    assert listed(date_sent_after=today + timedelta(minutes=1)) == []
    assert [m.sid for m in listed(date_sent_before=today + timedelta(minutes=1))] == [made.sid]
    assert listed(date_sent_before=today - timedelta(days=2)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "12"}, 21211),
        ({"to": "+1999"}, 21211),
        ({"to": "not a number"}, 21211),
        ({"to": ""}, 21604),
        ({"body": ""}, 21602),
        ({"body": "x" * 1601}, 21617),
        ({"from_": ""}, 21603),
        ({"from_": "+12125550100"}, 21606),
        ({"status_callback": "http://under_score.example/x"}, 21609),
        ({"status_callback": "not a url"}, 21609),
        ({"validity_period": 36001}, 21624),
        ({"validity_period": 0}, 21624),
    ],
)
def test_what_twilio_refuses_is_refused_in_its_words(
    twilio: Client, standin: Standin, change: dict[str, Any], code: int
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages.create(**({"to": ANA, "from_": OURS, "body": "Hi"} | change))
    assert (caught.value.status, caught.value.code) == (400, code)
    assert caught.value.msg
    assert standin.get("counts")["texts"] == {}


def test_wrong_credentials_are_401(standin: Standin) -> None:
    stranger = Client(ACCOUNT, "wrong")
    stranger.api.base_url = standin.url
    with pytest.raises(TwilioRestException) as caught:
        stranger.messages.create(to=ANA, from_=OURS, body="Hi")
    assert (caught.value.status, caught.value.code) == (401, 20003)
    elsewhere = f"{standin.url}/2010-04-01/Accounts/AC{'f' * 32}/Messages.json"
    assert requests.get(elsewhere, auth=(ACCOUNT, TOKEN), timeout=5).status_code == 401


def test_an_unknown_message_is_404(twilio: Client) -> None:
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages("SM" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


def test_redacting_and_deleting_reach_the_phone_but_counts_stay(twilio: Client, standin: Standin) -> None:
    made = twilio.messages.create(to=ANA, from_=OURS, body="private words")
    assert twilio.messages(made.sid).update(body="").body == ""
    assert "private" not in requests.get(f"{standin.url}/phone/{ANA}", timeout=5).text
    assert twilio.messages(made.sid).delete() is True
    with pytest.raises(TwilioRestException):
        twilio.messages(made.sid).fetch()
    assert twilio.messages.list(to=ANA) == []
    assert standin.get("counts")["texts"] == {ANA: 1}


def test_a_message_on_its_way_cannot_be_deleted_yet(twilio: Client, standin: Standin) -> None:
    standin.post("switches", pace=20)
    made = twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages(made.sid).delete()
    assert (caught.value.status, caught.value.code) == (409, 20009)


def test_a_scheduled_message_can_be_canceled_and_a_sent_one_cannot(twilio: Client) -> None:
    made = twilio.messages.create(
        to=ANA,
        messaging_service_sid="MG" + "1" * 32,
        body="Later",
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(hours=1),
    )
    assert made.status == "scheduled"
    assert twilio.messages(made.sid).update(status="canceled").status == "canceled"
    sent = twilio.messages.create(to=ANA, from_=OURS, body="Now")
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages(sent.sid).update(status="canceled")
    assert caught.value.code == 30409


@pytest.mark.parametrize(
    ("body", "number", "units", "encoding"),
    [
        ("a" * 160, 1, 160, "GSM-7"),
        ("a" * 161, 2, 161, "GSM-7"),
        ("a" * 306, 2, 306, "GSM-7"),
        ("a" * 307, 3, 307, "GSM-7"),
        ("€" * 80, 1, 160, "GSM-7"),
        ("a" * 152 + "€" + "a" * 20, 2, 174, "GSM-7"),
        ("a" * 152 + "€" + "a" * 152, 3, 306, "GSM-7"),  # the escape pair moves whole, and pushes the rest on
        ("é" * 160, 1, 160, "GSM-7"),
        ("á" * 70, 1, 70, "UCS-2"),
        ("á" * 71, 2, 71, "UCS-2"),
        ("🌊" * 35, 1, 70, "UCS-2"),
        ("🌊" * 36, 2, 72, "UCS-2"),
        ("", 1, 0, "GSM-7"),
    ],
)
def test_segments(body: str, number: int, units: int, encoding: str) -> None:
    assert measure(body) == (number, units, encoding)
