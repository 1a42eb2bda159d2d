"""What we hold about a member, behind a code to another address than the one that the link went to."""

from datetime import datetime
from uuid import UUID

from flask import flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from service import clock
from service.actions import held as actions
from service.actions.checkins import page as checkins
from service.actions.conversations.on_page import Heard
from service.actions.vents import page as vents
from service.errors import DomainError, Malformed
from service.models.members import ChannelName
from service.web import public_words
from service.web.languages import gettext as _
from service.web.public_holder import holder_of, speak_to

OPEN = "held"
"""The key in the browser's session: whose data is open, and until when."""


def held(token: str) -> ResponseReturnValue:
    """Ask for a code, type it, read, and close again."""
    member_id, channel = holder_of(token)
    speak_to(member_id)
    g.private = True
    if request.method == "GET":
        return _show(token, member_id, channel, {}, 200)
    do = request.form.get("do", "")
    try:
        if do == "close":
            session.pop(OPEN, None)
            return redirect(url_for("public.preferences", token=token))
        if do in ("line", "no_line") and _is_open(member_id):
            _line(member_id, channel, do)
            return redirect(url_for("public.held", token=token))
        if do == "forget_vent" and _is_open(member_id):
            _forget_vent(member_id)
            return redirect(url_for("public.held", token=token))
        if do == "send":
            actions.send_access_code(member_id, channel)
            return redirect(url_for("public.held", token=token, sent=1))
        actions.check_access_code(member_id, channel, request.form.get("code", ""))
    except DomainError as error:
        return _show(token, member_id, channel, {error.field or "": public_words.said(error)}, error.status)
    session[OPEN] = [member_id.hex, (clock.now() + actions.OPEN_FOR).isoformat()]
    return redirect(url_for("public.held", token=token))


def _line(member_id: UUID, channel: ChannelName, do: str) -> None:
    """Keep the line for a harder day, or forget it."""
    if do == "no_line":
        checkins.remove_line(member_id)
        flash(_("Your line is gone."), "good")
        return
    words, give_back = request.form.get("words", ""), "give_back" in request.form
    if checkins.keep_line(member_id, channel, words, give_back=give_back) == Heard.RISK:
        flash(_("Thank you for telling us. A volunteer will read this, but not always at once."), "info")
    else:
        flash(_("Your line is kept."), "good")


def _forget_vent(member_id: UUID) -> None:
    """Delete a vent now."""
    try:
        vent_id = UUID(request.form.get("vent", ""))
    except ValueError:
        raise Malformed("We could not read what was sent. Go back and try once more.") from None
    if vents.forget(member_id, vent_id):
        flash(_("It is deleted."), "good")
    else:
        flash(_("It is deleted as soon as the person who looks after you has finished with it."), "info")


def _show(
    token: str, member_id: UUID, channel: ChannelName, errors: dict[str, str], status: int
) -> ResponseReturnValue:
    if _is_open(member_id):
        found = actions.held(member_id)
        page = render_template(
            "public/held.html", token=token, held=found, topic_name=public_words.topic_name, errors=errors,
            form=request.form,
        )  # fmt: skip
    else:
        page = render_template(
            "public/held_code.html",
            token=token,
            other=actions.other_address(member_id, channel),
            sent="sent" in request.args or "code" in request.form,
            errors=errors,
        )
    return page, status


def _is_open(member_id: UUID) -> bool:
    whose, until = session.get(OPEN, ("", ""))
    return bool(whose == member_id.hex and clock.now() < datetime.fromisoformat(until))
