"""The members' pages: they speak two languages, lose nothing, and change nothing by being looked at."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from babel.messages.extract import extract_python
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, config, db
from service.actions import consent, crisis, held, member_links
from service.actions.consent_wording import VERSION, by_key, wording
from service.errors import Invalid
from service.models.content import Story, StoryState
from service.models.gatherings import Circle, GroupSession, Invitation, Openness, Rsvp
from service.models.members import ChannelName, Member, MemberState, SubscriptionState, Topic
from service.web import languages
from tests.actions.joining import EMAIL, MAIL, PHONE, SMS, asks_to_join, found, joined, on
from tests.actions.test_members import code_from
from tests.web.pages import path_of, submit

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

FILLED = {
    "first_name": "Ana", "phone": "202-555-0123", "email": EMAIL, "country": "US", "language": "en",
    "topics": ["stories", "tools"], "adult": "1", "agree": "1",
    "wording": [f"{VERSION}/sms.US.en", f"{VERSION}/email.any.en"],
}  # fmt: skip


def text_of(page: str) -> str:
    """What a person reads on a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("path", ["/", "/join", "/join/thanks?by=sms,email", "/circles", "/privacy", "/terms"])
def test_open_pages_in_both_languages(client: FlaskClient, path: str) -> None:
    english = client.get(path)
    spanish = client.get(path, headers={"Accept-Language": "es"})
    assert (english.status_code, spanish.status_code) == (200, 200)
    assert "not an emergency service" in text_of(english.text)
    assert "no es un servicio de emergencias" in text_of(spanish.text)
    assert "988" not in english.text  # nobody knows in which country a stranger is
    for page in (english.text, spanish.text):
        assert "<script>" not in page
        assert " style=" not in page


def test_every_sentence_of_the_code_has_its_spanish(client: FlaskClient) -> None:
    spanish = languages.read_catalogue("es")
    for path in Path(languages.__file__).parent.glob("public*.py"):
        with path.open("rb") as file:
            said = [m for _, _, m, _ in extract_python(file, ("_", "gettext"), [], {})]
        assert [m for m in said if m and m not in spanish] == [], path.name


def test_joining_by_page(client: FlaskClient) -> None:
    answer = submit(client, "/join", FILLED)
    assert (answer.status_code, answer.location) == (302, "/join/thanks?by=sms,email")
    again = submit(client, "/join", FILLED | {"first_name": "Mallory"})
    assert (again.status_code, again.location) == (302, "/join/thanks?by=sms,email")
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert (member.first_name, member.state, member.time_zone) == ("Ana", MemberState.PENDING, "America/New_York")
        assert {s.topic for s in member.subscriptions} == {Topic.STORIES, Topic.TOOLS}


def test_nothing_typed_is_lost_and_the_error_stands_beside_its_field(client: FlaskClient) -> None:
    answer = submit(client, "/join", FILLED | {"phone": "12", "discreet": "1", "time_zone": "Europe/Madrid"})
    assert answer.status_code == 422
    page = answer.text
    assert re.search(r'id="phone"[^>]*value="12"[^>]*aria-describedby="phone-error[^>]*aria-invalid="true"', page)
    assert "Type it with the country code" in page
    assert 'value="Ana"' in page
    assert f'value="{EMAIL}"' in page
    assert re.search(r'value="Europe/Madrid" selected', page)
    assert re.search(r'name="discreet"[^>]* checked', page)
    assert not re.search(r'value="checkins" checked', page)
    spanish = submit(client, "/join?lang=es", FILLED | {"phone": "12"}, to="/join")
    assert "No podemos leer este número" in spanish.text
    client.get("/join?lang=en")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_number_of_another_country_is_shown_its_own_words(client: FlaskClient) -> None:
    answer = submit(client, "/join", FILLED | {"phone": "+447700900123"})
    assert answer.status_code == 422
    assert "different for this country" in answer.text
    shown = re.findall(r'name="wording" value="([^"]+)">', answer.text)
    assert shown == [f"{VERSION}/sms.GB.en", f"{VERSION}/email.any.en"]
    assert not re.search(r'id="agree"[^>]* checked', answer.text)  # they read something new, so they tick anew
    assert submit(client, "/join", FILLED | {"phone": "+447700900123", "wording": shown}).status_code == 302


