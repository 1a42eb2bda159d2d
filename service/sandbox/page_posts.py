"""What the page's buttons do. Every one is a POST with a CSRF token, and ends on the page where its effect shows."""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from service.errors import Conflict, Invalid
from service.sandbox import acts, inbound, provoke
from service.sandbox.page import (
    contact,
    link_to,
    show_mail,
    show_new,
    show_phone,
    show_thread,
    show_trouble,
)
from service.sandbox.page_parts import current_store
from service.sandbox.store import reset

posts = Blueprint("post", __name__)
Answer = Response | tuple[str, int]


def _field(name: str) -> str:
    return request.form.get(name, "")


def _see(url: str) -> Response:
    return redirect(url, 303)


@posts.post("/phone/<number>/text")
def text(number: str) -> Answer:
    """The phone's owner texts us: a quick button, or what was typed."""
    contact("phone", number)
    body = _field("quick") or _field("body")
    try:
        inbound.text_from(current_store(), number, body, pictures=() if _field("quick") else _pictures())
    except Invalid as error:
        return show_phone(number, 422, body=body, error=error.message, field=error.field)
    if request.headers.get("HX-Request"):  # the thread alone, so that a draft in the box stays
        return show_thread(number)
    return _see(url_for("page.phone", number=number))


def _pictures() -> list[inbound.Picture]:
    """The file that was chosen, if there is one. A kind that no phone sends goes as bytes of no kind."""
    given = request.files.get("picture")
    data = given.read() if given else b""
    kind = (given.mimetype if given else "") or "application/octet-stream"
    return [inbound.Picture(kind, data)] if data else []


@posts.post("/phone/<number>/read")
def read(number: str) -> tuple[str, int]:
    """The page shows this thread, so it is read."""
    with current_store().write() as db:
        db.execute("UPDATE contact SET unread = 0 WHERE kind = 'phone' AND address = ?", (number,))
    return "", 204


@posts.post("/phone/<number>/unblock")
def unblock(number: str) -> Response:
    """Twilio forgets that this phone sent STOP."""
    with current_store().write() as db:
        db.execute("UPDATE contact SET blocked = 0 WHERE kind = 'phone' AND address = ?", (number,))
    return _see(url_for("page.phone", number=number))


@posts.post("/mail/<mail_id>/seen")
def seen(mail_id: str) -> tuple[str, int]:
    """The page shows this mail, so it is opened."""
    acts.opened(current_store(), mail_id)
    return "", 204


@posts.post("/mail/<mail_id>/reply")
def reply(mail_id: str) -> Answer:
    """The mailbox's owner answers a mail."""
    words, automatic = _field("text"), bool(_field("automatic"))
    if automatic and not words.strip():
        words = "I am out of the office until Monday and will answer when I am back."
    try:
        inbound.reply(current_store(), mail_id, words, quote=bool(_field("quote")), automatic=automatic)
    except Invalid as error:
        return show_mail(mail_id, 422, text=words, error=error.message, field=error.field)
    return _see(url_for("page.mailbox", address=acts.received(current_store(), mail_id)["mailbox"]))


@posts.post("/mail/<mail_id>/one-click")
def one_click(mail_id: str) -> Answer:
    """The mail program's own Unsubscribe button."""
    try:
        acts.one_click(current_store(), mail_id)
    except Conflict as error:
        return show_mail(mail_id, 409, error=error.message, field="one-click")
    return _see(url_for("page.mail", mail_id=mail_id))


@posts.post("/mail/<mail_id>/spam")
def spam(mail_id: str) -> Response:
    """The mail program's own Spam button."""
    acts.report_spam(current_store(), mail_id)
    return _see(url_for("page.mail", mail_id=mail_id))


@posts.post("/mailbox/forgive")
def forgive() -> Response:
    """SendGrid forgets that this address bounced, complained or unsubscribed."""
    with current_store().write() as db:
        db.execute("DELETE FROM suppression WHERE email = ?", (_field("address"),))
    return _see(url_for("page.mailbox", address=_field("address")))


@posts.post("/new/phone")
def new_phone() -> Answer:
    """A text from a number that nobody knows yet."""
    try:
        number = inbound.valid_phone(_field("phone"))
        inbound.text_from(current_store(), number, _field("body"))
    except Invalid as error:
        return show_new(422, phone=_field("phone"), body=_field("body"), error=error.message, field=error.field)
    return _see(url_for("page.phone", number=number))


@posts.post("/new/mailbox")
def new_mailbox() -> Answer:
    """A mail from an address that nobody knows yet."""
    given = {name: _field(name) for name in ("address", "to", "subject", "text")}
    try:
        inbound.mail_from(current_store(), given["address"], given["to"], given["subject"], given["text"])
    except Invalid as error:
        return show_new(422, **given, error=error.message, field=error.field)
    return _see(url_for("page.mailbox", address=given["address"].strip().lower()))


@posts.post("/trouble")
def begin() -> Answer:
    """Provoke something."""
    given = {name: _field(name).strip() for name in ("channel", "kind", "address", "times", "code", "seconds")}
    try:
        provoke.add(
            current_store(),
            given["kind"],
            channel=given["channel"],
            address=given["address"],
            times=_whole(given["times"], "times"),
            code=_whole(given["code"], "code"),
            seconds=_decimal(given["seconds"], "seconds"),
        )
    except Invalid as error:
        return show_trouble(422, **given, error=error.message, field=error.field)
    if _field("back") in ("phone", "mailbox"):
        return _see(link_to(_field("back"), given["address"]))
    return _see(url_for("page.trouble"))


def _whole(given: str, field: str) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise Invalid("Give a whole number, or leave it empty.", field=field)
    return int(given)


def _decimal(given: str, field: str) -> float | None:
    try:
        return float(given) if given else None
    except ValueError:
        raise Invalid("Give a number.", field=field) from None


@posts.post("/trouble/end")
def end() -> Response:
    """End one provocation, or all."""
    provoke.remove(current_store(), _whole(_field("n"), "n"))
    return _see(url_for("page.trouble"))


@posts.post("/switches")
def switches() -> Answer:
    """The stand-in's habits."""
    store = current_store()
    try:
        for key in ("opt_out", "opens"):
            provoke.set_switch(store, key, float(bool(_field(key))))
        for key in ("repeats", "disorder"):
            provoke.set_switch(store, key, (_decimal(_field(key), key) or 0.0) / 100)
        provoke.set_switch(store, "pace", _decimal(_field("pace"), "pace") or 0.0)
    except Invalid as error:
        return show_trouble(422, error=error.message, field=error.field)
    return _see(url_for("page.trouble"))


@posts.post("/reset")
def forget() -> Response:
    """Empty every phone and mailbox."""
    reset(current_store())
    return _see(url_for("page.index"))
