"""Circles on the pages: strangers find one, ask or stand in line; members come and go on a page of their own."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from service import clock, db
from service.actions import held, member_links
from service.actions.belonging import line
from service.models.gatherings import AskState, Circle, Openness
from service.models.members import ChannelName
from tests.actions.joining import EMAIL, PHONE, SMS, found, sent
from tests.flows.circles import circle, place, put_in, three_circles, wish
from tests.flows.talk import NOON
from tests.flows.world import add_member
from tests.web.pages import path_of, submit
from tests.web.test_public import FILLED, text_of

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
ANA = "+12025550144"


@pytest.fixture(autouse=True)
def at_noon(client: FlaskClient) -> object:
    with clock.frozen_at(NOON):
        yield


def change(one: Circle, **values: object) -> None:
    with db.transaction() as session:
        for name, value in values.items():
            setattr(session.get_one(Circle, one.id), name, value)


def shown(page: str) -> list[str]:
    """The names of the circles on a page."""
    return [unescape(n) for n in re.findall(r'<h2 class="h3"><a href="/circles/[^"]+">([^<]+)', page)]


def my_page(member_id: object) -> str:
    return path_of(member_links.circles_url(member_id, ChannelName.SMS))  # type: ignore[arg-type]


def test_the_list_tells_what_matters_in_words_and_on_the_visitors_clock(client: FlaskClient) -> None:
    three_circles()
    circle("Tuesday Few", "FEW", openness=Openness.INVITE)
    resting = circle("Resting", "RESTING", on_hold=True)
    page = client.get("/circles")
    assert shown(page.text) == ["Kitchen Table", "Small Hours", "Steady Ground"]
    words = text_of(page.text)
    assert "Tuesdays at 7:00 pm" in words
    assert "Tue, May 12, 7:00" in words
    assert "(America/New York)" in words
    assert "Wed, May 13, 12:00" in text_of(client.get("/circles?zone=Europe/London").text)
    assert "(Europe/London)" in text_of(client.get("/circles").text)  # remembered
    assert "los martes a las 19:00" in text_of(client.get("/circles?lang=es").text)
    assert client.get(f"/circles/{resting.slug}").status_code == 200
    assert client.get("/circles/tuesday-few").status_code == 404


def test_room_is_told_in_kind_words(client: FlaskClient) -> None:
    kitchen, *_ = three_circles()
    put_in(kitchen, add_member("Ana", ANA))
    for most, words in ((9, "There is room."), (4, "A few places are free."), (2, "One place is free."),
                        (1, "Full for now; you can stand in line.")):  # fmt: skip
        change(kitchen, most_members=most)
        page = text_of(client.get("/circles/kitchen-table").text)
        assert words in page
    assert "Stand in line" in page


def test_search_by_theme_and_time(client: FlaskClient) -> None:
    three_circles()
    assert shown(client.get("/circles?theme=Grief").text) == ["Kitchen Table"]
    assert shown(client.get("/circles?when=morning").text) == ["Small Hours", "Steady Ground"]
    assert shown(client.get("/circles?when=weekend").text) == ["Small Hours"]
    assert shown(client.get("/circles?when=morning&zone=Europe/London").text) == []  # there it is the afternoon
    nothing = client.get("/circles?theme=Grief&when=weekend&zone=").text
    assert "Nothing is just that yet" in nothing
    assert client.get("/circles?theme=<script>&when=never&zone=No/Where").status_code == 200


def test_two_gentle_questions_and_a_match_without_any_script(client: FlaskClient) -> None:
    three_circles()
    page = client.get("/circles/find").text
    assert "What would you like company with?" in page
    assert page.count('type="radio"') == 4 + 5
    assert shown(client.get("/circles/find?theme=Grief&when=evening").text) == ["Kitchen Table"]
    near = client.get("/circles/find?theme=Grief&when=weekend").text
    assert set(shown(near)) == {"Kitchen Table", "Small Hours"}
    assert "These come near" in near
    assert len(shown(client.get("/circles/find?theme=&when=").text)) == 3


def test_joining_with_a_circle_is_one_step_and_a_yes(client: FlaskClient) -> None:
    kitchen, *_ = three_circles()
    page = client.get("/circles/kitchen-table").text
    assert '/join?circle=kitchen-table"' in page
    assert re.search(r'value="kitchen-table" checked', client.get("/join?circle=kitchen-table").text)
    assert submit(client, "/join", FILLED | {"circle": "kitchen-table"}).status_code == 302
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert sent(session) == ["confirm", "confirm"]
    assert place(member, kitchen)
    with db.transaction() as session:
        address = found(session, SMS, PHONE).address(ChannelName.EMAIL)
        assert address is not None
        url = path_of(member_links.confirm_url(address.id))
    assert submit(client, url, {}).status_code == 302
    with db.reading() as session:
        assert sent(session)[2:] == ["welcome", "circle_welcome"]


def test_asking_first_and_standing_in_line_by_page(client: FlaskClient) -> None:
    steady = circle("Steady Ground", "STEADY", openness=Openness.ASK)
    assert "Ask to join" in client.get("/circles/steady-ground").text
    submit(client, "/join", FILLED | {"circle": "steady-ground"})
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert line.of_circle(session, steady.id) == []  # not before they have confirmed
    assert place(member, steady) is None
    assert wish(member, steady)


def test_an_invitation_is_a_link_with_a_code(client: FlaskClient) -> None:
    hidden = circle("Tuesday Few", "FEW", openness=Openness.INVITE)
    change(hidden, invite_code="BCDFGHJK")
    assert client.get("/circles/tuesday-few?code=WRONG").status_code == 404
    page = client.get("/circles/tuesday-few?code=bcdfghjk").text
    assert "You are invited." in page
    assert "code=BCDFGHJK" in page
    assert "tuesday-few" not in client.get("/join?circle=tuesday-few").text
    form = client.get("/join?circle=tuesday-few&code=BCDFGHJK").text
    assert 'name="code" value="BCDFGHJK"' in form
    submit(client, "/join", FILLED | {"circle": "tuesday-few", "code": "BCDFGHJK"})
    with db.reading() as session:
        assert place(found(session, SMS, PHONE), hidden)


def test_a_guessed_code_opens_nothing(client: FlaskClient) -> None:
    hidden = circle("Tuesday Few", "FEW", openness=Openness.INVITE)
    submit(client, "/join", FILLED | {"circle": "tuesday-few", "code": ""})
    with db.reading() as session:
        assert place(found(session, SMS, PHONE), hidden) is None


def test_a_closed_circle_is_kind_and_names_others(client: FlaskClient) -> None:
    kitchen, *_ = three_circles()
    change(kitchen, closed_at=NOON)
    page = client.get("/circles/kitchen-table")
    assert page.status_code == 410
    assert "Thank you for wanting to come" in page.text
    assert shown(page.text) == ["Small Hours", "Steady Ground"]
    assert "Kitchen Table" not in client.get("/circles").text


def test_no_circle_at_all(client: FlaskClient) -> None:
    assert "No circle is open right now" in client.get("/circles").text
    assert client.get("/circles/find?theme=&when=").status_code == 200
    assert client.get("/circles/nowhere").status_code == 404


def test_a_members_own_page_comes_goes_and_asks_for_the_week(client: FlaskClient) -> None:
    kitchen, steady, _ = three_circles()
    ana = add_member("Ana", ANA)
    here = my_page(ana.id)
    assert "You are in no circle yet" in client.get(here).text
    assert submit(client, here, {"do": "join", "circle": kitchen.id}).status_code == 302
    page = text_of(client.get(here).text)
    assert "You're in. Come as you are." in page
    assert "Tue, May 12, 7:00" in page
    assert place(ana, kitchen)
    with db.reading() as session:
        assert sent(session) == ["circle_welcome"]
    assert [name for name, _ in held.held(ana.id).circles] == ["Kitchen Table"]
    submit(client, here, {"do": "week", "circle": kitchen.id})
    assert place(ana, kitchen).digest  # type: ignore[union-attr]
    submit(client, here, {"do": "week", "circle": steady.id})  # not theirs
    assert "You are not in this circle." in client.get(here).text
    submit(client, here, {"do": "leave", "circle": kitchen.id})
    assert place(ana, kitchen) is None
    assert client.get(here).headers["Cache-Control"] == "no-store"
    assert client.post(here, data={"do": "join", "circle": kitchen.id}).status_code == 400  # no form token
    assert submit(client, here, {"do": "join", "circle": "nonsense"}).status_code == 302


def test_an_offer_is_taken_by_its_button_and_a_get_takes_nothing(client: FlaskClient) -> None:
    kitchen, *_ = three_circles()
    change(kitchen, most_members=0)
    ana = add_member("Ana", ANA)
    here = my_page(ana.id)
    submit(client, here, {"do": "join", "circle": kitchen.id})
    assert "You stand in line for Kitchen Table" in client.get(here).text
    change(kitchen, most_members=1)
    assert line.offer_places() == 1
    assert "is free, and kept for you" in client.get(here).text
    assert wish(ana, kitchen).state == AskState.OFFERED  # type: ignore[union-attr]
    submit(client, here, {"do": "join", "circle": kitchen.id})
    assert place(ana, kitchen)


def test_the_way_to_ones_circles_leads_through_the_settings(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    assert client.get(my_page(ana.id) + "x").status_code == 404
    settings = path_of(member_links.preferences_url(ana.id, ChannelName.SMS))
    assert "/my/" in client.get(settings).text
    assert client.get(path_of(settings).replace("/p/", "/my/")).status_code == 404  # another link's token opens nothing


def test_discreet_members_see_no_name_of_their_circle(client: FlaskClient) -> None:
    kitchen, *_ = three_circles()
    ana = add_member("Ana", ANA, email=EMAIL, discreet=True)
    put_in(kitchen, ana)
    page = client.get(my_page(ana.id)).text
    assert "Kitchen Table" not in page
    assert "the group" in page
