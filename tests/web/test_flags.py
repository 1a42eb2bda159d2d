"""A safety flag from the first words to its outcome: the page, "I have it", clearing, and how long each took."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service import clock, db, links
from service.actions import safety
from service.models.campaigns import Delivery, DeliveryState
from service.models.conversations import Flag, Message, RiskTier
from service.models.members import Member
from service.models.staff import AuditEntry, Coordinator, DutyShift
from tests.flows.world import add_circle, add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA, BEN
from tests.web.pages import form_token, path_of, submit

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]

CRISIS = "I want to kill myself tonight"


@pytest.fixture
def safia(enter: Enter) -> FlaskClient:
    """The safeguarding person's browser."""
    return enter("safeguarding", name="Safia Rahman")


def page_link() -> str:
    """The path in the newest page that went out."""
    with db.reading() as session:
        found = select(Message.body).where(Message.template.like("page_staff%")).order_by(Message.at.desc())
        body = session.scalars(found).first()
    assert body is not None
    return path_of(re.findall(r"https?://\S+", body)[0])


def test_a_risk_stands_on_top_and_is_red_on_every_page(safia: FlaskClient) -> None:
    add_member("Ben", BEN)
    desk.text(BEN, "Could somebody write back, please?")
    ana = add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    banner = safia.get("/console/you").text
    assert "needs a person now" in banner
    assert "/console/inbox/?folder=risk" in banner
    for folder in ("risk", "needs_reply"):
        page = safia.get(f"/console/inbox/?folder={folder}").text
        assert "is-risk" in page
        if folder == "needs_reply":
            assert page.index("Ana") < page.index("Ben")
    opened = safia.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert "Someone may be in danger now" in opened
    assert "means to die, or intends it" in opened
    assert "nobody yet" in opened
    assert "Everything scheduled for Ana waits" in opened


def test_acknowledging_is_a_post_and_leaves_a_trace(safia: FlaskClient) -> None:
    add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    flag = desk.flag()
    assert safia.get(f"/console/inbox/flags/{flag.id}/acknowledge").status_code == 405
    answer = submit(safia, "/console/inbox/flags", {}, to=f"/console/inbox/flags/{flag.id}/acknowledge")
    assert answer.status_code == 302
    me = desk.coordinator("safeguarding@example.org")
    assert desk.flag().acknowledged_by == me.id
    assert "needs a person now" not in safia.get("/console/you").text
    with db.reading() as session:
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "flag.acknowledge")).one()


def test_clearing_needs_an_outcome_and_lets_the_member_go_on(safia: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    flag, conversation = desk.flag(), desk.conversation_of(ana)
    where = f"/console/inbox/{conversation.id}"
    refused = submit(safia, where, {"outcome": "   "}, to=f"/console/inbox/flags/{flag.id}/clear")
    assert refused.status_code == 422
    assert "Write in a few words what came of it" in refused.text
    cleared = submit(
        safia, where, {"outcome": "Rang her; her sister is there."}, to=f"/console/inbox/flags/{flag.id}/clear"
    )
    assert cleared.status_code == 302
    with db.reading() as session:
        assert session.get_one(Member, ana.id).held_at is None
    assert desk.conversation_of(ana).risk is None
    page = safia.get("/console/inbox/flags").text
    assert "Rang her; her sister is there." in page
    assert "No flag is open." in page
    twice = submit(safia, where, {"outcome": "Again"}, to=f"/console/inbox/flags/{flag.id}/clear")
    assert twice.status_code == 302
    assert desk.flag().outcome == "Rang her; her sister is there."


def test_whoever_has_it_clears_it_and_another_takes_it_over_first(enter: Enter) -> None:
    maya, ben = (
        enter("coordinator", email="maya@example.org"),
        enter("coordinator", email="ben@example.org", name="Ben"),
    )
    lead = enter("safeguarding")
    ana = add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    flag, where = desk.flag(), f"/console/inbox/{desk.conversation_of(ana).id}"
    submit(maya, where, {}, to=f"/console/inbox/flags/{flag.id}/acknowledge")
    page = ben.get(where).text
    assert "Take it over" in page
    assert "Clear this flag" not in page
    submit(ben, where, {"outcome": "Nothing"}, to=f"/console/inbox/flags/{flag.id}/clear")
    assert desk.flag().cleared_at is None
    assert "Clear this flag" in lead.get(where).text
    assert "Clear this flag" in maya.get(where).text
    submit(ben, where, {}, to=f"/console/inbox/flags/{flag.id}/take-over")
    assert desk.flag().acknowledged_by == desk.coordinator("ben@example.org").id
    submit(ben, where, {"outcome": "Rang her."}, to=f"/console/inbox/flags/{flag.id}/clear")
    assert desk.flag().outcome == "Rang her."
    with db.reading() as session:
        trail = session.scalars(
            select(AuditEntry.action).where(AuditEntry.action.like("flag.%")).order_by(AuditEntry.id)
        )
        assert list(trail) == ["flag.acknowledge", "flag.taken_over", "flag.clear"]
    submit(ben, where, {}, to=f"/console/inbox/flags/{flag.id}/take-over")
    assert desk.flag().outcome == "Rang her."  # it is over


def test_whoever_is_on_duty_may_clear_what_another_has(enter: Enter) -> None:
    maya, ben = (
        enter("coordinator", email="maya@example.org"),
        enter("coordinator", email="ben@example.org", name="Ben"),
    )
    ana = add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    flag, where = desk.flag(), f"/console/inbox/{desk.conversation_of(ana).id}"
    submit(maya, where, {}, to=f"/console/inbox/flags/{flag.id}/acknowledge")
    now = clock.now()
    with db.transaction() as session:
        on_duty = desk.coordinator("ben@example.org").id
        session.add(DutyShift(coordinator_id=on_duty, starts_at=now, ends_at=now + timedelta(hours=8), tier=2))
    submit(ben, where, {"outcome": "Her shift was over; rang Ana."}, to=f"/console/inbox/flags/{flag.id}/clear")
    assert desk.flag().cleared_by == on_duty


def test_resolving_under_an_open_flag_is_refused_with_the_way_out(safia: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    where = f"/console/inbox/{desk.conversation_of(ana).id}"
    submit(safia, where, {}, to=f"{where}/resolve")
    assert "Clear it first" in safia.get(where).text
    assert submit(safia, where, {"for": "hour"}, to=f"{where}/snooze").status_code == 409


def test_the_page_says_that_we_cannot_text_them(safia: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, f"STOP. {CRISIS}")
    assert desk.flag().cannot_text
    shown = safia.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert "We can NOT text this member" in shown
    assert "No automatic answer with the crisis line reached them" in shown  # it is only on its way
    assert "none was sent" not in shown  # the confirmation of the stop carries it
    assert "We can NOT text them" in safia.get("/console/inbox/flags").text
    assert "no crisis line has reached them by text" in safia.get(page_link()).text
    with db.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.DELIVERED))
    shown = safia.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert "One automatic text with the crisis line reached them" in shown
    assert "One text with the crisis line reached them" in safia.get(page_link()).text


