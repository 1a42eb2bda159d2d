"""Something for others, written on a signed page: risk first, a tick before it goes on, and nothing typed is lost."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service import db
from service.actions import member_links
from service.models.content import Story, StoryState
from service.models.conversations import Flag, Message
from service.models.giving import Gift, GiftState, Giving, Writing
from service.models.members import ChannelName, Member, MemberState
from tests.flows import circles
from tests.flows.world import add_member
from tests.web.desk import ANA
from tests.web.pages import path_of, submit

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def page_of(member: Member, kind: str) -> str:
    return path_of(member_links.preferences_url(member.id, ChannelName.SMS)) + f"/give/{kind}"


def count(*models: type) -> list[int]:
    with db.reading() as session:
        return [len(session.scalars(select(model)).all()) for model in models]


def test_each_kind_is_handed_on_once_with_a_tick(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    settings = client.get(path_of(member_links.preferences_url(ana.id, ChannelName.SMS))).text
    for giving in Giving:
        here = page_of(ana, giving)
        assert f"/give/{giving}" in settings
        words = f"I went out for ten minutes, {giving}"
        refused = submit(client, here, {"words": words, "named": "1"})
        assert refused.status_code == 422
        assert "Nobody gets it before you tick this." in refused.text
        assert words in refused.text
        done = submit(client, here, {"words": words, "named": "1", "pass": "1"})
        assert done.status_code == 200
        assert "is with a volunteer now" in done.text
        submit(client, here, {"words": words, "named": "1", "pass": "1"})  # one tap too many
        assert ("Say my first name with it" in refused.text) is (giving in (Giving.STEP, Giving.SAID))
    assert count(Gift, Story, Writing) == [4, 1, 0]
    with db.reading() as session:
        story = session.scalars(select(Story)).one()
        assert (story.original, story.author_name, story.state) == (
            "I went out for ten minutes, story", "", StoryState.REVIEW,
        )  # fmt: skip
        named = {gift.kind for gift in session.scalars(select(Gift)) if gift.named}
        assert named == {Giving.STEP, Giving.SAID}  # whatever a form sends


@ONE
def test_no_name_is_offered_to_those_who_told_us_none(client: FlaskClient) -> None:
    nameless = add_member("", ANA)
    assert "Say my first name with it" not in client.get(page_of(nameless, "step")).text


def test_a_note_says_before_anything_is_typed_that_there_is_no_room(client: FlaskClient) -> None:
    ana, luz = add_member("Ana", ANA), add_member("Luz", "+12025550191", locale="es-MX")
    for member, still_read, day_from in (
        (ana, "A note of yours is still with a volunteer", "There is room for your next one from"),
        (luz, "Una nota tuya sigue con alguien del equipo", "Hay lugar para la próxima desde el"),
    ):
        here = page_of(member, "note")
        assert "<textarea" in client.get(here).text
        submit(client, here, {"words": "It gets easier to come in", "pass": "1"})
        waiting = client.get(here).text
        assert still_read in waiting
        assert "<textarea" not in waiting.split("<main")[1]
        assert all(f"/give/{kind}" in waiting for kind in ("story", "step", "said", "feeling"))
        # The limit was reached after the page had been opened: what is typed is kept, and stands there still.
        late = submit(client, here, {"words": "The kettle helped me", "pass": "1"})
        assert late.status_code == 422
        assert "The kettle helped me" in late.text
        assert ("PASS" if member is ana else "PASALO") in client.get(here).text
        with db.transaction() as session:
            session.execute(update(Gift).where(Gift.member_id == member.id).values(state=GiftState.APPROVED))
        assert "<textarea" in client.get(here).text
        submit(client, here, {"words": "The kettle helped me", "pass": "1"})
        assert day_from in client.get(here).text


@ONE
def test_risk_on_the_page_goes_to_a_person_and_is_kept_as_a_beginning(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    said = submit(client, page_of(ana, "story"), {"words": "Tonight I am going to kill myself", "pass": "1"})
    assert "not an emergency service" in said.text
    assert count(Flag, Story, Writing) == [1, 0, 1]


@ONE
def test_what_cannot_go_on_is_judged_and_stays_on_the_page(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    here = page_of(ana, "step")
    assert "Write a few words first." in submit(client, here, {"words": "  ", "pass": "1"}).text
    long = ("I phoned my sister after two years. " * 9).strip()
    answer = submit(client, here, {"words": long, "pass": "1"})
    assert answer.status_code == 422
    assert "a little shorter" in answer.text
    assert long in answer.text
    assert count(Gift, Message) == [0, 1]
    assert client.get(page_of(ana, "nothing")).status_code == 404
    spanish = client.get(f"{here}?lang=es").text
    assert "Un pequeño paso" in spanish


@ONE
def test_a_stop_in_it_is_a_stop(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    submit(client, page_of(ana, "step"), {"words": "please stop texting me", "pass": "1"})
    with db.reading() as session:
        assert session.get_one(Member, ana.id).state == MemberState.LEFT
    assert "<textarea" not in client.get(page_of(ana, "step")).text.split("<main")[1]
    assert count(Gift) == [0]


@ONE
def test_on_the_page_one_may_name_a_circle_and_take_it_back_without_seeing_words(client: FlaskClient) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", "+12025550145", discreet=True)
    kitchen, steady, other = circles.three_circles()
    for circle in (kitchen, steady):
        circles.put_in(circle, ana, ben)
    here = page_of(ana, "step")
    assert "Whose week it may be in" in client.get(here).text
    assert "Kitchen" not in client.get(page_of(ben, "step")).text
    for number, (chosen, kept) in enumerate([(steady.id, steady.id), (other.id, None), ("", None)]):
        submit(client, here, {"words": f"I went out, day {number}", "pass": "1", "circle": str(chosen)})
        assert client.get(here).status_code == 200
        with db.reading() as session:
            newest = session.scalars(select(Gift).order_by(Gift.passed_at.desc(), Gift.id.desc())).first()
            assert newest is not None
            assert newest.circle_id == kept
    page = client.get(here).text
    assert page.count("Take it back") == 3
    assert "I went out" not in page  # a phone may be shared, and the link proves no more than that one has it
    back = path_of(page.split('action="')[2].split('"')[0])
    assert submit(client, page_of(ben, "step"), {}, to=back.replace(here, page_of(ben, "step"))).status_code == 404
    assert submit(client, here, {}, to=back).status_code == 302
    assert client.get(here).text.count("Take it back") == 2
    with db.reading() as session:
        taken = session.scalars(select(Gift).where(Gift.state == GiftState.TAKEN_BACK)).one()
        assert (taken.original, taken.body) == ("", "")
