"""A member says it on their page, a coordinator opens it and finds somebody for a note; small, wide and dark."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service import db
from service.actions import member_links, staff
from service.actions.giving import wishes
from service.models.members import ChannelName
from service.models.staff import Role
from tests.browser.conftest import shot
from tests.flows.world import World, add_member
from tests.web.pages import PASSWORD
from tests.web.test_vents import WORDS, add_gift

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
LONG = (
    "I remember my first week here: I sat by the door and said nothing. Nobody minded. In week three I laughed once. "
    "It gets easier to come in. Come as you are, tea is hot."
)


def looks(page: Page, name: str) -> None:
    """A picture on a small screen and a dark one on a wide one; nothing has to be moved sideways."""
    for width, scheme in ((360, "light"), (1280, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
        shot(page, f"{name}_{width}_{scheme}")


def test_said_read_and_a_note_for_somebody(world: World, context: BrowserContext) -> None:
    ana, ben = add_member("Ana", "+12025550144", "ana@example.org"), add_member("Ben", "+12025550145")
    for name in ("Guadalupe", "Christopher"):
        with db.transaction() as session:
            wishes.receive(session, add_member(name, f"+1202555018{len(name) % 7}").id, True, "test")
    add_gift(ben, LONG)
    add_gift(ana, "You can come in late. Ask Marta for the blue chair.")
    page = context.new_page()
    here = member_links.preferences_url(ana.id, ChannelName.SMS)
    page.goto(here)
    page.get_by_role("link", name="Say it out loud").click()
    looks(page, "vent_page")
    page.get_by_label("What you need to say").fill(WORDS)
    page.get_by_label("Kept for").select_option("7")
    page.get_by_role("button", name="Say it").press("Enter")
    expect(page.get_by_text("Thank you for saying it.")).to_be_visible()
    looks(page, "vent_said")
    page.goto(staff.add_coordinator("maya@example.org", Role.COORDINATOR, "Maya"))
    page.get_by_label("Password").first.fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    page.goto(f"{world.url}/console/vents/")
    looks(page, "console_vents")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_text(WORDS)).to_be_visible()
    looks(page, "console_vent")
    page.goto(f"{world.url}/console/notes/")
    looks(page, "console_notes")
    page.get_by_role("button", name="Send it to").first.click()
    expect(page.get_by_text("On its way.")).to_be_visible()
    page.goto(f"{world.url}/console/today/")
    looks(page, "today_with_notes")
