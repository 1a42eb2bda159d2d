"""Something for others, written on a signed page: risk first, a tick before it goes on, and nothing typed is lost."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import db
from service.actions import member_links
from service.models.content import Story, StoryState
from service.models.conversations import Flag, Message
from service.models.giving import Gift, Giving, Writing
from service.models.members import ChannelName, Member, MemberState
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
    assert count(Gift, Story, Writing) == [4, 1, 0]
    with db.reading() as session:
        story = session.scalars(select(Story)).one()
        assert (story.original, story.author_name, story.state) == (
            "I went out for ten minutes, story", "Ana", StoryState.REVIEW,
        )  # fmt: skip
        assert all(gift.named for gift in session.scalars(select(Gift)))


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
