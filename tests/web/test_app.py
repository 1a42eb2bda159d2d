"""What holds for every page: headers, nothing inline, errors for people and for programs, health."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Blueprint, Flask, render_template_string
from flask.testing import FlaskClient
from redis import Redis

from service import clock, config, db
from service.app import create_app
from service.config import Settings
from service.errors import Conflict, Invalid, LinkExpired, TooMany
from service.models.conversations import Conversation, ConversationState, Flag, RiskTier
from service.models.gatherings import Circle, CircleMembership
from service.models.members import ChannelName, Member
from service.web.security import MB, accepts, csrf
from tests.web.pages import form_token

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

TEMPLATES = sorted(p for f in ("console", "public", "errors", "macros") for p in (config.TEMPLATES / f).rglob("*.html"))
INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)|<style\b|\sstyle\s*=|\son[a-z]+\s*=|javascript:|hx-on|['\"]js:", re.IGNORECASE
)


@pytest.fixture
def trouble(app: Flask) -> FlaskClient:
    """The application with a few addresses that go wrong in every way there is."""
    bp = Blueprint("trouble", __name__)

    @bp.route("/<any(trouble, api, webhooks):where>/<what>", methods=["GET", "POST"])
    def go_wrong(where: str, what: str) -> str:
        raise {
            "invalid": Invalid("Type a number.", field="phone"),
            "conflict": Conflict("Somebody was quicker."),
            "expired": LinkExpired("This link is too old."),
            "often": TooMany("Wait a little."),
            "bug": KeyError("+44 7700 900123"),
        }[what]

    @bp.post("/webhooks/size")
    @bp.post("/size")
    def size() -> str:
        from flask import request

        return str(len(request.get_data()))

    @bp.post("/import")
    @accepts(5 * MB)
    def big() -> str:
        from flask import request

        return str(len(request.get_data()))

    csrf.exempt(bp)
    app.register_blueprint(bp)
    return app.test_client()


def test_every_page_forbids_what_it_does_not_need(client: FlaskClient) -> None:
    for path in ("/console/sign-in", "/nowhere", "/healthz"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "nonce" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Strict-Transport-Security" not in headers  # over http it would lock a developer out


def test_https_brings_hsts_and_secure_cookies(database: db.Database, configure: Callable[..., Settings]) -> None:
    app = create_app(configure(public_url="https://hearth.example"))
    answer = app.test_client().get("/console/sign-in", base_url="https://hearth.example")
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-hearthline=")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: str(p.relative_to(config.TEMPLATES)))
def test_no_template_carries_an_inline_script_or_style(template: Path, database: db.Database) -> None:
    found = INLINE.search(template.read_text())
    assert found is None, f"{template.name}: {found and found[0]!r} would be refused by the policy"


def test_static_files_are_kept_and_pages_are_not(client: FlaskClient) -> None:
    page = client.get("/console/sign-in")
    assert page.headers["Cache-Control"] == "no-store"
    for address in re.findall(r'(?:href|src)="(/(?:static|vendor)/[^"]+)"', page.text):
        answer = client.get(address.replace("&amp;", "&"))
        assert answer.status_code == 200, address
        assert "?v=" in address
        assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert client.get("/vendor/pyproject.toml").status_code == 404


def test_nothing_comes_from_another_host(console: FlaskClient) -> None:
    for path in ("/console/you", "/console/sign-in", "/nowhere"):
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', console.get(path).text)


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        ("invalid", 422, "Type a number."),
        ("conflict", 409, "Somebody was quicker."),
        ("expired", 410, "This link is too old."),
        ("often", 429, "Wait a little."),
        ("bug", 500, "It has been noted"),
    ],
)
def test_a_person_gets_a_page_that_says_what_to_do(trouble: FlaskClient, what: str, status: int, words: str) -> None:
    answer = trouble.get(f"/trouble/{what}", headers={"Accept": "text/html"})
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert words in answer.text
    assert "7700 900123" not in answer.text


def test_a_program_gets_json(trouble: FlaskClient) -> None:
    expected = {"error": {"code": "invalid", "message": "Type a number.", "field": "phone"}}
    assert trouble.get("/api/invalid").json == expected
    assert trouble.post("/webhooks/invalid").json == expected
    assert trouble.get("/trouble/invalid", headers={"Accept": "application/json"}).json == expected
    missing = trouble.get("/api/v0/nothing")
    assert (missing.status_code, missing.json and missing.json["error"]["code"]) == (404, "not_found")
    bug = trouble.get("/api/bug")
    assert (bug.status_code, bug.json and bug.json["error"]["code"]) == (500, "internal")


def test_a_part_of_a_page_gets_one_line(trouble: FlaskClient) -> None:
    answer = trouble.get("/trouble/conflict", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.mimetype, answer.text) == (409, "text/plain", "Somebody was quicker.")


def test_a_bug_is_logged_without_what_a_member_wrote(trouble: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    trouble.get("/trouble/bug")
    logged = capfd.readouterr().err
    assert "unexpected" in logged
    assert "KeyError" in logged
    assert "7700" not in logged


def test_sizes(trouble: FlaskClient) -> None:
    two = b"x" * (2 * MB)
    assert trouble.post("/size", data=b"x" * 1000).text == "1000"
    too_large = trouble.post("/size", data=two)
    assert too_large.status_code == 413
    assert "too much at once" in too_large.text
    assert trouble.post("/import", data=two).text == str(2 * MB)
    assert trouble.post("/webhooks/size", data=two).text == str(2 * MB)
    assert trouble.post("/webhooks/size", data=b"x" * (31 * MB)).status_code == 413


def test_a_form_without_its_token_is_refused(client: FlaskClient) -> None:
    answer = client.post("/console/sign-in", data={"email": "ana@example.org", "password": "x"})
    assert answer.status_code == 400
    assert "open for too long" in answer.text


def test_unknown_names_in_templates_are_errors(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(Exception, match="firstname"):
        render_template_string("{{ firstname }}")


def test_health(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"ok": True}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json) == (200, {"database": "up", "redis": "down"})


def test_ready_with_redis(valkey: Redis, client: FlaskClient) -> None:
    assert client.get("/readyz").json == {"database": "up", "redis": "up"}


def test_without_the_database_it_is_not_ready_and_pages_say_so(
    app: Flask, configure: Callable[..., Settings], tmp_path: Path
) -> None:
    configure(database_url=f"sqlite:///{tmp_path}/no/such/folder.db")
    db.connect()
    client = app.test_client()
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json and ready.json["database"]) == (503, "down")
    assert client.get("/healthz").status_code == 200
    with client.session_transaction() as cookie:
        cookie["staff"] = "a token that needs looking up"
    page = client.get("/console/you")
    assert page.status_code == 503
    assert "cannot reach our own records" in page.text
    assert page.headers["Retry-After"] == "30"


def _open_flag(member: Member | None = None) -> None:
    with db.transaction() as session:
        if member is not None:
            session.add(member)
            session.flush()
        talk = Conversation(
            member_id=member.id if member else None,
            channel=ChannelName.SMS,
            state=ConversationState.NEEDS_REPLY,
            created_at=clock.now(),
        )
        session.add(talk)
        session.flush()
        session.add(
            Flag(
                conversation_id=talk.id,
                member_id=talk.member_id,
                tier=RiskTier.IMMINENT,
                opened_at=clock.now() - timedelta(minutes=7),
            )
        )


def test_metrics_count_what_waits(client: FlaskClient) -> None:
    _open_flag()
    text = client.get("/metrics").text
    assert 'hearthline_flags_open{waits_for="acknowledgement"} 1.0' in text
    assert "hearthline_conversations_waiting 1.0" in text
    assert 'hearthline_up{part="database"} 1.0' in text
    assert 'hearthline_up{part="redis"} 0.0' in text


def test_metrics_are_for_this_machine_or_a_token(client: FlaskClient, configure: Callable[..., Settings]) -> None:
    outside = {"REMOTE_ADDR": "203.0.113.9"}
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", environ_overrides=outside).status_code == 403
    # A proxy on this machine speaks for somebody else.
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
    configure(metrics_token="scrape-me")
    good, bad = {"Authorization": "Bearer scrape-me"}, {"Authorization": "Bearer scrape"}
    assert client.get("/metrics", environ_overrides=outside, headers=good).status_code == 200
    assert client.get("/metrics", environ_overrides=outside, headers=bad).status_code == 403


def test_metrics_with_redis(valkey: Redis, client: FlaskClient) -> None:
    valkey.rpush("rq:queue:texts", "ring")
    text = client.get("/metrics").text
    assert 'hearthline_queue_jobs{queue="texts"} 1.0' in text
    assert 'hearthline_up{part="redis"} 1.0' in text


def test_an_open_flag_is_red_on_every_page_and_arrives_by_itself(console: FlaskClient) -> None:
    before = console.get("/console/you").text
    assert "needs a person now" not in before
    address = re.search(r'hx-get="(/console/alerts\?seen=[^"]+)"', before)
    assert address
    assert console.get(address[1]).status_code == 204
    _open_flag()
    changed = console.get(address[1])
    assert changed.status_code == 200
    assert "1 reply needs a person now." in changed.text
    assert "1 reply needs a person now." in console.get("/console/you").text


def test_a_circle_coordinator_sees_flags_of_their_own_circles_only(enter: Callable[..., FlaskClient]) -> None:
    mira = Member(first_name="Mira", created_at=clock.now())
    _open_flag(mira)
    theirs = enter("circle_coordinator")
    assert "needs a person now" not in theirs.get("/console/you").text
    with db.transaction() as session:
        me = staff_id(session, "circle_coordinator@example.org")
        circle = Circle(
            name="Tuesday", slug="tuesday", keyword="TUE", time_zone="UTC", coordinator_id=me, created_at=clock.now()
        )
        session.add(circle)
        session.flush()
        session.add(CircleMembership(circle_id=circle.id, member_id=mira.id, joined_at=clock.now()))
    assert "needs a person now" in theirs.get("/console/you").text


def staff_id(session: object, email: str) -> object:
    """The id of the coordinator with this email."""
    from sqlalchemy import select

    from service.models.staff import Coordinator

    return session.scalar(select(Coordinator.id).where(Coordinator.email == email))  # type: ignore[attr-defined]


def test_behind_a_proxy_the_visitor_is_the_visitor(database: db.Database, configure: Callable[..., Settings]) -> None:
    for hops, seen in ((0, "127.0.0.1"), (1, "203.0.113.9")):
        app = create_app(configure(trusted_proxies=hops))

        @app.get("/whoami")
        def whoami() -> str:
            from flask import request

            return request.remote_addr or ""

        assert app.test_client().get("/whoami", headers={"X-Forwarded-For": "203.0.113.9"}).text == seen


def test_an_old_signing_key_still_reads_its_cookies(database: db.Database, configure: Callable[..., Settings]) -> None:
    browser = create_app(configure(secret_key="old")).test_client()
    page = browser.get("/console/sign-in")
    newer = create_app(configure(secret_key="new,old")).test_client()
    newer.set_cookie("hearthline", browser.get_cookie("hearthline").value)  # type: ignore[union-attr]
    with newer.session_transaction() as cookie:
        assert "csrf_token" in cookie
    assert form_token(page)
