"""From the bytes of a CSV file to its cells. What cannot be a list of members at all is refused here, as a whole.

A row's number is the line that a spreadsheet shows: the header is row 1, blank lines count.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from service.errors import Invalid

COLUMNS = (
    "first_name",
    "phone",
    "email",
    "topics",
    "circle",
    "timezone",
    "locale",
    "country",
    "consented_at",
    "consent_source",
)
MAX_ROWS = 100_000
MAX_BYTES = 20 * 1024 * 1024
TOO_MANY_CELLS = "\0"
"""The key under which `records` hands on that a row has more cells than columns; no column can be called so."""


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong, where, and what to do about it. `column` is "" where it is the row as a whole."""

    row: int
    column: str
    message: str


class BadFile(Invalid):
    """The file cannot be read as a list of members at all; `error` says in which row and column that shows."""

    def __init__(self, message: str, *, row: int = 1, column: str = "") -> None:
        super().__init__(message, field="file")
        self.error = RowError(row, column, message)


def records(data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """(row number, {column: text}) of each row that is not blank. Raises BadFile, also in the middle of the file."""
    reader = csv.reader(io.StringIO(text_of(data), newline=""), strict=True)
    count = 0
    number = 0
    header: list[str] = []
    try:
        for number, cells in enumerate(reader, start=1):
            if number == 1:
                header = _header(cells)
                continue
            if not any(cell.strip() for cell in cells):
                continue
            count += 1
            if count > MAX_ROWS:
                raise BadFile(f"There are more than {MAX_ROWS:,} rows. Cut the file in two and import one by one.")
            yield number, _record(header, cells, number)
    except csv.Error:
        message = (
            "A quotation mark is opened and never closed, or stands inside a value. Write it twice, or take it out."
        )
        raise BadFile(message, row=number + 1) from None
    if not header:
        raise BadFile(f"The file is empty. Its first line names the columns: {', '.join(COLUMNS)}.")


def did_you_mean(text: str, near: list[str]) -> str:
    """`text` with the nearest known word, if there is one."""
    return f"{text}. Did you mean {near[0]}?" if near else f"{text}."


def text_of(data: bytes) -> str:
    """The file as text. Raises BadFile for what is too large, a spreadsheet, or not UTF-8 (a BOM is fine)."""
    if len(data) > MAX_BYTES:
        raise BadFile(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB. Cut it in two and import one by one.")
    if data.startswith(b"PK\x03\x04"):
        raise BadFile("This is a spreadsheet, not a CSV file. Save it as “CSV UTF-8 (comma separated)” first.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        message = "Letters of this line are not UTF-8. Save the spreadsheet as “CSV UTF-8 (comma separated)”."
        raise BadFile(message, row=row) from None


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if len(names) == 1 and ";" in names[0]:
        raise BadFile("The columns are separated by semicolons. Save the file as CSV with commas.")
    if not names:
        raise BadFile(f"The first line is blank. It names the columns: {', '.join(COLUMNS)}.")
    for name in names:
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, n=1)
            known = did_you_mean(f"“{name[:40]}” is not a column of an import", near)
            raise BadFile(f"{known} The columns are: {', '.join(COLUMNS)}. Take others out.", column=name[:40])
        if names.count(name) > 1:
            raise BadFile(f"The column {name} is there twice. Keep one.", column=name)
    if "phone" not in names and "email" not in names:
        raise BadFile("A column phone or email is needed, or both.", column="phone")
    return names


def _record(header: list[str], cells: list[str], number: int) -> dict[str, str]:
    values = dict(zip(header, cells, strict=False))
    if any(cell.strip() for cell in cells[len(header) :]):
        values[TOO_MANY_CELLS] = (
            f"This row has {len(cells)} values for {len(header)} columns. A value with a comma in it needs quotation "
            'marks around it: "Doe, Jane".'
        )
    return values
