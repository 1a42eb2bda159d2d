"""Nothing that came in is lost or acted on twice, whatever fails."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import conversations
from service.actions.conversations import receiving, store
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from service.models.conversations import Message, WebhookEvent
from tests.flows.replies import (
    ANA,
    BEN,
    MAIL,
    later,
    on_duty,
)
from tests.flows.talk import SMS, Talk, conversation, flags, messages
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What is told here is about words; that the engine does the same on PostgreSQL is told elsewhere."""


def test_repeats_change_nothing(talk: Talk) -> None:
    ana = add_member("Ana", ANA, MAIL, prefers=SMS)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    form = {"MessageSid": "SM" + "7" * 32, "From": ANA, "To": "+15005550006", "Body": "4"}
    for _ in range(3):
        store.keep([store.Incoming("twilio", store.TEXT, form["MessageSid"], json.dumps({"form": form}))])
        conversations.process_inbound()
    for _ in range(3):
        talk.mail(MAIL, "hello there, how was the meeting", mail_id="<same@example.org>")
    assert [m.direction for m in messages()].count("in") == 2
    assert [o.template for o in talk.left if o.template] == ["checkin_4", "free_text_received"]
    assert conversation(ana).unread == 2


def test_two_long_message_ids_that_differ_at_the_end_are_two_mails(talk: Talk) -> None:
    add_member("Ana", None, MAIL)
    for end in "ab":
        talk.mail(MAIL, "hello there, how was the meeting", mail_id=f"<{'x' * 180}{end}@example.org>")
    assert len([m for m in messages() if m.direction == "in"]) == 2


def test_what_cannot_be_read_reaches_a_person_as_it_came(talk: Talk) -> None:
    on_duty()
    store.keep([store.Incoming("twilio", store.TEXT, "SM1", json.dumps({"form": {"Body": "please help me"}}))])
    for _ in range(3):
        conversations.process_inbound()
    with db.reading() as session:
        [message] = session.scalars(select(Message).where(Message.direction == "in"))
        assert message.body == "please help me"
        assert session.scalars(select(WebhookEvent.processed_at)).one() is not None
    assert flags()[0].reasons == ["could not be read"]
    talk.deliver()
    assert talk.pages() == ["page_staff"]


def test_what_keeps_failing_is_tried_again_and_then_reaches_a_person(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever wrote behind it is not kept waiting."""
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    real = receiving._act
    broken = "a message that trips over a bug"

    def trips(session: Any, incoming: Any) -> None:
        if incoming.arrived.words == broken:
            raise KeyError("bug")
        real(session, incoming)

    monkeypatch.setattr(receiving, "_act", trips)
    assert talk.text(ANA, broken) == []
    assert talk.text(BEN, "hello there, how was the meeting") == ["free_text_received"]
    for _ in range(5):
        with later(seconds=20):
            clock._frozen = clock.now()
            conversations.process_inbound()
        clock._frozen = clock.now() + timedelta(seconds=20)
    assert broken in [m.body for m in messages()]
    assert [f.reasons for f in flags()] == [["could not be read"]]


def test_one_bad_receipt_does_not_hold_up_the_others(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    campaign = talk.send(CampaignKind.TOOL, "Breathe.")
    from service.actions.conversations import processing

    with db.reading() as session:
        good, bad = session.scalars(select(Delivery.id).where(Delivery.campaign_id == campaign).order_by(Delivery.id))
    real = processing.apply_receipts

    def trips(session: Any, receipts: Any) -> int:
        if any(r.delivery_id == bad for r in receipts):
            raise KeyError("bug")
        return real(session, receipts)

    monkeypatch.setattr(processing, "apply_receipts", trips)
    store.keep(
        [
            store.Incoming("sendgrid", store.EMAIL_EVENT, f"e{i}", json.dumps({"event": "delivered", "d": str(i)}))
            for i in (bad, good, 10**25)
        ]
    )
    for _ in range(6):
        conversations.process_inbound()
        clock._frozen = clock.now() + timedelta(minutes=1)
    with db.reading() as session:
        assert session.get_one(Delivery, good).state == DeliveryState.DELIVERED
        assert session.get_one(Delivery, bad).state == DeliveryState.ACCEPTED
        assert session.scalars(select(WebhookEvent.id).where(WebhookEvent.processed_at.is_(None))).all() == []
        assert session.scalars(select(WebhookEvent.error).where(WebhookEvent.event_id == f"e{bad}")).one() == "KeyError"
