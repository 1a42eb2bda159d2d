"""What Twilio posts is read whole: the words, the pictures, and what became of ours."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from service.channels.inbound_text import MAX_BODY, parse, parse_status
from service.errors import Malformed

PAYLOADS = Path(__file__).parent / "payloads"
SID = "SM0f3c2a1b4d5e6f708192a3b4c5d6e7f8"
FIELDS = (
    "MessageSid SmsSid From To Body NumMedia MediaUrl0 MediaUrl1 MediaContentType0 OptOutType FromCountry NumSegments "
    "MessageStatus ErrorCode RawDlrDoneDate AccountSid"
).split()


def form(name: str, **changes: str) -> dict[str, str]:
    return dict(parse_qsl((PAYLOADS / f"{name}.form").read_text().strip(), keep_blank_values=True)) | changes


def test_a_text_message_is_read():
    text = parse(MultiDict(form("twilio_text")))
    assert (text.sid, text.dedupe_key) == (SID, SID)
    assert (text.sender, text.recipient) == ("+13125550142", "+13125550100")
    assert text.body == "Me too. ¿Cómo estás? 4"
    assert (text.country, text.segments, text.media, text.opt_out_type) == ("US", 1, (), None)
    assert text.account_sid == "AC0123456789abcdef0123456789abcdef"
    assert text.messaging_service_sid == "MG0123456789abcdef0123456789abcdef"


def test_a_stop_that_twilio_has_answered_says_so():
    text = parse(form("twilio_stop"))
    assert (text.body, text.opt_out_type) == ("Stop", "STOP")
    assert parse(form("twilio_stop", OptOutType="SOMETHING")).opt_out_type is None


def test_pictures_without_words_are_a_message_too():
    text = parse(form("twilio_picture"))
    assert text.body == ""
    assert [m.content_type for m in text.media] == ["image/jpeg", "audio/amr"]
    assert text.media[1].url.endswith("/Media/ME2")


def test_only_web_addresses_are_taken_for_pictures():
    assert parse(form("twilio_picture", MediaUrl0="javascript:alert(1)")).media[0].url.endswith("ME2")


def test_the_words_are_cleaned_but_not_changed():
    body = parse(
        form("twilio_text", Body="I\x00 can't\r\n\x07go on\u202e \u0645\u0631\u062d\u0628\u0627 👩\u200d👧 cafe\u0301")
    ).body
    assert body == "I can't\ngo on\u202e \u0645\u0631\u062d\u0628\u0627 👩\u200d👧 café"


def test_a_very_long_body_is_bounded():
    assert len(parse(form("twilio_text", Body="é" * 100_000)).body) == MAX_BODY == 16_000


def test_words_stay_out_of_the_repr():
    shown = repr(parse(form("twilio_text"))) + repr(parse_status(form("twilio_status_delivered")))
    assert "Me too" not in shown
    assert "+1312" not in shown
    assert SID in shown


def test_what_is_missing_is_named():
    with pytest.raises(Malformed, match="MessageSid, From, To"):
        parse({"Body": "hello"})
    with pytest.raises(Malformed, match="From missing"):
        parse(form("twilio_text", From=" "))
    with pytest.raises(Malformed, match="MessageSid"):
        parse(form("twilio_text", MessageSid="x" * 65))


def test_a_receipt_is_read():
    receipt = parse_status(form("twilio_status_delivered"))
    assert (receipt.status, receipt.state, receipt.error_code) == ("delivered", "delivered", None)
    assert receipt.dedupe_key == f"{SID}:delivered"
    assert receipt.carrier_time == datetime(2026, 11, 3, 16, 4, tzinfo=UTC)
    assert receipt.recipient == "+13125550142"


def test_a_receipt_of_a_failure_carries_its_code():
    receipt = parse_status(form("twilio_status_undelivered"))
    assert (receipt.state, receipt.error_code, receipt.carrier_time) == ("undelivered", "30005", None)
    assert parse_status(form("twilio_status_undelivered", ErrorCode="0")).error_code is None


def test_a_status_that_is_new_to_us_is_kept_without_a_state():
    receipt = parse_status(form("twilio_status_delivered", MessageStatus="teleported"))
    assert (receipt.status, receipt.state) == ("teleported", None)


@pytest.mark.parametrize("date", ["0000000000", "2613451604", "soon", "261103160", "２６１１０３１６０４"])
def test_a_carriers_odd_date_is_left_out(date):
    assert parse_status(form("twilio_status_delivered", RawDlrDoneDate=date)).carrier_time is None


def test_a_receipt_without_status_is_malformed():
    with pytest.raises(Malformed, match="MessageStatus"):
        parse_status({"MessageSid": SID})


anything = st.dictionaries(st.sampled_from(FIELDS), st.text() | st.from_regex(r"[A-Z]{2}[0-9a-f]{32}|\d{10}"))


@given(anything)
def test_any_form_is_read_or_malformed(given_form):
    for read in (parse, parse_status):
        with contextlib.suppress(Malformed):
            read(given_form).dedupe_key.encode()


@given(st.text())
def test_any_words_can_be_stored(body):
    text = parse(form("twilio_text", Body=body)).body
    assert "\x00" not in text.encode().decode()
    assert parse(form("twilio_text", Body=text)).body == text
