"""What we hold about a member, behind a code to another address than the one that the link went to."""

from datetime import datetime
from uuid import UUID

from flask import g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from service import clock
from service.actions import held as actions
from service.errors import DomainError
from service.models.members import ChannelName
from service.web import public_words
from service.web.public_settings import holder_of, speak_to

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
        if do == "send":
            actions.send_access_code(member_id, channel)
            return redirect(url_for("public.held", token=token, sent=1))
        actions.check_access_code(member_id, channel, request.form.get("code", ""))
    except DomainError as error:
        return _show(token, member_id, channel, {error.field or "": public_words.said(error)}, error.status)
    session[OPEN] = [member_id.hex, (clock.now() + actions.OPEN_FOR).isoformat()]
    return redirect(url_for("public.held", token=token))


def _show(
    token: str, member_id: UUID, channel: ChannelName, errors: dict[str, str], status: int
) -> ResponseReturnValue:
    if _is_open(member_id):
        found = actions.held(member_id)
        page = render_template("public/held.html", token=token, held=found, topic_name=public_words.topic_name)
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
