"""The members' pages: who sees whom and how much, what may be done to whom, importing and exporting by page."""

import csv
import io
from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db
from service.actions import consent, imports
from service.models.campaigns import Delivery
from service.models.content import TopicLeftOut
from service.models.conversations import CheckIn
from service.models.gatherings import Circle, CircleMembership, CircleStaff
from service.models.members import AddressState, ChannelName, ConsentEvent, ConsentKind, ImportRun, Member, MemberState
from service.models.staff import AuditEntry, Coordinator
from tests.web.pages import form_token, path_of, submit

Enter = Callable[..., FlaskClient]
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
HEADER = "first_name,phone,email,topics,circle,consented_at,consent_source\n"
PEOPLE = """Ana,+12025550123,ana@example.org,,kitchen-table,2026-01-05,paper form
Bea,+12025550111,,stories,night-owls,2026-01-05,paper form
Cem,,cem@example.org,checkins,,,
"""


@pytest.fixture
def people(database: db.Database) -> dict[str, UUID]:
    """Ana in one circle, Bea in another, Cem in none and waiting to confirm."""
    with db.transaction() as session:
        for name, slug in (("Kitchen Table", "kitchen-table"), ("Night Owls", "night-owls")):
            session.add(
                Circle(name=name, slug=slug, keyword=slug[:5], time_zone="Europe/London", created_at=clock.now())
            )
    assert imports.import_file((HEADER + PEOPLE).encode(), "sheet.csv").done
    with db.reading() as session:
        return {m.first_name: m.id for m in session.scalars(select(Member))}


def leads(email: str, slug: str) -> None:
    """Make somebody look after a circle."""
    with db.transaction() as session:
        person = session.scalars(select(Coordinator).where(Coordinator.email == email)).one()
        circle = session.scalars(select(Circle).where(Circle.slug == slug)).one()
        session.add(CircleStaff(circle_id=circle.id, coordinator_id=person.id))


def actions() -> list[str]:
    with db.reading() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def state_of(member_id: UUID) -> MemberState:
    with db.reading() as session:
        return session.get_one(Member, member_id).state


def post(client: FlaskClient, page: str, to: str, **data: object):  # type: ignore[no-untyped-def]
    """Press a button on `page` that goes to `to`."""
    return client.post(to, data={"csrf_token": form_token(client.get(page)), **data})


def test_the_list_and_the_search(people: dict[str, UUID], console: FlaskClient) -> None:
    page = console.get("/console/members/").text
    for words in ("Ana", "Bea", "Cem", "+1 ••• ••• 0123", "a•••@example.org", "Kitchen Table"):
        assert words in page
    assert "5550123" not in page, "nobody needs whole numbers to look over a list"

    assert "Cem" not in console.get("/console/members/?shelf=here").text
    assert "Ana</a>" not in console.get("/console/members/?shelf=waiting").text
    assert "Bea" not in console.get("/console/members/?channel=email").text
    gets = console.get("/console/members/?topic=checkins&shelf=here").text
    assert "Ana</a>" in gets
    assert "Bea</a>" not in gets

    found = submit(console, "/console/members/", {"q": "(202) 555-0111"}, to="/console/members/find")
    assert found.headers["Location"].endswith(str(people["Bea"]))
    found = submit(console, "/console/members/", {"q": "CEM@example.org"}, to="/console/members/find")
    assert found.headers["Location"].endswith(str(people["Cem"]))
    found = submit(console, "/console/members/", {"q": "be"}, to="/console/members/find")
    named = console.get(found.headers["Location"]).text
    assert "Bea</a>" in named
    assert "Ana</a>" not in named
    nobody = submit(console, "/console/members/", {"q": "+12025559999"}, to="/console/members/find")
    assert "5559999" not in nobody.headers["Location"]
    assert "Nobody has exactly this" in console.get(nobody.headers["Location"]).text


