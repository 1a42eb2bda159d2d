"""Changing the encryption key: with the new key alone everything opens, and nothing is forgotten."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, type_coerce
from sqlalchemy.types import LargeBinary

from service import crypto, db
from service.actions import keys
from service.cli import main
from service.config import Settings
from service.errors import Conflict
from service.models.members import Member
from tests.actions.filled import everything, fill, words
from tests.conftest import FAKES

OLD = str(FAKES["encryption_keys"])
NEW = base64.b64encode(bytes(range(100, 132))).decode()
Configure = Callable[..., Settings]


def use(configure: Configure, *keys_: str) -> None:
    """Start afresh with these keys, as after a restart of every process."""
    configure(encryption_keys=",".join(keys_))
    db.connect()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "BATCH", 2)


def test_with_the_new_key_alone_everything_opens(
    database: db.Database, configure: Configure, small_batches: None
) -> None:
    fill(rows=5)
    before, digest = everything(), db.blind_index("sms", "+12025550123")
    columns = list(keys.encrypted_columns())
    assert len(columns) > 15

    use(configure, NEW, OLD)
    seen: list[tuple[str, int, int]] = []
    rotated = keys.rotate(lambda *moved: seen.append(moved))
    assert rotated.values == 5 * len(columns)
    assert seen[-1][1:] == (rotated.values, rotated.values)
    assert keys.remaining() == 0
    assert keys.rotate().values == 0

    use(configure, NEW)
    after = everything()
    after.pop("audit_entries"), before.pop("audit_entries")
    after.pop("system_values"), before.pop("system_values")
    assert after == before
    assert db.blind_index("sms", "+12025550123") == digest, "the key of the index is the same, wrapped anew"
    with db.reading() as session:
        for column in columns:
            assert words(column, 4) in session.scalars(select(column)).all()

    use(configure, OLD)
    with db.reading() as session, pytest.raises(crypto.CannotDecrypt):
        session.scalars(select(columns[0])).all()


def test_interrupted_it_goes_on_where_it_was(
    database: db.Database, configure: Configure, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(rows=5)
    use(configure, NEW, OLD)
    steps = 0

    def stop_in_the_middle(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keys.rotate(stop_in_the_middle)
    left = keys.remaining()
    assert 0 < left < 5 * len(list(keys.encrypted_columns()))
    assert keys.rotate().values == left
    use(configure, NEW)
    everything()


def test_what_was_written_meanwhile_stays(database: db.Database, configure: Configure) -> None:
    fill(rows=1)
    use(configure, NEW, OLD)
    table = db.Base.metadata.tables["addresses"]
    column = table.c.value
    real = keys._store

    def somebody_is_quicker(session: Any, at: Any, keys_: Any, rows: Any) -> None:
        if at is column:
            session.execute(table.update().values(value="+12025550199"))
        real(session, at, keys_, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_store", somebody_is_quicker)
        keys.rotate()
    with db.reading() as session:
        assert session.scalars(select(column)).all() == ["+12025550199"]


def test_a_key_that_is_missing_is_named(database: db.Database, configure: Configure) -> None:
    fill(rows=1)
    use(configure, NEW)
    with pytest.raises(Conflict, match="behind the first"):
        keys.rotate()


def test_the_command(database: db.Database, configure: Configure) -> None:
    fill(rows=2)
    use(configure, NEW, OLD)
    answer = CliRunner().invoke(main, ["keys", "rotate"])
    assert answer.exit_code == 0, answer.output
    assert "encrypted anew" in answer.stdout
    with db.reading() as session:
        raw = session.scalars(select(type_coerce(db.Base.metadata.tables["messages"].c.body, LargeBinary))).all()
        assert all(db.keyring().is_current(bytes(value)) for value in raw)
        assert session.scalars(select(Member.id)).all()
