"""Safety flags: the overview with its times, "I have it", and clearing with an outcome."""

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import db
from service.actions import access, flag_reports, safety
from service.errors import Conflict, Forbidden, Invalid
from service.web.auth import me, signed_in
from service.web.console import inbox_acts


@signed_in
def flags() -> ResponseReturnValue:
    """Open flags, the last cleared ones, and how quickly people were there."""
    after = request.args.get("after", type=UUID)
    with db.reading() as session:
        open_ = flag_reports.lines(session, me(), cleared=False)
        past = flag_reports.lines(session, me(), cleared=True, after=after)
        times = flag_reports.times(session, me())
    older = past[-1].flag.id if len(past) == flag_reports.PAGE else None
    return render_template("console/inbox/flags.html", open=open_, past=past, times=times, older=older, after=after)


@signed_in
def acknowledge(flag_id: UUID) -> ResponseReturnValue:
    """I have it: the pages stop."""
    conversation_id = _conversation_of(flag_id)
    flag = safety.acknowledge(flag_id, me().id)
    if flag.acknowledged_by == me().id:
        flash("You have it. The pages have stopped; clear the flag when you know what came of it.", "good")
    else:
        flash("Somebody had it before you. You see below who.", "info")
    return redirect(url_for("inbox.show", conversation_id=conversation_id, folder="risk"))


@signed_in
def take_over(flag_id: UUID) -> ResponseReturnValue:
    """Go on in place of whoever had it."""
    conversation_id = _conversation_of(flag_id)
    try:
        safety.take_over(flag_id, me().id)
    except Conflict as error:
        flash(error.message, "info")
    else:
        flash("You have it now.", "good")
    return redirect(url_for("inbox.show", conversation_id=conversation_id, folder=inbox_acts.here()))


@signed_in
def clear(flag_id: UUID) -> ResponseReturnValue:
    """End a flag, with what came of it."""
    conversation_id = _conversation_of(flag_id)
    try:
        safety.clear(flag_id, me().id, request.form.get("outcome", ""))
    except Invalid as error:
        return inbox_acts.again(conversation_id, f"clear-{flag_id}", error)
    except (Conflict, Forbidden) as error:
        flash(error.message, "info")
    else:
        flash("Cleared. What was waiting for this member goes on.", "good")
    return redirect(url_for("inbox.show", conversation_id=conversation_id, folder=inbox_acts.here()))


def _conversation_of(flag_id: UUID) -> UUID:
    """The flag's conversation, if it is within reach. Raises NotFound."""
    with db.reading() as session:
        return access.require_flag(session, me(), flag_id).conversation_id
