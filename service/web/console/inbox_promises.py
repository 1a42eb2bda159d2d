"""A promise in the inbox: kept with one click after a reply that names a day, moved, done, or said to be none."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from service.actions.conversations import promises
from service.errors import Invalid
from service.models.inbox import Promise
from service.models.staff import Coordinator
from service.web.auth import me, signed_in
from service.web.console import inbox_acts
from service.web.times import day


@signed_in
def keep(promise_id: UUID) -> ResponseReturnValue:
    """Keep it, or move it to another day."""
    try:
        promise = promises.keep(promise_id, me(), _day())
    except Invalid as error:
        flash(error.message, "warn")
        return _back(promises.require(promise_id, me()))
    flash(f"Promised for {day(promise.due_on)}. It comes back on top of the inbox that day.", "good")
    return _back(promise)


@signed_in
def decline(promise_id: UUID) -> ResponseReturnValue:
    """It was no promise."""
    return _act(promises.decline, promise_id, "All right, nothing is noted.")


@signed_in
def done(promise_id: UUID) -> ResponseReturnValue:
    """It was done."""
    return _act(promises.done, promise_id, "Done.")


def _act(act: Callable[[UUID, Coordinator], Promise], promise_id: UUID, words: str) -> ResponseReturnValue:
    promise = act(promise_id, me())
    flash(words, "good")
    return _back(promise)


def _back(promise: Promise) -> ResponseReturnValue:
    return redirect(url_for("inbox.show", conversation_id=promise.conversation_id, folder=inbox_acts.here()))


def _day() -> date | None:
    """The day that was typed; None for the one that is offered. Raises Invalid."""
    typed = request.form.get("due_on", "").strip()
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError:
        raise Invalid("Choose a day, such as 2026-12-03.", field="due_on") from None
