"""Sessions: what is coming, who comes, who came. Circles themselves are in `circles`."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from wtforms import IntegerField, StringField
from wtforms.validators import InputRequired, Length
from wtforms.validators import Optional as Maybe

from service import clock, db
from service.actions import access, campaigns, gatherings, meetings, zones
from service.actions.meetings import SessionDetails
from service.errors import DomainError, Invalid
from service.models.campaigns import CampaignKind
from service.models.gatherings import Circle, GroupSession, SessionState
from service.web.auth import me, signed_in
from service.web.console import campaign_form, circle_door, circles
from service.web.forms import HearthForm, put_error
from service.web.times import viewer_zone

bp = Blueprint("sessions", __name__, url_prefix="/console/sessions")

GROUPS = (
    ("yes", "Coming"),
    ("waiting", "On the waiting list"),
    ("maybe", "Maybe"),
    ("none", "No answer yet"),
    ("no", "Can't come this time"),
)


class SessionForm(HearthForm):
    """One session. The hour is the circle's own."""

    title = StringField("Title", [Length(max=120)])
    starts = StringField("Begins", [InputRequired("Choose a day and an hour.")])
    minutes = IntegerField("Minutes", [InputRequired("How long does it last?")])
    seats = IntegerField("Seats", [Maybe()])
    place = StringField("Place", [Length(max=200)])
    online_url = StringField("Link for joining online", [Length(max=300)])


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """What is coming, week by week; or what was."""
    circle_id, past = request.args.get("circle", type=UUID), bool(request.args.get("past"))
    with db.reading() as session:
        lines = meetings.listed(session, me(), circle_id=circle_id, past=past)
        mine = list(session.scalars(select(Circle).where(access.access_circles(me())).order_by(Circle.name)))
    weeks = [
        (monday, list(group)) for monday, group in groupby(lines, key=lambda line: _monday(line.session.starts_at))
    ]
    return render_template(
        "console/sessions/index.html",
        weeks=weeks,
        circles=mine,
        circle_id=circle_id,
        past=past,
        this=_monday(clock.now()),
    )


def _monday(moment: datetime) -> date:
    there = moment.astimezone(viewer_zone()).date()
    return there - timedelta(days=there.weekday())


@bp.get("/<uuid:session_id>")
@signed_in
def show(session_id: UUID) -> ResponseReturnValue:
    """One session: who comes, who came."""
    with db.reading() as session:
        meeting = access.require_session(session, me(), session_id)
        found = meetings.answers(session, meeting)
        taken = gatherings.seats_taken(session, meeting)
        return render_template(
            "console/sessions/show.html",
            meeting=meeting,
            groups=[(label, key, [a for a in found if a.group == key]) for key, label in GROUPS],
            everybody=sorted(found, key=lambda a: a.group not in ("yes", "maybe")),
            taken=taken,
            free=None if meeting.seats is None else max(0, meeting.seats - taken),
            ticking=meeting.state == SessionState.PLANNED and meeting.starts_at - meetings.TICK_FROM <= clock.now(),
            begun=meeting.starts_at <= clock.now(),
            now=clock.now(),
            came=sum(1 for a in found if a.invitation and a.invitation.attended),
        )


@bp.post("/<uuid:session_id>/invite")
@signed_in
def invite(session_id: UUID) -> ResponseReturnValue:
    """Begin an invite to this session; it is a draft, to be looked at and sent."""
    with db.reading() as session:
        meeting = access.require_session(session, me(), session_id)
        draft = campaign_form.first_draft(session, me(), CampaignKind.INVITE)
        draft = replace(
            draft, session_id=meeting.id, circle_id=meeting.circle_id, name=f"Invite: {meeting.circle.name}"
        )
    made = campaigns.create(draft, coordinator_id=me().id, actor=str(me().id))
    return redirect(url_for("campaigns.edit", campaign_id=made))


@bp.post("/<uuid:session_id>/attendance")
@signed_in
def attendance(session_id: UUID) -> ResponseReturnValue:
    """Keep who came."""
    shown, came = (request.form.getlist(name, type=UUID) for name in ("shown", "came"))
    count = meetings.tick(session_id, me(), shown, came)
    flash(f"Saved: {count} came.", "good")
    return redirect(url_for("sessions.show", session_id=session_id))


@bp.post("/<uuid:session_id>/seat")
@signed_in
def seat(session_id: UUID) -> ResponseReturnValue:
    """Give the free seat to the first who waits."""
    try:
        name = meetings.give_free_seat(session_id, me())
    except DomainError as error:
        if error.status != 409:
            raise
        flash(error.message, "warn")
    else:
        if name.endswith("*"):
            flash(f"{name[:-1]} has the seat, but could not be told by us: tell them yourself.", "warn")
        else:
            flash(f"{name} has the seat and is being told.", "good")
    return redirect(url_for("sessions.show", session_id=session_id))


