"""`hearthline campaign send`: what it prints, how it ends, and what it tells whoever asked for something impossible."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis
from sqlalchemy import func, select, update

from service import clock, db, queue
from service.actions import consent
from service.cli import campaign as command
from service.cli import main
from service.config import Settings
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState
from service.models.members import Member
from tests.chaos.crew import Crew
from tests.flows.world import World, add_circle, add_member

TOOL = ("--kind", "tool", "--channel", "sms")
CHECKIN = ("--kind", "checkin", "--channel", "sms", "--now")
ANA, BEN = "+12025550123", "+12025550145"

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def body(tmp_path: Path) -> Callable[..., str]:
    """A body file with these words."""

    def write(words: str | bytes = "Hi {{ first_name }}, how are you, 1 to 5?") -> str:
        path = tmp_path / "body.txt"
        path.write_bytes(words if isinstance(words, bytes) else words.encode())
        return str(path)

    return write


def send(body_file: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["campaign", "send", *options, "--body-file", body_file])


def report(result: Result) -> dict[str, Any]:
    """The one line of JSON on stdout."""
    [line] = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert list(found) == ["campaign", "audience", "states", "skipped"]
    return found


def campaigns_made() -> int:
    """Drafts, too: what is refused leaves nothing half-done."""
    with db.reading() as session:
        return session.scalar(select(func.count(Campaign.id))) or 0


# What it does


@on_sqlite
def test_without_wait_it_is_frozen_and_handed_over(database: db.Database, body: Callable[..., str]) -> None:
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    add_member("Cleo", None, "cleo@example.org")
    result = send(body(), *CHECKIN)
    assert result.exit_code == 0, result.output
    found = report(result)
    assert (found["audience"], found["states"], found["skipped"]) == (2, {"queued": 2}, {})
    with db.reading() as session:
        assert str(session.scalars(select(Campaign.id)).one()) == found["campaign"]


def test_with_wait_it_ends_when_everybody_has_theirs(world: World, body: Callable[..., str], tmp_path: Path) -> None:
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    crew = Crew(tmp_path, ["texts"])
    try:
        crew.keep_going()
        result = send(body("Hi {{ first_name }}, how are you today, 1 to 5? -> *as it is*"), *CHECKIN, "--wait")
    finally:
        crew.end()
    assert result.exit_code == 0, result.output
    assert report(result)["audience"] == 2
    assert sum(report(result)["states"].get(s, 0) for s in ("accepted", "sent", "delivered")) == 2
    for name, phone in (("Ana", ANA), ("Ben", BEN)):
        [text] = world.phone(phone)
        assert text.startswith(f"Hi {name}, how are you today, 1 to 5? -> *as it is*"), "the body is unchanged"
        assert "STOP" in text, "and the required line is there"


def test_whoever_may_not_be_written_to_is_counted_by_reason(
    world: World, body: Callable[..., str], tmp_path: Path
) -> None:
    """--now skips window and caps, never a stop that came after the freeze."""
    add_member("Ana", ANA)
    ben = add_member("Ben", BEN)
    sent = report(send(body(), *CHECKIN))
    assert sent["states"] == {"queued": 2}
    with db.transaction() as session:
        consent.stop(session, session.get_one(Member, ben.id), source="test")
    world.work()
    crew = Crew(tmp_path, ["texts"])
    try:
        crew.keep_going()
        result = send(body("Again, {{ first_name }}: how are you, 1 to 5?"), *CHECKIN, "--wait")
    finally:
        crew.end()
    assert report(result)["audience"] == 1, "who has stopped is not in the audience of the next"
    assert len(world.phone(ANA)) == 2
    assert world.phone(BEN) == []


@on_sqlite
def test_an_email_and_a_circle(database: db.Database, body: Callable[..., str]) -> None:
    circle = add_circle()
    add_member("Ana", None, "ana@example.org", circle=circle)
    add_member("Ben", None, "ben@example.org")
    for name in (circle.slug, circle.name):
        result = send(
            body("# Hello\n\nHi {{ first_name }}."),
            "--kind", "announcement", "--channel", "email", "--subject", "A word", "--circle", name, "--now",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert report(result)["audience"] == 1


@on_sqlite
def test_an_invite_takes_the_circles_next_session(database: db.Database, body: Callable[..., str]) -> None:
    circle = add_circle()
    add_member("Ana", ANA, circle=circle)
    words = "{{ circle_name }} meets {{ session_day }}. Reply YES or NO."
    result = send(body(words), "--kind", "invite", "--channel", "sms", "--circle", circle.slug, "--now")
    assert result.exit_code == 0, result.output
    with db.reading() as session:
        assert session.scalars(select(Campaign.session_id)).one() is not None


# How it ends when it waits


@on_sqlite
def test_nobody_at_work_is_said_with_status_4(
    database: db.Database, valkey: Redis, body: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "WORKERLESS_FOR", 0.3)
    add_member("Ana", ANA)
    queue.pulse("emails", "another queue's")
    result = send(body(), *CHECKIN, "--wait")
    assert result.exit_code == 4
    assert "No worker is alive: start one with `hearthline worker`" in result.stderr
    assert report(result)["states"] == {"queued": 1}, "it waits for one, and is not lost"


@on_sqlite
def test_time_that_runs_out_is_status_3(database: db.Database, valkey: Redis, body: Callable[..., str]) -> None:
    add_member("Ana", ANA)
    queue.pulse("texts", "a worker that is slow")
    result = send(body(), *CHECKIN, "--wait", "--timeout", "1")
    assert result.exit_code == 3
    assert "Still 1 open after 1 s; sending goes on." in result.stderr
    assert report(result)["states"] == {"queued": 1}


@on_sqlite
def test_a_redis_that_cannot_tell_is_no_proof_that_nobody_works(
    database: db.Database, body: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "WORKERLESS_FOR", 0.2)
    add_member("Ana", ANA)
    assert send(body(), *CHECKIN, "--wait", "--timeout", "1").exit_code == 3


@on_sqlite
def test_a_campaign_that_was_paused_ends_the_wait_with_the_reason(
    database: db.Database, valkey: Redis, body: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_member("Ana", ANA)
    queue.pulse("texts", "a worker")
    progress = command.campaigns.progress

    def paused_meanwhile(session: Any, campaign_id: Any) -> Any:
        with db.transaction() as other:
            other.execute(
                update(Campaign).values(state=CampaignState.PAUSED, paused_reason="Twilio refuses our token.")
            )
        return progress(session, campaign_id)

    monkeypatch.setattr(command.campaigns, "progress", paused_meanwhile)
    result = send(body(), *CHECKIN, "--wait")
    assert result.exit_code == 1
    assert "The campaign was paused. Twilio refuses our token." in result.stderr


@on_sqlite
def test_without_now_the_window_holds(
    database: db.Database, valkey: Redis, body: Callable[..., str], configure: Callable[..., Settings]
) -> None:
    here = clock.now()
    opens = here.hour + (3 if here.hour < 20 else -4)  # never over midnight, where it would be open now
    configure(sending_window=f"{opens:02}:00-{opens + 1:02}:00")
    add_member("Ana", ANA, zone="UTC")
    assert send(body(), *(o for o in CHECKIN if o != "--now")).exit_code == 0
    with db.reading() as session:
        row = session.scalars(select(Delivery)).one()
    assert row.state == DeliveryState.QUEUED
    assert row.due_at > here + timedelta(minutes=30)


# What cannot be sent: status 1, a sentence that says what to do, and nothing that was started


@on_sqlite
@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        ("Hi.", ("--kind", "tool", "--channel", "email"), "An email needs a subject: add --subject"),
        ("Hi.", ("--kind", "announcement", "--channel", "sms"), "An announcement needs --topic or --circle"),
        ("Hi.", (*TOOL, "--circle", "nowhere"), "There is no circle 'nowhere'. There are: tuesday"),
        (b"Caf\xe9", TOOL, "body.txt is not UTF-8. Save it as UTF-8"),
        ("Hi {{ first_nam }}.", TOOL, "first_nam"),
        ("Hi {{ first_name }.", TOOL, "This cannot be read: unexpected '}'"),
        ("", TOOL, "Write the text"),
        ("See you {{ session_day }}.", ("--kind", "checkin", "--channel", "sms"), "session_day"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_said_in_a_sentence(
    database: db.Database, body: Callable[..., str], words: str | bytes, options: tuple[str, ...], said: str
) -> None:
    add_circle()
    add_member("Ana", ANA, "ana@example.org")
    result = send(body(words), *options, "--now")
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert campaigns_made() == 0


@on_sqlite
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--channel", "sms"), "Missing option '--kind'. Choose from"),
        (("--kind", "poem", "--channel", "sms"), "'poem' is not one of 'story', 'checkin'"),
        (("--kind", "tool", "--channel", "fax"), "'fax' is not one of 'sms', 'email'"),
        (("--kind", "tool", "--channel", "sms", "--session", "tuesday"), "'tuesday' is not a valid UUID"),
        (("--kind", "tool", "--channel", "sms", "--topic", "cats"), "'cats' is not one of"),
        (("--kind", "tool", "--channel", "sms", "--timeout", "soon"), "'soon' is not a valid integer"),
    ],
)
def test_options_that_do_not_exist_are_status_2(
    database: db.Database, body: Callable[..., str], options: tuple[str, ...], said: str
) -> None:
    result = send(body(), *options)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


@on_sqlite
def test_a_file_that_is_not_there_is_status_2(database: db.Database) -> None:
    result = send("/nowhere/body.txt", *CHECKIN)
    assert result.exit_code == 2
    assert "'/nowhere/body.txt' does not exist" in result.stderr


@on_sqlite
def test_an_email_by_a_text_only_installation_is_refused(
    database: db.Database, body: Callable[..., str], configure: Callable[..., Settings]
) -> None:
    configure(channels="sms")
    add_member("Ana", None, "ana@example.org")
    result = send(body(), "--kind", "tool", "--channel", "email", "--subject", "Hi")
    assert result.exit_code == 1
    assert "does not send by email" in result.stderr
