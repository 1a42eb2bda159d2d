"""The answer to an invite, by the buttons behind a signed link."""

from uuid import UUID

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import links
from service.actions import gatherings
from service.errors import Conflict, Malformed
from service.models.gatherings import Rsvp
from service.web import languages, public_words


def rsvp(token: str) -> ResponseReturnValue:
    """Yes, no or maybe; the last answer counts, and can be changed until the session is over."""
    session_id, member_id = (UUID(part) for part in links.read("rsvp", token)[:2])
    found = gatherings.invite(session_id, member_id)
    languages.prefer(found.locale)
    g.zone = found.time_zone
    if request.method == "POST":
        try:
            answer = Rsvp(request.form.get("answer", ""))
        except ValueError:
            raise Malformed("Choose yes, no or maybe.") from None
        try:
            gatherings.answer_by_link(session_id, member_id, answer)
        except Conflict as error:
            flash(public_words.said(error), "warn")
        return redirect(url_for("public.rsvp", token=token))
    return render_template("public/rsvp.html", found=found, token=token, suggested=request.args.get("answer", ""))
