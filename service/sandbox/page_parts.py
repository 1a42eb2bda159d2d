"""What every page of the stand-in is made of: the list of contacts, and live parts that the browser asks for again.

A live part carries a hash of its content; asked for every two seconds, an unchanged one is answered 204.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import phonenumbers
from flask import Blueprint, current_app, render_template, request
from flask_wtf.csrf import generate_csrf

from service.sandbox import provoke
from service.sandbox.store import Store

pages = Blueprint("page", __name__)
LISTED = 80
"""Contacts in the list, newest activity first; the others are found by searching."""


def current_store() -> Store:
    """The Store of this app."""
    store: Store = current_app.extensions["sandbox"]
    return store


@pages.app_context_processor
def _everywhere() -> dict[str, Any]:
    store = current_store()
    return {
        "service_url": store.settings.base_url,
        "org_name": store.settings.org_name,
        "csrf": generate_csrf(),
        "moment": _moment,
        "pretty": pretty,
        "provocations": provoke.active(store),
    }


def _moment(at: float) -> dict[str, str]:
    """A time for the page: exact for machines, UTC for readers without scripts."""
    when = datetime.fromtimestamp(at, UTC)
    return {"iso": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "words": when.strftime("%d %b %H:%M UTC")}


def pretty(number: str) -> str:
    """`+12125550123` → `+1 212-555-0123`; anything else as it is."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def show(template: str, status: int = 200, *, opened: tuple[str, str] = ("", ""), **values: Any) -> tuple[str, int]:
    """A whole page: the list of contacts, and `template` beside it. `opened` is the (kind, address) on show."""
    return render_template(template, opened=opened, contacts_html=_contacts_html(opened), **values), status


def fragment(template: str, **values: Any) -> tuple[str, int]:
    """A live part: 204 if it is what the browser already shows (`?v=`)."""
    inner = live(template, **values)
    return ("", 204) if f'data-version="{request.args.get("v", "-")}"' in inner else (inner, 200)


def live(template: str, **values: Any) -> str:
    """Render a live part, with the hash of its content where it says VERSION."""
    inner = render_template(template, **values)
    version = hashlib.blake2s(inner.encode(), digest_size=8).hexdigest()
    return inner.replace("@VERSION@", version)


# The list


@pages.get("/fragments/contacts")
def contacts() -> tuple[str, int]:
    """The list, live."""
    kind, _, address = request.args.get("open", "").partition(":")
    return fragment("_contacts.html", **_contact_values((kind, address)))


def _contacts_html(opened: tuple[str, str]) -> str:
    return live("_contacts.html", **_contact_values(opened))


def _contact_values(opened: tuple[str, str]) -> dict[str, Any]:
    where, values = ["1"], list[Any]()
    which, q = request.args.get("show", "all"), request.args.get("q", "").strip().lower()
    if which in ("phone", "mailbox"):
        where.append("kind = ?")
        values.append(which)
    if which == "unread":
        where.append("unread > 0")
    if q:
        # A number may be typed with spaces, dashes and brackets.
        needle = re.sub(r"[\s().-]", "", q) if re.fullmatch(r"[+\d\s().-]+", q) else q
        where.append("(INSTR(LOWER(address), ?) OR INSTR(LOWER(name), ?))")
        values += [needle, q]
    condition = " AND ".join(where)
    store = current_store()
    rows = store.all(f"SELECT * FROM contact WHERE {condition} ORDER BY touched DESC LIMIT ?", *values, LISTED)  # noqa: S608 - fixed words
    count = store.one(f"SELECT COUNT(*) AS n FROM contact WHERE {condition}", *values)  # noqa: S608
    total = store.one("SELECT COUNT(*) AS n FROM contact")
    return {
        "contacts": rows,
        "more": (count["n"] if count else 0) - len(rows),
        "total": total["n"] if total else 0,
        "opened": opened,
        "q": request.args.get("q", ""),
        "which": which,
    }