@only_sqlite
def test_a_members_page(people: dict[str, UUID], console: FlaskClient) -> None:
    with db.transaction() as session:
        for score in (2, 4):
            session.add(CheckIn(member_id=people["Ana"], score=score, at=clock.now()))
    page = console.get(f"/console/members/{people['Ana']}").text
    for words in (
        "+12025550123", "ana@example.org", "Consent given elsewhere, brought here: texts", "Paper form",
        "sheet.csv row 2", "Kitchen Table", "1 very hard … 5 good. Last: 4", "Nothing yet",
    ):  # fmt: skip
        assert words in page, words
    assert actions()[-1] == "member.read"

    waiting = console.get(f"/console/members/{people['Cem']}").text
    assert "Asked to join; waiting for their yes: emails" in waiting
    assert "Request to confirm" in waiting
    assert console.get(f"/console/members/{db.uuid7()}").status_code == 404


def test_a_circle_coordinator_sees_their_own_circle_masked(people: dict[str, UUID], enter: Enter) -> None:
    dorothy = enter("circle_coordinator")
    assert "Ana</a>" not in dorothy.get("/console/members/").text
    leads("circle_coordinator@example.org", "kitchen-table")
    listed = dorothy.get("/console/members/").text
    assert "Ana</a>" in listed
    assert "Bea</a>" not in listed
    assert "Cem</a>" not in listed
    assert "Night Owls" not in listed

    ana, bea = f"/console/members/{people['Ana']}", f"/console/members/{people['Bea']}"
    page = dorothy.get(ana).text
    assert "+1 ••• ••• 0123" in page
    assert "5550123" not in page
    assert "ana@example.org" not in page
    assert dorothy.get(bea).status_code == 404
    found = submit(dorothy, "/console/members/", {"q": "+12025550111"}, to="/console/members/find")
    assert found.headers["Location"] == "/console/members/", "a number outside is not even confirmed"

    token = form_token(dorothy.get("/console/members/"))
    for path in (f"{bea}/stop", f"{bea}/pause", f"{bea}/resume", f"{bea}/circles/leave"):
        answer = dorothy.post(
            path, data={"csrf_token": token, "how": "phone", "scope": "all", "circle_id": str(db.uuid7())}
        )
        assert answer.status_code == 404, path
    for path in (f"{ana}/edit", f"{ana}/erase", f"{ana}/died", f"{ana}/undo-stop", "/console/members/new"):
        assert dorothy.get(path).status_code == 403, path
    for path in ("/console/members/export", "/console/members/import"):
        assert dorothy.get(path).status_code == 403
        assert dorothy.post(path, data={"csrf_token": token}).status_code == 403
    assert state_of(people["Bea"]) == MemberState.ACTIVE

    assert submit(dorothy, f"{ana}/stop", {"how": "by phone, to me", "scope": "all"}).status_code == 302
    assert state_of(people["Ana"]) == MemberState.LEFT


@only_sqlite
def test_every_page_needs_somebody_signed_in(people: dict[str, UUID], client: FlaskClient) -> None:
    for path in (
        "",
        "/new",
        "/export",
        "/import",
        f"/{people['Ana']}",
        f"/{people['Ana']}/stop",
        f"/{people['Ana']}/erase",
    ):
        assert "sign-in" in client.get(f"/console/members{path or '/'}").headers["Location"], path