def test_too_many_requests_are_told_so_and_keep_what_was_typed(client: FlaskClient) -> None:
    for _ in range(3):
        assert submit(client, "/join", FILLED).status_code == 302
    answer = submit(client, "/join", FILLED)
    assert answer.status_code == 429
    assert "wait an hour" in answer.text
    assert 'value="Ana"' in answer.text


def test_without_the_form_token_nobody_joins(client: FlaskClient) -> None:
    assert client.post("/join", data=FILLED).status_code == 400


def test_every_country_has_words_in_both_languages(client: FlaskClient) -> None:
    for country in ("US", "GB", "MX", "ES", "FR", ""):
        for language in ("en", "es"):
            texts = [wording(channel, country, language).text for channel in ChannelName]
            assert all("Hearthline" in t and "STOP" in t for t in texts)
            assert ("Msg & data rates may apply" in texts[0]) == (country == "US" and language == "en")
    for key in ("../../etc/passwd", "2026-11/sms.XX.en", "2020-01/sms.US.en", ""):
        with pytest.raises(Invalid):
            by_key(key)


# Confirming


def test_the_link_shows_a_button_and_the_button_confirms(client: FlaskClient) -> None:
    asks_to_join(phone="", language="es")
    with db.reading() as session:
        address = found(session, MAIL, EMAIL).addresses[0]
    path = path_of(member_links.confirm_url(address.id))
    page = client.get(path)
    assert "¿Empezamos?" in page.text  # in the member's language, whatever the browser asks for
    assert "a•••@example.org" in page.text
    assert EMAIL not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    with db.reading() as session:
        assert found(session, MAIL, EMAIL).state == MemberState.PENDING
    assert "Ya formas parte" in client.get(submit(client, path, {}).location).text
    with clock.frozen_at(clock.now() + timedelta(days=4)), db.reading() as session:
        assert found(session, MAIL, EMAIL).state == MemberState.ACTIVE
    assert client.get("/c/" + "x" * 40).status_code == 404


# Settings


@pytest.fixture
def ana(app: Flask) -> Member:
    """A member with a phone and an address, both confirmed."""
    return joined()


def settings_of(member: Member, channel: ChannelName = SMS) -> str:
    return path_of(member_links.preferences_url(member.id, channel))


FORM = {
    "do": "save", "weekly_cap": "3", "window_from": "600", "window_to": "1080", "time_zone": "America/New_York",
    "language": "en", "channel": "", "on": [f"{t}:{c}" for t in Topic for c in (SMS, MAIL)],
}  # fmt: skip


def test_settings_say_what_was_done(client: FlaskClient, ana: Member) -> None:
    path = settings_of(ana)
    page = client.get(path).text
    assert "+1 ••• ••• 0123" in page
    assert PHONE not in page
    assert "988" in page  # the line of the member's own country
    kept = [v for v in FORM["on"] if v != "tools:sms"]
    answer = submit(client, path, FORM | {"on": kept, "weekly_cap": "1", "discreet": "1"})
    said = text_of(client.get(answer.location).text)
    assert "Off: Tools by text message." in said
    assert "At most one message a week." in said
    assert "Discreet mode is on." in said
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert on(session, member, SMS) == set(Topic) - {Topic.TOOLS}
        assert (member.weekly_cap, member.discreet) == (1, True)
    assert (
        "Nothing was changed."
        in client.get(submit(client, path, FORM | {"on": kept, "weekly_cap": "1", "discreet": "1"}).location).text
    )