@bp.post("/<uuid:session_id>/cancel")
@signed_in
def cancel(session_id: UUID) -> ResponseReturnValue:
    """Cancel a session, and draft what members would be told."""
    draft = meetings.cancel(session_id, me())
    flash("Cancelled. Nobody has been told yet: what members would read is a draft. Look at it and send it.", "warn")
    return redirect(url_for("campaigns.edit", campaign_id=draft))


@bp.route("/<uuid:session_id>/edit", methods=["GET", "POST"])
@signed_in
def edit(session_id: UUID) -> ResponseReturnValue:
    """Change a session. Nobody is told by itself."""
    with db.reading() as session:
        meeting = access.require_session(session, me(), session_id)
        circle = meeting.circle
    form = SessionForm(data=None if request.method == "POST" else _typed(meeting, circle))
    if form.validate_on_submit():
        try:
            meetings.change(session_id, me(), _details(form, circle))
        except Invalid as error:
            put_error(form, error)
        else:
            flash("Saved. Nobody has been told: write to those who come if the time or the place is new.", "info")
            return redirect(url_for("sessions.show", session_id=session_id))
    page = render_template("console/sessions/edit.html", form=form, circle=circle, meeting=meeting)
    return page, 422 if form.is_submitted() else 200


@bp.route("/new/<uuid:circle_id>", methods=["GET", "POST"])
@signed_in
def new(circle_id: UUID) -> ResponseReturnValue:
    """A session beside the rhythm."""
    with db.reading() as session:
        circle = access.require_circle(session, me(), circle_id)
    usual = {"minutes": circle.minutes, "seats": circle.size, "place": circle.place, "online_url": circle.online_url}
    form = SessionForm(data=None if request.method == "POST" else usual)
    if form.validate_on_submit():
        try:
            made = meetings.add(circle_id, me(), _details(form, circle))
        except Invalid as error:
            put_error(form, error)
        else:
            flash("The session is planned.", "good")
            return redirect(url_for("sessions.show", session_id=made))
    page = render_template("console/sessions/edit.html", form=form, circle=circle, meeting=None)
    return page, 422 if form.is_submitted() else 200


@bp.post("/plan/<uuid:circle_id>")
@signed_in
def plan(circle_id: UUID) -> ResponseReturnValue:
    """Plan the next weeks from the circle's rhythm."""
    try:
        made = meetings.plan_ahead(circle_id, me(), request.form.get("weeks", 8, type=int))
    except Invalid as error:
        flash(error.message, "warn")
    else:
        flash(f"{made} new {'session is' if made == 1 else 'sessions are'} planned." if made else
              "Everything in those weeks was planned already.", "good")  # fmt: skip
    return redirect(url_for("sessions.index", circle=circle_id))


def _typed(meeting: GroupSession, circle: Circle) -> dict[str, object]:
    local = meeting.starts_at.astimezone(zones.info(circle.time_zone))
    return {
        "title": meeting.title,
        "starts": local.strftime("%Y-%m-%dT%H:%M"),
        "minutes": int((meeting.ends_at - meeting.starts_at).total_seconds() // 60),
        "seats": meeting.seats,
        "place": meeting.place,
        "online_url": meeting.online_url,
    }


def _details(form: SessionForm, circle: Circle) -> SessionDetails:
    try:
        wall = datetime.fromisoformat(form.starts.data).replace(tzinfo=zones.info(circle.time_zone))
    except ValueError:
        raise Invalid("Choose a day and an hour.", field="starts") from None
    starts = wall.astimezone(UTC)
    return SessionDetails(
        starts_at=starts,
        ends_at=starts + timedelta(minutes=max(0, min(form.minutes.data, 24 * 60))),
        title=form.title.data,
        place=form.place.data,
        online_url=form.online_url.data,
        seats=form.seats.data,
    )


for _rule, _view, _methods in (
    ("/circles", circles.circles, ["GET"]),
    ("/circles/new", circles.new_circle, ["GET", "POST"]),
    ("/circles/<uuid:circle_id>", circles.circle, ["GET"]),
    ("/circles/<uuid:circle_id>/edit", circles.edit_circle, ["GET", "POST"]),
    ("/circles/<uuid:circle_id>/hold", circles.hold, ["POST"]),
    *circle_door.RULES,
):
    bp.add_url_rule(_rule, view_func=_view, methods=_methods)
