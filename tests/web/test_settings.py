"""Settings: who comes in and how that ends, the rota with its gaps, ready replies, and what can be looked up."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db
from service.actions import rota
from service.models.gatherings import CircleStaff
from service.models.staff import AuditEntry, CannedReply, Coordinator, DutyShift, Role
from tests.flows.world import add_circle, add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA
from tests.web.pages import PASSWORD, path_of, submit

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]

NEW = {"email": "Wren@Example.org", "name": "Wren Castillo", "role": "coordinator"}


@pytest.fixture
def admin(enter: Enter) -> FlaskClient:
    """An administrator's browser."""
    return enter("admin", name="Maren Holt")


def link_on(text: str) -> str:
    found = re.search(r'value="(http[^"]+/console/password/[^"]+)"', text)
    assert found, "no link on the page"
    return path_of(found[1])


def test_somebody_new_comes_in_by_a_link_that_is_shown_once(admin: FlaskClient, app: Flask) -> None:
    answer = submit(admin, "/console/settings/", NEW, to="/console/settings/people")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    link = link_on(answer.text)
    assert link not in admin.get("/console/settings/").text
    assert "has not signed in yet" in admin.get("/console/settings/").text
    newcomer = app.test_client()
    assert submit(newcomer, link, {"password": PASSWORD}).status_code == 302
    assert newcomer.get("/console/settings/").status_code == 200
    assert desk.coordinator("wren@example.org").role == Role.COORDINATOR


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"email": "not an address"}, "not an email address"),
        ({"email": "admin@example.org"}, "has this address already"),
        ({"name": " "}, "what to call them"),
        ({"role": "queen"}, "Not a valid choice"),
    ],
)
def test_what_cannot_be_invited_is_said(admin: FlaskClient, change: dict[str, str], words: str) -> None:
    answer = submit(admin, "/console/settings/", NEW | change, to="/console/settings/people")
    assert answer.status_code == 422
    assert words in answer.text
    with db.reading() as session:
        assert len(list(session.scalars(select(Coordinator)))) == 1


def test_the_last_administrator_stays_one(admin: FlaskClient, enter: Enter) -> None:
    me = desk.coordinator("admin@example.org")
    where = f"/console/settings/people/{me.id}"
    demoted = {"name": "Maren Holt", "role": "coordinator", "phone": ""}
    refused = submit(admin, where, demoted)
    assert refused.status_code == 422
    assert "last administrator" in refused.text
    submit(admin, where, {}, to=f"{where}/deactivate")
    assert "You cannot shut yourself out" in admin.get(where).text
    second = enter("admin", email="second@example.org", name="Second")
    other = f"/console/settings/people/{desk.coordinator('second@example.org').id}"
    assert submit(admin, other, {}, to=f"{other}/deactivate").status_code == 302
    assert second.get("/console/settings/").status_code == 302  # signed out everywhere, at once
    assert submit(admin, where, demoted).status_code == 422  # the only other one can no longer come in
    assert desk.coordinator("admin@example.org").role == Role.ADMIN


def test_ending_somebodys_way_in_ends_sessions_and_shifts_and_can_be_undone(admin: FlaskClient, enter: Enter) -> None:
    wren = enter("coordinator", name="Wren")
    person = desk.coordinator("coordinator@example.org")
    with db.transaction() as session:
        for days in (-1, 1):
            starts = clock.now() + timedelta(days=days)
            session.add(DutyShift(coordinator_id=person.id, starts_at=starts, ends_at=starts + timedelta(hours=4)))
    where = f"/console/settings/people/{person.id}"
    submit(admin, where, {}, to=f"{where}/deactivate")
    assert wren.get("/console/settings/").status_code == 302
    with db.reading() as session:
        assert len(list(session.scalars(select(DutyShift)))) == 1
    assert "can no longer sign in" in admin.get("/console/settings/").text
    again = submit(admin, where, {}, to=f"{where}/link")
    assert link_on(again.text)
    assert desk.coordinator("coordinator@example.org").active


