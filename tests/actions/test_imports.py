"""Importing members: the rules of a row, proof of consent, one question ever, and nothing left half-done."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update

from service import clock, db, queue
from service.actions import consent, contacts, imports, imports_desk, imports_runs, members, new_members
from service.actions.imports_file import MAX_ROWS, BadFile
from service.cli import main
from service.errors import Conflict
from service.models.campaigns import Delivery, Purpose
from service.models.conversations import Message
from service.models.gatherings import Circle, CircleMembership
from service.models.members import (
    Address,
    ChannelName,
    ConfirmationAsked,
    ConsentEvent,
    ConsentKind,
    ImportRun,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Topic,
)
from service.models.staff import AuditEntry

HEADER = "first_name,phone,email,topics,circle,timezone,locale,country,consented_at,consent_source"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)  # 3:00 in New York
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
SUB = SubscriptionState


def sheet(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


def run(*rows: str, header: str = HEADER, **options: Any) -> imports.Imported:
    return imports.import_file(sheet(*rows, header=header), "members.csv", **options)


def circle(name: str = "Kitchen Table", slug: str = "kitchen-table") -> UUID:
    with db.transaction() as session:
        found = Circle(
            name=name, slug=slug, keyword=slug[:8].upper(), time_zone="America/New_York", created_at=clock.now()
        )
        session.add(found)
        session.flush()
        return found.id


def count(model: type[db.Base], *clauses: Any) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(model).where(*clauses)) or 0


def person(channel: ChannelName, value: str) -> Member:
    with db.reading() as session:
        (found,) = contacts.find_members(session, channel, value)
        assert found.addresses is not None
        assert found.subscriptions is not None
        return found


def states(member: Member, channel: ChannelName) -> dict[Topic, SubscriptionState]:
    return {s.topic: s.state for s in member.subscriptions if s.channel == channel}


def test_with_proof_a_row_is_active_at_once(database: db.Database) -> None:
    kitchen = circle()
    with clock.frozen_at(NOON):
        result = run(
            "Ana,(202) 555-0123,Ana@Example.org,stories;checkins,Kitchen table,America/Chicago,es,US,"
            "2026-03-31,paper form at the open day"
        )
    assert result.done
    assert (result.counts.imported, result.counts.confirmations) == (1, 0)
    ana = person(ChannelName.SMS, "+12025550123")
    assert (ana.state, ana.locale, ana.time_zone, ana.country) == (MemberState.ACTIVE, "es-US", "America/Chicago", "US")
    given = datetime(2026, 3, 31, 5, 0, tzinfo=UTC)  # midnight on Ana's own clock
    for channel in ChannelName:
        address = ana.address(channel)
        assert address is not None
        assert address.verified_at == given
        assert states(ana, channel) == {Topic.STORIES: SUB.ACTIVE, Topic.CHECKINS: SUB.ACTIVE}
    assert ana.address(ChannelName.EMAIL).value == "ana@example.org"  # type: ignore[union-attr]
    with db.reading() as session:
        lines = session.scalars(select(ConsentEvent).where(ConsentEvent.member_id == ana.id)).all()
        place = session.scalars(select(CircleMembership)).one()
    assert {(e.kind, e.source, e.at, e.actor) for e in lines} == {
        (ConsentKind.IMPORTED, "paper form at the open day", given, "cli")
    }
    assert "members.csv row 2, 2026-11-24" in lines[0].evidence
    assert (place.circle_id, place.member_id) == (kitchen, ana.id)
    assert count(Message) == 0


def test_without_proof_each_address_is_asked_once_ever(database: db.Database) -> None:
    with clock.frozen_at(NOON):
        result = run("Bea,+12025550111,bea@example.org,,,,,US,,", "Cem,,cem@example.org,sessions,,,,,,")
    assert (result.counts.imported, result.counts.confirmations) == (2, 3)
    bea = person(ChannelName.EMAIL, "bea@example.org")
    assert bea.state == MemberState.PENDING
    assert set(states(bea, ChannelName.SMS)) == set(Topic)
    assert set(states(bea, ChannelName.SMS).values()) == {SUB.PENDING}
    with db.reading() as session:
        waiting = session.scalars(select(Delivery)).all()
        words = {m.channel: m for m in session.scalars(select(Message).where(Message.member_id == bea.id))}
        assert (
            session.scalars(select(Message.conversation_id).where(Message.member_id == bea.id)).all()
            == [words[ChannelName.SMS].conversation_id] * 2
        )
    assert {(d.purpose, d.queue, d.due_at) for d in waiting} == {(Purpose.CONFIRM, "replies", NOON)}
    assert "reply YES" in words[ChannelName.SMS].body
    assert "Bea" in words[ChannelName.EMAIL].body
    assert "/c/" in words[ChannelName.EMAIL].body

    token = words[ChannelName.EMAIL].body.split("/c/")[1].split(")")[0]
    with clock.frozen_at(NOON + timedelta(hours=1)):
        members.confirm_by_link(token, None)
    assert person(ChannelName.EMAIL, "bea@example.org").state == MemberState.ACTIVE

    members.erase(bea.id, "cli")
    again = run("Bea,,bea2@example.org,,,,,,,", "Bea,+12025550111,,,,,,US,,")
    assert again.counts.confirmations == 1, "the number was asked before; the new address was not"


def test_a_suppressed_address_is_kept_as_stopped_and_hears_nothing(database: db.Database) -> None:
    with db.transaction() as session:
        consent.suppress(session, ChannelName.SMS, "+12025550177", "opt_out", "text")
    result = run(
        "Dee,+12025550177,dee@example.org,stories,,,,US,2026-01-05T10:00:00Z,sign-up sheet",
        "Eli,+12025550178,,,,,,US,,",
    )
    assert (result.counts.imported, result.counts.confirmations) == (2, 1)
    dee = person(ChannelName.SMS, "+12025550177")
    assert states(dee, ChannelName.SMS) == {Topic.STORIES: SUB.STOPPED}
    assert states(dee, ChannelName.EMAIL) == {Topic.STORIES: SUB.ACTIVE}
    assert count(Delivery, Delivery.member_id == dee.id) == 0
    assert dee.state == MemberState.ACTIVE

    with db.transaction() as session:  # START from the phone itself is a consent of its own
        back = consent.start(session, session.get_one(Member, dee.id), ChannelName.SMS, source="text START")
    assert back == [Topic.STORIES]

    with db.transaction() as session:
        consent.suppress(session, ChannelName.EMAIL, "fay@example.org", "opt_out", "mail")
    run("Fay,,fay@example.org,,,,,,,")
    assert person(ChannelName.EMAIL, "fay@example.org").state == MemberState.LEFT


def test_a_known_address_fills_blanks_and_never_revives_a_stop(database: db.Database) -> None:
    kitchen = circle()
    run(",+12085550123,,stories;tools,,,,US,2026-01-05,sign-up sheet")
    ana = person(ChannelName.SMS, "+12085550123")
    with db.transaction() as session:
        member = session.get_one(Member, ana.id)
        consent.stop(session, member, channel=ChannelName.SMS, topics=[Topic.STORIES], source="text")

    row = "Ana,+12085550123,ana@example.org,,kitchen-table,America/Denver,en,US,2026-02-01,paper form"
    assert run(row).counts == imports.Counts(imported=0, updated=1)
    ana = person(ChannelName.SMS, "+12085550123")
    assert ana.first_name == "Ana"
    assert ana.time_zone == "America/Denver", "a zone that was only guessed from the country is a blank"
    assert states(ana, ChannelName.SMS) == {Topic.STORIES: SUB.STOPPED, Topic.TOOLS: SUB.ACTIVE}
    assert set(states(ana, ChannelName.EMAIL).values()) == {SUB.ACTIVE}
    assert count(CircleMembership, CircleMembership.circle_id == kitchen) == 1
    assert run(row.replace("Ana,", "Anna,")).counts == imports.Counts(skipped=1), "what is there stays"

    with db.transaction() as session:
        consent.stop(session, session.get_one(Member, ana.id), source="text")
    assert run(row).counts == imports.Counts(skipped=1)
    gone = person(ChannelName.SMS, "+12085550123")
    assert gone.state == MemberState.LEFT
    assert {s.state for s in gone.subscriptions} == {SUB.STOPPED}

    members.mark_died(ana.id, db.uuid7())
    run("Someone,+12085550123,,,,,,US,2026-03-01,paper form")
    assert person(ChannelName.SMS, "+12085550123").first_name == "Ana"


def test_proof_that_comes_later_starts_what_was_waiting(database: db.Database) -> None:
    run("Gil,,gil@example.org,stories,,,,,,")
    assert person(ChannelName.EMAIL, "gil@example.org").state == MemberState.PENDING
    result = run("Gil,,gil@example.org,,,,,,2026-04-02,paper form")
    assert result.counts == imports.Counts(updated=1)
    gil = person(ChannelName.EMAIL, "gil@example.org")
    assert gil.state == MemberState.ACTIVE
    assert states(gil, ChannelName.EMAIL) == {Topic.STORIES: SUB.ACTIVE}, "only what was asked for"
    assert gil.joined_at == gil.addresses[0].verified_at


BAD_ROWS = [
    ("Ana,,,,,,,,,", "phone", "needed"),
    ("Ana,12345,,,,,,US,,", "phone", "We cannot read this number"),
    ("Ana,1.20256E+10,,,,,,US,,", "phone", "Format the column as text"),
    ("Ana,+819012345678,,,,,,JP,,", "phone", "SMS_COUNTRIES"),
    ("Ana,,ana@nowhere,,,,,,,", "email", "cannot be right"),
    ("Ana,,a@example.org,stories;jokes,,,,,,", "topics", "jokes"),
    ("Ana,,a@example.org,,Kitchen Tabel,,,,,", "circle", "Did you mean Kitchen Table?"),
    ("Ana,,a@example.org,,,America/New York City,,,,", "timezone", "Did you mean America/New_York?"),
    ("Ana,,a@example.org,,,,fr,,,", "locale", "en or es"),
    ("Ana,,a@example.org,,,,,UK,,", "country", "Great Britain is GB"),
    ("Ana,,a@example.org,,,,,,2026-01-05,", "consent_source", "both"),
    ("Ana,,a@example.org,,,,,,,paper form", "consented_at", "both"),
    ("Ana,,a@example.org,,,,,,31/03/2026,form", "consented_at", "2026-03-31"),
    ("Ana,,a@example.org,,,,,,2126-01-05,form", "consented_at", "future"),
    ("Ana,,a@example.org,,,,,,0001-01-01,form", "consented_at", "four digits"),
    ("A" * 81 + ",,a@example.org,,,,,,,", "first_name", "80"),
    ("Doe, Jane,,a@example.org,,,,,,2026-01-01,form", "", "quotation marks"),
]


@only_sqlite
@pytest.mark.parametrize(("row", "column", "words"), BAD_ROWS)
def test_one_bad_row_and_nothing_is_imported(database: db.Database, row: str, column: str, words: str) -> None:
    circle()
    result = run("Good,,good@example.org,,,,,,,", "", row)
    assert not result.done
    assert [(e.row, e.column) for e in result.errors] == [(4, column)], "the blank line is row 3"
    assert words in result.errors[0].message
    assert count(Member) == count(ImportRun) == count(ConfirmationAsked) == 0

    rest = run("Good,,good@example.org,,,,,,,", "", row, skip_bad=True)
    assert (rest.counts.imported, rest.counts.skipped, count(Member)) == (1, 1, 1)


@only_sqlite
def test_every_error_of_a_row_is_named(database: db.Database) -> None:
    result = run("Ana,12,nobody,jokes,Nowhere,Mars,fr,XX,soon,x")
    assert [e.column for e in result.errors] == [
        "country", "phone", "email", "topics", "circle", "timezone", "locale", "consented_at",
    ]  # fmt: skip


@only_sqlite
def test_the_same_address_twice_in_a_file(database: db.Database) -> None:
    result = run("Ana,+12025550123,,,,,,,,", "Ana,202-555-0123,,,,,,US,,", "Bo,,BO@example.org,,,,,,,")
    assert [(e.row, e.column) for e in result.errors] == [(3, "phone")]
    assert "row 2" in result.errors[0].message


@only_sqlite
def test_a_row_about_two_members_is_for_a_person(database: db.Database) -> None:
    run("Ana,+12025550123,,,,,,,,", "Bo,,bo@example.org,,,,,,,")
    with db.transaction() as session:  # a phone may be shared
        for name in ("Rosa", "Daniela"):
            new_members.new_member(session, first_name=name, addresses={ChannelName.SMS: "+12025550199"}, topics=Topic)
    result = run("Ana,+12025550123,bo@example.org,,,,,,,", "Rosa,+12025550199,,,,,,,,")
    assert [(e.row, e.column) for e in result.errors] == [(2, "email"), (3, "phone")]


BAD_FILES = [
    (b"", "empty"),
    (b"first_name;phone;email\nAna;;", "semicolons"),
    (b"first_name,phone,emial\n", "Did you mean email?"),
    (b"first_name,phone,notes\n", "notes"),
    (b"first_name,locale\nAna,en\n", "phone or email"),
    (b"email,email\n", "twice"),
    (b"first_name,email\nJos\xe9,jose@example.org\n", "UTF-8"),
    (b'first_name,email\n"Ana,a@example.org\n', "quotation mark"),
    (b"PK\x03\x04rest of a workbook", "spreadsheet"),
]


@only_sqlite
@pytest.mark.parametrize(("data", "words"), BAD_FILES)
def test_a_file_that_is_none_is_refused_even_with_skip_bad(database: db.Database, data: bytes, words: str) -> None:
    result = imports.import_file(data, "x.csv", skip_bad=True)
    assert not result.done
    assert words in result.errors[0].message


@only_sqlite
def test_what_spreadsheets_do_to_a_file(database: db.Database) -> None:
    """A BOM, Windows line ends, another order, capitals, a line break inside a value, our export's apostrophe."""
    data = '\ufeffEmail,First_Name,PHONE\r\nana@example.org,"Ana\r\nMaria",\'+12025550123\r\n'.encode()
    result = imports.import_file(data, "x.csv")
    assert result.done
    assert person(ChannelName.SMS, "+12025550123").first_name == "Ana Maria"


