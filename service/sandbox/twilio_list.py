"""Twilio's list of Messages: filters, pages, and the links between pages."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import request

from service.sandbox import texts
from service.sandbox.store import Row, Store, timestamp

MOST = 1000
"""Rows of one page; 50 if the caller does not say."""


def listing(store: Store) -> dict[str, Any]:
    """The body of the answer to the current request. Raises ValueError for a date that cannot be read."""
    size = min(_whole(request.args.get("PageSize", ""), 50), MOST) or 50
    page = _whole(request.args.get("Page", ""), 0)
    where, values = ["deleted = 0"], list[Any]()
    for name, column in (("To", "recipient"), ("From", "sender")):
        if given := request.args.get(name):
            where.append(f"{column} = ?")
            # A "+" that a client forgot to escape arrives as a space.
            values.append("+" + given[1:] if given.startswith(" ") else given)
    for clause, value in _date_filters():
        where.append(clause)
        values.append(value)
    rows = store.all(
        f"SELECT * FROM text WHERE {' AND '.join(where)} ORDER BY n DESC LIMIT ? OFFSET ?",  # noqa: S608 - fixed words
        *values,
        size + 1,
        page * size,
    )
    return _page(store, rows[:size], page, size, more=len(rows) > size)


def _page(store: Store, rows: list[Row], page: int, size: int, *, more: bool) -> dict[str, Any]:
    kept = {k: v for k, v in request.args.items() if k not in ("Page", "PageSize", "PageToken")}
    token = {"PageToken": f"PA{rows[-1]['sid']}"} if rows else {}

    def uri(number: int, extra: dict[str, str]) -> str:
        return f"{request.path}?{urlencode(kept | {'PageSize': str(size), 'Page': str(number)} | extra)}"

    return {
        "messages": [texts.resource(store.settings, row) for row in rows],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(len(rows) - 1, 0),
        "uri": request.full_path.rstrip("?"),
        "first_page_uri": uri(0, {}),
        "next_page_uri": uri(page + 1, token) if more else None,
        "previous_page_uri": uri(page - 1, token) if page else None,
    }


def _whole(given: str, otherwise: int) -> int:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 9 else otherwise


def _date_filters() -> list[tuple[str, float]]:
    """SQL for the DateSent filters that were given; a message that has not been sent passes none of them."""
    sent = "CASE direction WHEN 'inbound' THEN created ELSE sent_at END"
    clauses: list[tuple[str, float]] = []
    if text := request.args.get("DateSent"):  # any moment of that day
        day = _moment(text).replace(hour=0, minute=0, second=0, microsecond=0)
        clauses += [(f"{sent} >= ?", day.timestamp()), (f"{sent} < ?", (day + timedelta(days=1)).timestamp())]
    if text := request.args.get("DateSent<"):  # a date means its midnight
        clauses.append((f"{sent} <= ?", _moment(text).timestamp()))
    if text := request.args.get("DateSent>"):
        clauses.append((f"{sent} >= ?", _moment(text).timestamp()))
    return [*clauses, (f"{sent} <= ?", timestamp())] if clauses else []


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"Invalid date: {text[:40]}") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
