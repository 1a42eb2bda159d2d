"""A backup holds everything and no key, goes from either database to either, and a restore sends nothing by itself."""

import base64
import contextlib
import json
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from service import clock, config, db, queue
from service.actions import backup, consent, erasures, imports, members, restore, stops
from service.cli import main
from service.config import Settings
from service.errors import Conflict, Invalid
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState
from service.models.members import ChannelName, ConsentEvent, ImportRun, Member, MemberState
from service.models.staff import AuditEntry
from tests.actions.filled import everything, fill
from tests.conftest import FAKES, _execute, _named

Configure = Callable[..., Settings]
UNTOUCHED_BY_HOLDING = {"audit_entries", "campaigns", "deliveries", "import_runs", *backup.LEFT_OUT}
ROWS = b"first_name,email,consented_at,consent_source\nAna,ana@example.org,2026-01-05,form\nBo,bo@example.org,,\n"


@pytest.fixture(autouse=True)
def _templates(sqlite_template: Path, postgres_template: str) -> None:
    """Made before a test's own database: making one leaves this process without any."""


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, configure: Configure, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A second, empty database of either kind; calling it makes it the one of this process."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "other.db")
        url = f"sqlite:///{path}"
    else:
        server, template = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template")
        _execute(server, f"CREATE DATABASE restored TEMPLATE {template} STRATEGY FILE_COPY")
        url = _named(server, "restored")

    def use() -> None:
        configure(database_url=url)
        db.connect()

    yield use
    db.dispose()
    if request.param == "postgresql":
        _execute(request.getfixturevalue("postgres"), "DROP DATABASE restored WITH (FORCE)")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.zip"