@only_sqlite
def test_more_rows_than_we_take(database: db.Database) -> None:
    data = b"email\n" + b"\n".join(b"m%d@example.org" % i for i in range(MAX_ROWS + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "check", lambda number, values, circles: [])
        result = imports.import_file(data, "x.csv")
    assert not result.done
    assert "100,000" in result.errors[-1].message


def test_a_big_import_wakes_nobody(database: db.Database) -> None:
    rows = [f"M{i},+1202556{i:04d},,,,America/New_York,,US,," for i in range(120)]
    with clock.frozen_at(NIGHT):
        result = run(*rows)
    assert result.counts == imports.Counts(imported=120, confirmations=120)
    with db.reading() as session:
        found = {tuple(row) for row in session.execute(select(Delivery.queue, Delivery.due_at))}
    assert found == {("texts", datetime(2026, 11, 24, 15, 0, tzinfo=UTC))}, "ten o'clock in New York, with campaigns"


def test_an_import_that_was_killed_is_carried_on(database: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"M{i},+1202556{i:04d},m{i}@example.org,,,,,US,," for i in range(250)]
    written = 0
    real = imports.write

    def killed(*args: Any) -> int:
        nonlocal written
        written += 1
        if written == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(imports, "write", killed)
    with clock.frozen_at(NOON), pytest.raises(KeyboardInterrupt):
        run(*rows)
    assert count(Member) == imports.PIECE
    monkeypatch.setattr(imports, "write", real)

    with clock.frozen_at(NOON.replace(second=30)):
        assert imports.run_waiting() == 0, "whoever began it may still be at it"
    with clock.frozen_at(NOON.replace(minute=2)):
        assert imports.run_waiting() == 1
    assert count(Member) == 250
    assert count(Delivery) == count(ConfirmationAsked) == 500
    with db.reading() as session:
        kept = session.scalars(select(ImportRun)).one()
        assert (kept.state, kept.imported, kept.content) == ("finished", 250, None)
        assert (
            session.scalars(select(db.system_values.c.name).where(db.system_values.c.name.like("import:%"))).all() == []
        )
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "members.imported")).one()
    assert entry.detail["confirmations"] == 500


