"""What a coordinator does in the inbox. Every one is a POST; what cannot be used comes back with the reason."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from service import clock, db
from service.actions.conversations import presence, replying
from service.errors import Conflict, DomainError, Invalid
from service.models.conversations import Message
from service.models.members import ChannelName
from service.web.auth import me, signed_in
from service.web.console import inbox_page
from service.web.times import viewer_zone

MORNING = 9


@signed_in
def read(conversation_id: UUID) -> ResponseReturnValue:
    """The page was opened: the unread mark goes. Sent by the page itself, since no GET changes anything."""
    replying.mark_read(conversation_id, me())
    return "", 204


@signed_in
def writing(conversation_id: UUID) -> ResponseReturnValue:
    """Somebody is typing an answer: others who have this open are told. Sent by the page while it happens."""
    presence.writing(conversation_id, me())
    return "", 204


@signed_in
def reply(conversation_id: UUID) -> ResponseReturnValue:
    """Send the words, on the channel that was chosen."""
    form = request.form
    try:
        channel = _channel(form.get("channel", ""))
        replying.reply(conversation_id, me(), form.get("body", ""), channel=channel, seen=_seen(form.get("seen", "")))
    except (Invalid, Conflict) as error:
        return again(conversation_id, "reply", error, overtaken=isinstance(error, Conflict))
    flash("Sent.", "good")
    return _back(conversation_id)


@signed_in
def note(conversation_id: UUID) -> ResponseReturnValue:
    """Keep a note for the team."""
    try:
        replying.add_note(conversation_id, me(), request.form.get("note", ""))
    except Invalid as error:
        return again(conversation_id, "note", error)
    flash("Noted. Only the team sees it.", "good")
    return _back(conversation_id)


@signed_in
def assign(conversation_id: UUID) -> ResponseReturnValue:
    """Give the conversation to somebody, or to nobody."""
    to = request.form.get("to", type=UUID)
    replying.assign(conversation_id, me(), to)
    flash("It is yours." if to == me().id else "Assigned." if to else "Nobody has it now.", "good")
    return _back(conversation_id)


@signed_in
def snooze(conversation_id: UUID) -> ResponseReturnValue:
    """Out of sight for an hour, until tomorrow, Monday, a moment that was typed, or until they write."""
    try:
        until = _until(request.form.get("for", ""), request.form.get("until", ""))
        replying.snooze(conversation_id, me(), until)
    except (Invalid, Conflict) as error:
        return again(conversation_id, "snooze", error)
    flash("Snoozed. It comes back by itself." if until else "Snoozed until they write.", "good")
    return _to_folder()


@signed_in
def resolve(conversation_id: UUID) -> ResponseReturnValue:
    """Nothing is left to do."""
    try:
        replying.resolve(conversation_id, me())
    except Conflict as error:
        flash(error.message, "warn")
        return _back(conversation_id)
    flash("Resolved.", "good")
    return _to_folder()


@signed_in
def reopen(conversation_id: UUID) -> ResponseReturnValue:
    """Put it before people again."""
    replying.reopen(conversation_id, me())
    flash("It needs a reply again.", "good")
    return _back(conversation_id)


@signed_in
def match(conversation_id: UUID) -> ResponseReturnValue:
    """Say whose a held conversation is."""
    member = request.form.get("member_id", type=UUID)
    if member is None:
        return again(conversation_id, "match", Invalid("Choose a member from the list."))
    own = replying.belongs_to(conversation_id, me(), member)
    flash("These words now stand in the member's own conversation.", "good")
    return _back(own)


def again(conversation_id: UUID, part: str, error: DomainError, *, overtaken: bool = False) -> ResponseReturnValue:
    """The page once more, with the reason and everything that was typed."""
    typed = inbox_page.Typed(part, error.message, request.form.to_dict(), overtaken)
    return inbox_page.page_of(conversation_id, typed, error.status)


def _back(conversation_id: UUID) -> ResponseReturnValue:
    return redirect(url_for("inbox.show", conversation_id=conversation_id, folder=here()))


def _to_folder() -> ResponseReturnValue:
    return redirect(url_for("inbox.index", folder=here()))


def here() -> str:
    """The folder that the form was sent from."""
    return inbox_page.folder_of(request.form).value


def _channel(name: str) -> ChannelName | None:
    try:
        return ChannelName(name) if name else None
    except ValueError:
        raise Invalid("Choose text or email.", field="channel") from None


def _seen(value: str) -> UUID | None:
    """The newest message that the page had. A page that does not say so has seen nothing yet."""
    try:
        message_id = UUID(value)
    except ValueError:
        return None
    with db.reading() as session:
        return session.scalar(select(Message.id).where(Message.id == message_id))


def _until(named: str, typed: str) -> datetime | None:
    """The moment to snooze until; None for "until they write". Mornings are the coordinator's own. Raises Invalid."""
    here = clock.now().astimezone(viewer_zone())
    morning = here.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    if named == "hour":
        return clock.now() + timedelta(hours=1)
    if named == "tomorrow":
        return (morning + timedelta(days=1)).astimezone(UTC)
    if named == "week":
        return (morning + timedelta(days=7 - here.weekday())).astimezone(UTC)
    if named == "words":
        return None
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=viewer_zone()).astimezone(UTC)
    except ValueError:
        raise Invalid("Choose a day and an hour.", field="until") from None
