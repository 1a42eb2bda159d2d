"""The pages of vents and notes: said and read, chosen for somebody, the switch, and what is held."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db
from service.actions.giving import wishes
from service.models.conversations import ConversationState
from service.models.encouragement import CarriedNote, NoteWish
from service.models.gatherings import Circle
from service.models.giving import Gift, GiftState, Giving
from service.models.members import Member
from service.models.staff import AuditEntry
from service.models.vents import Vent
from tests.flows.world import add_circle, add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA, BEN
from tests.web.pages import submit
from tests.web.test_member_rooms import open_held, page_of

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
WORDS = "My sister called again today and I just nodded"


def vents() -> list[Vent]:
    with db.reading() as session:
        return list(session.scalars(select(Vent).order_by(Vent.opened_at)))


def add_gift(author: Member, words: str, **more: object) -> Gift:
    now = clock.now()
    with db.transaction() as session:
        gift = Gift(
            id=db.uuid7(), kind=Giving.NOTE, member_id=author.id, language="en", channel="sms", original=words,
            body=words, state=GiftState.APPROVED, passed_at=now, decided_at=now, **more,
        )  # fmt: skip
        session.add(gift)
    return gift


def test_from_the_members_page_to_the_desk_and_away(
    client: FlaskClient, console: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = add_member("Ana", ANA, "ana@example.org")
    here = page_of(ana, "vent")
    assert "We answer if you ask, or if we are worried about you." in client.get(here).text
    assert vents() == []
    empty = submit(client, here, {"words": " ", "days": "7"})
    assert (empty.status_code, "Write a few words first." in empty.text) == (422, True)
    said = submit(client, here, {"words": WORDS, "days": "7"})
    assert "Thank you for saying it." in said.text
    assert WORDS not in client.get(here).text  # whoever has the link reads nothing
    vent = vents()[0]
    assert desk.conversation_of(ana).state != ConversationState.NEEDS_REPLY
    today = console.get("/console/today/").text
    assert "vent waits" in today
    listed = console.get("/console/vents/").text
    assert "Ana" in listed
    assert WORDS not in listed
    unopened = console.get(f"/console/vents/{vent.id}").text
    assert WORDS not in unopened  # a GET opens nothing
    assert vents()[0].read_at is None
    assert submit(console, "/console/vents/", {}, to=f"/console/vents/{vent.id}/read").status_code == 302
    assert WORDS in console.get(f"/console/vents/{vent.id}").text
    with db.reading() as session:
        trail = session.scalars(select(AuditEntry).where(AuditEntry.action == "vent.read")).all()
        assert len(trail) == 2
        assert all(WORDS not in str(entry.detail) for entry in trail)
    assert "Everything is read" in console.get("/console/vents/").text
    assert "Ana" in console.get("/console/vents/?shelf=read").text
    submit(console, f"/console/vents/{vent.id}", {}, to=f"/console/vents/{vent.id}/inbox")
    assert desk.conversation_of(ana).state == ConversationState.NEEDS_REPLY
    where = open_held(client, ana, monkeypatch)
    assert WORDS in client.get(where).text
    assert "a person here has read it" in client.get(where).text
    assert submit(client, where, {"do": "forget_vent", "vent": str(vent.id)}).status_code == 302
    assert vents() == []
    page = client.get(where).text
    assert WORDS not in page
    assert "It is deleted." in page
    assert console.get(f"/console/vents/{vent.id}").status_code == 404


@ONE
def test_asked_for_an_answer_in_spanish_and_risk(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA, locale="es-MX")
    here = page_of(ana, "vent")
    assert "Un lugar para decirlo" in client.get(here).text
    said = submit(client, here, {"words": "Hoy fue un día muy largo en casa", "days": "1", "answer": "1"})
    assert "Pediste una respuesta" in said.text
    assert desk.conversation_of(ana).state == ConversationState.NEEDS_REPLY
    risk = submit(client, here, {"words": "me quiero matar esta noche", "days": "1"})
    assert "no es un servicio de emergencias" in risk.text
    assert len(vents()) == 2
    assert submit(client, here, {"words": "hola a todos", "days": "99"}).status_code == 422


@ONE
def test_a_circle_coordinator_sees_only_their_own(enter: Enter, client: FlaskClient) -> None:
    ana, ben = add_member("Ana", ANA, circle=add_circle()), add_member("Ben", BEN)
    for one in (ana, ben):
        submit(client, page_of(one, "vent"), {"words": WORDS + one.first_name, "days": "7"})
    browser = enter("circle_coordinator", email="sol@example.org")
    with db.reading() as session:
        desk.give_circle(desk.coordinator("sol@example.org"), session.scalars(select(Circle)).one())
    assert "Ana" in browser.get("/console/vents/").text
    assert "Ben" not in browser.get("/console/vents/").text
    assert browser.get(f"/console/vents/{vents()[1].id}").status_code == 404
    assert browser.get("/console/notes/").status_code == 403


def test_a_note_finds_somebody(console: FlaskClient, client: FlaskClient) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    gift = add_gift(ana, "It gets easier to come in.")
    assert "Nobody could get it right now" in console.get("/console/notes/").text
    form = client.get(page_of(ben))
    assert "Now and then a kind note from another member" in form.text
    with db.transaction() as session:
        wishes.receive(session, ben.id, True, "test")
    assert "approved note waits" in console.get("/console/today/").text
    page = console.get("/console/notes/").text
    assert "It gets easier to come in." in page
    assert "Send it to Ben" in page
    assert BEN not in page
    assert "Ana" not in page.split("<main")[1].split("Send it to Ben")[0].replace("Ana Whitcombe", "")
    done = submit(console, "/console/notes/", {"member": str(ben.id)}, to=f"/console/notes/{gift.id}/carry")
    assert done.status_code == 302
    assert "On its way." in console.get("/console/notes/").text
    with db.reading() as session:
        assert session.scalars(select(CarriedNote.member_id)).all() == [ben.id]


@ONE
def test_the_switch_on_the_settings_page(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    here = page_of(ana)
    usual = {"do": "save", "weekly_cap": "3", "window_from": "600", "window_to": "1080", "language": "en",
             "on": [f"{topic}:sms" for topic in ("stories", "checkins", "sessions", "tools", "circle")]}  # fmt: skip
    assert submit(client, here, usual | {"notes": "1"}).status_code == 302
    assert "Now and then a kind note may come." in client.get(here).text
    with db.reading() as session:
        wish = session.get_one(NoteWish, ana.id)
        assert (wish.receives, wish.receives_source) == (True, "settings page (sms)")
    submit(client, here, usual)
    assert "No notes from other members." in client.get(here).text
