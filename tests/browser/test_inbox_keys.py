"""The inbox by keyboard and at every width: j k r n a s e / ?, never while typing, and not for those who want none."""

from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service import clock, db
from service.actions.conversations import promises, tags
from service.models.conversations import Conversation
from service.models.inbox import Promise
from service.models.staff import Coordinator
from tests.browser.conftest import shot
from tests.browser.test_crisis import sign_in
from tests.flows.world import World, add_member
from tests.web import desk

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]
PEOPLE = {"Ana": "+12025550123", "Ben": "+12025550145", "Cleo": "+12025550167"}


def three_wait() -> None:
    for hours, (name, phone) in enumerate(PEOPLE.items()):
        with clock.frozen_at(clock.now() - timedelta(hours=5 - hours)):
            add_member(name, phone)
            desk.text(phone, f"{name} here. Could somebody ring me about the library?")


def opened(page: Page, name: str) -> None:
    expect(page.locator("#conversation-name")).to_have_text(name)


def test_every_key_does_its_work_and_none_while_typing(context: BrowserContext, world: World) -> None:
    three_wait()
    page = context.new_page()
    sign_in(page)
    page.goto(f"{world.url}/console/inbox/")
    page.locator(".conversation").first.click()
    opened(page, "Ana")
    page.keyboard.press("j")
    opened(page, "Ben")
    page.keyboard.press("j")
    opened(page, "Cleo")
    page.keyboard.press("k")
    opened(page, "Ben")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts-dialog")).to_be_visible()
    listed = page.locator("#shortcuts-list kbd").all_inner_texts()
    assert set("jkrnase/") <= set(listed)
    shot(page, "inbox-shortcuts")
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts-dialog")).not_to_be_visible()

    page.keyboard.press("r")
    answer = page.get_by_label("Your answer to Ben")
    expect(answer).to_be_focused()
    page.keyboard.type("jokes are resnankable?/")
    expect(answer).to_have_value("jokes are resnankable?/")
    opened(page, "Ben")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.get_by_label("Note", exact=True)).to_be_focused()
    page.keyboard.type("seen")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    expect(page.get_by_role("button", name="Until they write")).to_be_visible()
    shot(page, "inbox-snooze")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_text("It is yours.")).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_text("Resolved.", exact=True)).to_be_visible()


def test_whoever_wants_no_shortcuts_has_none(context: BrowserContext, world: World) -> None:
    three_wait()
    page = context.new_page()
    sign_in(page)
    page.goto(f"{world.url}/console/you")
    page.get_by_role("checkbox", name="Keyboard shortcuts").uncheck()
    page.get_by_role("button", name="Save").first.click()
    page.goto(f"{world.url}/console/inbox/")
    page.locator(".conversation").first.click()
    opened(page, "Ana")
    for key in "jrs?/e":
        page.keyboard.press(key)
    opened(page, "Ana")
    expect(page.locator("#shortcuts-dialog")).not_to_be_visible()
    expect(page.get_by_label("Your answer to Ana")).not_to_be_focused()


def test_tags_search_and_promises_look_right(context: BrowserContext, world: World) -> None:
    three_wait()
    page = context.new_page()
    sign_in(page)
    with db.reading() as session:
        maya = session.query(Coordinator).one()
        first = session.query(Conversation).order_by(Conversation.waiting_since).first()
    assert first is not None
    for tag in ("housing", "rings back", "met on Tuesday"):
        tags.add(first.id, maya, tag)
    page.goto(f"{world.url}/console/inbox/{first.id}")
    page.get_by_label("Your answer to Ana").fill("I'll ring you on Friday, and I'll bring the book.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Keep it as a promise?")).to_be_visible()
    shot(page, "promise-offered")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("It comes back on top of the inbox that day.")).to_be_visible()
    with db.transaction() as session:  # its day has come
        session.query(Promise).one().due_at = clock.now() - timedelta(hours=1)
        session.query(Promise).one().due_on = promises.today(maya)
        session.query(Conversation).filter_by(id=first.id).one().promise_at = clock.now() - timedelta(hours=1)
    promises.raise_due()
    page.goto(f"{world.url}/console/inbox/")
    shot(page, "promise-due")
    page.locator(".conversation").first.click()
    opened(page, "Ana")
    page.set_viewport_size({"width": 360, "height": 740})
    shot(page, "promise-narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    shot(page, "promise-dark")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{world.url}/console/today/")
    expect(page.get_by_text("Promised for today")).to_be_visible()
    shot(page, "promise-today")
    page.goto(f"{world.url}/console/inbox/?q=library")
    expect(page.locator("mark")).to_have_count(3)
    shot(page, "search")
