"""The whole story in a real browser: join, confirm on the phone, a hope story, ME TOO, the inbox, STOP, left out."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service import clock, db
from service.actions import staff
from service.models.content import Story, StoryState
from service.models.staff import Role
from tests.browser.conftest import shot
from tests.flows.world import World, add_circle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]
PASSWORD = "a long walk by the river"
STORY = "I used to sit in the car and not go in. Somebody waved from the door. That wave still helps me."


def a_story() -> None:
    now = clock.now()
    with db.transaction() as session:
        session.add(
            Story(
                id=db.uuid7(), title="The wave from the door", about="anxiety", body_sms=STORY,
                body_email=f"{STORY}\n\nIt got **lighter**, not at once.", state=StoryState.PUBLISHED,
                created_at=now, updated_at=now, published_at=now,
            )
        )  # fmt: skip


def join(page: Page, world: World) -> None:
    page.goto(f"{world.url}/join")
    page.get_by_label("What should we call you?").fill("Ana")
    page.get_by_label("Mobile number").fill("(202) 555-0123")
    page.get_by_label("Email address").fill("ana@members.example")
    page.get_by_role("button", name="Join us").click()
    expect(page.get_by_text("Something needs your attention")).to_be_visible()
    expect(page.get_by_label("What should we call you?")).to_have_value("Ana")  # nothing typed is lost
    shot(page, "join")
    page.get_by_label("I am 18 or over").check()
    page.get_by_label("I agree to the following").check()
    page.get_by_role("button", name="Join us").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("thank|almost", re.IGNORECASE))


def on_the_phone(page: Page, world: World) -> None:
    page.goto(world.standin.url)
    page.get_by_role("link", name=re.compile("202-555-0123")).click()


def write(page: Page, words: str) -> None:
    page.get_by_label("Write a text as this member").fill(words)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".bubble.mine").last).to_contain_text(words)


def sign_in(page: Page, world: World) -> None:
    page.goto(staff.add_coordinator("maya@hearthline.example", Role.COORDINATOR, "Maya Ortiz"))
    page.get_by_label("New password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page.get_by_role("link", name="Campaigns").first).to_be_visible()


def send_the_story(page: Page, world: World) -> None:
    page.goto(f"{world.url}/console/campaigns/")
    page.get_by_role("link", name=re.compile("^New")).first.click()
    page.get_by_role("button", name=re.compile("Hope story")).click()
    page.get_by_label(re.compile("story", re.IGNORECASE)).and_(page.locator("select")).first.select_option(index=1)
    expect(page.locator("#live")).to_contain_text("1 ")
    shot(page, "compose")
    page.get_by_role("button", name="Review and send").click()
    expect(page.get_by_role("heading", name="Before it leaves")).to_be_visible()
    shot(page, "review")
    page.get_by_role("button", name=re.compile("^Send to")).click()


def test_from_joining_to_being_left_in_peace(context: BrowserContext, working: World) -> None:
    world = working
    add_circle()
    a_story()
    member, coordinator = context.new_page(), context.new_page()

    join(member, world)
    on_the_phone(member, world)
    expect(member.locator(".bubble.theirs")).to_contain_text("reply YES")
    write(member, "YES")
    expect(member.locator(".bubble.theirs")).to_have_count(2)
    shot(member, "phone-confirmed")

    sign_in(coordinator, world)
    send_the_story(coordinator, world)
    expect(member.locator(".bubble.theirs").last).to_contain_text("Somebody waved from the door")
    expect(coordinator.get_by_text(re.compile("arrived", re.IGNORECASE)).first).to_be_visible()
    shot(coordinator, "campaign")

    write(member, "ME TOO")
    expect(member.locator(".bubble.theirs").last).to_contain_text("You said ME TOO")
    write(member, "I have sat in that car. Thank whoever wrote it.")
    expect(member.locator(".bubble.theirs").last).to_contain_text("A person here will read this")

    coordinator.goto(f"{world.url}/console/inbox/")
    coordinator.get_by_role("link", name=re.compile("Ana")).first.click()
    expect(coordinator.get_by_text("I have sat in that car. Thank whoever wrote it.").first).to_be_visible()
    expect(coordinator.get_by_text("ME TOO", exact=True).first).to_be_visible()
    shot(coordinator, "inbox")
    coordinator.get_by_label("Your answer to Ana").fill("Thank you, Ana. They will be glad to hear it.")
    coordinator.get_by_role("button", name="Send", exact=True).click()
    expect(member.locator(".bubble.theirs").last).to_contain_text("They will be glad to hear it.")

    write(member, "please stop texting me")
    expect(member.locator(".bubble.theirs").last).to_contain_text("START")
    shot(member, "phone-stopped")
    coordinator.goto(f"{world.url}/console/campaigns/")
    coordinator.get_by_role("link", name=re.compile("^New")).first.click()
    coordinator.get_by_role("button", name=re.compile("Check-in")).click()
    coordinator.get_by_role("button", name="Review and send").click()
    expect(coordinator.get_by_text("Nobody gets it as things stand", exact=False).first).to_be_visible()
    shot(coordinator, "nobody-left")


def test_the_story_is_in_the_mailbox_and_one_click_leaves(context: BrowserContext, working: World) -> None:
    world = working
    a_story()
    member, coordinator = context.new_page(), context.new_page()
    member.goto(f"{world.url}/join")
    member.get_by_label("What should we call you?").fill("Ben")
    member.get_by_label("Email address").fill("ben@members.example")
    member.get_by_label("I am 18 or over").check()
    member.get_by_label("I agree to the following").check()
    member.get_by_role("button", name="Join us").click()
    member.goto(world.standin.url)
    member.get_by_role("link", name="ben@members.example").click()
    member.locator("#mails").get_by_role("link", name=re.compile("Please confirm")).click()
    link = member.frame_locator("iframe").get_by_role("link", name=re.compile("Yes, I'd like"))
    with context.expect_page() as opened:
        link.press("Enter")  # on a busy machine a mouse may still miss a frame that has just been drawn
    opened.value.locator("main button[type=submit]").first.click()
    expect(opened.value.get_by_role("heading", level=1)).to_be_visible()

    sign_in(coordinator, world)
    send_the_story(coordinator, world)
    member.goto(world.standin.url)
    member.get_by_role("link", name="ben@members.example").click()
    member.locator("#mails").get_by_role("link", name=re.compile("story", re.IGNORECASE)).first.click()
    frame = member.frame_locator("iframe")
    expect(frame.get_by_text("Somebody waved from the door")).to_be_visible()
    expect(frame.locator("strong, b").filter(has_text="lighter")).to_be_visible()
    shot(member, "mailbox-story")
    member.get_by_role("button", name="One-click unsubscribe").click()
    expect(member.get_by_text("Unsubscribed with one click")).to_be_visible()
    coordinator.goto(f"{world.url}/console/campaigns/")
    coordinator.get_by_role("link", name=re.compile("^New")).first.click()
    coordinator.get_by_role("button", name=re.compile("Hope story")).click()
    expect(coordinator.locator("#live")).to_contain_text("0 people")
