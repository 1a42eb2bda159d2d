"""Marks "never contact", kept beside the database as well: a backup from before a STOP must not undo it.

A file of DATA_DIR that is only ever added to, one JSON object a line: the keyed hash of an address that asked us to
stop, or that asked to come back, and when. With several machines each has its own; `restore` takes all of them.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service import config, logs
from service.errors import Invalid
from service.models.members import ChannelName

FILE = "stops.jsonl"
log = logs.get("consent")


@dataclass(frozen=True, slots=True)
class Stop:
    """What an address asked for last."""

    channel: ChannelName
    index_hash: bytes
    at: datetime
    reason: str
    """Empty where it came back."""


def path() -> Path:
    """Where this machine keeps the list."""
    return config.current().data_path / FILE


def remember(channel: ChannelName, index_hash: bytes, reason: str, at: datetime) -> None:
    """Add a stop to the list, or with an empty `reason` the end of one; on disk when this returns.

    A disk that cannot be written must not keep anybody from stopping: that is logged, and the mark itself holds.
    """
    line = {"channel": channel, "hash": index_hash.hex(), "at": at.isoformat(), "reason": reason}
    try:
        handle = os.open(path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, f"{json.dumps(line)}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        log.error("a stop could not be added to the list beside the database", list=FILE, exc_info=error)


def read(files: Iterable[Path], since: datetime) -> list[Stop]:
    """What each address asked for last, after `since`. Raises Invalid for a file that is no such list."""
    lines = sorted((stop for file in files for stop in _lines(file)), key=lambda stop: stop.at)
    last = {(stop.channel, stop.index_hash): stop for stop in lines}
    return [stop for stop in last.values() if stop.at > since]


def _lines(file: Path) -> Iterator[Stop]:
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            yield Stop(
                ChannelName(said["channel"]), bytes.fromhex(said["hash"]), datetime.fromisoformat(said["at"]),
                str(said["reason"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            raise Invalid(f"{file.name}, line {number}, is not a line of a list of stops.") from None
