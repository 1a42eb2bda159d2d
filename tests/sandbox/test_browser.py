"""The page in a real browser: live, by keyboard, at 360 px, light and dark, and clean under axe."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sendgrid import SendGridAPIClient
from twilio.rest import Client

from tests.sandbox.standin import OURS, Service, Standin, request_body

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ANA = "+12125550123"
BOX = "ana@members.example"


@pytest.fixture
def page(chromium: Browser, standin: Standin) -> Iterator[Page]:
    """A page on which a script error or a broken policy fails the test.

    It is closed before the stand-in that it looks at: it goes on asking for news.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    # A script in a mail is stopped by the frame that shows it: that complaint is the proof.
    assert [words for words in complaints if not words.startswith("Blocked script execution")] == []


def test_texts_appear_by_themselves_and_an_answer_goes_out(
    page: Page, twilio: Client, service: Service, standin: Standin
) -> None:
    page.goto(standin.url)
    expect(page.get_by_text("Nobody here yet")).to_be_visible()
    twilio.messages.create(to=ANA, from_=OURS, body="How are you today, 1 to 5?")
    phone = page.get_by_role("link", name="+1 212-555-0123")
    expect(phone).to_contain_text("1 unread")
    phone.click()
    expect(page.get_by_text("How are you today, 1 to 5?", exact=True).last).to_be_visible()
    expect(page.get_by_role("link", name="+1 212-555-0123")).not_to_contain_text("unread")

    writing = page.get_by_label("Write a text as this member")
    writing.fill("A draft")
    page.get_by_role("button", name="4", exact=True).click()
    expect(page.locator(".bubble.mine")).to_contain_text("received by Hearthline")
    assert service.wait("/webhooks/twilio/message")[0].form["Body"] == "4"

    expect(writing).to_have_value("A draft")
    writing.fill("")
    page.keyboard.type("Better than yesterday")  # the box has the focus, Enter sends
    page.keyboard.press("Enter")
    expect(page.locator(".bubble.mine")).to_have_count(2)
    expect(writing).to_have_value("")
    twilio.messages.create(to=ANA, from_=OURS, body="Thank you for telling us.")
    expect(page.locator(".bubble.theirs").last).to_contain_text("Thank you for telling us.")
    expect(page.locator("#news")).to_have_text("A new text")


def test_a_mail_is_read_answered_and_left_with_one_click(
    page: Page, sendgrid: SendGridAPIClient, service: Service, standin: Standin
) -> None:
    body = request_body(BOX)
    body["personalizations"][0]["headers"]["List-Unsubscribe"] = f"<{service.url}/u/-token->"
    body["content"][1]["value"] = '<p>Hello <b>-name-</b></p><script>document.title = "run"</script>'
    sendgrid.client.mail.send.post(request_body=body)
    page.goto(standin.url)
    page.get_by_role("link", name=BOX).click()
    page.locator("#mails").get_by_role("link", name="A story for N0").click()
    expect(page.frame_locator("iframe").get_by_text("Hello N0")).to_be_visible()
    page.get_by_role("link", name="Headers", exact=True).click()
    expect(page.get_by_text("List-Unsubscribe=One-Click")).to_be_visible()
    page.get_by_role("button", name="One-click unsubscribe").click()
    expect(page.get_by_text("Unsubscribed with one click")).to_be_visible()
    assert service.to("/u/tok0")[0].body == b"List-Unsubscribe=One-Click"
    page.get_by_label("Answer to").fill("Me too")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#mails").get_by_text("Re: A story for N0")).to_be_visible()
    assert service.wait("/webhooks/sendgrid/inbound")[0].signed


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_is_clean_under_axe_and_fits(
    chromium: Browser,
    twilio: Client,
    sendgrid: SendGridAPIClient,
    standin: Standin,
    width: int,
    scheme: str,
) -> None:
    standin.provoke("undelivered", "sms", code=30005)
    for words in ("This one does not arrive", "A story " * 40):
        twilio.messages.create(to=ANA, from_=OURS, body=words)
    standin.provoke("bounce", "email")
    for address in ("bounced@members.example", "a.very.long.address.that.has.no.room@some-organisation.example", BOX):
        sendgrid.client.mail.send.post(request_body=request_body(address))
    standin.provoke("429", "sms", times=3)
    standin.post("switches", opt_out=1)
    standin.post("reply-sms", **{"from": ANA, "body": "STOP"})
    mail_id = standin.mails(BOX)[0]["id"]
    context = chromium.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    views = [f"/mail/{mail_id}{view}" for view in ("", "?view=text", "?view=headers")]
    for path in [
        "/",
        f"/phone/{ANA}",
        f"/mailbox/{BOX}",
        "/mailbox/bounced@members.example",
        "/new",
        "/trouble",
        *views,
    ]:
        page.goto(standin.url + path)
        if page.locator("details").count():
            page.locator("summary").last.click()
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in found] == [], f"{path} at {width} px, {scheme}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} does not fit {width} px"
    context.close()