def test_stop_undo_and_pause(people: dict[str, UUID], console: FlaskClient) -> None:
    ana = f"/console/members/{people['Ana']}"
    unsaid = submit(console, f"{ana}/stop", {"scope": "all", "how": ""})
    assert unsaid.status_code == 422
    assert "Say how" in unsaid.text
    some = submit(console, f"{ana}/stop", {"how": "in person", "scope": "topics", "topics": []})
    assert "Choose the topics." in some.text
    submit(console, f"{ana}/stop", {"how": "in person", "scope": "topics", "topics": ["stories"]})
    submit(console, f"{ana}/stop", {"how": "by phone, to me", "scope": "sms"})
    page = console.get(ana).text
    assert "Asked us to stop." in page
    assert "Told us: by phone, to me, by Ana Whitcombe" in page

    assert "On again" not in page
    back = submit(console, f"{ana}/undo-stop", {"channel": "sms", "why": ""})
    assert back.status_code == 422
    submit(console, f"{ana}/undo-stop", {"channel": "sms", "why": "she asked for fewer, not for none"})
    page = console.get(ana).text
    assert "A stop was taken back by staff: texts" in page
    assert "Asked us to stop." not in page
    with db.reading() as session:
        member = session.get_one(Member, people["Ana"])
        off = {s.topic for s in member.subscriptions if s.state == "stopped"}
    assert off == {"stories"}, "what was switched off by topic stays off"

    assert "still to come" in submit(console, f"{ana}/pause", {"pause_until": "2020-01-01"}).text
    assert "2026-03-31" in submit(console, f"{ana}/pause", {"pause_until": "soon"}).text
    submit(console, f"{ana}/pause", {"pause_until": "2030-05-01"})
    assert "taking a break" in console.get(ana).text
    post(console, ana, f"{ana}/resume")
    assert "taking a break" not in console.get(ana).text


@only_sqlite
def test_a_phone_that_may_be_somebody_elses(people: dict[str, UUID], console: FlaskClient) -> None:
    ana = f"/console/members/{people['Ana']}"
    assert "still theirs" not in console.get(ana).text
    for state, told in (("ok", "texts wait for a YES"), ("silent", "May not be theirs any more")):
        with db.transaction() as session:
            phone = session.get_one(Member, people["Ana"]).address(ChannelName.SMS)
            assert phone is not None
            phone.state, phone.still_asked_at = AddressState(state), clock.now()
        assert told in console.get(ana).text
        post(console, ana, f"{ana}/phone-is-theirs")
        assert "It is still theirs" not in console.get(ana).text
    assert actions().count("member.phone_vouched") == 2
    post(console, ana, f"{ana}/phone-is-theirs")
    assert "Nothing is in doubt" in console.get(ana).text


@only_sqlite
def test_circles(people: dict[str, UUID], console: FlaskClient) -> None:
    ana = f"/console/members/{people['Ana']}"
    with db.reading() as session:
        ids = {c.slug: c.id for c in session.scalars(select(Circle))}
    post(console, ana, f"{ana}/circles/add", circle_id=ids["night-owls"])
    post(console, ana, f"{ana}/circles/leave", circle_id=ids["kitchen-table"])
    with db.reading() as session:
        here = session.scalars(
            select(CircleMembership.circle_id).where(
                CircleMembership.member_id == people["Ana"], CircleMembership.left_at.is_(None)
            )
        ).all()
    assert here == [ids["night-owls"]]
    assert post(console, ana, f"{ana}/circles/add").status_code == 404


def test_edit(people: dict[str, UUID], console: FlaskClient) -> None:
    path = f"/console/members/{people['Ana']}/edit"
    values = {
        "first_name": "Anna", "phone": "+12025550123", "email": "ana@example", "locale": "en", "country": "US",
        "time_zone": "America/Chicago", "loss_on": "2026-11-01",
    }  # fmt: skip
    wrong = submit(console, path, values)
    assert wrong.status_code == 422
    assert "cannot be right" in wrong.text
    assert 'value="Anna"' in wrong.text, "nothing typed is lost"
    assert submit(console, path, values | {"email": "anna@example.org"}).status_code == 302
    with db.reading() as session:
        anna = session.get_one(Member, people["Ana"])
        assert (anna.first_name, anna.time_zone, str(anna.loss_on)) == ("Anna", "America/Chicago", "2026-11-01")
        assert anna.locale == "en-US"
        assert anna.address(ChannelName.EMAIL).verified_at is None  # type: ignore[union-attr]
        assert anna.address(ChannelName.SMS).verified_at is not None  # type: ignore[union-attr]


