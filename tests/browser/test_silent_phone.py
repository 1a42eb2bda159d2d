"""A coordinator sees on a member's page that a number may be somebody else's by now, and can vouch for it."""

from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, expect

from service import clock, db
from service.models.campaigns import CampaignKind
from service.models.members import Address, AddressState
from tests.browser.conftest import shot
from tests.browser.test_crisis import sign_in
from tests.flows.world import World, add_member, send

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


def test_a_number_is_vouched_for(context: BrowserContext, working: World) -> None:
    with clock.frozen_at(clock.now() - timedelta(days=91)):
        ana = add_member("Ana", "+12025550123", "ana@example.org")
    campaign = send(CampaignKind.TOOL, "Breathe.")
    page = context.new_page()
    sign_in(page)
    page.goto(f"{working.url}/console/campaigns/{campaign}")
    expect(page.get_by_text("were silent for 90 days")).to_be_visible()
    shot(page, "silent-campaign")
    page.goto(f"{working.url}/console/members/{ana.id}")
    expect(page.get_by_text("texts wait for a YES")).to_be_visible()
    shot(page, "silent-asked")
    with db.transaction() as session:
        phone = session.query(Address).where(Address.channel == "sms").one()
        phone.state = AddressState.SILENT
    page.set_viewport_size({"width": 360, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(page.get_by_text("May not be theirs any more")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, "silent-narrow")
    page.get_by_role("button", name="It is still theirs").click()
    page.get_by_role("dialog").get_by_role("button", name="It is still theirs").click()
    expect(page.get_by_text("What waited for their answer leaves now")).to_be_visible()
    expect(page.get_by_role("button", name="It is still theirs")).to_have_count(0)
