"""The page: what a stranger sees, what the buttons do, and who is kept out."""

import re
from pathlib import Path

import pytest
import requests
from sendgrid import SendGridAPIClient
from twilio.rest import Client

from service.config import Settings
from service.sandbox.post import on_this_machine
from tests.sandbox.standin import OURS, Service, Standin, request_body

ANA = "+12125550123"
BOX = "ana@members.example"


class Browser:
    """A reader without scripts: keeps cookies, sends forms with the token of the page they stand on."""

    def __init__(self, standin: Standin) -> None:
        self.session, self.url = requests.Session(), standin.url

    def get(self, path: str, status: int = 200) -> str:
        answer = self.session.get(self.url + path, timeout=5)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path: str, on: str = "/", status: int = 200, **form: str) -> str:
        token = re.search(r'"X-CSRFToken": "([^"]+)"', self.get(on))
        assert token
        answer = self.session.post(self.url + path, data=form | {"csrf_token": token[1]}, timeout=5)
        assert answer.status_code == status, answer.text
        return answer.text


@pytest.fixture
def browser(standin: Standin) -> Browser:
    return Browser(standin)


def test_it_says_what_it_is_and_where_the_service_is(browser: Browser, settings: Settings) -> None:
    page = browser.get("/")
    assert "stand-in for Twilio and SendGrid" in page
    assert "Nothing here leaves this machine" in page
    assert f'href="{settings.base_url}"' in page
    assert "Nobody here yet" in page


def test_a_text_shows_on_its_phone_and_an_answer_goes_out(twilio: Client, service: Service, browser: Browser) -> None:
    twilio.messages.create(to=ANA, from_=OURS, body="How are you? <1 to 5>")
    assert "+1 212-555-0123" in browser.get("/")
    page = browser.get(f"/phone/{ANA}")
    assert "How are you? &lt;1 to 5&gt;" in page
    assert "1 segment, GSM-7" in page
    assert "delivered" in page
    browser.post(f"/phone/{ANA}/text", quick="4")
    assert service.wait("/webhooks/twilio/message")[0].form["Body"] == "4"
    page = browser.post(f"/phone/{ANA}/text", status=422, body="   ")
    assert "Write something first." in page


def test_reading_a_thread_takes_the_mark_away_and_looking_does_not(
    twilio: Client, standin: Standin, browser: Browser
) -> None:
    twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    unread = '<span class="visually-hidden"> unread</span>'
    assert unread in browser.get(f"/phone/{ANA}")
    assert unread in browser.get("/")
    browser.post(f"/phone/{ANA}/read", status=204)
    assert unread not in browser.get("/")


def test_the_list_finds_numbers_addresses_and_unread_ones(
    twilio: Client, sendgrid: SendGridAPIClient, browser: Browser
) -> None:
    twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    twilio.messages.create(to="+447700900123", from_=OURS, body="Hi")
    sendgrid.client.mail.send.post(request_body=request_body(BOX))
    found = {
        "?q=555-0123": {ANA},
        "?q=7700 900": {"+447700900123"},
        "?q=MEMBERS.ex": {BOX},
        "?q=Name 0": {BOX},
        "?show=phone": {ANA, "+447700900123"},
        "?show=mailbox": {BOX},
        "?show=unread": {ANA, "+447700900123", BOX},
        "?q=nobody": set(),
    }
    for query, expected in found.items():
        page = browser.get(f"/fragments/contacts{query}")
        assert {a for a in (ANA, "+447700900123", BOX) if f'/{a}"' in page} == expected, query


def test_an_unchanged_fragment_is_204(twilio: Client, browser: Browser) -> None:
    twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    version = re.search(r'data-version="(\w+)"', browser.get(f"/fragments/thread/{ANA}"))
    assert version
    browser.get(f"/fragments/thread/{ANA}?v={version[1]}", status=204)
    twilio.messages.create(to=ANA, from_=OURS, body="Another")
    assert "Another" in browser.get(f"/fragments/thread/{ANA}?v={version[1]}")


