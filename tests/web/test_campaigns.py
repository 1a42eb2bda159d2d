"""A coordinator composes, checks, previews and sends a campaign, and follows it; nothing that was typed is lost."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from service import clock, db
from service.actions import campaigns
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery, DeliveryState, Schedule
from service.models.content import Story, StoryState
from service.models.conversations import CheckIn, Message
from service.models.gatherings import Circle, CircleStaff, GroupSession, Invitation, Rsvp
from service.models.staff import AuditEntry, Coordinator, DutyShift
from tests.flows.world import add_circle, add_member
from tests.web.pages import form_token

ANA, BEN = "+12025550123", "+12025550145"
LIST = "/console/campaigns/"


def begin(client: FlaskClient, kind: str) -> str:
    """Make a draft of a kind; the address of its page without `/edit`."""
    page = client.get(f"{LIST}new")
    answer = client.post(f"{LIST}new", data={"csrf_token": form_token(page), "kind": kind})
    assert answer.status_code == 302, answer.text
    return str(answer.location).removesuffix("/edit")


def typed(page: TestResponse) -> dict[str, Any]:
    """What the form of a draft holds, as a browser would send it back."""
    found: dict[str, Any] = {"csrf_token": form_token(page), "channels": []}
    text = page.text
    for name, value in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', text, re.DOTALL):
        found[name] = unescape(value)
    for tag in re.findall(r"<input[^>]*>", text):
        attributes = {k: unescape(v) for k, v in re.findall(r'(\w[\w-]*)="([^"]*)"', tag)}
        name, kind = attributes.get("name"), attributes.get("type", "text")
        if kind in ("radio", "checkbox") and " checked" not in tag:
            continue
        if name == "channels":
            found["channels"].append(attributes["value"])
        elif name and name != "csrf_token" and kind != "search":
            found[name] = attributes.get("value", "")
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.search(r'<option selected value="([^"]*)"', options)
        found[name] = chosen[1] if chosen else ""
    return found


def save(client: FlaskClient, address: str, go: str = "save", **changes: Any) -> TestResponse:
    """Change some fields of a draft's page and press a button."""
    return client.post(f"{address}/edit", data=typed(client.get(f"{address}/edit")) | changes | {"go": go})


def words(page: TestResponse) -> str:
    """The page as text, one space between words."""
    found = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.text)))
    return re.sub(r" ([:,.])", r"\1", found)


def beside(page: TestResponse, field: str) -> str:
    """What stands beside a field that is wrong."""
    found = re.search(rf'<div id="problem-{field}"[^>]*>(.*?)</div>', page.text, re.DOTALL)
    assert found, f"there is no {field} on this page"
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", found[1]))).strip()


def add_story(**more: Any) -> Story:
    now = clock.now()
    with db.transaction() as session:
        values = {"title": "Small mornings", "body_sms": "I used to feel so.", "me_too_allowed": True} | more
        story = Story(
            id=db.uuid7(), body_email="I used to feel like that.\n\nIt got lighter.", state=StoryState.PUBLISHED,
            created_at=now, updated_at=now, published_at=now, **values,
        )  # fmt: skip
        session.add(story)
    return story


def loaded(address: str) -> Campaign:
    with db.reading() as session:
        return campaigns.get(session, UUID(address.rsplit("/", 1)[-1]))