def test_a_person_is_given_circles_and_a_number_for_pages(admin: FlaskClient, enter: Enter) -> None:
    enter("circle_coordinator", name="Dorothy")
    circle = add_circle()
    person = desk.coordinator("circle_coordinator@example.org")
    where = f"/console/settings/people/{person.id}"
    typed = {"name": "Dorothy", "role": "circle_coordinator", "phone": "not a number", "circles": [str(circle.id)]}
    assert "cannot read this number" in submit(admin, where, typed).text
    assert submit(admin, where, typed | {"phone": "+1 202 555 0188"}).status_code == 302
    assert desk.coordinator("circle_coordinator@example.org").phone == "+12025550188"
    with db.reading() as session:
        assert session.scalars(select(CircleStaff.circle_id)).all() == [circle.id]
    assert f'value="{circle.id}" checked' in re.sub(
        r'(checked) ([^>]*)value="([^"]+)"', r'value="\3" \1', admin.get(where).text
    )
    assert submit(admin, where, typed | {"phone": "", "circles": []}).status_code == 302
    with db.reading() as session:
        assert session.scalars(select(CircleStaff.circle_id)).all() == []


@pytest.mark.parametrize("role", ["safeguarding", "coordinator", "circle_coordinator"])
def test_only_administrators_change_who_comes_in(admin: FlaskClient, enter: Enter, role: str) -> None:
    client = enter(role)
    page = client.get("/console/settings/")
    assert page.status_code == 200
    assert "Add somebody" not in page.text
    target = f"/console/settings/people/{desk.coordinator('admin@example.org').id}"
    assert client.get(target).status_code == 403
    for path in ("/console/settings/people", f"{target}/deactivate", f"{target}/link"):
        assert submit(client, "/console/you", NEW, to=path).status_code == 403, path
    sensitive = 200 if role == "safeguarding" else 403
    for path in ("audit", "providers"):
        assert client.get(f"/console/settings/{path}").status_code == sensitive, path


def shift(person: Coordinator, **more: str) -> dict[str, str]:
    tomorrow = (clock.now() + timedelta(days=1)).date().isoformat()
    return {"coordinator_id": str(person.id), "day": tomorrow, "start": "09:00", "until": "17:00", "tier": "1",
            "weeks": "1"} | more  # fmt: skip


def test_shifts_are_put_on_weekly_drawn_and_taken_off(admin: FlaskClient) -> None:
    me = desk.coordinator("admin@example.org")
    assert "Nobody is on duty" in admin.get("/console/settings/rota").text
    assert (
        submit(admin, "/console/settings/rota", shift(me, weeks="3"), to="/console/settings/rota/add").status_code
        == 302
    )
    submit(admin, "/console/settings/rota", shift(me, weeks="3"), to="/console/settings/rota/add")  # pressed twice
    with db.reading() as session:
        found = list(session.scalars(select(DutyShift).order_by(DutyShift.starts_at)))
    assert len(found) == 3
    local = [s.starts_at.astimezone(ZoneInfo("Europe/London")) for s in found]
    assert {(at.hour, at.weekday()) for at in local} == {(9, local[0].weekday())}
    page = admin.get(f"/console/settings/rota?week={local[0].date().isoformat()}").text
    assert "Maren Holt, 09:00 to 17:00" in page
    assert (
        submit(admin, "/console/settings/rota", {}, to=f"/console/settings/rota/{found[0].id}/remove").status_code
        == 302
    )
    with db.reading() as session:
        assert len(list(session.scalars(select(DutyShift)))) == 2


def test_a_night_shift_ends_on_the_next_day_and_the_clocks_may_change_in_between(enter: Enter) -> None:
    with clock.frozen_at(datetime(2027, 3, 22, 12, tzinfo=UTC)):
        client = enter("admin")
        me = desk.coordinator("admin@example.org")
        typed = shift(me, day="2027-03-24", start="22:00", until="08:00", weeks="2")
        submit(client, "/console/settings/rota", typed, to="/console/settings/rota/add")
        with db.reading() as session:
            found = list(session.scalars(select(DutyShift).order_by(DutyShift.starts_at)))
    spans = [(s.starts_at, s.ends_at) for s in found]
    assert spans == [  # London moves its clocks on 28 March 2027: 22:00 stays 22:00
        (datetime(2027, 3, 24, 22, tzinfo=UTC), datetime(2027, 3, 25, 8, tzinfo=UTC)),
        (datetime(2027, 3, 31, 21, tzinfo=UTC), datetime(2027, 4, 1, 7, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"day": "2020-01-01"}, "over already"),
        ({"weeks": "99"}, "Between 1 and 26 weeks"),
        ({"weeks": "0"}, "Between 1 and 26 weeks"),
        ({"day": ""}, "Choose a day"),
        ({"coordinator_id": "00000000-0000-0000-0000-000000000000"}, "Not a valid choice"),
    ],
)
def test_what_cannot_stand_on_the_rota_is_said(admin: FlaskClient, more: dict[str, str], words: str) -> None:
    me = desk.coordinator("admin@example.org")
    answer = submit(admin, "/console/settings/rota", shift(me, **more), to="/console/settings/rota/add")
    assert answer.status_code == 422
    assert words in answer.text