def test_everything_comes_back_on_either_database(database: db.Database, other: Callable[[], None], file: Path) -> None:
    fill(rows=7)
    before, digest = everything(), db.blind_index("sms", "+12025550123")
    seen: list[tuple[str, int, int]] = []
    counts = backup.backup(file, lambda *moved: seen.append(moved))
    assert seen[-1][1] == seen[-1][2] == sum(counts.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        (told,) = [json.loads(x) for x in archive.read("tables/members.jsonl").splitlines()[:1]]
        assert told["first_name"] == before["members"][0][1]
        texts = b"".join(archive.read(name) for name in archive.namelist())
    assert "wörds".encode() not in texts
    for key in config.current().encryption_key_bytes:
        assert base64.b64encode(key) not in texts

    other()
    done = restore.restore(file)
    assert done.rows == sum(counts.values())
    after = everything()
    for table in set(before) - UNTOUCHED_BY_HOLDING:
        assert after[table] == before[table], table
    assert after["staff_sessions"] == after["access_codes"] == []
    assert after["audit_entries"][: len(before["audit_entries"])] == before["audit_entries"]
    assert db.blind_index("sms", "+12025550123") == digest

    with db.transaction() as session:  # new rows find their place behind the old ones
        consent.record(session, db.uuid7(), consent.ConsentKind.REQUESTED, source="after")
    with db.reading() as session:
        ids = session.scalars(select(ConsentEvent.id)).all()
    assert len(set(ids)) == len(ids) == 8


def test_who_was_erased_since_is_erased_again(database: db.Database, other: Callable[[], None], file: Path) -> None:
    imports.import_file(ROWS, "a.csv")
    with db.reading() as session:
        ids = {m.first_name: m.id for m in session.scalars(select(Member))}
    backup.backup(file)
    members.erase(ids["Ana"], "cli")
    assert erasures.read([erasures.path()]) == {ids["Ana"]}

    other()
    assert restore.restore(file).erased == 1
    with db.reading() as session:
        people = {m.id: m for m in session.scalars(select(Member))}
        assert (people[ids["Ana"]].state, people[ids["Ana"]].first_name) == (MemberState.ERASED, "")
        assert people[ids["Bo"]].first_name == "Bo"
    with db.transaction() as session:
        assert consent.suppressed(session, ChannelName.EMAIL, "ana@example.org")


@pytest.mark.parametrize("other", ["sqlite"], indirect=True)
def test_who_stopped_since_is_stopped_again(database: db.Database, other: Callable[[], None], file: Path) -> None:
    """And who came back since is not; what came to nothing is on no list."""
    anas, bos, cats = "ana@example.org", "bo@example.org", "cat@example.org"
    with db.transaction() as session:
        consent.suppress(session, ChannelName.EMAIL, cats, "opt_out", "test")
    backup.backup(file)
    with db.transaction() as session:
        for address in (anas, bos):
            consent.suppress(session, ChannelName.EMAIL, address, "opt_out", "test")
        assert consent.unsuppress(session, ChannelName.EMAIL, cats)
    with contextlib.suppress(RuntimeError), db.transaction() as session:
        consent.unsuppress(session, ChannelName.EMAIL, anas)
        raise RuntimeError  # she did not come back after all
    with db.transaction() as session:
        consent.unsuppress(session, ChannelName.EMAIL, bos)
    assert b"example" not in stops.path().read_bytes()

    other()
    assert restore.restore(file).stopped == 1
    with db.transaction() as session:
        found = [consent.suppressed(session, ChannelName.EMAIL, address) for address in (anas, bos, cats)]
    assert found == [True, False, False]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_stop_holds_where_its_list_cannot_be_written(database: db.Database) -> None:
    stops.path().mkdir()
    with db.transaction() as session:
        assert consent.suppress(session, ChannelName.EMAIL, "ana@example.org", "opt_out", "test")
    with db.transaction() as session:
        assert consent.suppressed(session, ChannelName.EMAIL, "ana@example.org")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("other", ["sqlite"], indirect=True)
def test_what_was_waiting_waits_for_a_person(database: db.Database, other: Callable[[], None], file: Path) -> None:
    fill(rows=7)
    with db.transaction() as session:
        states = [CampaignState.SENDING, CampaignState.SCHEDULED, CampaignState.FINISHED]
        for campaign, state in zip(session.scalars(select(Campaign)).all(), states * 3, strict=False):
            campaign.state = state
        session.execute(update(Delivery).values(state=DeliveryState.QUEUED, claim=None))
        session.execute(update(Delivery).where(Delivery.id > 43).values(message_id=None))
        session.execute(update(ImportRun).values(state="importing"))
    backup.backup(file)
    other()
    done = restore.restore(file)
    with db.reading() as session:
        assert set(session.scalars(select(Campaign.state))) == {
            CampaignState.PAUSED,
            CampaignState.DRAFT,
            CampaignState.FINISHED,
        }
        left = dict(session.execute(select(Delivery.id, Delivery.state)).all())  # type: ignore[arg-type]
        assert set(session.scalars(select(ImportRun.state))) == {"failed"}
    assert {i for i, state in left.items() if state == DeliveryState.QUEUED} == {44, 45, 46}, "a paused campaign's"
    assert (done.paused, done.dropped) == (5, 4)


@pytest.mark.parametrize("other", ["sqlite"], indirect=True)
def test_what_is_refused(database: db.Database, other: Callable[[], None], file: Path, configure: Configure) -> None:
    imports.import_file(ROWS, "a.csv")
    backup.backup(file)
    with pytest.raises(Conflict, match="another name"):
        backup.backup(file)
    with pytest.raises(Conflict, match="members in this database"):
        restore.restore(file)

    other()
    empty = everything()
    damaged = file.with_name("damaged.zip")
    rewrite(
        file, damaged, "tables/addresses.jsonl", lambda data: data.replace(b'"channel":"email"', b'"channel":"sms"')
    )
    with pytest.raises(Invalid, match="damaged: addresses"):
        restore.restore(damaged)
    short = file.with_name("short.zip")
    short.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(Invalid, match="not a backup, or is not complete"):
        restore.restore(short)
    older = file.with_name("older.zip")
    rewrite(file, older, backup.MANIFEST, lambda data: data.replace(b'"revision": "', b'"revision": "0'))
    with pytest.raises(Conflict, match="the version of Hearthline that made it"):
        restore.restore(older)
    configure(encryption_keys=base64.b64encode(b"k" * 32).decode())
    with pytest.raises(Conflict, match="do not open this backup"):
        restore.restore(file)
    configure(encryption_keys=FAKES["encryption_keys"])
    assert everything() == empty


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("other", ["sqlite", "postgresql"], indirect=True)
def test_all_or_nothing(
    database: db.Database, other: Callable[[], None], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(rows=2)
    backup.backup(file)
    other()
    empty = everything()
    monkeypatch.setattr(restore, "_hold", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        restore.restore(file)
    assert everything() == empty


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_not_while_it_runs(database: db.Database, file: Path, valkey: object) -> None:
    backup.backup(file)
    queue.pulse("texts", "one")
    with pytest.raises(Conflict, match="Stop it first"):
        restore.restore(file)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("other", ["postgresql"], indirect=True)
def test_the_commands_move_a_charity_to_postgresql(
    database: db.Database, other: Callable[[], None], file: Path
) -> None:
    imports.import_file(ROWS, "a.csv")
    made = CliRunner().invoke(main, ["backup", str(file)])
    assert made.exit_code == 0, made.output
    assert "2 members" in made.output
    again = CliRunner().invoke(main, ["backup", str(file)])
    assert (again.exit_code, "another name" in again.output) == (1, True)
    other()
    back = CliRunner().invoke(main, ["restore", str(file)])
    assert back.exit_code == 0, back.output
    assert "Topics that were switched off" in back.output
    with db.reading() as session:
        assert sorted(session.scalars(select(Member.first_name))) == ["Ana", "Bo"]
        assert set(session.scalars(select(Delivery.reason))) == {"restored"}
        assert "backup.restored" in session.scalars(select(AuditEntry.action)).all()


def test_a_list_of_erasures_that_is_none(settings: Settings, tmp_path: Path) -> None:
    ids = [db.uuid7(), db.uuid7()]
    with clock.frozen_at(clock.now()):
        for member_id in ids:
            erasures.remember(member_id)
    assert erasures.read([erasures.path()]) == set(ids)
    wrong = tmp_path / "notes.txt"
    wrong.write_text("not a list")
    with pytest.raises(Invalid, match="line 1"):
        erasures.read([wrong])


def rewrite(source: Path, target: Path, part: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == part:
                assert change(data) != data
                data = change(data)
            new.writestr(name, data)
