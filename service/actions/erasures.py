"""The ids of members who were erased, kept beside the database: a backup from before does not bring them back.

A file of DATA_DIR that is only ever added to, one JSON object a line, with an id and a moment and nothing about the
person. With several machines each has its own; `restore` takes all of them.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from service import clock, config
from service.errors import Invalid

FILE = "erasures.jsonl"


def path() -> Path:
    """Where this machine keeps the list."""
    return config.current().data_path / FILE


def remember(member_id: UUID) -> None:
    """Add a member to the list; on disk when this returns. To be called before the erasure is committed: one that was
    asked for must not be forgotten, and one that fails is asked for again.
    """
    line = json.dumps({"member": str(member_id), "at": clock.now().isoformat()}) + "\n"
    handle = os.open(path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(files: Iterable[Path]) -> set[UUID]:
    """The members on these lists. Raises Invalid for a file that is no such list."""
    return {member for file in files for member in _members(file)}


def _members(file: Path) -> Iterator[UUID]:
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield UUID(json.loads(line)["member"])
        except (ValueError, KeyError, TypeError):
            raise Invalid(f"{file.name}, line {number}, is not a line of a list of erasures.") from None
