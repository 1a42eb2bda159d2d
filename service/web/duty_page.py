"""The page behind the link that whoever is on duty gets: "I have it", without signing in and without a word of content.

The link is signed for one person and one flag. Opening it changes nothing: mail scanners open links (rule of
conversation 14).
"""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import db, links
from service.actions import flag_reports, safety
from service.errors import NotFound
from service.models.conversations import Flag
from service.models.staff import Coordinator

bp = Blueprint("duty_page", __name__)


@bp.route("/page/<token>", methods=["GET", "POST"])
def page(token: str) -> ResponseReturnValue:
    """That somebody needs a person, and the button."""
    flag_id, coordinator_id = (UUID(str(part)) for part in links.read("acknowledge", token)[:2])
    with db.reading() as session:
        flag, person = session.get(Flag, flag_id), session.get(Coordinator, coordinator_id)
        if flag is None or person is None or not person.active:
            raise NotFound("This page is not for you any more. Sign in to see what is open.")
        [line] = flag_reports.of(session, [flag])
    if request.method == "POST":
        taken = safety.acknowledge(flag_id, coordinator_id)
        if taken.acknowledged_by == coordinator_id:
            flash("You have it. Sign in to read what was said and to answer.", "good")
        else:
            flash("Somebody had it before you. You can look as well.", "info")
        return redirect(url_for("inbox.show", conversation_id=flag.conversation_id, folder="risk"))
    return render_template("console/duty_page.html", flag=flag, person=person, line=line)
