"""The door: a first password, signing in and out, sessions that end, and what guards them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select

from service import clock, db, links
from service.actions import staff
from service.cli import main
from service.errors import Invalid
from service.models.staff import AuditEntry, Coordinator, Role, StaffSession
from service.web.auth import local_path, role
from tests import once
from tests.web.pages import PASSWORD, form_token, path_of, submit

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD, query: str = ""):  # type: ignore[no-untyped-def]
    return submit(client, f"/console/sign-in{query}", {"email": email, "password": password})


def test_from_the_command_line_to_a_session(app: Flask) -> None:
    """On both databases: a link is printed, sets a password once, and the password opens the door."""
    printed = CliRunner().invoke(main, ["coordinator", "add", "Ana@Example.org", "--role", "admin", "--name", "Ana"])
    assert printed.exit_code == 0, printed.output
    link = path_of(printed.output.strip().splitlines()[-1])

    browser = app.test_client()
    assert "Welcome, Ana" in browser.get(link).text
    entered = submit(browser, link, {"password": PASSWORD, "time_zone": "Europe/London"})
    assert entered.status_code == 302
    assert "ana@example.org" in browser.get("/console/you").text

    again = app.test_client().get(link)
    assert again.status_code == 410
    assert "used already" in again.text

    other = app.test_client()
    assert sign_in(other, " ANA@example.org ").status_code == 302
    page = other.get("/console/you")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    with db.reading() as session:
        person = session.scalars(select(Coordinator)).one()
        assert (person.role, person.time_zone) == (Role.ADMIN, "Europe/London")
        assert person.password_hash
        assert person.password_hash.startswith("$argon2id$")
        actions = set(session.scalars(select(AuditEntry.action)))
    assert {"coordinator.added", "coordinator.password_set", "session.started"} <= actions


@only_sqlite
def test_opening_the_link_changes_nothing(app: Flask, database: db.Database) -> None:
    link = path_of(staff.add_coordinator("ana@example.org"))
    for _ in range(3):  # mail scanners follow links
        assert app.test_client().get(link).status_code == 200
    with db.reading() as session:
        assert session.scalars(select(Coordinator)).one().password_hash is None


@only_sqlite
@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 12"),
        ("aaaaaaaaaaaaaaaa", "easy to guess"),
        ("whitcombe-whitcombe", "easy to guess"),
        ("", "Choose a password"),
    ],
)
def test_a_weak_password_is_told_beside_its_field(app: Flask, password: str, words: str) -> None:
    link = path_of(staff.add_coordinator("whitcombe@example.org"))
    answer = submit(app.test_client(), link, {"password": password})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert 'id="password-error"' in answer.text


@only_sqlite
def test_a_fresh_link_ends_sessions_when_used_and_an_old_link_dies(
    app: Flask, enter: Callable[..., FlaskClient]
) -> None:
    console = enter("coordinator", "ana@example.org")
    link = path_of(staff.add_coordinator("ana@example.org"))
    assert console.get("/console/you").status_code == 200  # a link alone ends nothing
    submit(app.test_client(), link, {"password": "another four plain words"})
    assert console.get("/console/you").status_code == 302


@only_sqlite
def test_a_link_ends_by_its_age_and_a_changed_one_is_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert links.LIFETIMES["set-password"] == 3 * 24 * 3600
    link = path_of(staff.add_coordinator("ana@example.org"))
    assert app.test_client().get(link[:-3] + "AAA").status_code == 404
    monkeypatch.setitem(links.LIFETIMES, "set-password", -1)
    answer = app.test_client().get(link)
    assert answer.status_code == 410
    assert "too old" in answer.text


@only_sqlite
def test_a_wrong_password_and_an_unknown_email_get_the_same_answer(
    client: FlaskClient, enter: Callable[..., FlaskClient]
) -> None:
    enter("coordinator", "ana@example.org")
    wrong = sign_in(client, "ana@example.org", "not the password")
    unknown = sign_in(client, "nobody@example.org", "not the password")
    assert wrong.status_code == unknown.status_code == 422
    assert "do not go together" in wrong.text
    without_tokens = [re.sub(r'value="[^"]*"', "", page.text) for page in (wrong, unknown)]
    assert without_tokens[0] == without_tokens[1]
    assert 'value="ana@example.org"' in wrong.text  # what was typed stays
    assert "not the password" not in wrong.text


@only_sqlite
def test_a_hash_of_other_days_is_renewed_at_sign_in_and_a_new_link_holds(console: FlaskClient) -> None:
    with db.transaction() as session:
        person = session.scalars(select(Coordinator)).one()
        old = person.password_hash = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    entered = staff.authenticate(person.email, PASSWORD)
    with db.reading() as session:
        kept = session.scalars(select(Coordinator.password_hash)).one()
    assert kept is not None
    assert kept != old
    assert extract_parameters(kept) == extract_parameters(staff.hashed("any words"))
    assert staff.authenticate(person.email, PASSWORD).id == person.id
    staff.set_password(path_of(staff.password_link(entered)).rsplit("/", 1)[1], "four quiet winter evenings")


def test_passwords_are_hashed_with_the_work_of_rfc_9106() -> None:
    """The tests themselves hash with next to none: this is what the service asks for."""
    asked = extract_parameters(once.PASSWORDS.hash("any words"))
    least = RFC_9106_LOW_MEMORY
    assert asked.type == Type.ID
    assert asked.time_cost >= least.time_cost
    assert asked.memory_cost >= least.memory_cost
    assert asked.parallelism == least.parallelism


@only_sqlite
def test_an_unknown_email_costs_as_much_work(database: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = staff._verify
    monkeypatch.setattr(staff, "_verify", lambda known, given: checked.append(known) or real(known, given))
    with pytest.raises(Invalid):
        staff.authenticate("nobody@example.org", "whatever it is")
    assert len(checked) == 1
    assert checked[0].startswith("$argon2id$")


@only_sqlite
def test_somebody_who_was_deactivated_is_out(console: FlaskClient, client: FlaskClient) -> None:
    with db.transaction() as session:
        session.scalars(select(Coordinator)).one().active = False
    assert console.get("/console/you").status_code == 302
    assert sign_in(client, "coordinator@example.org").status_code == 422


@only_sqlite
def test_tries_are_limited_for_one_account_from_one_place(
    client: FlaskClient, enter: Callable[..., FlaskClient]
) -> None:
    enter("coordinator", "ana@example.org")
    token = form_token(client.get("/console/sign-in"))

    def attempt(email: str, password: str, ip: str) -> int:
        data = {"csrf_token": token, "email": email, "password": password}
        return client.post("/console/sign-in", data=data, environ_overrides={"REMOTE_ADDR": ip}).status_code

    assert [attempt("ana@example.org", f"guess {n}", "203.0.113.1") for n in range(10)] == [422] * 10
    assert attempt("ana@example.org", PASSWORD, "203.0.113.1") == 429  # even the right one, from here
    assert attempt("bo@example.org", "guess", "203.0.113.1") == 422
    assert attempt("ana@example.org", PASSWORD, "198.51.100.7") == 302  # she herself is not locked out


@only_sqlite
def test_tries_are_counted_in_redis_for_all_processes(valkey: Redis, client: FlaskClient) -> None:
    sign_in(client, "ana@example.org", "guess")
    counted = [key.decode() for key in valkey.keys("*hearthline*")]
    assert counted
    assert not any("ana" in key for key in counted)  # whose account it was cannot be read there


@only_sqlite
def test_tries_are_limited_for_one_place(client: FlaskClient, database: db.Database) -> None:
    token = form_token(client.get("/console/sign-in"))
    codes = [
        client.post(
            "/console/sign-in",
            data={"csrf_token": token, "email": f"person{n}@example.org", "password": "guess"},
            # one household: the addresses of an IPv6 /64 count together
            environ_overrides={"REMOTE_ADDR": f"2001:db8:1:2::{n:x}"},
        ).status_code
        for n in range(31)
    ]
    assert codes == [422] * 30 + [429]


@only_sqlite
def test_where_one_lands_after_signing_in(client: FlaskClient, enter: Callable[..., FlaskClient]) -> None:
    enter("coordinator", "ana@example.org")
    asked = client.get("/console/you?tab=1")
    assert asked.headers["Location"] == "/console/sign-in?next=/console/you?tab%3D1"
    entered = sign_in(client, "ana@example.org", query="?next=/console/you")
    assert entered.headers["Location"] == "/console/you"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/a\\b",
        "javascript:alert(1)",
        "console/you",
        "",
        None,
    ],
)
def test_nobody_is_sent_elsewhere(target: str | None) -> None:
    assert local_path(target) is None


@only_sqlite
def test_the_door_does_not_redirect_elsewhere(client: FlaskClient, enter: Callable[..., FlaskClient]) -> None:
    enter("coordinator", "ana@example.org")
    entered = sign_in(client, "ana@example.org", query="?next=https://evil.example/console")
    assert entered.headers["Location"].startswith("/console/")


@only_sqlite
def test_signing_out_is_a_button_and_ends_the_session(console: FlaskClient, app: Flask) -> None:
    stolen = console.get_cookie("hearthline")
    assert stolen
    assert console.get("/console/sign-out").status_code == 405
    submit(console, "/console/you", {}, to="/console/sign-out")
    assert console.get("/console/you").status_code == 302
    thief = app.test_client()
    thief.set_cookie("hearthline", stolen.value)
    assert thief.get("/console/you").status_code == 302


@only_sqlite
def test_ending_one_session_and_all_others(enter: Callable[..., FlaskClient], app: Flask) -> None:
    here = enter("coordinator", "ana@example.org")
    phone, library = app.test_client(), app.test_client()
    for other in (phone, library):
        sign_in(other, "ana@example.org")
    with db.reading() as session:
        ids = list(session.scalars(select(StaffSession.id).order_by(StaffSession.created_at)))
    assert len(ids) == 3
    submit(here, "/console/you", {}, to=f"/console/you/sessions/{ids[1]}/end")
    assert phone.get("/console/you").status_code == 302
    assert library.get("/console/you").status_code == 200
    submit(here, "/console/you", {}, to="/console/you/sessions/end-others")
    assert library.get("/console/you").status_code == 302
    assert here.get("/console/you").status_code == 200

    stranger = enter("coordinator", "bo@example.org", "Bo")
    answer = submit(stranger, "/console/you", {}, to=f"/console/you/sessions/{ids[0]}/end")
    assert answer.status_code == 404
    assert here.get("/console/you").status_code == 200


@only_sqlite
def test_a_session_ends_when_idle_and_at_last_in_any_case(database: db.Database) -> None:
    with clock.frozen_at(NOON):
        link = staff.add_coordinator("ana@example.org")
        person = staff.set_password(path_of(link).rsplit("/", 1)[1], PASSWORD)
        used, idle, polled = (staff.start_session(person.id, "Firefox") for _ in range(3))
    for hours in range(6, 7 * 24, 6):
        with clock.frozen_at(NOON + timedelta(hours=hours)):
            assert staff.resume_session(used), hours
            assert bool(staff.resume_session(polled, used=False)) == (hours < 12)
    with clock.frozen_at(NOON + timedelta(hours=12)):
        assert staff.resume_session(idle) is None
    with clock.frozen_at(NOON + timedelta(days=7)):
        assert staff.resume_session(used) is None


@only_sqlite
def test_a_page_left_open_says_so_and_keeps_what_is_typed(console: FlaskClient, app: Flask) -> None:
    """The session ends while somebody writes; they sign in in another tab (same cookies) and send the page again."""
    token = form_token(console.get("/console/you"))
    person = staff.authenticate("coordinator@example.org", PASSWORD)
    with db.reading() as session:
        mine = session.scalars(select(StaffSession.id).where(StaffSession.coordinator_id == person.id)).one()
    staff.end_session(person.id, mine)

    poll = console.get("/console/alerts?seen=x", headers={"HX-Request": "true"})
    assert poll.status_code == 286  # htmx stops asking; the page stays
    assert "You are signed out" in poll.text

    typed = {"csrf_token": token, "name": "Ana of the Harbour", "time_zone": "Europe/London"}
    lost = console.post("/console/you", data=typed)
    assert lost.status_code == 401
    assert "reload this page" in lost.text
    assert sign_in(console, "coordinator@example.org").status_code == 302
    assert console.post("/console/you", data=typed).status_code == 302
    assert "Ana of the Harbour" in console.get("/console/you").text


@only_sqlite
def test_changing_the_password_asks_for_the_present_one(console: FlaskClient) -> None:
    wrong = submit(console, "/console/you", {"current": "not this"}, to="/console/you/password")
    assert wrong.status_code == 422
    assert "not your present password" in wrong.text
    good = submit(console, "/console/you", {"current": PASSWORD}, to="/console/you/password")
    assert good.headers["Location"].startswith("/console/password/")
    done = submit(console, good.headers["Location"], {"password": "another four plain words"})
    assert done.status_code == 302
    assert console.get("/console/you").status_code == 200


@only_sqlite
def test_roles_open_what_they_are_for(app: Flask, enter: Callable[..., FlaskClient]) -> None:
    @app.get("/console/only-some")
    @role("admin", "safeguarding")
    def only_some() -> str:
        return "inside"

    assert enter("admin").get("/console/only-some").text == "inside"
    assert enter("safeguarding").get("/console/only-some").text == "inside"
    for name in ("coordinator", "circle_coordinator"):
        refused = enter(name).get("/console/only-some")
        assert refused.status_code == 403
        assert "administrator" in refused.text
    assert app.test_client().get("/console/only-some").status_code == 302
    program = app.test_client().get("/console/only-some", headers={"Accept": "application/json"})
    assert (program.status_code, program.json and program.json["error"]["code"]) == (401, "not_signed_in")


@only_sqlite
def test_adding_somebody_again_keeps_their_role_unless_told(database: db.Database) -> None:
    staff.add_coordinator("ana@example.org", Role.ADMIN, "Ana")
    staff.add_coordinator("ANA@example.org")
    with db.reading() as session:
        person = session.scalars(select(Coordinator)).one()
    assert (person.role, person.name) == (Role.ADMIN, "Ana")
    with pytest.raises(Invalid) as refused:
        staff.add_coordinator("not an address")
    assert refused.value.field == "email"


@pytest.mark.parametrize("address", ["/console", "/console/"])
def test_the_address_that_the_terminal_prints_leads_to_the_door(client: FlaskClient, address: str) -> None:
    answer = client.get(address, follow_redirects=True)
    assert answer.status_code == 200
    assert answer.request.path == "/console/sign-in"