def test_a_mail_as_html_text_and_headers(sendgrid: SendGridAPIClient, standin: Standin, browser: Browser) -> None:
    sendgrid.client.mail.send.post(request_body=request_body(BOX))
    mail_id = standin.mails(BOX)[0]["id"]
    assert "A story for N0" in browser.get(f"/mailbox/{BOX}")
    page = browser.get(f"/mail/{mail_id}")
    assert f'src="/mail/{mail_id}/html"' in page
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "Hello N0, one line." in browser.get(f"/mail/{mail_id}?view=text")
    assert "List-Unsubscribe-Post" in browser.get(f"/mail/{mail_id}?view=headers")
    frame = requests.get(f"{standin.url}/mail/{mail_id}/html", timeout=5)
    assert "<p>Hello <b>N0</b></p>" in frame.text
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "allow-scripts" not in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


def test_the_buttons_of_a_mail(
    sendgrid: SendGridAPIClient, service: Service, standin: Standin, browser: Browser
) -> None:
    body = request_body(BOX)
    body["personalizations"][0]["headers"]["List-Unsubscribe"] = f"<{service.url}/u/1>"
    sendgrid.client.mail.send.post(request_body=body)
    mail_id = standin.mails(BOX)[0]["id"]
    assert "Unsubscribed with one click" in browser.post(f"/mail/{mail_id}/one-click")
    assert service.to("/u/1")[0].body == b"List-Unsubscribe=One-Click"
    assert "Reported as spam" in browser.post(f"/mail/{mail_id}/spam")
    assert "spam reports" in browser.get(f"/mailbox/{BOX}")
    assert "spam reports" not in browser.post("/mailbox/forgive", address=BOX)
    page = browser.post(f"/mail/{mail_id}/reply", status=422, text=" ")
    assert "Write something first." in page
    browser.post(f"/mail/{mail_id}/reply", text="Thank you", quote="on")
    (inbound,) = service.wait("/webhooks/sendgrid/inbound")
    assert inbound.parts["text"][1].startswith(b"Thank you\n\nOn ")


def test_a_mail_without_one_click_says_so(sendgrid: SendGridAPIClient, standin: Standin, browser: Browser) -> None:
    body = request_body(BOX)
    del body["personalizations"][0]["headers"]["List-Unsubscribe-Post"]
    sendgrid.client.mail.send.post(request_body=body)
    mail_id = standin.mails(BOX)[0]["id"]
    assert "no one-click unsubscribe" in browser.get(f"/mail/{mail_id}")
    assert "no one-click unsubscribe" in browser.post(f"/mail/{mail_id}/one-click", status=409)


def test_somebody_new_writes(service: Service, browser: Browser) -> None:
    page = browser.post("/new/phone", status=422, phone="555", body="JOIN")
    assert "with + and country code" in page
    assert ">JOIN</textarea>" in page  # nothing typed is lost
    browser.post("/new/phone", phone="+44 7700 900 123", body="JOIN")
    assert service.wait("/webhooks/twilio/message")[0].form["From"] == "+447700900123"
    page = browser.post(
        "/new/mailbox", status=422, address="zoe", to="hello@reply.circle.example", subject="Hi", text="x"
    )
    assert 'value="zoe"' in page
    browser.post("/new/mailbox", address="zoe@new.example", to="hello@reply.circle.example", subject="Hi", text="x")
    assert service.wait("/webhooks/sendgrid/inbound")[0].parts["subject"][1] == b"Hi"


def test_trouble_begins_and_ends_on_the_page(twilio: Client, standin: Standin, browser: Browser) -> None:
    page = browser.post("/trouble", status=422, channel="sms", kind="undelivered", times="lots", code="30005")
    assert "Give a whole number" in page
    assert 'value="30005"' in page
    page = browser.post("/trouble", channel="sms", kind="undelivered", times="2", code="30005")
    assert "Waiting to happen" in page
    twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    assert "never arrived: undelivered, 30005" in browser.get(f"/phone/{ANA}")
    (left,) = standin.get("provoke")["provocations"]
    assert left["remaining"] == 1
    assert "Waiting to happen" not in browser.post("/trouble/end", n=str(left["n"]))
    assert "Give a number" in browser.post("/switches", status=422, repeats="many")
    page = browser.post("/switches", opt_out="1", repeats="50", disorder="0", pace="0")
    assert 'name="opt_out" checked' in page
    assert "Nobody here yet" in browser.post("/reset")