def test_a_break_and_its_end(client: FlaskClient, ana: Member) -> None:
    path = settings_of(ana)
    day = f"{clock.now() + timedelta(days=40):%Y-%m-%d}"
    said = client.get(submit(client, path, {"do": "pause", "pause": "day", "pause_until": day}).location).text
    assert "You are taking a break until" in said
    assert "Begin again now" in said
    submit(client, path, {"do": "resume"})
    with db.reading() as session:
        assert found(session, SMS, PHONE).paused_until is None
    for bad in ("", "soon", "2020-01-01"):
        answer = submit(client, path, {"do": "pause", "pause": "day", "pause_until": bad})
        assert answer.status_code == 422
        assert 'id="pause_until-error"' in answer.text


def test_leaving_in_one_tap_and_no_way_back_by_link(client: FlaskClient, ana: Member) -> None:
    path = settings_of(ana, MAIL)
    said = client.get(submit(client, path, {"do": "leave"}).location).text
    assert "Nothing more will come" in said
    assert "START" in said
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert member.state == MemberState.LEFT
        assert consent.suppressed(session, SMS, PHONE)
        assert consent.suppressed(session, MAIL, EMAIL)
    submit(client, "/join", FORM, to=path)  # a page that was left open cannot switch anything on again
    with db.reading() as session:
        assert {s.state for s in found(session, SMS, PHONE).subscriptions} == {SubscriptionState.STOPPED}


def test_settings_of_somebody_who_was_erased_are_gone(client: FlaskClient, ana: Member) -> None:
    from service.actions import members

    path = settings_of(ana)
    members.erase(ana.id, "cli")
    assert client.get(path).status_code == 404
    assert client.get("/p/nonsense").status_code == 404


# What is held


def test_what_is_held_is_behind_a_code_to_the_other_address(client: FlaskClient, app: Flask, ana: Member) -> None:
    path = settings_of(ana) + "/held"
    page = client.get(path).text
    assert "a•••@example.org" in page
    assert EMAIL not in page
    assert "a•••@example.org" in client.get(submit(client, path, {"do": "send"}).location).text
    with db.reading() as session:
        code = code_from(session)
    wrong = submit(client, path, {"do": "check", "code": "12"})
    assert wrong.status_code == 422
    assert "That is not the code" in wrong.text
    opened = client.get(submit(client, path, {"do": "check", "code": code}).location)
    assert EMAIL in opened.text
    assert PHONE in opened.text
    assert "Msg &amp; data rates may apply" in opened.text  # the very words that were agreed to
    assert code not in opened.text
    assert opened.headers["Cache-Control"] == "no-store"
    assert EMAIL not in app.test_client().get(path).text  # another browser with the same link sees nothing
    with clock.frozen_at(clock.now() + held.OPEN_FOR + timedelta(seconds=1)):
        assert EMAIL not in client.get(path).text
    assert submit(client, path, {"do": "close"}).status_code == 302
    assert EMAIL not in client.get(path).text


def test_somebody_elses_open_page_opens_nothing_here(client: FlaskClient, ana: Member) -> None:
    other = joined("+12025550177", "leo@example.org")
    held.send_access_code(ana.id, SMS)
    with db.reading() as session:
        code = code_from(session)
    submit(client, settings_of(ana) + "/held", {"do": "check", "code": code})
    assert "leo@example.org" not in client.get(settings_of(other) + "/held").text


# Unsubscribing


