"""The desk by mouse and by keyboard: approve with an edit, ask, decline kindly, a second reader, never while typing."""

from datetime import timedelta
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service import clock, db
from service.actions import staff
from service.models.giving import Gift, GiftState, Giving
from service.models.members import ChannelName
from service.models.staff import Role
from tests.browser.conftest import shot
from tests.browser.test_crisis import sign_in
from tests.flows import circles
from tests.flows.world import World, add_member
from tests.web import desk
from tests.web.pages import PASSWORD

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]
PHONES = {"Ana": "+12025550123", "Ben": "+12025550145", "Cleo": "+12025550167", "Dora": "+12025550189"}
WORDS = {
    "Ana": "Years ago I stood on the bridge and thought of suicide. Today I told my sister how I am.",
    "Ben": "I opened the letters that lay there since May. My friend Marcus sat with me, his number is 202-555-0199.",
    "Cleo": "I'd rather not talk about that today. Can we stay with the garden?",
    "Dora": "I went to the bakery by myself",
}
KINDS = {"Ana": Giving.STEP, "Ben": Giving.STEP, "Cleo": Giving.SAID, "Dora": Giving.STEP}


def four_wait() -> dict[str, UUID]:
    kitchen, steady, _ = circles.three_circles()
    made = {}
    for hours, (name, phone) in enumerate(PHONES.items()):
        member = add_member(name, phone)
        circle = steady if name == "Cleo" else kitchen
        circles.put_in(circle, member)
        with db.transaction() as session:
            gift = Gift(
                id=db.uuid7(), kind=KINDS[name], member_id=member.id, circle_id=circle.id, channel=ChannelName.SMS,
                original=WORDS[name], body=WORDS[name], mentions_self_harm=name == "Ana", named=name == "Dora",
                passed_at=clock.now() - timedelta(hours=9 - hours),
            )  # fmt: skip
            session.add(gift)
        made[name] = gift.id
    return made


def state(id_: UUID) -> GiftState:
    with db.reading() as session:
        return session.get_one(Gift, id_).state


def shows(page: Page, name: str) -> None:
    expect(page.locator("#body")).to_have_value(WORDS[name])
    page.wait_for_load_state()  # the words stand there before the script does that listens to keys


def test_the_desk_is_worked_by_keyboard_and_nothing_happens_while_typing(context: BrowserContext, world: World) -> None:
    ids = four_wait()
    page = context.new_page()
    sign_in(page)
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.get_by_role("heading", name="Desk", level=1)).to_be_visible()
    shot(page, "desk-queue")
    page.keyboard.press("j")
    shows(page, "Ana")
    page.keyboard.press("j")
    shows(page, "Ben")
    page.keyboard.press("k")
    shows(page, "Ana")
    page.keyboard.press("?")
    listed = page.locator("#shortcuts-list kbd").all_inner_texts()
    assert set("jaeqd") <= set(listed)
    page.keyboard.press("Escape")

    page.keyboard.press("a")  # the first of two yeses, once everything that is marked was looked at
    expect(page.get_by_text("Look at each marked place first")).to_be_visible()
    page.get_by_label("I have looked at each marked place").check()
    shot(page, "desk-self-harm")
    page.keyboard.press("a")
    expect(page.get_by_text("a second person reads it now")).to_be_visible()
    shows(page, "Ben")
    assert state(ids["Ana"]) == GiftState.REVIEW

    page.keyboard.press("e")
    expect(page.locator("#body")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("I opened the letters that lay there since May. A friend sat with me, aqd?jk.")
    expect(page.locator("#look ins").first).to_contain_text("A")
    expect(page.locator("#look")).to_contain_text("76 of 300 letters, 1 segment")
    expect(page.get_by_label("I have looked at each marked place")).to_have_count(0)
    shot(page, "desk-edited")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_text("Approved.", exact=True)).to_be_visible()
    assert state(ids["Ben"]) == GiftState.APPROVED

    shows(page, "Cleo")
    page.keyboard.press("q")
    question = page.get_by_label("Your question")
    expect(question).to_be_focused()
    page.keyboard.type("May your circle read this, just as it is?")
    shot(page, "desk-ask")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_text("Their answer comes into the inbox")).to_be_visible()
    assert state(ids["Cleo"]) == GiftState.ASKED

    shows(page, "Dora")
    page.keyboard.press("d")
    expect(page.get_by_label("Thank you for your step. Somebody here has read it")).to_be_focused()
    page.keyboard.press("ArrowDown")
    shot(page, "desk-decline")
    page.get_by_role("button", name="Decline it").click()
    expect(page.get_by_text("It goes to nobody.")).to_be_visible()
    assert state(ids["Dora"]) == GiftState.DECLINED

    desk.text(PHONES["Cleo"], "Yes, and thank you for asking")
    page.goto(f"{world.url}/console/desk/{ids['Cleo']}")
    page.get_by_text("Take these words into the text").click()
    expect(page.locator("#body")).to_have_value("Yes, and thank you for asking")
    shot(page, "desk-answered")
    page.goto(f"{world.url}/console/today/")
    expect(page.get_by_text("thing waits at the desk")).to_be_visible()
    for name, size in (("desk-narrow", (360, 740)), ("desk-wide", (1280, 900))):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(f"{world.url}/console/desk/{ids['Ana']}")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
        shot(page, f"{name}-dark")
    _by_a_second_person(context, world, ids["Ana"])


def _by_a_second_person(context: BrowserContext, world: World, id_: UUID) -> None:
    link = staff.add_coordinator("noor@example.org", Role.COORDINATOR, "Noor Haddad")
    context.clear_cookies()
    page = context.new_page()
    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page.get_by_role("link", name="Inbox").first).to_be_visible()
    page.goto(f"{world.url}/console/desk/{id_}")
    expect(page.get_by_text("Yours is the second")).to_be_visible()
    page.get_by_label("I have looked at each marked place").check()
    shot(page, "desk-second-reader")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved.", exact=True)).to_be_visible()
    assert state(id_) == GiftState.APPROVED
