"""The page of phones and mailboxes: what is shown. What its buttons do is in page_posts."""

from typing import Any

from flask import Response, abort, request, url_for

from service.sandbox import mails, provoke, texts
from service.sandbox.mails import Rendered
from service.sandbox.page_parts import current_store, fragment, live, pages, show
from service.sandbox.segments import measure
from service.sandbox.store import Row, timestamp

THREAD = 200
QUICK = ("1", "2", "3", "4", "5", "YES", "NO", "MAYBE", "ME TOO", "STOP", "HELP", "START", "JOIN")
_MAIL_STATES = {
    "delivered": "delivered",
    "late-bounce": "delivered, then bounced",
    "bounce": "bounced",
    "blocked": "blocked by the mail server",
    "dropped": "dropped by SendGrid",
    "received": "",
}


@pages.get("/")
def index() -> tuple[str, int]:
    """Phones and mailboxes, and a word of welcome."""
    return show("index.html")


# Phones


@pages.get("/phone/<number>")
def phone(number: str) -> tuple[str, int]:
    """One phone: its thread, and a box to write as its owner."""
    return show_phone(number)


def show_phone(number: str, status: int = 200, **form: Any) -> tuple[str, int]:
    """The page of a phone, with what was typed and the error beside it, if there is one."""
    row = contact("phone", number)
    return show(
        "phone.html",
        status,
        opened=("phone", number),
        contact=row,
        thread_html=live("_thread.html", **_thread_values(row)),
        quick=QUICK,
        kinds=provoke_choices(provoke.SMS),
        form={"body": "", "error": "", "field": ""} | form,
    )


@pages.get("/fragments/thread/<number>")
def thread(number: str) -> tuple[str, int]:
    """The texts of a phone, live."""
    return show_thread(number)


def show_thread(number: str) -> tuple[str, int]:
    """The thread alone; 204 if the browser shows it already."""
    return fragment("_thread.html", **_thread_values(contact("phone", number)))


def _thread_values(row: Row) -> dict[str, Any]:
    store = current_store()
    newest = store.all(
        "SELECT * FROM text WHERE phone = ? AND deleted = 0 ORDER BY n DESC LIMIT ?", row["address"], THREAD
    )
    return {"contact": row, "bubbles": [_bubble(text) for text in reversed(newest)]}


def _bubble(row: Row) -> dict[str, Any]:
    status = texts.status_of(row, timestamp())
    code = row["error_code"] if status in ("undelivered", "failed") else None
    size = measure(row["body"])
    return {
        "sid": row["sid"],
        "mine": row["direction"] == "inbound",
        "body": row["body"],
        "at": row["created"],
        "status": status,
        "error": f"{code} {texts.error_message(code)}" if code else "",
        "size": f"{size.number} segment{'s' if size.number > 1 else ''}, {size.encoding}",
        "note": row["note"],
        "media": current_store().all("SELECT sid, kind FROM media WHERE text_sid = ?", row["sid"]),
    }


@pages.get("/media/<sid>")
def media(sid: str) -> Response:
    """The bytes of a member's picture, for the page and for whoever was redirected here."""
    row = current_store().one("SELECT kind, data FROM media WHERE sid = ?", sid)
    if row is None:
        abort(404)
    response = Response(row["data"], mimetype=row["kind"])
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def contact(kind: str, address: str) -> Row:
    """The row of a phone or mailbox; 404 if it has never written or been written to."""
    row = current_store().one("SELECT * FROM contact WHERE kind = ? AND address = ?", kind, address)
    if row is None:
        abort(404)
    return row


def provoke_choices(channel: str) -> list[tuple[str, str]]:
    """(value, label) for the select of what can go wrong."""
    return [(kind.value, provoke.LABELS[kind]) for kind in provoke.kinds_for(channel)]


# Mailboxes


@pages.get("/mailbox/<path:address>")
def mailbox(address: str) -> tuple[str, int]:
    """One mailbox: its mails, newest first."""
    row = contact("mailbox", address)
    lists = current_store().all("SELECT list FROM suppression WHERE email = ?", address)
    return show(
        "mailbox.html",
        opened=("mailbox", address),
        contact=row,
        mails_html=live("_mails.html", **_mails_values(row)),
        suppressed=[item["list"].replace("_", " ") for item in lists],
        kinds=provoke_choices(provoke.EMAIL),
        form={"error": "", "field": ""},
    )


