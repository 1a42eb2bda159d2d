"""Whole stories of coming in, being left in peace, and going, over the wire of the stand-in providers."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import requests

from service import db
from service.actions import contacts
from service.models.campaigns import CampaignKind
from service.models.members import ChannelName, Member, MemberState, SubscriptionState, Topic
from tests.flows.world import EMAIL, SMS, World, send

PHONE, BOX = "+12025550190", "ines@example.org"


class Browser:
    """Somebody's browser: keeps its cookie, sends forms with their token and hidden fields."""

    def __init__(self, world: World) -> None:
        self.base = world.url
        self.session = requests.Session()

    def get(self, path: str) -> str:
        """The page at a path of the service, or at a full address of it."""
        page = self.session.get(self.base + urlsplit(path).path)
        page.raise_for_status()
        return page.text

    def press(self, path: str, **fields: Any) -> str:
        """Open a page, fill in its first form, press its button; the page that follows."""
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"(?! disabled)', self.get(path))
        names = {name for name, _ in hidden}
        data = {name: [unescape(v) for n, v in hidden if n == name] for name in names}
        page = self.session.post(self.base + urlsplit(path).path, data=data | fields)
        page.raise_for_status()
        return unescape(page.text)

    def join(self, **fields: Any) -> str:
        """Send the join page as Inés, with both boxes ticked."""
        filled = {"first_name": "Inés", "country": "US", "language": "en", "adult": "1", "agree": "1"}
        return self.press("/join", **(filled | {"topics": ["stories", "checkins"]} | fields))


def member_of(channel: ChannelName, value: str) -> Member:
    """The member with this address, with everything that the assertions look at."""
    with db.reading() as session:
        (member,) = contacts.find_members(session, channel, value)
        _ = (member.subscriptions, member.addresses)
        return member


def standing(member: Member, channel: ChannelName) -> set[SubscriptionState]:
    """In which states the member's topics on a channel are."""
    return {s.state for s in member.subscriptions if s.channel == channel}


def link(page: str, body: str) -> str:
    """The first link in a mail to a page of this kind."""
    found = re.search(rf"https?://[^\s\"'<>()]*/{page}/[\w.-]+", body)
    assert found, body
    return found[0]


def announce() -> None:
    """Coordinators write to everybody who wants stories."""
    send(CampaignKind.ANNOUNCEMENT, "News for you", "News for you", topic=Topic.STORIES)


def test_from_the_page_to_yes_to_stop(world: World) -> None:
    browser = Browser(world)
    assert "One more step" in browser.join(phone="(202) 555-0190", email=BOX)
    announce()  # nobody is written to before they have confirmed
    world.work()
    (question,) = world.phone(PHONE)
    assert "reply YES" in question
    assert "Msg & data rates may apply" in question

    world.text(PHONE, "Yes")
    assert world.phone(PHONE)[-1].startswith("Welcome, Inés")
    assert member_of(SMS, PHONE).state == MemberState.ACTIVE

    (mail,) = world.mailbox(BOX)
    page = link("c", mail["text"])
    assert "Shall we begin?" in browser.get(page)  # looking confirms nothing: mail scanners look, too
    assert standing(member_of(SMS, PHONE), EMAIL) == {SubscriptionState.PENDING}
    assert "You're in" in browser.press(page)
    assert standing(member_of(SMS, PHONE), EMAIL) == {SubscriptionState.ACTIVE}
    world.work()
    assert len(world.mailbox(BOX)) == 2  # the question and the welcome

    world.text(PHONE, "STOP")
    gone = member_of(SMS, PHONE)
    assert standing(gone, SMS) == {SubscriptionState.STOPPED}
    texts = world.phone(PHONE)
    announce()
    world.work()
    assert world.phone(PHONE) == texts


def test_the_form_asks_an_address_once_whoever_sends_it(world: World) -> None:
    Browser(world).join(phone=PHONE, email=BOX)
    Browser(world).join(phone=PHONE, email=BOX, first_name="Mallory")
    world.work()
    assert len(world.phone(PHONE)) == 1
    assert len(world.mailbox(BOX)) == 1
    assert member_of(SMS, PHONE).first_name == "Inés"


def test_join_by_text(world: World) -> None:
    world.text(PHONE, "JOIN")
    assert "reply ADULT" in world.phone(PHONE)[-1]
    world.text(PHONE, "YES")  # not what was asked: nothing begins
    with db.reading() as session:
        assert contacts.find_members(session, SMS, PHONE) == []
    world.text(PHONE, "Adult")
    assert "reply YES" in world.phone(PHONE)[-1]
    assert member_of(SMS, PHONE).state == MemberState.PENDING
    world.text(PHONE, "YES")
    assert world.phone(PHONE)[-1].startswith("Welcome.")
    assert member_of(SMS, PHONE).state == MemberState.ACTIVE
    world.text(PHONE, "STOP")
    assert member_of(SMS, PHONE).state == MemberState.LEFT
    world.text(PHONE, "START")
    assert member_of(SMS, PHONE).state == MemberState.ACTIVE


def test_one_click_in_the_mail_program(world: World) -> None:
    browser = Browser(world)
    browser.join(email=BOX)
    world.work()
    browser.press(link("c", world.mailbox(BOX)[0]["text"]))
    announce()
    world.work()
    mail = world.mailbox(BOX)[-1]
    assert "News for you" in mail["text"]
    address = re.search(r"<(https?://[^>]+)>", dict(mail["headers"])["List-Unsubscribe"])
    assert address
    assert "One tap" in requests.get(address[1], timeout=10).text  # a mail scanner opens the link
    assert SubscriptionState.ACTIVE in standing(member_of(EMAIL, BOX), EMAIL)
    answer = requests.post(address[1], data={"List-Unsubscribe": "One-Click"}, allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.cookies.get_dict()) == (200, {})
    with db.reading() as session:
        (member,) = contacts.find_members(session, EMAIL, BOX)
        stories = [s for s in member.subscriptions if s.topic == Topic.STORIES]
        assert [s.state for s in stories] == [SubscriptionState.STOPPED]
    mails = len(world.mailbox(BOX))
    announce()
    world.work()
    assert len(world.mailbox(BOX)) == mails