def test_died_and_erased(people: dict[str, UUID], enter: Enter) -> None:
    admin = enter("admin")
    bea, cem = f"/console/members/{people['Bea']}", f"/console/members/{people['Cem']}"
    submit(admin, f"{bea}/died", {})
    assert state_of(people["Bea"]) == MemberState.DIED
    page = admin.get(bea).text
    assert "has died" in page
    assert "/stop" not in page

    slip = submit(admin, f"{cem}/erase", {"typed": "Bea"})
    assert slip.status_code == 422
    assert "Type Cem" in slip.text
    assert submit(admin, f"{cem}/erase", {"typed": "cem"}).status_code == 302
    assert state_of(people["Cem"]) == MemberState.ERASED
    assert "Somebody who was erased" in admin.get(cem).text
    assert "Cem</a>" not in admin.get("/console/members/").text
    assert enter("coordinator").get(f"{bea}/erase").status_code == 403


def test_add_a_member(people: dict[str, UUID], console: FlaskClient) -> None:
    path = "/console/members/new"
    typed = {
        "first_name": "Dee", "phone": "202-555-0140", "country": "US", "locale": "es", "topics": ["stories", "tools"],
        "circle": "kitchen-table", "consent": "proof", "consented_at": "2026-02-01", "consent_source": "",
        "timezone": "",
    }  # fmt: skip
    wrong = submit(console, path, typed)
    assert wrong.status_code == 422
    assert "aged 18 or over" in wrong.text
    wrong = submit(console, path, typed | {"adult": "y"})
    assert "needs both" in wrong.text
    assert 'value="Dee"' in wrong.text
    added = submit(console, path, typed | {"adult": "y", "consent_source": "told me at the table"})
    assert added.status_code == 302, added.text
    dee = UUID(path_of(added.headers["Location"]).rsplit("/", 1)[1])
    with db.reading() as session:
        member = session.get_one(Member, dee)
        assert (member.state, member.locale) == (MemberState.ACTIVE, "es-US")
        assert {s.topic for s in member.subscriptions} == {"stories", "tools"}
        line = session.scalars(select(ConsentEvent).where(ConsentEvent.member_id == dee)).one()
        assert (line.kind, line.source) == (ConsentKind.IMPORTED, "told me at the table")
        assert line.actor.startswith("coordinator:")

    known = submit(console, path, typed | {"adult": "y", "consent": "ask", "consented_at": ""})
    assert "is a member already" in known.text
    assert "another person, who shares" in known.text
    plain = dict.fromkeys(("first_name", "phone", "country", "circle", "timezone"), "")
    eve = {"email": "eve@example.org", "topics": ["tools"], "consent": "ask", "adult": "y", "locale": "en"}
    asked = submit(console, path, plain | eve)
    assert asked.status_code == 302
    with db.reading() as session:
        assert session.scalars(select(Delivery).where(Delivery.member_id != people["Cem"])).one().purpose == "confirm"


def test_export(people: dict[str, UUID], console: FlaskClient) -> None:
    with db.transaction() as session:
        session.get_one(Member, people["Cem"]).first_name = '=HYPERLINK("http://evil.example")'
        consent.stop(session, session.get_one(Member, people["Bea"]), source="text")
        session.add_all(TopicLeftOut(member_id=people["Ana"], topic=topic) for topic in ("work", "grief"))
    assert "grief, work" in console.get(f"/console/members/{people['Ana']}").text
    assert "No stories about" not in console.get(f"/console/members/{people['Cem']}").text
    assert "not protected" in console.get("/console/members/export").text
    assert "members.exported" not in actions()
    answer = submit(console, "/console/members/export", {})
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    rows = {r["email"] or r["phone"]: r for r in csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))}
    ana = rows["ana@example.org"]
    assert (ana["phone"], ana["phone_state"], ana["circle"], ana["state"]) == (
        "'+12025550123", "confirmed", "Kitchen Table", "active",
    )  # fmt: skip
    assert ana["no_stories_about"] == "grief;work"
    assert rows["cem@example.org"]["no_stories_about"] == ""
    assert rows["cem@example.org"]["first_name"].startswith("'=")
    assert rows["cem@example.org"]["email_state"] == "not confirmed"
    assert rows["'+12025550111"]["phone_state"] == "stopped"
    assert "members.exported" in actions()


