"""A member's own circles behind a signed link: where they belong, the door in, the door out."""

from uuid import UUID

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import links
from service.actions.belonging import mine as actions
from service.actions.belonging import words
from service.actions.belonging.places import Came
from service.errors import DomainError
from service.models.members import ChannelName
from service.web import languages, public_circles, public_words
from service.web.languages import gettext as _


def mine(token: str) -> ResponseReturnValue:
    """The member's circles; each button does one thing and comes back here."""
    member_hex, channel_name = links.read("circles", token)[:2]
    member_id = UUID(member_hex)
    view = actions.view(member_id)
    languages.prefer(view.member.locale)
    g.zone, g.country = view.member.time_zone, view.member.country
    if request.method == "POST":
        try:
            circle_id = UUID(request.form.get("circle", ""))
        except ValueError:
            return redirect(url_for("public.mine", token=token))
        try:
            flash(_do(member_id, circle_id, ChannelName(channel_name)), "good")
        except DomainError as error:
            if error.status not in (404, 409, 422):
                raise
            flash(public_words.said(error), "warn")
        return redirect(url_for("public.mine", token=token))
    return render_template(
        "public/mine.html",
        token=token,
        view=view,
        name=lambda circle: words.name_for(circle, view.member),
        rhythm=lambda circle: words.rhythm(circle, languages.language()),
        room=public_circles.room_words,
    )


def _do(member_id: UUID, circle_id: UUID, channel: ChannelName) -> str:
    do = request.form.get("do", "")
    if do == "leave":
        actions.leave(member_id, circle_id)
        return _("Done. You are not in it any more. The door stays open.")
    if do in ("week", "no_week"):
        actions.want_week(member_id, circle_id, on=do == "week")
        return _("You get its week from now on.") if do == "week" else _("You don't get its week any more.")
    return {
        Came.IN: _("You're in. Come as you are."),
        Came.ALREADY: _("You're in. Come as you are."),
        Came.WAITS: _("It is full for now. You are in line, and we write when a place is yours."),
        Came.ASKED: _("Thank you. A person answers, when they can."),
        Came.INVITED_ONLY: _("People are invited to this circle. The code opens it."),
        Came.CLOSED: _("This circle has come to its end."),
    }[actions.join(member_id, circle_id, channel)]
