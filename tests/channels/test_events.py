"""SendGrid's batches: every event that can be read is read, and means one state of a delivery."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import clock
from service.channels.events import RANK, SENDGRID_STATES, TWILIO_STATES, Event, parse_events
from service.errors import Malformed

RAW = (Path(__file__).parent / "payloads" / "sendgrid_events.json").read_bytes()
AT = datetime(2026, 11, 3, 16, 0, tzinfo=UTC)


def one(**entry: object):
    return parse_events(json.dumps([entry]).encode())[0]


def test_a_batch_is_read_in_its_order():
    events = parse_events(RAW)
    assert [(e.event.value, e.state) for e in events] == [
        ("processed", "accepted"),
        ("deferred", "accepted"),
        ("delivered", "delivered"),
        ("open", "delivered"),
        ("click", "delivered"),
        ("bounce", "bounced"),
        ("bounce", "undelivered"),
        ("dropped", "failed"),
        ("spamreport", "complained"),
        ("unsubscribe", "delivered"),
        ("group_unsubscribe", "delivered"),
        ("group_resubscribe", None),
        ("account_status_change", None),
        ("other", None),
    ]
    delivered = events[2]
    assert delivered.event_id == "ZGVsaXZlcmVkLTA"
    assert (delivered.delivery_ref, delivered.request_id) == ("114.Zk3u-Qw_x", "019a4c0e7d2b7f3a9c1d2e3f4a5b6c7d")
    assert delivered.at == AT
    assert delivered.message_id.startswith("14c5d75ce93")


def test_a_bounce_tells_its_kind_and_code_but_no_address():
    bounce, blocked, dropped = parse_events(RAW)[5:8]
    assert (bounce.bounce_type, bounce.bounce_class, bounce.reason_code) == ("bounce", "Invalid Address", "5.1.1")
    assert bounce.message_id is None  # an asynchronous bounce has none
    assert bounce.delivery_ref == "114.Zk3u-Qw_x"
    assert (blocked.bounce_type, blocked.reason_code) == ("blocked", "550")
    assert dropped.reason_code == "bounced_before"
    assert "rosa@" not in repr([bounce, blocked, dropped])
    assert bounce.address == "rosa@example.net"


def test_a_machines_open_is_told_from_a_persons():
    assert [e.machine_open for e in parse_events(RAW) if e.event is Event.OPEN] == [True]
    assert not one(event="open", sg_machine_open="true").machine_open


def test_a_category_is_a_word_or_a_list():
    first, second = parse_events(RAW)[:2]
    assert first.categories == second.categories == ("story",)
    assert one(event="open", category={"a": 1}).categories == ()
    assert one(event="open", category=["a", 1, None, "b"]).categories == ("a", "b")


def test_a_kind_that_is_new_to_us_is_kept_by_name():
    event = parse_events(RAW)[-1]
    assert (event.event, event.event_name, event.event_id) == (Event.OTHER, "galaxy_brain", "bmV3LTE")
    assert one(event=["x"]).event is Event.OTHER
    assert one().event_name == "other"


def test_an_event_without_id_gets_the_same_one_every_time():
    entry = {"event": "delivered", "timestamp": 1793721600, "d": "1.a", "email": "rosa@example.net"}
    again = dict(reversed(entry.items()))
    assert one(**entry).event_id == one(**again).event_id
    assert one(**entry).event_id.startswith("sha256:")
    assert one(**entry).event_id != one(**entry | {"event": "open"}).event_id
    assert one(**entry, sg_event_id="").event_id != one(**entry | {"d": "2.a"}, sg_event_id="").event_id


def test_one_bad_entry_does_not_lose_the_others():
    batch = [None, 7, "x", [], {"event": "delivered", "sg_event_id": "a"}, {"event": 5}, {}]
    events = parse_events(json.dumps(batch).encode())
    assert [e.event for e in events] == [Event.DELIVERED, Event.OTHER, Event.OTHER]


@pytest.mark.parametrize("when", [None, "soon", 1e30, -1e30, [], {}, "nan"])
def test_an_event_without_usable_time_is_as_old_as_its_arrival(when):
    with clock.frozen_at(AT):
        assert one(event="open", timestamp=when).at == AT


def test_a_time_written_as_text_is_read():
    assert one(event="open", timestamp="1793721600").at == AT


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"[", b"\xff", b'[{"a":"\xe9"}]', b"[" * 100_000, b"\x00"])
def test_what_is_not_a_list_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_events(raw)


def test_an_id_with_odd_characters_is_not_taken():
    event = one(event="open", d="../../x y", r=7, sg_event_id="\u0000")
    assert (event.delivery_ref, event.request_id) == (None, "7")
    assert event.event_id.startswith("sha256:")


def test_every_state_has_its_rank():
    states = {*TWILIO_STATES.values(), *SENDGRID_STATES.values(), "undelivered"}
    assert states == set(RANK)
    order = sorted(RANK, key=RANK.__getitem__)
    assert order[:2] == ["accepted", "sent"]
    assert order[-3:] == ["delivered", "bounced", "complained"]
    assert RANK["failed"] == RANK["undelivered"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    "event timestamp sg_event_id sg_message_id d r type status reason bounce_classification category email "
    "sg_machine_open x".split()
)


@given(st.lists(st.dictionaries(names, values | st.sampled_from([e.value for e in Event])) | values))
def test_any_list_is_read(batch):
    events = parse_events(json.dumps(batch, allow_nan=False, default=str).encode() if _plain(batch) else b"[]")
    for event in events:
        assert event.at.tzinfo is not None
        assert 0 < len(event.event_id) <= 200
        assert event.state is None or event.state in RANK


@given(st.binary())
def test_any_bytes_are_read_or_malformed(raw):
    with contextlib.suppress(Malformed):
        parse_events(raw)


def _plain(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return False
    return True
