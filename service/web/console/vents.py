"""Vents: what members needed to say, until a person has read it. Opening one is a button, and stands in the trail."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import db
from service.actions.vents import desk
from service.web.auth import me, signed_in

bp = Blueprint("vents", __name__, url_prefix="/console/vents")


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """Those that nobody has read yet, the oldest first; or those that were read."""
    read = request.args.get("shelf") == "read"
    with db.reading() as session:
        lines = desk.listed(session, me(), read=read)
        return render_template("console/vents/index.html", lines=lines, read=read, most=desk.PAGE)


@bp.get("/<uuid:vent_id>")
@signed_in
def show(vent_id: UUID) -> ResponseReturnValue:
    """One of them, with its words once somebody has opened it."""
    with db.reading() as session:
        line = desk.get(session, me(), vent_id)
        others = [each for each in desk.listed(session, me()) if each.vent.id != vent_id]
    if line.vent.read_at is not None:
        desk.note_reading(vent_id, me())
    return render_template("console/vents/show.html", line=line, vent=line.vent, following=others[:1])


@bp.post("/<uuid:vent_id>/read")
@signed_in
def read(vent_id: UUID) -> ResponseReturnValue:
    """Open it."""
    desk.open_(vent_id, me())
    return redirect(url_for("vents.show", vent_id=vent_id))


@bp.post("/<uuid:vent_id>/inbox")
@signed_in
def to_inbox(vent_id: UUID) -> ResponseReturnValue:
    """Somebody should write to them: put the conversation before everybody who answers."""
    conversation_id = desk.to_inbox(vent_id, me())
    flash("It stands in the inbox now, under Needs reply.", "good")
    return redirect(url_for("inbox.show", conversation_id=conversation_id))
