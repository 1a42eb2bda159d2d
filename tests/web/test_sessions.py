"""Sessions and circles in the console: plan, change, cancel, who comes, who came, and a circle that rests."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db
from service.actions import campaigns, gatherings, meetings
from service.errors import Conflict
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery
from service.models.conversations import Message
from service.models.gatherings import Circle, GroupSession, Invitation, Rsvp, SessionState
from service.models.members import Member
from tests.flows.world import add_circle, add_member, send
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA, BEN
from tests.web.pages import submit

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]

CIRCLE = {
    "name": "Small Hours", "slug": "small-hours", "keyword": "hours", "theme": "Sleep", "description": "For the tired.",
    "language": "en", "weekday": "TH", "every": "2", "rrule": "", "starts_time": "18:30", "minutes": "75",
    "time_zone": "Europe/London", "place": "", "online_url": "https://meet.example.org/hours", "size": "8",
    "openness": "ask", "coordinator_id": "",
}  # fmt: skip


def meeting() -> GroupSession:
    with db.reading() as session:
        return session.scalars(select(GroupSession).order_by(GroupSession.starts_at)).first()  # type: ignore[return-value]


def answer(member: Member, rsvp: Rsvp) -> None:
    with db.transaction() as session:
        gatherings.answer_invite(
            session, session.get_one(Member, member.id), session.get_one(GroupSession, meeting().id), rsvp
        )


def test_a_circle_is_made_with_a_rhythm_and_plans_its_weeks(console: FlaskClient) -> None:
    made = submit(console, "/console/sessions/circles/new", CIRCLE)
    assert made.status_code == 302, made.text
    with db.reading() as session:
        circle = session.scalars(select(Circle)).one()
    assert (circle.keyword, circle.rrule, circle.size) == ("HOURS", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TH", 8)
    page = console.get(f"/console/sessions/circles/{circle.id}").text
    assert "every second week, Thursdays at 18:30" in page
    submit(console, f"/console/sessions/circles/{circle.id}", {"weeks": "8"}, to=f"/console/sessions/plan/{circle.id}")
    with db.reading() as session:
        planned = list(session.scalars(select(GroupSession)))
    assert len(planned) == 4
    local = [s.starts_at.astimezone(ZoneInfo("Europe/London")) for s in planned]
    assert {(at.weekday(), at.hour, at.minute) for at in local} == {(3, 18, 30)}
    assert {s.seats for s in planned} == {8}
    assert "Small Hours" in console.get("/console/sessions/").text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("keyword", "stop", "STOP already means something"),
        ("keyword", "baja", "BAJA already means something"),
        ("keyword", "yes", "YES already means something"),
        ("keyword", "two words", "One word of 3 to 20"),
        ("keyword", "TUESDAY", "has this keyword already"),
        ("slug", "tuesday", "has this address already"),
        ("slug", "Not A Slug", "Use small letters"),
        ("starts_time", "7pm", "Type the hour like 19:00"),
        ("online_url", "javascript:alert(1)", "beginning with https://"),
        ("size", "0", "Between 1 and 500"),
        ("minutes", "1", "Between 5 and 600"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(console: FlaskClient, field: str, value: str, words: str) -> None:
    add_circle()
    answer = submit(console, "/console/sessions/circles/new", CIRCLE | {field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="Small Hours"' in answer.text  # nothing typed is lost
    with db.reading() as session:
        assert len(list(session.scalars(select(Circle)))) == 1


def test_a_rule_of_its_own_is_kept_and_a_broken_one_refused(console: FlaskClient) -> None:
    circle = add_circle()
    where = f"/console/sessions/circles/{circle.id}/edit"
    typed = CIRCLE | {"weekday": "rule", "slug": "tuesday", "keyword": "TUESDAY"}
    assert "cannot be read" in submit(console, where, typed | {"rrule": "EVERY TUESDAY"}).text
    assert submit(console, where, typed | {"rrule": "freq=monthly;byday=1tu"}).status_code == 302
    with db.reading() as session:
        assert session.get_one(Circle, circle.id).rrule == "FREQ=MONTHLY;BYDAY=1TU"
    assert 'value="FREQ=MONTHLY;BYDAY=1TU"' in console.get(where).text


def test_a_session_shows_who_comes_and_who_waits(console: FlaskClient) -> None:
    circle = add_circle()
    ana, ben = add_member("Ana", ANA, circle=circle), add_member("Ben", BEN, circle=circle)
    cleo = add_member("Cleo", "+12025550167", circle=circle)
    desk.change(GroupSession, meeting().id, seats=1)
    answer(ana, Rsvp.YES)
    answer(ben, Rsvp.YES)
    page = console.get(f"/console/sessions/{meeting().id}").text
    assert "1 taken of 1" in page
    for heading, name in (("Coming <", "Ana"), ("On the waiting list", "Ben"), ("No answer yet", "Cleo")):
        part = page.split(f"<h2>{heading}")[1].split("</section>")[0]
        assert name in part
    assert "Give Ben the free seat" not in page
    answer(ana, Rsvp.NO)
    assert "Give Ben the free seat" in console.get(f"/console/sessions/{meeting().id}").text
    given = submit(console, f"/console/sessions/{meeting().id}", {}, to=f"/console/sessions/{meeting().id}/seat")
    assert given.status_code == 302
    with db.reading() as session:
        assert not session.scalars(select(Invitation).where(Invitation.member_id == ben.id)).one().waitlisted
        told = session.scalars(select(Message).where(Message.template == "seat_given")).one()
    assert told.member_id == ben.id
    assert "it's yours" in told.body
    assert cleo.id not in [told.member_id]


def test_a_seat_under_a_flag_is_told_by_a_person(console: FlaskClient) -> None:
    circle = add_circle()
    ben = add_member("Ben", BEN, circle=circle)
    desk.change(GroupSession, meeting().id, seats=1)
    with db.transaction() as session:
        session.add(Invitation(session_id=meeting().id, member_id=ben.id, rsvp=Rsvp.YES, waitlisted=True,
                               answered_at=clock.now(), created_at=clock.now()))  # fmt: skip
    desk.change(Member, ben.id, held_at=clock.now())
    submit(console, f"/console/sessions/{meeting().id}", {}, to=f"/console/sessions/{meeting().id}/seat")
    assert "tell them yourself" in console.get(f"/console/sessions/{meeting().id}").text
    with db.reading() as session:
        assert session.scalars(select(Message)).all() == []


def test_cancelling_sends_nothing_and_drafts_what_would_be_told(console: FlaskClient) -> None:
    circle = add_circle()
    add_member("Ana", ANA, circle=circle)
    invite = send(CampaignKind.INVITE, "{{ circle_name }}?", circle_id=circle.id, session_id=meeting().id)
    cancelled = submit(console, f"/console/sessions/{meeting().id}", {}, to=f"/console/sessions/{meeting().id}/cancel")
    assert cancelled.status_code == 302
    assert meeting().state == SessionState.CANCELLED
    with db.reading() as session:
        draft = session.scalars(select(Campaign).where(Campaign.kind == CampaignKind.ANNOUNCEMENT)).one()
        assert draft.state == CampaignState.DRAFT
        assert draft.circle_id == circle.id
        assert campaigns.problems(session, campaigns.get(session, draft.id)) == []
        assert session.scalars(select(Delivery).where(Delivery.campaign_id == draft.id)).all() == []
        assert session.get_one(Campaign, invite).state == CampaignState.CANCELLED
    with pytest.raises(Conflict):
        meetings.cancel(meeting().id, desk.coordinator("coordinator@example.org"))


def test_an_invite_to_a_session_begins_as_a_draft(console: FlaskClient) -> None:
    add_circle()
    answer = submit(console, f"/console/sessions/{meeting().id}", {}, to=f"/console/sessions/{meeting().id}/invite")
    assert answer.status_code == 302
    with db.reading() as session:
        draft = session.scalars(select(Campaign)).one()
    assert (draft.kind, draft.session_id, draft.state) == (CampaignKind.INVITE, meeting().id, CampaignState.DRAFT)
    assert console.get(answer.location).status_code == 200


def test_changing_a_session_is_on_the_circles_clock(console: FlaskClient) -> None:
    add_circle()  # New York
    day = (clock.now() + timedelta(days=5)).date().isoformat()
    typed = {"title": "Bring a photograph", "starts": f"{day}T18:00", "minutes": "90", "seats": "", "place": "Room 2",
             "online_url": ""}  # fmt: skip
    where = f"/console/sessions/{meeting().id}/edit"
    assert submit(console, where, typed | {"starts": "2020-01-01T10:00"}).status_code == 422
    assert submit(console, where, typed | {"starts": "soon"}).status_code == 422
    assert submit(console, where, typed).status_code == 302
    changed = meeting()
    expected = datetime.fromisoformat(f"{day}T18:00").replace(tzinfo=ZoneInfo("America/New_York"))
    assert changed.starts_at == expected
    assert changed.ends_at - changed.starts_at == timedelta(minutes=90)
    assert changed.seats is None


def test_attendance_is_ticked_from_an_hour_before(console: FlaskClient) -> None:
    circle = add_circle()
    ana, ben = add_member("Ana", ANA, circle=circle), add_member("Ben", BEN, circle=circle)
    outsider = add_member("Zoe", "+12025550168")
    answer(ana, Rsvp.YES)
    where = f"/console/sessions/{meeting().id}"
    typed = {"shown": [str(ana.id), str(ben.id)], "came": [str(ben.id), str(outsider.id)]}
    assert "Who came?" not in console.get(where).text
    assert submit(console, where, typed, to=f"{where}/attendance").status_code == 409
    desk.change(GroupSession, meeting().id, starts_at=clock.now() + timedelta(minutes=30))
    assert "Who came?" in console.get(where).text
    assert submit(console, where, typed, to=f"{where}/attendance").status_code == 302
    with db.reading() as session:
        came = {i.member_id: i.attended for i in session.scalars(select(Invitation))}
    assert came == {ana.id: False, ben.id: True}


def test_a_circle_that_rests_says_so_and_goes_on(console: FlaskClient) -> None:
    circle = add_circle()
    where = f"/console/sessions/circles/{circle.id}"
    submit(console, where, {"on": "1"}, to=f"{where}/hold")
    assert "This circle rests" in console.get(where).text
    assert "This circle rests" in console.get(f"/console/sessions/{meeting().id}").text
    submit(console, where, {"on": "0"}, to=f"{where}/hold")
    assert "This circle rests" not in console.get(where).text


def test_a_circle_coordinator_reaches_only_their_own(enter: Enter) -> None:
    client = enter("circle_coordinator")
    mine, other = add_circle(), add_circle("Other Circle", "OTHER")
    desk.give_circle(desk.coordinator("circle_coordinator@example.org"), mine)
    with db.reading() as session:
        by_circle: dict[UUID, UUID] = {s.circle_id: s.id for s in session.scalars(select(GroupSession))}
    for path in ("", "circles"):
        page = client.get(f"/console/sessions/{path}").text
        assert "Tuesday Circle" in page
        assert "Other Circle" not in page
    assert client.get(f"/console/sessions/{by_circle[mine.id]}").status_code == 200
    assert client.get(f"/console/sessions/{by_circle[other.id]}").status_code == 404
    assert client.get(f"/console/sessions/circles/{other.id}").status_code == 404
    assert client.get(f"/console/sessions/new/{other.id}").status_code == 404
    assert client.get("/console/sessions/circles/new").status_code == 403
    assert client.get(f"/console/sessions/circles/{mine.id}/edit").status_code == 403
    for act in ("cancel", "attendance", "seat"):
        refused = submit(
            client, f"/console/sessions/{by_circle[mine.id]}", {}, to=f"/console/sessions/{by_circle[other.id]}/{act}"
        )
        assert refused.status_code == 404, act
