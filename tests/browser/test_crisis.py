"""A crisis in a real browser, from the member's text to the message that may leave again; and a picture on its way."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service import clock, db
from service.actions import campaigns, staff
from service.models.campaigns import CampaignKind
from service.models.staff import Coordinator, DutyShift, Role
from tests.browser.conftest import shot
from tests.flows.test_pictures import png
from tests.flows.world import SMS, World, add_member

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]
PASSWORD = "a long walk by the river"
ANA, MAYA = "+12025550123", "+12025550190"
CRISIS = "I don't want to be alive anymore, I have the pills here"


def sign_in(page: Page, role: Role = Role.SAFEGUARDING) -> None:
    page.goto(staff.add_coordinator("maya@hearthline.example", role, "Maya Ortiz"))
    page.get_by_label("New password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page.get_by_role("link", name="Inbox").first).to_be_visible()


def on_duty() -> None:
    now = clock.now()
    with db.transaction() as session:
        maya = session.query(Coordinator).one()
        maya.phone = MAYA
        session.add(DutyShift(coordinator_id=maya.id, starts_at=now, ends_at=now + timedelta(days=2), tier=1))


def phone(page: Page, world: World, number: str) -> None:
    page.goto(f"{world.standin.url}/phone/{number}")


def write(page: Page, words: str) -> None:
    page.get_by_label("Write a text as this member").fill(words)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".bubble.mine").last).to_contain_text(words)


def schedule(words: str) -> None:
    """A text that is to leave in a moment: long enough from now for the crisis to come before it."""
    draft = campaigns.Draft(
        name="Breathe", kind=CampaignKind.TOOL, channels=(SMS,), contents=(campaigns.ContentDraft(SMS, "en", words),)
    )
    campaign_id = campaigns.create(draft)
    campaigns.start(campaign_id, override=True)
    campaigns.freeze(campaign_id)


def test_from_the_text_to_the_clearing(context: BrowserContext, working: World) -> None:
    world = working
    ana = add_member("Ana", ANA)
    member, coordinator, pager = context.new_page(), context.new_page(), context.new_page()
    sign_in(coordinator)
    on_duty()

    world.queues = ("replies",)  # nobody works on the campaign's queue for a moment
    schedule("In for four, out for six.")

    # One automatic answer, at once, with the local line; what was scheduled waits.
    world.standin.post("reply-sms", **{"from": ANA, "body": CRISIS})
    phone(member, world, ANA)
    answer = member.locator(".bubble.theirs")
    expect(answer).to_have_count(1)
    expect(answer).to_contain_text("Thank you for telling us")
    expect(answer).to_contain_text("988")
    world.queues = ("replies", "texts", "emails")
    shot(member, "crisis-phone")

    # The page: by text and by email, with a link and not a word of the member.
    phone(pager, world, MAYA)
    paged = pager.locator(".bubble.theirs").last
    expect(paged).to_contain_text("/page/")
    body = paged.inner_text()
    assert not re.search("pills|alive|Ana", body)
    [mail] = [m for m in world.mailbox("maya@hearthline.example") if "/page/" in m["text"]]
    assert not re.search(r"pills|alive|\bAna\b", mail["text"] + mail["subject"])

    # Red on every page until somebody has it; a button behind the link takes it.
    coordinator.goto(f"{world.url}/console/you")
    banner = coordinator.locator(".risk-banner")
    expect(banner).to_contain_text("needs a person now")
    shot(coordinator, "crisis-banner")
    pager.goto(re.findall(r"https?://\S+", body)[0])
    expect(pager.get_by_role("heading", level=1)).to_be_visible()
    assert not re.search("pills|alive|Ana", pager.inner_text("body"))
    shot(pager, "crisis-page")
    pager.get_by_role("button", name="I have it").click()
    expect(pager.locator(".flag-panel")).to_contain_text("Maya Ortiz, since")  # her browser is signed in
    coordinator.reload()
    expect(banner).to_have_count(0)

    # The words, the answer, the outcome; then what was waiting goes on.
    coordinator.goto(f"{world.url}/console/inbox/?folder=risk")
    coordinator.locator(".conversation").first.click()
    expect(coordinator.get_by_text(CRISIS).last).to_be_visible()
    expect(coordinator.get_by_text("Someone may be in danger now")).to_be_visible()
    shot(coordinator, "crisis-flag")
    coordinator.get_by_label("Your answer to Ana").fill("Ana, this is Maya. May I ring you now?")
    coordinator.get_by_role("button", name="Send", exact=True).click()
    expect(member.locator(".bubble.theirs").last).to_contain_text("May I ring you now?")
    expect(answer).to_have_count(2)  # and nothing that was scheduled
    coordinator.get_by_text("Clear this flag").click()
    coordinator.get_by_role("button", name="Clear the flag").click()
    expect(coordinator.get_by_text("Write in a few words what came of it")).to_be_visible()
    coordinator.get_by_label("What came of it").fill("Rang her; her sister is with her and has the pills.")
    coordinator.get_by_role("button", name="Clear the flag").click()
    expect(coordinator.locator(".flag-panel")).to_have_count(0)
    expect(member.locator(".bubble.theirs").last).to_contain_text("In for four, out for six.")
    coordinator.goto(f"{world.url}/console/inbox/flags")
    expect(coordinator.get_by_text("Rang her; her sister is with her")).to_be_visible()
    shot(coordinator, "crisis-cleared")
    assert ana.id


def test_a_picture_is_veiled_until_somebody_looks(context: BrowserContext, working: World, tmp_path: Path) -> None:
    world = working
    add_member("Ana", ANA)
    (tmp_path / "cat.png").write_bytes(png(160))
    member, coordinator = context.new_page(), context.new_page()
    sign_in(coordinator, Role.COORDINATOR)
    world.standin.post("reply-sms", **{"from": ANA, "body": "Could somebody look at this?"})
    phone(member, world, ANA)
    member.get_by_label("A picture").set_input_files(str(tmp_path / "cat.png"))
    write(member, "Look what I made today")
    expect(member.locator("img.bubble-picture")).to_be_visible()
    shot(member, "picture-phone")

    coordinator.goto(f"{world.url}/console/inbox/")
    coordinator.locator(".conversation").first.click()
    summary = coordinator.locator(".picture summary")
    expect(summary).to_contain_text("Show the picture")
    picture = coordinator.locator(".picture img")
    expect(picture).to_have_css("filter", re.compile("blur"))
    shot(coordinator, "picture-veiled")
    summary.focus()
    coordinator.keyboard.press("Enter")
    expect(picture).to_have_css("filter", "none")
    assert picture.evaluate("img => img.complete && img.naturalWidth") == 160
    shot(coordinator, "picture-shown")
    coordinator.set_viewport_size({"width": 360, "height": 740})
    shot(coordinator, "picture-narrow")
    assert coordinator.evaluate("document.documentElement.scrollWidth") <= 360
