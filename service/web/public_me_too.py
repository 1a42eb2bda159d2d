"""A story or a prompt behind a member's signed link, with a ME TOO button."""

from uuid import UUID

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import links
from service.actions.conversations.on_page import Heard
from service.actions.resonance import page
from service.errors import Conflict
from service.models.members import ChannelName
from service.web import public_words
from service.web.languages import gettext as _
from service.web.public_holder import speak_to


def me_too(token: str) -> ResponseReturnValue:
    """Say it, or take it back."""
    what, thing_hex, member_hex, channel_name = links.read("me-too", token)
    thing_id, member_id = UUID(thing_hex), UUID(member_hex)
    settings = speak_to(member_id)
    g.private = True
    heard, told = "", 0
    if request.method == "POST" and request.form.get("do") == "back":
        page.take_back(what, thing_id, member_id)
        flash(_("Done. Your answer is taken back."), "good")
        return redirect(url_for("public.me_too", token=token))
    if request.method == "POST":
        try:
            result, told = page.say(what, thing_id, member_id, ChannelName(channel_name))
            heard = result.value
        except Conflict as error:
            flash(public_words.said(error), "warn")
            return redirect(url_for("public.me_too", token=token))
    view = page.view(what, thing_id, member_id)
    paragraphs = [part.strip() for part in view.words.replace("\r", "").split("\n\n") if part.strip()]
    told = told if heard == Heard.KEPT else view.told
    return render_template(
        "public/me_too.html", token=token, view=view, paragraphs=paragraphs, heard=heard, told=told, left=settings.left
    )