def test_a_story_from_the_first_click_to_the_last(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    add_member("Ben", email="ben@example.org")
    story = add_story()
    assert "Nothing sent yet" in console.get(LIST).text
    address = begin(console, "story")

    fresh = console.get(f"{address}/edit")
    assert "{{ story_body }}" in unescape(fresh.text)
    assert "2 people: 1 by text, 1 by email" in words(fresh)
    assert beside(fresh, "story_id") == ""  # nobody has typed yet, so nothing is called a mistake
    assert "Choose a story" in words(fresh)

    refused = save(console, address, "review", name="For a grey week")
    assert refused.status_code == 422
    assert beside(refused, "story_id").startswith("Choose a story: the words speak of {{ story_body }}.")
    assert 'value="For a grey week"' in refused.text

    assert save(console, address, "review", story_id=str(story.id)).location == f"{address}/review"
    review = words(console.get(f"{address}/review"))
    assert "It goes to 2 people: 1 by text, 1 by email" in review
    assert "About $0.0" in review
    assert "Nobody is on duty from" in review

    sent = console.post(
        f"{address}/review", data={"csrf_token": form_token(console.get(f"{address}/review")), "when": "now"}
    )
    assert sent.location == address
    assert loaded(address).state == CampaignState.SCHEDULED
    campaigns.freeze(loaded(address).id)
    page = words(console.get(address))
    assert "2 messages" in page
    assert "Waiting 2" in page
    assert "For a grey week" in console.get(LIST).text
    assert console.get(f"{address}/edit").location == address


def test_only_those_who_have_not_had_a_story_are_counted(console: FlaskClient) -> None:
    from service.models.content import StoryRead

    ana = add_member("Ana", ANA)
    add_member("Ben", BEN)
    story = add_story()
    with db.transaction() as session:
        session.add(StoryRead(story_id=story.id, member_id=ana.id, at=clock.now()))
    address = begin(console, "story")
    page = words(console.get(f"{address}/edit"))
    assert "Small mornings (English; 1 person may still get it)" in page
    save(console, address, story_id=str(story.id))
    page = words(console.get(f"{address}/edit"))
    assert "1 person: 1 by text, 0 by email" in page
    assert "1 has already had this story" in page


def test_a_field_that_nobody_knows_is_named_beside_its_text(console: FlaskClient) -> None:
    address = begin(console, "checkin")
    mistyped = "Hello {{ frist_name }}, 1 very hard to 5 good?"
    page = save(console, address, "review", sms_en_body=mistyped, email_en_subject="")
    assert page.status_code == 422
    assert beside(page, "sms_en_body") == "“frist_name” is not a field that we know. Did you mean “first_name”?"
    assert beside(page, "email_en_subject") == "Write a subject, so that people know what this is."
    assert mistyped in unescape(page.text)
    assert loaded(address).state == CampaignState.DRAFT
    assert mistyped in unescape(console.get(f"{address}/edit").text)


def test_words_that_weigh_on_somebody_are_pointed_out_and_may_be_sent_all_the_same(console: FlaskClient) -> None:
    address = begin(console, "checkin")
    save(console, address, sms_en_body="We missed you. You should tell us how you are, 1 to 5.")
    page = words(console.get(f"{address}/edit"))
    assert "English text: “We missed you” may read as a reproach. The door is open" in page
    assert "English text: “should” may read as a demand." in page
    assert save(console, address, "review").location.endswith("/review")
    save(console, address, sms_en_body="How are you today, 1 to 5? No need to reply.")
    assert "may read as" not in words(console.get(f"{address}/edit"))


def test_what_is_too_long_is_said_and_kept(console: FlaskClient) -> None:
    address = begin(console, "announcement")
    long = "x" * 201
    page = save(console, address, email_en_subject=long)
    assert page.status_code == 422
    assert beside(page, "email_en_subject") == "Use at most 200 letters."
    assert long in page.text


def test_typing_saves_by_itself_and_touches_no_field(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    address = begin(console, "checkin")
    form = typed(console.get(f"{address}/edit"))
    form["sms_en_body"] = "Hi “{{ first_name }}”. 1 very hard … 5 good"
    part = console.post(f"{address}/autosave", data=form, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "<textarea" not in part.text
    assert "1 person: 1 by text" in words(part)
    assert "“, ”, … are outside" in words(part) or "““”, “””, “…” are outside" in words(part)
    assert loaded(address).contents
    assert any(c.body == form["sms_en_body"] for c in loaded(address).contents)
    with db.reading() as session:  # typing is no act of its own
        assert session.scalar(select(func.count()).where(AuditEntry.action == "campaign.update")) == 0

    save(console, address, "plain:sms_en_body")
    body = next(c.body for c in loaded(address).contents if (c.channel, c.language) == ("sms", "en"))
    assert body == 'Hi "{{ first_name }}". 1 very hard ... 5 good'


def test_an_invite_brings_its_circle_and_its_name_along(console: FlaskClient) -> None:
    circle = add_circle("The Kitchen Table")
    other = add_circle("Small Hours", "SMALL")
    add_member("Ana", ANA, circle=circle)
    add_member("Ben", BEN)
    with db.reading() as session:
        meeting, another = (
            session.scalar(select(GroupSession).where(GroupSession.circle_id == c.id)) for c in (circle, other)
        )
    assert meeting
    assert another
    address = begin(console, "invite")
    form = typed(console.get(f"{address}/edit")) | {"session_id": str(meeting.id)}
    part = console.post(f"{address}/autosave", data=form)
    assert 'id="circle-field" hx-swap-oob="true"' in part.text
    assert "1 person: 1 by text" in words(part)
    assert loaded(address).circle_id == circle.id
    assert loaded(address).name.startswith("Session invite: The Kitchen Table")

    again = console.post(f"{address}/autosave", data=form)  # the page had not heard of the first save yet
    assert "1 person: 1 by text" in words(again)
    assert loaded(address).circle_id == circle.id

    save(console, address, session_id=str(another.id))  # it follows while nobody chose otherwise
    assert loaded(address).circle_id == other.id
    save(console, address, circle_id="")
    assert loaded(address).circle_id is None  # and stays as it was set
    save(console, address, name="My own name", session_id=str(meeting.id))
    assert loaded(address).name == "My own name"


def test_another_kind_changes_only_words_that_nobody_touched(console: FlaskClient) -> None:
    address = begin(console, "checkin")
    save(console, address, "kind", kind="tool", sms_en_body="My own words, 1 to 5")
    page = unescape(console.get(f"{address}/edit").text)
    assert loaded(address).kind == CampaignKind.TOOL
    assert "My own words, 1 to 5" in page
    assert "**{{ tool_title }}**" in page
    assert "How are you today" not in re.sub(r'id="kind-checkin-hint">[^<]*', "", page)


def test_previews_show_a_member_and_never_their_own_links(console: FlaskClient) -> None:
    circle = add_circle()
    ana = add_member("Ana", ANA, email="ana@example.org", circle=circle, both_channels=True, zone="Europe/London")
    with db.reading() as session:
        meeting = session.scalar(select(GroupSession))
    assert meeting
    address = begin(console, "invite")
    save(console, address, session_id=str(meeting.id))
    page = console.get(f"{address}/preview?member={ana.id}")
    assert "As Ana gets it" in page.text
    assert "Tuesday Circle. Coming? Reply YES, NO or MAYBE." in words(page)
    assert "Reply STOP to stop" in words(page)  # the first text to this number says so
    frame = unescape(re.search(r'<iframe[^>]* src="([^"]+)"[^>]*\bsandbox', page.text)[1])  # type: ignore[index]
    mail = console.get(frame)
    assert "Hello Ana" in mail.text
    policy = mail.headers["Content-Security-Policy"]
    assert "script" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    for text in (page.text, mail.text):
        assert "/rsvp" not in text.replace("rsvp_", "")
        assert not re.search(r"http://localhost:8000/\w", text)
    assert "As Ana gets it" in console.get(f"{address}/preview?q=an&member={ana.id}").text
    assert "Nobody of that name" in console.get(f"{address}/preview?q=%25").text


def test_a_test_goes_to_the_coordinator_alone(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    address = begin(console, "checkin")
    save(console, address, "test")
    assert "A test is on its way to you by email." in words(console.get(f"{address}/edit"))
    with db.reading() as session:
        [delivery] = session.scalars(select(Delivery))
        assert delivery.direct_to == "coordinator@example.org"
        message = session.get(Message, delivery.message_id)
        assert message
        assert "Hello Ana," in message.body  # the coordinator's own name is Ana too


@pytest.mark.parametrize(
    ("more", "field", "reason"),
    [
        ({"when": "at", "day": "", "hour": "11:00"}, "day", "Choose a day."),
        ({"when": "at", "day": "2020-01-01", "hour": "11:00"}, "hour", "That time has passed."),
        ({"when": "local", "day": "2020-01-01", "hour": "11:00"}, "hour", "For some members that hour has passed"),
        ({"when": "at", "day": "2999-13-01", "hour": "11:00"}, "day", "Not a valid date"),
    ],
)
def test_a_moment_that_cannot_be_used_comes_back_with_the_reason(
    console: FlaskClient, more: dict[str, str], field: str, reason: str
) -> None:
    add_member("Ana", ANA)
    address = begin(console, "checkin")
    token = form_token(console.get(f"{address}/review"))
    page = console.post(f"{address}/review", data={"csrf_token": token, **more})
    assert page.status_code == 422
    found = re.search(rf'id="{field}-error">(.*?)</p>', page.text, re.DOTALL)
    assert found, page.text
    assert reason in found[1]
    assert f'value="{more["hour"]}"' in page.text
    assert loaded(address).state == CampaignState.DRAFT


def test_a_moment_is_on_the_coordinators_own_clock(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    address = begin(console, "checkin")
    token = form_token(console.get(f"{address}/review"))
    console.post(f"{address}/review", data={"csrf_token": token, "when": "at", "day": "2031-07-01", "hour": "09:30"})
    campaign = loaded(address)
    assert campaign.schedule == Schedule.AT
    assert campaign.scheduled_at
    assert campaign.scheduled_at.isoformat() == "2031-07-01T08:30:00+00:00"  # London in summer
    assert "9:30" in words(console.get(address))


def test_a_draft_with_something_missing_cannot_be_reviewed(console: FlaskClient) -> None:
    address = begin(console, "story")
    assert console.get(f"{address}/review").location == f"{address}/edit"
    token = form_token(console.get(f"{address}/edit"))
    forced = console.post(f"{address}/review", data={"csrf_token": token, "when": "now"})
    assert forced.status_code == 422
    assert loaded(address).state == CampaignState.DRAFT


def test_pause_resume_cancel_and_copy(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    address = begin(console, "checkin")
    token = form_token(console.get(f"{address}/edit"))

    def press(what: str) -> TestResponse:
        return console.post(f"{address}/{what}", data={"csrf_token": token})

    campaigns.start(loaded(address).id)
    campaigns.freeze(loaded(address).id)
    press("pause")
    assert loaded(address).state == CampaignState.PAUSED
    assert "Somebody paused it here" in words(console.get(address))
    press("resume")
    assert loaded(address).state == CampaignState.SENDING
    press("cancel")
    page = words(console.get(address))
    assert "cancelled" in page
    assert "1 had not been sent it when the campaign was cancelled" in page
    assert press("pause").status_code == 302
    assert "there is nothing to pause" in words(console.get(address))
    copied = str(press("copy").location).removesuffix("/edit")
    assert loaded(copied).state == CampaignState.DRAFT
    assert loaded(copied).name == "Check-in nudge (copy)"
    assert {c.body for c in loaded(copied).contents} == {c.body for c in loaded(address).contents}


def test_progress_renews_itself_until_it_is_over(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    address = begin(console, "checkin")
    campaigns.start(loaded(address).id)
    campaigns.freeze(loaded(address).id)
    page = console.get(address)
    poll = unescape(re.search(r'id="progress"[^>]*hx-get="([^"]+)" hx-trigger="every 2s"', page.text)[1])  # type: ignore[index]
    assert console.get(poll).status_code == 204
    with db.transaction() as session:
        first, second = session.scalars(select(Delivery))
        first.state, first.sending_at = DeliveryState.DELIVERED, clock.now()
        second.state, second.error_code, second.sending_at = DeliveryState.UNDELIVERED, "30006", clock.now()
    part = console.get(poll)
    assert part.status_code == 200
    assert "2 in the last minute" in words(part)
    assert "1 This is a landline, or its carrier takes no texts." in words(part)
    assert "campaign-actions" not in part.text  # the state is the same: the buttons stay as they are
    campaigns.finish_done()
    over = console.get(poll)
    assert over.status_code == 286
    assert 'id="campaign-actions" hx-swap-oob="true"' in over.text
    assert "hx-trigger" not in over.text


def test_why_it_is_paused_and_what_to_do_are_shown(console: FlaskClient) -> None:
    address = begin(console, "checkin")
    with db.transaction() as session:
        campaign = campaigns.get(session, UUID(address.rsplit("/", 1)[-1]))
        campaign.state = CampaignState.PAUSED
        campaign.paused_reason = "Our number is not registered for texting in the US (10DLC)."
    page = words(console.get(address))
    assert "Our number is not registered for texting in the US (10DLC)." in page
    assert "nobody gets it twice" in page


def _sent(kind: CampaignKind, people: int, **more: Any) -> Campaign:
    members = [add_member(f"M{n}", f"+1202555{n:04d}") for n in range(people)]
    with db.transaction() as session:
        now = clock.now()
        campaign = Campaign(
            id=db.uuid7(), name="Out", kind=kind, channels="sms", state=CampaignState.FINISHED, audience={},
            created_at=now, updated_at=now, started_at=now, **more,
        )  # fmt: skip
        session.add(campaign)
        session.flush()
        for member in members:
            session.add(
                Delivery(
                    campaign_id=campaign.id, member_id=member.id, channel="sms", purpose="campaign", queue="texts",
                    priority=50, state=DeliveryState.DELIVERED, due_at=now, created_at=now, updated_at=now,
                )
            )  # fmt: skip
    return campaign


def test_how_people_are_is_shown_from_five_answers_on(console: FlaskClient) -> None:
    campaign = _sent(CampaignKind.CHECKIN, 5)
    with db.transaction() as session:
        members = list(session.scalars(select(Delivery.member_id)))
        for member_id in members[:4]:
            session.add(CheckIn(member_id=member_id, campaign_id=campaign.id, score=2, at=clock.now()))
        session.execute(Delivery.__table__.update().values(answered_at=clock.now()))
    assert "The spread is shown from five answers on" in words(console.get(f"{LIST}{campaign.id}"))
    assert "2 hard" not in words(console.get(f"{LIST}{campaign.id}"))
    with db.transaction() as session:
        session.add(CheckIn(member_id=members[4], campaign_id=campaign.id, score=5, at=clock.now()))
    assert "2 hard 4" in words(console.get(f"{LIST}{campaign.id}"))


def test_answers_to_invites_and_stories(console: FlaskClient) -> None:
    circle = add_circle()
    with db.reading() as session:
        meeting = session.scalar(select(GroupSession))
    assert meeting
    invite = _sent(CampaignKind.INVITE, 2, session_id=meeting.id, circle_id=circle.id)
    story = add_story()
    told = _sent(CampaignKind.STORY, 0, story_id=story.id)
    with db.transaction() as session:
        ids = list(session.scalars(select(Delivery.member_id).order_by(Delivery.id)))
        for member_id, rsvp in zip(ids, (Rsvp.YES, Rsvp.MAYBE), strict=True):
            session.add(
                Invitation(
                    session_id=meeting.id, member_id=member_id, rsvp=rsvp, answered_at=clock.now(),
                    created_at=clock.now(),
                )
            )  # fmt: skip
        session.execute(Delivery.__table__.update().where(Delivery.member_id == ids[0]).values(campaign_id=told.id))
    assert "YES 0 nobody yet NO 0 nobody yet MAYBE 1 M1" in words(console.get(f"{LIST}{invite.id}"))
    page = words(console.get(f"{LIST}{told.id}"))
    assert "Too few to say how many said ME TOO" in page
    assert "answered in some way" not in page  # that would be their number
    with db.transaction() as session:
        session.get_one(Story, story.id).felt_shown = 10
    assert "10 members or more said ME TOO" in words(console.get(f"{LIST}{told.id}"))


def test_a_gap_in_the_rota_is_shown_and_a_full_rota_is_not(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    address = begin(console, "checkin")
    assert "Nobody is on duty from" in words(console.get(f"{address}/edit"))
    with db.transaction() as session:
        ana = session.scalar(select(Coordinator))
        assert ana
        now = clock.now()
        shift = DutyShift(
            coordinator_id=ana.id, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(days=3), tier=1
        )
        session.add(shift)
    page = words(console.get(f"{address}/edit"))
    assert "Nobody is on duty" not in page
    assert "On duty: Ana Whitcombe." in page


def test_a_circle_coordinator_sends_to_their_own_circles_only(enter: Callable[..., FlaskClient]) -> None:
    theirs, other = add_circle(), add_circle("Small Hours", "SMALL")
    add_member("Ana", ANA, circle=theirs)
    ben = add_member("Ben", BEN, circle=other)
    with db.reading() as session:
        foreign = session.scalar(select(GroupSession).where(GroupSession.circle_id == other.id))
    assert foreign
    admin, client = enter("admin"), enter("circle_coordinator")
    assert (
        client.post(
            f"{LIST}new", data={"csrf_token": form_token(client.get(f"{LIST}new")), "kind": "checkin"}
        ).status_code
        == 403
    )  # no circle yet: said, not made
    with db.transaction() as session:
        me = session.scalar(select(Coordinator).where(Coordinator.email == "circle_coordinator@example.org"))
        assert me
        session.add(CircleStaff(circle_id=theirs.id, coordinator_id=me.id))
    address = begin(client, "checkin")
    assert loaded(address).circle_id == theirs.id
    page = client.get(f"{address}/edit")
    assert "Small Hours" not in page.text
    assert "Everybody who asked for this" not in page.text
    assert "1 person: 1 by text" in words(page)

    for wanted in ("", str(other.id)):
        refused = save(client, address, circle_id=wanted)
        assert refused.status_code == 422
        assert "You can send to your own circles." in beside(refused, "circle_id")
    assert loaded(address).circle_id == theirs.id
    invite = begin(client, "invite")
    assert save(client, invite, session_id=str(foreign.id)).status_code == 422
    assert client.get(f"{address}/preview?member={ben.id}").status_code == 404
    assert "Ben" not in client.get(f"{address}/preview?q=be").text

    everyones = begin(admin, "checkin")
    token = form_token(client.get(f"{LIST}new"))
    for path in ("", "/edit", "/preview", "/preview.html", "/review", "/progress"):
        assert client.get(f"{everyones}{path}").status_code == 404, path
    for path in ("edit", "autosave", "review", "pause", "resume", "cancel", "copy"):
        assert client.post(f"{everyones}/{path}", data={"csrf_token": token}).status_code == 404, path
    assert everyones.rsplit("/", 1)[-1] not in client.get(LIST).text


def test_nobody_comes_in_without_signing_in_and_nothing_changes_by_looking(
    console: FlaskClient, client: FlaskClient
) -> None:
    add_member("Ana", ANA)
    address = begin(console, "checkin")

    def everything() -> list[Any]:
        with db.reading() as session:
            rows = [
                session.scalar(select(func.count()).select_from(t)) for t in (Campaign, Delivery, AuditEntry, Message)
            ]
            return [*rows, loaded(address).updated_at, loaded(address).state]

    before = everything()
    for path in (LIST, f"{LIST}new", f"{address}/edit", f"{address}/preview", f"{address}/preview.html",
                 f"{address}/review", f"{address}/progress"):  # fmt: skip
        assert console.get(path).status_code in (200, 286), path
        assert client.get(path).status_code == 302, path
    for path in ("autosave", "pause", "resume", "cancel", "copy"):
        assert console.get(f"{address}/{path}").status_code == 405, path
    assert everything() == before
    assert console.post(f"{address}/cancel").status_code == 400  # without its token


def test_the_list_has_shelves_and_pages(console: FlaskClient) -> None:
    now = clock.now()
    with db.transaction() as session:
        for n in range(45):
            state = CampaignState.FINISHED if n % 3 else CampaignState.PAUSED
            session.add(
                Campaign(
                    id=db.uuid7(), name=f"No. {n:02d}", kind=CampaignKind.CHECKIN, channels="sms", audience={},
                    state=state, created_at=now, updated_at=now,
                )
            )  # fmt: skip

    def names(path: str) -> tuple[list[str], dict[str, str]]:
        page = console.get(path).text
        links = dict(re.findall(r'rel="(prev|next)" href="([^"]+)"', page))
        return re.findall(r"No\. \d\d", page), {k: unescape(v) for k, v in links.items()}

    first, links = names(LIST)
    assert first == [f"No. {n:02d}" for n in range(44, 24, -1)]
    assert "prev" not in links
    second, links = names(links["next"])
    assert second == [f"No. {n:02d}" for n in range(24, 4, -1)]
    third, last = names(links["next"])
    assert third == [f"No. {n:02d}" for n in range(4, -1, -1)]
    assert "next" not in last
    assert names(last["prev"])[0] == second
    again, newest = names(links["prev"])
    assert again == first
    assert "prev" not in newest
    assert names(f"{LIST}?shelf=on-their-way")[0] == [f"No. {n:02d}" for n in range(42, -1, -3)]
    assert names(f"{LIST}?shelf=drafts")[0] == []


def test_who_looks_after_a_circle_sees_its_name_in_the_list(console: FlaskClient) -> None:
    circle = add_circle("The Kitchen Table")
    address = begin(console, "checkin")
    save(console, address, circle_id=str(circle.id))
    with db.reading() as session:
        assert session.get(Circle, circle.id)
    assert "The Kitchen Table" in console.get(LIST).text