def test_a_big_import_lets_other_chores_in(database: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sheet(*[f"M{i},,m{i}@example.org,,,,,,," for i in range(350)])
    me = db.uuid7()
    run_id = imports_desk.upload(data, "big.csv", me)
    imports.run_waiting()
    imports_desk.go_ahead(run_id, me, skip_bad=False)
    rings: list[str] = []
    monkeypatch.setattr(queue, "ring", rings.append)
    monkeypatch.setattr(imports, "BUDGET", -1)
    assert imports.run_waiting() == 0
    assert (rings, count(Member)) == (["run_imports"], 0)
    monkeypatch.setattr(imports, "check_file", lambda *_: 1 / 0)  # what was checked is kept, not looked at again
    pieces = 0
    real = imports.write

    def one_piece(*args: Any) -> int:
        nonlocal pieces
        pieces += 1
        return real(*args)

    monkeypatch.setattr(imports, "write", one_piece)
    monkeypatch.setattr(imports, "BUDGET", 60)
    assert imports.run_waiting() == 1
    assert (pieces, count(Member)) == (350 // imports.PIECE, 350)


def test_a_worker_that_is_told_to_stop_leaves_it_to_another(
    database: db.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sheet(*[f"M{i},,m{i}@example.org,,,,,,," for i in range(250)])
    me = db.uuid7()
    run_id = imports_desk.upload(data, "big.csv", me)
    imports.run_waiting()
    imports_desk.go_ahead(run_id, me, skip_bad=False)
    real = imports.write

    def then_stop(*args: Any) -> int:
        queue.stopping.set()
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(imports, "write", then_stop)
        assert imports.run_waiting() == 0
    assert count(Member) == imports.PIECE
    queue.stopping.clear()
    assert imports.run_waiting() == 1, "at once: it was let go"
    assert count(Member) == 250
    assert imports_desk.status(run_id).counts == imports.Counts(imported=250, confirmations=250)


def test_of_two_processes_only_one_goes_on(database: db.Database) -> None:
    data = sheet(*[f"M{i},,m{i}@example.org,,,,,,," for i in range(150)])
    checked = imports.check_file(data)
    with clock.frozen_at(NOON):
        run_id = imports_runs.begin(data.decode(), "x.csv", total=150, skip_bad=False)
        first = imports_runs.get(run_id)
    with clock.frozen_at(NOON.replace(minute=5)):
        second = imports_runs.take(clock.now() - imports.ABANDONED)
        assert second is not None
        assert second.owner != first.owner
        assert imports._write(first, checked, imports._silent) is None, "it was taken over, and notices"
        assert count(Member) == 0
        assert imports._write(second, checked, imports._silent) == imports.Counts(imported=150, confirmations=150)
    assert count(Member) == 150


def test_by_page_a_check_comes_first(database: db.Database) -> None:
    me = db.uuid7()
    bad = imports_desk.upload(sheet("Ana,,ana@example.org,,,,,,,", "Bo,,nonsense,,,,,,,"), "sign-ups.csv", me)
    assert imports_desk.status(bad).busy
    assert imports.run_waiting() == 1
    found = imports_desk.status(bad)
    assert (found.run.state, found.bad_rows, found.counts.imported) == ("checked", 1, 1)
    assert [(e.row, e.column) for e in found.errors] == [(3, "email")]
    assert count(Member) == 0

    imports_desk.go_ahead(bad, me, skip_bad=True)
    with pytest.raises(Conflict):
        imports_desk.go_ahead(bad, me, skip_bad=True)
    assert imports.run_waiting() == 1
    found = imports_desk.status(bad)
    assert (found.run.state, found.counts.imported, found.counts.skipped) == ("finished", 1, 1)
    assert count(Member) == 1
    with db.reading() as session:
        line = session.scalars(select(ConsentEvent)).one()
    assert line.actor == f"coordinator:{me}"

    other = imports_desk.upload(sheet("Cy,,cy@example.org,,,,,,,"), "b.csv", me)
    imports_desk.discard(other, me)
    assert imports.run_waiting() == 0
    assert [s.run.id for s in imports_desk.recent()] == [bad]


@only_sqlite
def test_an_upload_that_nobody_imports_is_forgotten(database: db.Database) -> None:
    with clock.frozen_at(NOON):
        run_id = imports_desk.upload(sheet("Ana,,ana@example.org,,,,,,,"), "a.csv", db.uuid7())
        imports.run_waiting()
    with clock.frozen_at(NOON.replace(month=12)):
        imports.run_waiting()
    assert count(ImportRun, ImportRun.id == run_id) == 0
    with pytest.raises(BadFile):
        imports_desk.upload(b"\xff\xfe", "a.csv", db.uuid7())


@only_sqlite
def test_a_run_that_keeps_failing_stops_and_can_be_tried_again(
    database: db.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = db.uuid7()
    run_id = imports_desk.upload(sheet("Ana,,ana@example.org,,,,,,,"), "a.csv", me)
    with monkeypatch.context() as patch:
        patch.setattr(imports, "check_file", lambda *_: 1 / 0)
        for minute in (0, 2, 4, 6):
            with clock.frozen_at(NOON.replace(minute=minute)):
                assert imports.run_waiting() == 0
    assert imports_desk.status(run_id).run.state == "failed"
    imports_desk.again(run_id, me)
    assert imports.run_waiting() == 1
    assert imports_desk.status(run_id).run.state == "checked"


def test_the_command(database: db.Database, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_bytes(sheet("Ana,+12025550123,,,,,,,2026-01-05,paper form", "Bo,,bo@example.org,,,,,,,"))
    bad.write_bytes(sheet("Cy,,cy@example.org,,,,,,,", "Di,12,,,,,,,,"))

    refused = CliRunner().invoke(main, ["members", "import", str(bad)])
    assert refused.exit_code == 1
    (line,) = [json.loads(text) for text in refused.stderr.splitlines()]
    assert (line["row"], line["column"], set(line)) == (3, "phone", {"row", "column", "message"})
    assert json.loads(refused.stdout)["imported"] == 0

    dry = CliRunner().invoke(main, ["members", "import", str(good), "--dry-run"])
    expected = {"rows": 2, "imported": 2, "updated": 0, "skipped": 0, "confirmations": 1, "errors": 0}
    assert (dry.exit_code, json.loads(dry.stdout)) == (0, expected)
    assert count(Member) == 0

    done = CliRunner().invoke(main, ["members", "import", str(good)])
    assert (done.exit_code, json.loads(done.stdout)) == (0, expected)
    assert count(Member) == 2

    rest = CliRunner().invoke(main, ["members", "import", str(bad), "--skip-bad"])
    assert rest.exit_code == 0
    assert json.loads(rest.stdout) == {
        "rows": 2, "imported": 1, "updated": 0, "skipped": 1, "confirmations": 1, "errors": 1,
    }  # fmt: skip


def test_added_by_hand(database: db.Database) -> None:
    me = db.uuid7()
    values = {"first_name": "Ana", "phone": "202-555-0123", "country": "US", "topics": "stories"}
    ana = imports.add_member(values, me, adult=True)
    with db.reading() as session:
        member = session.get_one(Member, ana)
        assert member.adult_confirmed_at is not None
        assert member.state == MemberState.PENDING
        assert session.scalars(select(Delivery.purpose)).all() == [Purpose.CONFIRM]
    daughter = {"first_name": "Ann", "phone": "+12025550123"}
    with pytest.raises(Conflict) as known:
        imports.add_member(daughter, me)
    assert known.value.error_code == "known"
    proof = {"consented_at": "2026-01-05", "consent_source": "told us at the meeting"}
    imports.add_member(daughter | proof, me, shared=True)
    with db.reading() as session:
        both = contacts.find_members(session, ChannelName.SMS, "+12025550123")
    assert [(m.first_name, m.state) for m in both] == [("Ana", MemberState.PENDING), ("Ann", MemberState.ACTIVE)]
    with pytest.raises(imports.NotAdded) as wrong:
        imports.add_member({"phone": "1", "consented_at": "2026-01-01"}, me)
    assert [e.field for e in wrong.value.errors] == ["phone", "consent_source"]


@only_sqlite
def test_a_channel_that_is_not_in_use_asks_nobody(database: db.Database, configure: Any) -> None:
    configure(channels="email")
    assert run("Ana,+12025550123,,,,,,,,").counts == imports.Counts(imported=1)
    assert count(ConfirmationAsked) == 0, "the right to ask is kept for when it can be used"
    with db.transaction() as session:
        session.execute(update(Subscription).values(state=SUB.STOPPED))
    assert count(Address) == 1
