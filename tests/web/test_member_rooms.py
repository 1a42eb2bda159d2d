"""A member's own rooms behind their signed link: how they are today, the tools, and a line for a harder day."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db
from service.actions import campaigns, held, member_links
from service.actions.checkins import lines
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from service.models.content import Prompt, Resonance, Tool, TopicLeftOut
from service.models.conversations import CheckIn, ConversationState, Flag
from service.models.members import ChannelName, Member, MemberState
from service.models.tools import ToolRead
from tests.flows.world import add_member, send
from tests.web import desk
from tests.web.desk import ANA
from tests.web.pages import path_of, submit

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def page_of(member: Member, room: str = "") -> str:
    return path_of(member_links.preferences_url(member.id, SMS)) + (f"/{room}" if room else "")


def scores(member: Member) -> list[tuple[int, str | None]]:
    with db.reading() as session:
        found = session.scalars(select(CheckIn).where(CheckIn.member_id == member.id).order_by(CheckIn.at))
        return [(row.score, row.words) for row in found]


def add_tool() -> Tool:
    with db.transaction() as session:
        tool = Tool(
            title="Five in, five out", topics="anxiety", body_sms="In, out.", body_email="In, and out.",
            review_by=clock.now().date() + timedelta(days=9), created_at=clock.now(),
        )  # fmt: skip
        session.add(tool)
    return tool


def open_held(client: FlaskClient, member: Member, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(held.secrets, "randbelow", lambda _most: 123456)
    where = page_of(member, "held")
    submit(client, where, {"do": "send"})
    assert submit(client, where, {"do": "code", "code": "123456"}).status_code == 302
    return where


def test_a_check_in_by_page_answers_the_open_one(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)

    campaign_id = send(CampaignKind.CHECKIN, "How are you?")
    campaigns.freeze(campaign_id)
    with db.reading() as session:
        delivery = session.scalars(select(Delivery)).one()
    desk.change(Delivery, delivery.id, sending_at=clock.now(), state=DeliveryState.SENT)
    here = page_of(ana, "checkin")
    assert scores(ana) == []  # a GET changes nothing
    said = submit(client, here, {"score": "4", "words": "tired but ok"})
    assert "You said 4." in said.text
    assert scores(ana) == [(4, "tired but ok")]
    with db.reading() as session:
        assert session.get_one(Delivery, delivery.id).answered_at is not None
        assert session.scalars(select(CheckIn)).one().campaign_id == campaign_id
    assert desk.conversation_of(ana).state == ConversationState.NEEDS_REPLY  # there are words, and a person reads them
    submit(client, here, {"score": "3"})
    assert scores(ana) == [(3, "tired but ok")]  # the last answer counts


@ONE
def test_without_a_question_once_a_day(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    here = page_of(ana, "checkin")
    submit(client, here, {"score": "5"})
    submit(client, here, {"score": "4"})
    assert scores(ana) == [(4, None)]
    assert submit(client, here, {"score": "9"}).status_code == 422
    assert submit(client, here, {"score": "4", "words": "x" * 301}).status_code == 422
    assert scores(ana) == [(4, None)]


@ONE
def test_a_hard_day_by_page_is_put_before_a_person(client: FlaskClient) -> None:
    add_tool()
    ana = add_member("Ana", ANA)
    here = page_of(ana, "checkin")
    one = submit(client, here, {"score": "1"})
    assert "A person here will read this" in one.text
    assert "988" in one.text
    assert "the tools" not in one.text
    assert desk.conversation_of(ana).state == ConversationState.NEEDS_REPLY
    assert "the tools" in submit(client, here, {"score": "2"}).text


@ONE
def test_risk_by_page_is_risk(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    here = page_of(ana, "checkin")
    said = submit(client, here, {"score": "1", "words": "I want to kill myself tonight"})
    assert "not an emergency service" in said.text
    assert "988" in said.text
    assert scores(ana) == []
    with db.reading() as session:
        assert session.scalars(select(Flag)).one().member_id == ana.id
    assert "A person here reads this" in submit(client, here, {"score": "4"}).text  # now a person is first
    assert scores(ana) == []


@ONE
def test_a_stop_by_page_is_a_stop(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    said = submit(client, page_of(ana, "checkin"), {"score": "3", "words": "please stop sending me messages"})
    assert "Nothing more will come" in said.text
    with db.reading() as session:
        assert session.get_one(Member, ana.id).state == MemberState.LEFT
    assert 'name="score"' not in client.get(page_of(ana, "checkin")).text


def test_the_tools_are_there_to_be_read_and_answered(client: FlaskClient) -> None:
    tool = add_tool()
    ana = add_member("Ana", ANA)
    here = page_of(ana, "tools")
    assert "Five in, five out" in client.get(here).text
    for helped in ("1", "0"):
        assert submit(client, here, {"tool": str(tool.id), "helped": helped}).status_code == 302
    with db.reading() as session:
        row = session.scalars(select(ToolRead)).one()
        assert (row.member_id, row.helped) == (ana.id, False)
    desk.change(Tool, tool.id, review_by=clock.now().date() - timedelta(days=1))
    gone = client.get(here).text
    assert "Five in, five out" not in gone
    assert "Nothing here yet" in gone


@ONE
def test_in_spanish(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA, locale="es")
    assert "¿Cómo estás hoy?" in client.get(page_of(ana, "checkin")).text
    assert "Herramientas" in client.get(page_of(ana, "tools")).text
    assert "Tu respuesta: 4" in submit(client, page_of(ana, "checkin"), {"score": "4"}).text


@ONE
def test_the_trend_and_the_line_are_behind_the_code(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = add_member("Ana", ANA, "ana@example.org")
    submit(client, page_of(ana, "checkin"), {"score": "4"})
    where = page_of(ana, "held")
    submit(client, where, {"do": "line", "words": "Somebody else's words", "give_back": "1"})
    with db.reading() as session:
        assert lines.current(session, ana.id) is None  # nothing without the code
    assert "sparkline" not in client.get(where).text
    open_held(client, ana, monkeypatch)
    assert "sparkline" in client.get(where).text
    submit(client, where, {"do": "line", "words": "Remember the lake."})
    with db.reading() as session:
        row = lines.current(session, ana.id)
        assert row is not None
        assert (row.words, row.give_back) == ("Remember the lake.", False)
    assert submit(client, where, {"do": "line", "words": "x " * 200}).status_code == 422
    submit(client, where, {"do": "no_line"})
    with db.reading() as session:
        assert lines.current(session, ana.id) is None
    submit(client, where, {"do": "line", "words": "I want to kill myself tonight"})
    with db.reading() as session:
        assert lines.current(session, ana.id) is None
        assert session.scalars(select(Flag)).one().member_id == ana.id


@ONE
def test_what_we_hold_names_what_stories_should_not_be_about(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = add_member("Ana", ANA, "ana@example.org", locale="es")
    where = open_held(client, ana, monkeypatch)
    assert "Sin historias sobre" not in client.get(where).text
    with db.transaction() as session:
        session.add(TopicLeftOut(member_id=ana.id, topic="grief"))
    held_page = client.get(where).text
    assert "Sin historias sobre" in held_page
    assert "<li>duelo</li>" in held_page


@ONE
def test_the_coordinators_card_points_out_a_hard_stretch(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    where = f"/console/members/{ana.id}"
    for day, score in enumerate((4, 2, 1, 2)):
        assert "Three hard answers in a row" not in console.get(where).text
        with db.transaction() as session:
            session.add(CheckIn(member_id=ana.id, score=score, at=clock.now() - timedelta(days=9 - day)))
    page = console.get(where).text
    assert "Three hard answers in a row" in page
    assert "sparkline" in page


@ONE
def test_me_too_by_a_button_which_only_a_post_presses(client: FlaskClient) -> None:
    luz = add_member("Luz", ANA, locale="es")
    with db.transaction() as session:
        prompt = Prompt(words_en="I dread the week", words_es="Me pesa la semana", created_at=clock.now())
        session.add(prompt)
    where = path_of(member_links.me_too_url("prompt", prompt.id, luz.id, SMS))
    page = client.get(where).text
    assert "Me pesa la semana" in page
    assert "I dread" not in page
    assert "Yo también" in page
    with db.reading() as session:
        assert session.scalars(select(Resonance)).all() == []
    said = submit(client, where, {"do": "say"})
    assert "Respondiste YO TAMBIÉN. Gracias, queda anotado." in said.text
    with db.reading() as session:
        assert session.scalars(select(Resonance.member_id)).one() == luz.id
    submit(client, where, {"do": "back"})
    assert "queda anotado" not in client.get(where).text
    with db.transaction() as session:
        session.get_one(Prompt, prompt.id).retired_at = clock.now()
    assert client.get(where).status_code == 404
    assert client.get(where[:-3] + "abc").status_code == 404
