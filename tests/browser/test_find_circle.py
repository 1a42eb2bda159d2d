"""A stranger finds a circle on a small screen; a member comes and goes. Every page of it is looked at with axe."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service import clock, db
from service.actions import member_links, staff
from service.actions.belonging import places
from service.models.gatherings import Circle, Openness
from service.models.members import ChannelName, Member
from service.models.staff import Role
from tests.browser.conftest import shot
from tests.flows.circles import circle, put_in, three_circles
from tests.flows.talk import NOON
from tests.flows.world import World, add_member
from tests.web.pages import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


@pytest.fixture(params=[(360, "light"), (1100, "dark")], ids=["small", "dark"])
def page(request: pytest.FixtureRequest, context: BrowserContext) -> Page:
    width, scheme = request.param
    opened = context.new_page()
    opened.set_viewport_size({"width": width, "height": 800})
    opened.emulate_media(color_scheme=scheme)
    return opened


def fits(page: Page) -> bool:
    """Whether nothing has to be moved sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_from_two_questions_to_a_seat(world: World, page: Page, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id.replace("-", "_").replace("sqlite", "").strip("_")
    with clock.frozen_at(NOON):
        kitchen, *_ = three_circles()
        circle("Quiet Room", "QUIET", "Grief", "2026-05-13T12:00", openness=Openness.ASK, most_members=3,
               place="Elm Street Library, upstairs", online_url="https://meet.example.org/quiet",
               description="For anyone who has lost somebody. You can come and say nothing.")  # fmt: skip
        ana = add_member("Ana", "+12025550144")
        put_in(kitchen, ana)
        page.goto(f"{world.url}/circles")
        expect(page.get_by_role("heading", name="Kitchen Table")).to_be_visible()
        assert fits(page)
        shot(page, f"circles_{name}")
        page.get_by_role("link", name="Two questions, and a match").click()
        shot(page, f"find_{name}")
        page.get_by_label("Grief").check()
        page.get_by_label("Evenings").check()
        page.get_by_role("button", name="Show me").click()
        expect(page.get_by_role("heading", name="What could suit you")).to_be_visible()
        assert fits(page)
        shot(page, f"match_{name}")
        page.get_by_role("link", name="Kitchen Table").click()
        expect(page.get_by_role("link", name="Join this circle")).to_be_visible()
        shot(page, f"circle_{name}")
        page.goto(f"{world.url}/circles/quiet-room")
        expect(page.get_by_role("link", name="Ask to join")).to_be_visible()
        shot(page, f"circle_ask_{name}")
        page.get_by_role("link", name="Ask to join").click()
        expect(page.get_by_role("radio", name="Quiet Room")).to_be_checked()

        page.goto(member_links.circles_url(ana.id, ChannelName.SMS))
        expect(page.get_by_role("heading", name="Kitchen Table")).to_be_visible()
        assert fits(page)
        shot(page, f"mine_{name}")
        page.get_by_role("button", name="A short note each week").click()
        expect(page.get_by_text("You get its week from now on.")).to_be_visible()
        page.get_by_role("button", name="Leave this circle").click()
        expect(page.get_by_text("You are in no circle yet")).to_be_visible()
        assert fits(page)


def test_a_coordinator_at_the_door(world: World, page: Page, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id.replace("-", "_").replace("sqlite", "").strip("_")
    with clock.frozen_at(NOON):
        steady = circle(
            "Steady Ground", "STEADY", "Anxiety", openness=Openness.INVITE, invite_code="BCDFGHJK", most_members=12
        )
        ana = add_member("Ana", "+12025550144")
        put_in(steady, add_member("Bea", "+12025550145"))
        with db.transaction() as session:
            steady_ = session.get_one(Circle, steady.id)
            steady_.openness = Openness.ASK
            places.enter(session, session.get_one(Member, ana.id), steady_)
            steady_.openness = Openness.INVITE
        link = staff.add_coordinator("maya@example.org", Role.COORDINATOR, "Maya")
        page.goto(link)
        page.get_by_label("Password").first.fill(PASSWORD)
        page.get_by_role("button").filter(has_text="password").or_(
            page.locator("main button[type=submit]")
        ).first.click()
        page.goto(f"{world.url}/console/sessions/circles/{steady.id}")
        expect(page.get_by_role("heading", name="At the door")).to_be_visible()
        assert fits(page)
        shot(page, f"door_{name}")
        page.get_by_role("button", name="Let in").click()
        expect(page.get_by_text("Ana may come")).to_be_visible()
