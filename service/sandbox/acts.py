"""What a reader does with a mail beside answering it: open it, unsubscribe with one click, report it as spam."""

from service.errors import Conflict, NotFound
from service.sandbox import events, mails, provoke
from service.sandbox.post import Answer, post
from service.sandbox.store import Row, Store


def received(store: Store, mail_id: str) -> Row:
    """A mail that we sent. Raises NotFound."""
    row = store.one("SELECT * FROM mail WHERE id = ? AND direction = 'outbound'", mail_id)
    if row is None:
        raise NotFound("There is no such mail here any more.")
    return row


def opened(store: Store, mail_id: str) -> None:
    """Mark a mail as seen; the first time, report an `open` if that switch is on."""
    row = received(store, mail_id)
    if row["seen"]:
        return
    with store.write() as db:
        db.execute("UPDATE mail SET seen = 1 WHERE id = ?", (mail_id,))
        db.execute(
            "UPDATE contact SET unread = MAX(unread - 1, 0) WHERE kind = 'mailbox' AND address = ?", (row["mailbox"],)
        )
    if provoke.switch(store, "opens"):
        events.report(store, row, "open")


def one_click(store: Store, mail_id: str) -> Answer:
    """Do what a mail program's own Unsubscribe button does (RFC 8058): POST to the List-Unsubscribe address.

    Without cookies, without following redirects. Raises Conflict if the mail does not carry both headers.
    """
    row = received(store, mail_id)
    url = mails.rendered(store, row).one_click_url
    if not url:
        raise Conflict("This mail has no one-click unsubscribe (List-Unsubscribe and List-Unsubscribe-Post).")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = post(store.settings, url, headers, b"List-Unsubscribe=One-Click")
    if answer.ok:
        note = "Unsubscribed with one click"
    else:
        note = f"One-click unsubscribe failed: {answer.status or 'the service does not answer'}"
    with store.write() as db:
        db.execute("UPDATE mail SET note = ? WHERE id = ?", (note, mail_id))
    return answer


def report_spam(store: Store, mail_id: str) -> None:
    """Report a mail as spam: SendGrid tells the service and drops what comes later to this address."""
    events.report(store, received(store, mail_id), "spamreport")
    with store.write() as db:
        db.execute("UPDATE mail SET note = 'Reported as spam' WHERE id = ?", (mail_id,))