def test_where_the_provider_silenced_us_the_page_says_that_no_line_reached_them(safia: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, f"STOP. {CRISIS}", OptOutType="STOP")
    shown = safia.get(f"/console/inbox/{desk.conversation_of(ana).id}").text
    assert "No automatic answer with the crisis line reached them" in shown
    assert "none was sent" in shown
    assert "no crisis line has reached them by text" in safia.get(page_link()).text


def test_the_page_behind_the_link_shows_no_word_and_a_get_takes_nothing(safia: FlaskClient, app: Flask) -> None:
    add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    stranger = app.test_client()
    shown = stranger.get(page_link())
    assert shown.status_code == 200
    assert "Someone needs a person" in shown.text
    assert "kill" not in shown.text
    assert "Ana" not in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    assert desk.flag().acknowledged_at is None
    answer = stranger.post(page_link(), data={"csrf_token": form_token(shown)})
    assert answer.status_code == 302
    assert desk.flag().acknowledged_by == desk.coordinator("safeguarding@example.org").id
    assert stranger.get(answer.location).status_code == 302  # the words themselves are behind the sign-in
    assert "You have it." in stranger.get(page_link()).text


def test_a_second_person_learns_who_was_quicker(enter: Enter, app: Flask) -> None:
    enter("safeguarding", name="Safia Rahman")
    enter("admin", name="Maren Holt")
    add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    flag, safia = desk.flag(), desk.coordinator("safeguarding@example.org")
    safety.acknowledge(flag.id, safia.id)
    maren = desk.coordinator("admin@example.org")
    link = path_of(links.url(f"/page/{links.sign('acknowledge', flag.id, maren.id)}"))
    shown = app.test_client().get(link).text
    assert "Safia Rahman has it." in shown
    assert "I have it" not in shown


def test_a_link_that_is_not_ours_or_of_somebody_who_left_opens_nothing(safia: FlaskClient, app: Flask) -> None:
    add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    assert app.test_client().get("/page/rubbish").status_code == 404
    link = page_link()
    desk.change(Coordinator, desk.coordinator("safeguarding@example.org").id, active=False)
    assert app.test_client().get(link).status_code == 404


def test_another_circles_flag_is_out_of_reach(enter: Enter) -> None:
    client = enter("circle_coordinator")
    mine, other = add_circle(), add_circle("Other", "OTHER")
    desk.give_circle(desk.coordinator("circle_coordinator@example.org"), mine)
    add_member("Ben", BEN, circle=other)
    desk.text(BEN, CRISIS)
    flag = desk.flag()
    token = form_token(client.get("/console/inbox/flags"))
    assert "Ben" not in client.get("/console/inbox/flags").text
    assert "needs a person now" not in client.get("/console/you").text
    for act in ("acknowledge", "take-over", "clear"):
        data = {"csrf_token": token, "outcome": "Nothing"}
        assert client.post(f"/console/inbox/flags/{flag.id}/{act}", data=data).status_code == 404
    assert desk.flag().acknowledged_at is None


def test_the_times_are_those_of_the_last_month(safia: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, CRISIS)
    flag = desk.flag()
    me = desk.coordinator("safeguarding@example.org").id
    opened = clock.now() - timedelta(hours=3)
    desk.change(Flag, flag.id, opened_at=opened, acknowledged_at=opened + timedelta(minutes=4), acknowledged_by=me)
    shared = {"member_id": ana.id, "conversation_id": flag.conversation_id, "tier": RiskTier.CONCERN, "reasons": []}
    with db.transaction() as session:
        session.add(Flag(**shared, opened_at=opened, acknowledged_at=opened + timedelta(minutes=70)))
        session.add(Flag(**shared, opened_at=clock.now() - timedelta(days=40), acknowledged_at=clock.now()))
    page = safia.get("/console/inbox/flags").text
    figures = re.findall(r'figure-number">([^<]+)<', page)
    assert figures == ["2", "2", "37 min", "1 h 10 min"]