def test_gaps_are_what_nobody_covers(admin: FlaskClient) -> None:
    person, start = desk.coordinator("admin@example.org").id, datetime(2026, 12, 7, tzinfo=UTC)
    hour = timedelta(hours=1)
    made = [DutyShift(coordinator_id=person, starts_at=start + a * hour, ends_at=start + b * hour, tier=t)
            for a, b, t in ((2, 6, 1), (4, 5, 2), (6, 9, 1), (12, 30, 1))]  # fmt: skip
    assert rota.gaps(made, start, start + 24 * hour) == [
        (start, start + 2 * hour),
        (start + 9 * hour, start + 12 * hour),
    ]
    assert rota.gaps([], start, start + hour) == [(start, start + hour)]


def test_a_coordinator_reads_the_rota_and_leaves_it(enter: Enter) -> None:
    client = enter("coordinator")
    me = desk.coordinator("coordinator@example.org")
    assert client.get("/console/settings/rota").status_code == 200
    assert submit(client, "/console/you", shift(me), to="/console/settings/rota/add").status_code == 403


def test_ready_replies_know_the_first_name_and_nothing_else(admin: FlaskClient) -> None:
    typed = {"title": "Warm hello", "language": "en", "body": "Dear {{ first_nam }}"}
    refused = submit(admin, "/console/settings/replies/new", typed)
    assert refused.status_code == 422
    assert "first_name" in refused.text
    assert submit(admin, "/console/settings/replies/new", typed | {"body": "Dear {{ first_name }}"}).status_code == 302
    with db.reading() as session:
        made = session.scalars(select(CannedReply)).one()
    assert submit(admin, f"/console/settings/replies/{made.id}", typed | {"body": "Hello"}).status_code == 302
    assert "Hello" in admin.get("/console/settings/replies").text
    submit(admin, "/console/settings/replies", {}, to=f"/console/settings/replies/{made.id}/delete")
    assert "No reply is ready yet" in admin.get("/console/settings/replies").text


def test_what_is_set_is_shown_with_its_variable_and_no_secret(admin: FlaskClient) -> None:
    desk.text(ANA, "hello?")
    organisation, providers = (admin.get(f"/console/settings/{p}").text for p in ("organisation", "providers"))
    assert "12 Lantern Lane, Willowbrook" in organisation
    assert "ORG_POSTAL_ADDRESS" in organisation
    assert "http://localhost:8000/webhooks/twilio/message" in providers
    assert "SENDGRID_WEBHOOK_PUBLIC_KEY" in providers
    assert providers.count("never, or not in 30 days") == 3
    for secret in ("1" * 32, "SG.for-tests", "a-secret-for-tests-only"):
        assert secret not in organisation + providers


def test_the_trail_shows_who_read_whom_and_never_the_words(admin: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    desk.text(ANA, "The week was long and hard")
    admin.get(f"/console/inbox/{desk.conversation_of(ana).id}")
    page = admin.get("/console/settings/audit?what=conversation").text
    assert "conversation: read" in page
    assert "Maren Holt" in page
    assert "The week was long" not in page
    assert "conversation: read" not in admin.get("/console/settings/audit?what=story").text
    with db.transaction() as session:
        for number in range(60):
            session.add(AuditEntry(at=clock.now(), actor="cli", action="tool.change", subject_type="Tool",
                                   subject_id=f"number-{number:03d}"))  # fmt: skip
    first = admin.get("/console/settings/audit?who=cli&what=tool").text
    assert "number-059" in first
    assert "number-009" not in first
    older = re.findall(r'href="([^"]+before=\d+[^"]*)"', first)[0].replace("&amp;", "&")
    assert "number-009" in admin.get(older).text
    assert "number-059" not in admin.get(older).text


def test_days_are_those_of_the_viewer(admin: FlaskClient) -> None:
    page = admin.get("/console/settings/rota?week=2026-12-02").text
    assert date(2026, 11, 30).strftime("%d") in page
    assert "November 30" in page or "30 November" in page
