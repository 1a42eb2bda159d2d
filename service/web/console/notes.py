"""Approved notes that have nobody yet: for each a few people whom it would suit, and a coordinator chooses."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import db
from service.actions import story_checks
from service.actions.giving import carrying, matching
from service.errors import Conflict, Malformed
from service.web.auth import me, role

WHOLE = ("admin", "safeguarding", "coordinator")

bp = Blueprint("notes", __name__, url_prefix="/console/notes")


@bp.get("/")
@role(*WHOLE)
def index() -> ResponseReturnValue:
    """The notes, the oldest first, each with suggestions."""
    with db.reading() as session:
        found = carrying.waiting(session, me())
        suggested = matching.suggest(session, found)
        return render_template(
            "console/notes/index.html",
            found=[(gift, story_checks.marked(gift.body), suggested[gift.id]) for gift in found],
            apart=matching.APART.days,
        )


@bp.post("/<uuid:gift_id>/carry")
@role(*WHOLE)
def carry(gift_id: UUID) -> ResponseReturnValue:
    """Send it on its way to whoever was chosen."""
    try:
        member_id = UUID(request.form.get("member", ""))
    except ValueError:
        raise Malformed("Choose somebody first.") from None
    try:
        carrying.choose(gift_id, member_id, me())
    except Conflict as error:
        flash(error.message, "warn")
    else:
        flash("On its way. It arrives at an hour that suits them; nobody learns from whom.", "good")
    return redirect(url_for("notes.index"))
