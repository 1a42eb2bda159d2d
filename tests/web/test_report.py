"""The factor report: floors, circles of thirty and more, whose numbers a coordinator sees, the download; and a member's
own page of what they gave and received.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service import clock, db
from service.actions import member_links
from service.actions.report import factors
from service.actions.report.definitions import FACTORS
from service.actions.report.factors import Line, told
from service.models.content import Resonance, StoryRead, Tool
from service.models.gatherings import Circle
from service.models.giving import Gift, GiftState, Giving
from service.models.members import ChannelName, Member
from service.models.tools import ToolRead
from service.models.vents import Vent
from tests.flows.test_checkins import person
from tests.flows.test_main_job import add_story
from tests.flows.world import add_circle, add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.pages import submit

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def many(count: int, circle: Circle | None = None, start: int = 0) -> list[Member]:
    return [add_member(f"N{n}", f"+1202556{n:04}", circle=circle) for n in range(start, start + count)]


def read(story_id: Any, members: Sequence[Member], days: float = 1) -> None:
    with db.transaction() as session:
        at = clock.now() - timedelta(days=days)
        session.add_all(StoryRead(story_id=story_id, member_id=member.id, at=at) for member in members)


def line(of: Any, key: str, scope: int = 0) -> Line:
    return next(one for one in of.scopes[scope].lines if one.factor.key == key)


def report() -> Any:
    with db.reading() as session:
        return factors.report(session, person(name=f"W{clock.now().timestamp()}"))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_numbers_are_of_people_in_fives_and_never_below_five(database: db.Database) -> None:
    people = many(13)
    read(add_story().id, people[:12])
    read(add_story().id, people[:12])  # two stories, one person
    read(add_story().id, people[:4], days=8)
    read(add_story().id, people[12:], days=20)
    found = report()
    hope = line(found, "hope")
    assert (hope.week, hope.month) == (10, 10)
    assert hope.trend[-2:] == (None, 10)  # four the week before: not told
    assert line(found, "universality").month is None
    assert {one.factor.key for one in found.scopes[0].lines} == {factor.key for factor in FACTORS}
    assert len(FACTORS) == 8


@ONE
def test_each_factor_counts_what_its_sentence_says(database: db.Database) -> None:
    people = many(7)
    story = add_story(author_id=people[0].id, published_at=clock.now())
    other, now = add_story(), clock.now()
    with db.transaction() as session:
        tool = Tool(title="B", body_sms="b", body_email="b", review_by=now.date(), created_at=now)
        session.add(tool)
        session.flush()
        for member in people:
            session.add(ToolRead(tool_id=tool.id, member_id=member.id, at=now))
            session.add(Resonance(story_id=story.id, member_id=member.id, at=now))
            session.add(
                Vent(
                    member_id=member.id, channel=ChannelName.SMS, words="w", pieces=1, opened_at=now, last_at=now,
                    keep_days=14, forget_at=now + timedelta(days=14),
                )
            )  # fmt: skip
            for kind in (Giving.NOTE, Giving.STEP):
                session.add(
                    Gift(
                        kind=kind, member_id=member.id, channel=ChannelName.SMS, original="w", body="w", passed_at=now,
                        state=GiftState.APPROVED,
                    )
                )  # fmt: skip
        session.add(Resonance(story_id=other.id, member_id=people[0].id, at=now, taken_back_at=now))
    found = report()
    lived = {one.factor.key: one.week for one in found.scopes[0].lines}
    assert lived == {
        "hope": None, "universality": 5, "learning": 5, "giving": 5, "release": 5, "watching": 5, "belonging": None,
        "finding": None,
    }  # fmt: skip


@ONE
def test_only_circles_of_thirty_have_numbers_and_nobody_is_left_over(enter: Enter) -> None:
    large, small = add_circle("Large", "LARGE"), add_circle("Small", "SMALL")
    inside, outside = many(30, large), many(3, start=40)
    many(8, small, start=60)
    story = add_story()
    read(story.id, [*inside[:12], *outside])
    found = report()
    assert [scope.name for scope in found.scopes] == ["Everybody", "Large"]
    assert (line(found, "hope").week, line(found, "hope", 1).week) == (15, None)  # the other three could be counted
    read(story.id, many(4, start=80))
    assert (line(report(), "hope").week, line(report(), "hope", 1).week) == (15, 10)
    own = enter("circle_coordinator", email="olu@example.org")
    assert "No numbers yet" in own.get("/console/report/").text
    desk.give_circle(desk.coordinator("olu@example.org"), large)
    page = own.get("/console/report/").text
    assert "Large" in page
    assert "Everybody" not in page
    sheet = own.get("/console/report/factors.csv")
    assert sheet.mimetype == "text/csv"
    rows = sheet.text.splitlines()
    assert rows[1].startswith("Large,Hope,10 or more,10 or more,fewer than 5")
    assert not any(row.startswith("Everybody") for row in rows)


@ONE
def test_the_page_draws_what_its_tables_say(console: FlaskClient) -> None:
    read(add_story().id, many(9))
    page = console.get("/console/report/").text
    assert page.count("chart-columns") == 1  # drawn where there is something
    assert page.count("Fewer than five in each of these weeks.") == 7
    assert "5 or more" in page
    assert "Got a hope story" in page
    assert "VENT" in page


@ONE
def test_a_member_sees_what_they_gave_and_received_and_no_words(client: FlaskClient) -> None:
    ana = add_member("Ana", "+12025550123", locale="es")
    url = member_links.preferences_url(ana.id, ChannelName.SMS).removeprefix("http://localhost:8000")
    assert f"{url}/given" in client.get(url).text
    assert "Basta con estar aquí" in client.get(f"{url}/given").text
    story = add_story(author_id=ana.id, felt_shown=10)
    read(add_story().id, [ana])
    now = clock.now()
    felt = add_story()
    with db.transaction() as session:
        session.add(Resonance(story_id=felt.id, member_id=ana.id, at=now))
        session.add(
            Gift(
                kind=Giving.STEP, member_id=ana.id, channel=ChannelName.SMS, original="secretword", body="secretword",
                passed_at=now, state=GiftState.APPROVED,
            )
        )  # fmt: skip
    page = client.get(f"{url}/given").text
    form = {"do": "save", "window_from": "600", "window_to": "1080", "weekly_cap": "3", "news_shown": "1"}
    submit(client, url, form)
    with db.reading() as session:
        assert session.get_one(Member, ana.id).no_news
    submit(client, url, form | {"news": "1"})
    with db.reading() as session:
        assert not session.get_one(Member, ana.id).no_news
    assert "Historias contadas" in page
    assert "10 o más" in page
    assert "secretword" not in page
    assert story.title not in page


@given(whole=st.integers(0, 500), parts=st.lists(st.integers(0, 500), max_size=6))
def test_no_number_under_five_is_shown_nor_left_over(whole: int, parts: list[int]) -> None:
    everybody = told(whole)
    assert everybody is None or (everybody >= 5 and everybody <= whole < everybody + 5)
    for part in (min(part, whole) for part in parts):
        shown = told(part, whole)
        if shown is not None:
            assert part >= 5
            assert whole == part or whole - part >= 5