def test_one_click_needs_no_cookie_and_looking_does_nothing(client: FlaskClient, app: Flask, ana: Member) -> None:
    path = path_of(member_links.unsubscribe_url(ana.id, MAIL, Topic.STORIES))
    assert "Hope stories" in client.get(path).text
    with db.reading() as session:
        assert Topic.STORIES in on(session, found(session, SMS, PHONE), MAIL)
    for _ in range(2):  # mail providers repeat themselves
        answer = app.test_client().post(path, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (200, [])
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert on(session, member, MAIL) == set(Topic) - {Topic.STORIES}
        assert on(session, member, SMS) == set(Topic)
    assert "on again" in app.test_client().post(path, data={"scope": "undo"}).text
    with db.reading() as session:
        assert on(session, found(session, SMS, PHONE), MAIL) == set(Topic)
    assert "Nothing more will come by email" in text_of(app.test_client().post(path, data={"scope": "channel"}).text)
    with db.reading() as session:
        assert consent.suppressed(session, MAIL, EMAIL)
    assert app.test_client().post(path[:-4] + "aaaa").status_code == 404


def test_the_unsubscribe_link_of_somebody_erased_does_no_harm(client: FlaskClient, ana: Member) -> None:
    from service.actions import members

    path = path_of(member_links.unsubscribe_url(ana.id, MAIL, None))
    members.erase(ana.id, "cli")
    assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200


# Circles, invites, stories


def add_circle(**more: object) -> tuple[Circle, GroupSession]:
    with db.transaction() as session:
        values = {"name": "Tuesday Evening", "slug": "tuesday", "keyword": "TUESDAY", "theme": "Being tired"} | more
        circle = Circle(
            id=db.uuid7(), time_zone="America/New_York", online_url="https://meet.example.org/x",
            created_at=clock.now(), **values,
        )  # fmt: skip
        starts = clock.now() + timedelta(days=3)
        group = GroupSession(
            id=db.uuid7(), circle_id=circle.id, starts_at=starts, ends_at=starts + timedelta(hours=1),
            online_url="https://meet.example.org/x", created_at=clock.now(),
        )  # fmt: skip
        session.add(circle)
        session.flush()
        session.add(group)
    return circle, group


def test_circles_can_be_found_and_joined(client: FlaskClient) -> None:
    add_circle()
    add_circle(name="Hidden", slug="hidden", keyword="HIDDEN", openness=Openness.INVITE)
    assert "Tuesday Evening" in client.get("/circles").text
    assert "Hidden" not in client.get("/circles").text
    assert client.get("/circles/hidden").status_code == 404
    page = client.get("/circles/tuesday").text
    assert "/join?circle=tuesday" in page
    assert "meet.example.org" not in page  # where it meets is for those who come
    assert re.search(r'value="tuesday" checked', client.get("/join?circle=tuesday").text)


def test_an_invite_is_answered_by_a_button_and_never_by_looking(client: FlaskClient, ana: Member) -> None:
    _, group = add_circle()
    url = member_links.rsvp_url(group.id, ana.id, MAIL, "yes")
    path = path_of(url)
    page = client.get(path + "?answer=yes").text
    assert "Any answer is fine" in page
    assert "meet.example.org" not in page
    with db.reading() as session:
        assert session.scalar(select(Invitation.id)) is None
    for answer, said in (("yes", "You're down for"), ("no", "The door stays open"), ("maybe", "Just come")):
        shown = unescape(client.get(submit(client, path, {"answer": answer}).location).text)
        assert said in shown
        assert ("meet.example.org" in shown) == (answer == "yes")
    assert submit(client, path, {"answer": "perhaps"}).status_code == 400
    with db.reading() as session:
        assert list(session.scalars(select(Invitation.rsvp))) == [Rsvp.MAYBE]


def test_a_story_has_a_page_only_while_its_author_agrees(client: FlaskClient) -> None:
    with db.transaction() as session:
        now = clock.now()
        story = Story(
            id=db.uuid7(), title="A quiet morning", body_email="First <b>words</b>.\n\nThen more.", body_sms="x",
            state=StoryState.PUBLISHED, consent_page=True, created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(story)
    path = path_of(member_links.story_url(story.id))
    page = client.get(path).text
    assert "<p>First &lt;b&gt;words&lt;/b&gt;.</p>" in page
    for change in (
        {"consent_page": False},
        {"consent_page": True, "state": StoryState.RESTING},
        {"state": StoryState.PUBLISHED, "consent_until": now.date() - timedelta(days=1)},
    ):
        with db.transaction() as session:
            for name, value in change.items():
                setattr(session.get_one(Story, story.id), name, value)
        assert client.get(path).status_code == 404


def test_lines_on_a_members_page_are_those_of_their_country(client: FlaskClient) -> None:
    member = joined("+447700900123", wordings=(f"{VERSION}/sms.GB.en", f"{VERSION}/email.any.en"))
    page = text_of(client.get(settings_of(member)).text)
    assert crisis.lines("GB", "en").line in page
    assert "988" not in page
    assert config.current().org_name in page