def test_every_post_needs_the_token_of_the_page(standin: Standin, twilio: Client) -> None:
    twilio.messages.create(to=ANA, from_=OURS, body="Hi")
    for path in (f"/phone/{ANA}/text", "/new/phone", "/trouble", "/reset", "/switches", "/mailbox/forgive"):
        answer = requests.post(standin.url + path, data={"body": "x", "quick": "1"}, timeout=5)
        assert answer.status_code == 400, path
    assert len(standin.texts(ANA)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.example"},
    ],
)
def test_the_control_api_is_for_this_machine_only(standin: Standin, headers: dict[str, str]) -> None:
    assert requests.post(f"{standin.url}/sandbox/api/reset", json={}, headers=headers, timeout=5).status_code == 403
    plain = requests.post(f"{standin.url}/sandbox/api/reset", data="{}", timeout=5)  # as a form of another site would
    assert plain.status_code == 400


def test_another_machine_sees_neither_page_nor_control_but_the_vendors_apis(standin: Standin) -> None:
    client = standin.app.test_client()
    from_afar = {"REMOTE_ADDR": "192.0.2.9"}
    for path in ("/", "/trouble", "/sandbox/api/counts", "/static/sandbox.css"):
        assert client.get(path, environ_overrides=from_afar).status_code == 403, path
    assert client.get("/v3/scopes", environ_overrides=from_afar).status_code == 401


def test_headers_forbid_inline_code_and_no_template_has_any(standin: Standin, browser: Browser) -> None:
    policy = requests.get(standin.url, timeout=5).headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    templates = Path(standin.app.jinja_loader.searchpath[0])  # type: ignore[union-attr]
    for template in templates.glob("*.html"):
        words = template.read_text()
        assert not re.search(r'\sstyle="|<style|\son[a-z]+="|javascript:|<script(?![^>]*\ssrc=)', words), template.name
        assert not re.search(r'(src|href)="https?://', words), template.name
    page = browser.get("/")
    for name in re.findall(r'(?:src|href)="(/(?:static|vendor)/[^"]+)"', page):
        browser.get(name)


def test_errors_are_plain_words_in_the_language_of_the_asker(standin: Standin, browser: Browser) -> None:
    assert "There is nothing at this address." in browser.get("/nothing", status=404)
    assert "There is nothing at this address." in browser.get("/phone/+19995550000", status=404)
    standin.app.extensions["sandbox"].connection.execute("ALTER TABLE contact RENAME TO gone")
    page = browser.get("/nothing-here", status=404)
    broken = standin.app.test_client().get("/")
    assert broken.status_code == 500
    assert "Something went wrong" in broken.text
    assert "Traceback" not in broken.text + page
    api = standin.app.test_client().get("/sandbox/api/nothing")
    assert api.json == {"error": {"code": "404", "message": "There is nothing at this address."}}
    vendor = standin.app.test_client().get("/v3/nothing", headers={"Authorization": "Bearer SG.tests"})
    assert vendor.json["errors"][0]["field"] is None


def test_posts_go_to_this_machine_or_nowhere(settings: Settings) -> None:
    assert on_this_machine(settings, "http://127.0.0.1:9/x?a=1#rc=5") == "http://127.0.0.1:9/x?a=1"
    assert on_this_machine(settings, "http://localhost:9/x") == "http://localhost:9/x"
    assert on_this_machine(settings, "http://[::1]:9/x") == "http://[::1]:9/x"
    public = settings.model_copy(update={"public_url": "https://hearth.example", "port": 8765})
    public.__dict__.pop("base_url", None)
    assert on_this_machine(public, "https://hearth.example/hook?d=1") == "http://127.0.0.1:8765/hook?d=1"
    for elsewhere in (
        "https://hearth.example:444/hook",
        "http://hearth.example/hook",
        "https://other.example/hook",
        "https://hearth.example@other.example/hook",
        "http://127.0.0.1.other.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://10.0.0.1/",
        "//127.0.0.1/x",
        "http://[bad/",
    ):
        assert on_this_machine(public, elsewhere) is None, elsewhere
