"""A circle's door in the console: who waits, the code of invitations, posters, and closing it."""

import io
import re

import pypdfium2
import pytest
import segno
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select

from service import clock, db
from service.actions.belonging import posters
from service.models.campaigns import Campaign, CampaignContent
from service.models.gatherings import AskState, Circle, CircleStaff, Openness
from service.models.staff import Coordinator
from tests.flows.circles import circle, place, put_in, three_circles, wish
from tests.flows.talk import NOON
from tests.flows.world import add_member
from tests.web.conftest import Enter
from tests.web.pages import form_token, submit
from tests.web.test_circle_pages import ANA, my_page
from tests.web.test_public import text_of

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]


@pytest.fixture(autouse=True)
def at_noon(valkey: object) -> object:
    with clock.frozen_at(NOON):
        yield


def at(found: Circle, more: str = "") -> str:
    return f"/console/sessions/circles/{found.id}{more}"


def press(client: FlaskClient, found: Circle, more: str) -> str:
    """Press a button on the circle's page; what the page says then."""
    token = form_token(client.get(at(found)))
    answer = client.post(at(found, more), data={"csrf_token": token}, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return text_of(answer.text)


def asks(client: FlaskClient, found: Circle, name: str = "Ana", phone: str = ANA) -> object:
    member = add_member(name, phone)
    submit(client, my_page(member.id), {"do": "join", "circle": found.id})
    return member


def test_a_coordinator_says_yes_and_the_member_is_told(console: FlaskClient, client: FlaskClient) -> None:
    steady = circle("Steady Ground", "STEADY", openness=Openness.ASK)
    ana = asks(client, steady)
    page = text_of(console.get(at(steady)).text)
    assert "At the door 1" in page
    assert "waits for your yes" in page
    assert "At the door of a circle Steady Ground 1 person asks" in text_of(console.get("/console/today/").text)
    said = press(console, steady, f"/asks/{wish(ana, steady).id}/let-in")  # type: ignore[arg-type, union-attr]
    assert "Ana may come, and will be told" in said
    assert place(ana, steady)  # type: ignore[arg-type]
    with db.reading() as session:
        note = session.scalars(select(Campaign)).one()
        words = session.scalars(select(CampaignContent.body).where(CampaignContent.campaign_id == note.id)).all()
    assert any("You're in Steady Ground. Next: Tue 12 May, 7:00 pm." in body for body in words)
    again = press(console, steady, f"/asks/{wish(ana, steady).id}/let-in")  # type: ignore[arg-type, union-attr]
    assert "This was settled meanwhile." in again


def test_no_machine_says_no(console: FlaskClient, client: FlaskClient) -> None:
    steady = circle("Steady Ground", "STEADY", openness=Openness.ASK)
    ana = asks(client, steady)
    said = press(console, steady, f"/asks/{wish(ana, steady).id}/decline")  # type: ignore[arg-type, union-attr]
    assert "Nothing was sent" in said
    assert wish(ana, steady).state == AskState.DECLINED  # type: ignore[arg-type, union-attr]
    with db.reading() as session:
        assert session.scalars(select(Campaign)).all() == []


def test_a_circle_coordinator_opens_the_door_of_their_own_circle_only(enter: Enter, client: FlaskClient) -> None:
    mine = circle("Steady Ground", "STEADY", openness=Openness.ASK)
    other = circle("Quiet Room", "QUIET", openness=Openness.ASK)
    theirs = enter("circle_coordinator")
    with db.transaction() as session:
        safia = session.scalars(select(Coordinator)).one()
        session.add(CircleStaff(circle_id=mine.id, coordinator_id=safia.id))
    ana = asks(client, mine)
    ben = asks(client, other, "Ben", "+12025550145")
    press(theirs, mine, f"/asks/{wish(ana, mine).id}/let-in")  # type: ignore[arg-type, union-attr]
    assert place(ana, mine)  # type: ignore[arg-type]
    token = form_token(theirs.get(at(mine)))
    foreign = at(other, f"/asks/{wish(ben, other).id}/let-in")  # type: ignore[arg-type, union-attr]
    assert theirs.post(foreign, data={"csrf_token": token}).status_code == 404
    assert theirs.post(at(mine, "/close"), data={"csrf_token": token}).status_code == 403
    assert theirs.get(at(other, "/poster-en-a4.pdf")).status_code == 404


def test_an_invitations_code_is_made_and_renewed(console: FlaskClient) -> None:
    hidden = circle("Tuesday Few", "FEW", openness=Openness.INVITE)
    assert "Nobody can come in yet" in console.get(at(hidden)).text
    press(console, hidden, "/code")
    first = re.search(r"\?code=([A-Z]{8})", console.get(at(hidden)).text)
    press(console, hidden, "/code")
    second = re.search(r"\?code=([A-Z]{8})", console.get(at(hidden)).text)
    assert first
    assert second
    assert first[1] != second[1]
    assert console.get(f"/circles/tuesday-few?code={first[1]}").status_code == 404
    assert console.get(f"/circles/tuesday-few?code={second[1]}").status_code == 200


def test_closing_and_opening_again(console: FlaskClient) -> None:
    kitchen, *_ = three_circles()
    put_in(kitchen, add_member("Ana", ANA))
    assert "4 coming sessions were called off" in press(console, kitchen, "/close")
    assert "This circle is closed" in console.get(at(kitchen)).text
    assert console.get("/circles/kitchen-table").status_code == 410
    press(console, kitchen, "/reopen")
    assert console.get("/circles/kitchen-table").status_code == 200


def test_how_many_may_belong(console: FlaskClient) -> None:
    from tests.web.test_sessions import CIRCLE

    assert submit(console, "/console/sessions/circles/new", CIRCLE | {"most_members": "12"}).status_code == 302
    with db.reading() as session:
        made = session.scalars(select(Circle)).one()
    assert made.most_members == 12
    assert "0 of at most 12" in console.get(at(made)).text
    wrong = submit(
        console, "/console/sessions/circles/new", CIRCLE | {"most_members": "0", "slug": "b", "keyword": "B2B"}
    )
    assert "Between 1 and 500 members" in wrong.text
    taken = submit(console, "/console/sessions/circles/new", CIRCLE | {"slug": "find", "keyword": "B2B"})
    assert "Another page has this address" in taken.text


@pytest.mark.parametrize(("language", "paper", "words"), [
    ("en", "a4", "Or text JOIN KITCHEN to +1 202-555-0100"),
    ("es", "letter", "O envía UNIRME KITCHEN al +1 202-555-0100"),
])  # fmt: skip
def test_posters_can_be_read_and_scanned(
    console: FlaskClient, configure: object, language: str, paper: str, words: str
) -> None:
    configure(twilio_from="+12025550100")  # type: ignore[operator]
    kitchen, *_ = three_circles()
    answer = console.get(at(kitchen, f"/poster-{language}-{paper}.pdf"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    document = pypdfium2.PdfDocument(answer.data)
    assert len(document) == 1
    assert [round(n) for n in document[0].get_size()] == [round(n) for n in posters.PAPERS[paper]]
    text = document[0].get_textpage().get_text_range()
    assert words in text
    assert "Kitchen Table" in text
    picture = console.get(at(kitchen, f"/poster-{language}-{paper}.png"))
    assert picture.headers["Content-Type"] == "image/png"
    assert code_in(Image.open(io.BytesIO(picture.data))) == [
        [bool(dark) for dark in row] for row in segno.make(posters.address(kitchen), error="m", micro=False).matrix
    ]
    assert console.get(at(kitchen, "/poster-fr-a4.pdf")).status_code == 404
    assert console.get(at(kitchen, "/poster-en-a0.pdf")).status_code == 404
    assert console.get(at(kitchen, "/poster-en-a4.exe")).status_code == 404


def code_in(picture: Image.Image) -> list[list[bool]]:
    """The QR code on a page, square by square: found by its size, as the widest black-edged square in the middle."""
    grey = picture.convert("L")
    size = len(segno.make(posters.links.url("/circles/kitchen-table"), error="m", micro=False).matrix)
    step = posters._QR / (size + 8) * posters.DOTS / 72  # the square's own measure: the page has room for all of it
    width, height = grey.size
    left = (width - step * size) / 2
    data = grey.load()
    assert data is not None
    top = next(
        y for y in range(height)
        if all(data[int(left + step * (n + 0.5)), y] < 100 for n in (0, 1, 2, 3, 4, 5, 6))
        and all(data[int(left + step * (size - 1 - n + 0.5)), y] < 100 for n in (0, 1, 2, 3, 4, 5, 6))
    )  # fmt: skip
    return [
        [data[int(left + step * (x + 0.5)), int(top + step * (y + 0.5))] < 128 for x in range(size)]
        for y in range(size)
    ]


def test_a_stranger_gets_no_poster(client: FlaskClient) -> None:
    kitchen, *_ = three_circles()
    assert client.get(at(kitchen, "/poster-en-a4.pdf")).status_code == 302