@pages.get("/fragments/mails/<path:address>")
def mails_list(address: str) -> tuple[str, int]:
    """The mails of a mailbox, live."""
    return fragment("_mails.html", **_mails_values(contact("mailbox", address)))


def _mails_values(row: Row) -> dict[str, Any]:
    rows = current_store().all("SELECT * FROM mail WHERE mailbox = ? ORDER BY n DESC LIMIT ?", row["address"], THREAD)
    return {"contact": row, "mails": [{"row": mail, "state": mail_state(mail), **_fate(mail)} for mail in rows]}


def mail_state(row: Row) -> str:
    """What became of a mail, in words; empty for one that a member wrote."""
    if row["direction"] == "outbound" and row["done_at"] is not None and timestamp() < row["done_at"]:
        return "on its way"
    return _MAIL_STATES[row["final"]]


def _fate(row: Row) -> dict[str, bool]:
    mine = row["direction"] == "inbound"
    return {"mine": mine, "lost": not mine and row["final"] in ("bounce", "blocked", "dropped")}


@pages.get("/mail/<mail_id>")
def mail(mail_id: str) -> tuple[str, int]:
    """One mail: as HTML, as text, or its headers; and a box to answer it."""
    return show_mail(mail_id)


def show_mail(mail_id: str, status: int = 200, **form: Any) -> tuple[str, int]:
    """The page of a mail, with what was typed and the error beside it, if there is one."""
    row, rendered = _mail(mail_id)
    view = request.args.get("view", "html" if rendered.html else "text")
    return show(
        "mail.html",
        status,
        opened=("mailbox", row["mailbox"]),
        contact=contact("mailbox", row["mailbox"]),
        row=row,
        mail=rendered,
        state=mail_state(row),
        view=view if view in ("html", "text", "headers") else "text",
        form={"text": "", "error": "", "field": ""} | form,
        **_fate(row),
    )


def _mail(mail_id: str) -> tuple[Row, Rendered]:
    row = current_store().one("SELECT * FROM mail WHERE id = ?", mail_id)
    if row is None:
        abort(404)
    return row, mails.rendered(current_store(), row)


@pages.get("/mail/<mail_id>/html")
def mail_html(mail_id: str) -> Response:
    """The HTML part for the frame: no scripts, no forms, and no pictures from beyond the service itself."""
    _, rendered = _mail(mail_id)
    response = Response(f'<!doctype html><base target="_blank">{rendered.html}', mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
        f"img-src data: {current_store().settings.base_url}; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'self'"
    )
    return response


# The rest


@pages.get("/new")
def new() -> tuple[str, int]:
    """Write from a number or an address that nobody knows yet."""
    return show_new()


def show_new(status: int = 200, **form: Any) -> tuple[str, int]:
    """The forms for a new phone and a new mailbox, with what was typed."""
    settings = current_store().settings
    hello = f"hello@{settings.sendgrid_inbound_domain}" if settings.sendgrid_inbound_domain else settings.sendgrid_from
    empty = dict.fromkeys(("phone", "body", "address", "subject", "text", "error", "field"), "") | {"to": hello}
    return show("new.html", status, ours=texts.our_number(settings), form=empty | form)


@pages.get("/trouble")
def trouble() -> tuple[str, int]:
    """Everything that can be made to go wrong, for all phones and mailboxes."""
    return show_trouble()


def show_trouble(status: int = 200, **form: Any) -> tuple[str, int]:
    """The Provoke panel, with what was chosen and the error beside it, if there is one."""
    empty = {
        "channel": "",
        "kind": "",
        "address": "",
        "times": "1",
        "code": "",
        "seconds": "",
        "error": "",
        "field": "",
    }
    return show(
        "trouble.html",
        status,
        sms_kinds=provoke_choices(provoke.SMS),
        email_kinds=provoke_choices(provoke.EMAIL),
        labels={kind.value: label for kind, label in provoke.LABELS.items()},
        switches=provoke.switches(current_store()),
        form=empty | form,
    )


def link_to(kind: str, address: str) -> str:
    """The address of a phone's or a mailbox's page."""
    if kind == "phone":
        return url_for("page.phone", number=address)
    return url_for("page.mailbox", address=address)
