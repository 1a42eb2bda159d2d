"""A member's own rooms behind their signed link: how they are today, and the tools."""

from uuid import UUID

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.actions.checkins import page as checkins
from service.actions.conversations.on_page import Heard
from service.actions.report import given as both_ways
from service.actions.tools import page as shelf
from service.errors import DomainError, Malformed
from service.web import public_words
from service.web.languages import gettext as _
from service.web.public_holder import holder_of, speak_to


def given(token: str) -> ResponseReturnValue:
    """What the member gave and received, in kinds and counts."""
    member_id = holder_of(token)[0]
    speak_to(member_id)
    g.private = True
    return render_template("public/given.html", token=token, view=both_ways.view(member_id))


def check_in(token: str) -> ResponseReturnValue:
    """Five buttons and room for a word."""
    member_id, channel = holder_of(token)
    view = speak_to(member_id)
    g.private = True
    if request.method == "GET":
        return render_template("public/checkin.html", token=token, left=view.left, heard="", errors={}, form={})
    score = request.form.get("score", "")
    try:
        heard, when = checkins.answer(
            member_id, channel, int(score) if score in ("1", "2", "3", "4", "5") else 0, request.form.get("words", "")
        )
    except DomainError as error:
        if error.status not in (409, 422):
            raise
        errors = {error.field or "": public_words.said(error)}
        page = render_template(
            "public/checkin.html", token=token, left=view.left, heard="", errors=errors, form=request.form
        )
        return page, error.status
    return render_template(
        "public/checkin.html", token=token, left=heard == Heard.STOPPED, heard=heard.value, score=int(score), when=when,
        errors={}, form={},
    )  # fmt: skip


def tools(token: str) -> ResponseReturnValue:
    """The cards, each with two buttons: it helped, not really."""
    member_id, _channel = holder_of(token)
    view = speak_to(member_id)
    if request.method == "GET":
        return render_template("public/tools.html", token=token, shelf=shelf.shelf(member_id), left=view.left)
    try:
        tool_id = UUID(request.form.get("tool", ""))
    except ValueError:
        raise Malformed("We could not read what was sent. Go back and try once more.") from None
    try:
        shelf.answer(member_id, tool_id, request.form.get("helped") == "1")
    except DomainError as error:
        if error.status != 409:
            raise
        flash(public_words.said(error), "warn")
    else:
        flash(_("Noted. Thank you; the last answer counts."), "good")
    return redirect(url_for("public.tools", token=token))