def upload(client: FlaskClient, text: str):  # type: ignore[no-untyped-def]
    token = form_token(client.get("/console/members/import"))
    data = {"csrf_token": token, "file": (io.BytesIO(text.encode()), "sign-ups.csv")}
    return client.post("/console/members/import", data=data, content_type="multipart/form-data")


def test_import_by_page(database: db.Database, console: FlaskClient) -> None:
    assert "Choose a file" in submit(console, "/console/members/import", {}).text
    run = path_of(upload(console, HEADER + "Fay,,fay@example.org,,,,\nGus,12,,,,,\n").headers["Location"])
    page = console.get(run).text
    assert "waits for a worker" in page
    assert 'hx-trigger="every 2s"' in page
    assert console.get(f"{run}/live?seen=waiting-0").status_code == 204
    imports.run_waiting()

    live = console.get(f"{run}/live?seen=waiting-0").text
    assert "hx-get" not in live, "nothing is left to wait for"
    assert "Row 3" in live
    assert "We cannot read this number" in live
    assert "Import the others" in live
    errors = console.get(f"{run}/errors.csv").text
    assert errors.splitlines()[1].startswith('3,phone,"We cannot read this number')
    with db.reading() as session:
        assert session.scalars(select(Member)).all() == []

    post(console, run, f"{run}/go-ahead", skip_bad="1")
    imports.run_waiting()
    done = console.get(run).text
    assert "1 person is new here" in done
    again = post(console, "/console/members/import", f"{run}/go-ahead", skip_bad="1")
    assert "has been imported" in console.get(again.headers["Location"]).text
    with db.reading() as session:
        assert session.scalars(select(Member.first_name)).all() == ["Fay"]
        assert session.scalars(select(ImportRun.content)).all() == [None]


@only_sqlite
def test_a_file_that_is_none_and_one_that_is_forgotten(database: db.Database, console: FlaskClient) -> None:
    assert "CSV UTF-8" in upload(console, "PK\x03\x04").text
    run = path_of(upload(console, "first_name;email\nA;b@example.org").headers["Location"])
    imports.run_waiting()
    page = console.get(run).text
    assert "separated by semicolons" in page
    assert "cannot be read as a list" in page
    assert "go-ahead" not in page
    post(console, "/console/members/import", f"{run}/discard")
    assert console.get(run).status_code == 404


@only_sqlite
def test_the_limit_of_an_upload(database: db.Database, console: FlaskClient) -> None:
    assert upload(console, "x" * (3 * 1024 * 1024)).status_code in (302, 422), "more than other pages take"
    assert upload(console, "x" * (22 * 1024 * 1024)).status_code == 413


@only_sqlite
def test_pages_of_a_long_list(database: db.Database, console: FlaskClient) -> None:
    rows = "".join(f"N{i:03d},,n{i}@example.org,,,,\n" for i in range(120))
    imports.import_file((HEADER + rows).encode(), "long.csv")
    seen: list[str] = []
    path = "/console/members/"
    for _ in range(5):
        page = console.get(path).text
        seen += [f"N{i:03d}" for i in range(120) if f"N{i:03d}</a>" in page]
        if 'rel="next"' not in page:
            break
        path = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert seen == [f"N{i:03d}" for i in range(120)]
    assert 'rel="prev"' in page
    path = page.split('rel="prev" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "N050</a>" in console.get(path).text
