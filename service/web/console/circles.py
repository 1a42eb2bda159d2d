"""Circles: the list, one circle with its members, the form, and the switch that lets a circle rest."""

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from wtforms import IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.validators import Optional as Maybe

from service import db
from service.actions import access, meetings
from service.actions import circles as actions
from service.actions.belonging import line, places, posters
from service.actions.circles import CircleDetails
from service.actions.giving import week
from service.errors import DomainError
from service.models.gatherings import Circle, Openness
from service.models.staff import Coordinator
from service.web import public_words
from service.web.auth import me, role, signed_in
from service.web.forms import HearthForm, put_error

WHOLE = ("admin", "safeguarding", "coordinator")
RULE = "rule"
RHYTHMS = [
    ("", "No fixed rhythm"),
    *((key, f"{name}s") for key, name in actions.WEEKDAYS.items()),
    (RULE, "Another rule"),
]
OPENNESS = [
    ("open", "Open: anybody may join"),
    ("ask", "Ask: a coordinator says yes"),
    ("invite", "By invitation only"),
]


class CircleForm(HearthForm):
    """A circle. Rhythm is a weekday, or a rule for those who know them."""

    name = StringField("Name", [InputRequired("Give the circle a name."), Length(max=80)])
    slug = StringField("Address of its page", [InputRequired("Small letters and hyphens."), Length(max=60)])
    keyword = StringField("Keyword", [InputRequired("The word that people text to join."), Length(max=20)])
    theme = StringField("Theme", [Length(max=120)])
    description = TextAreaField("Description", [Length(max=4000)])
    language = SelectField("Language", choices=[("en", "English"), ("es", "Spanish")])
    weekday = SelectField("Meets on", choices=RHYTHMS)
    every = SelectField("How often", choices=[("1", "Every week"), ("2", "Every second week")])
    rrule = StringField("Rule", [Length(max=120)])
    starts_time = StringField("Begins at", [InputRequired("Type the hour like 19:00.")])
    minutes = IntegerField("Minutes", [InputRequired("How long does it last?")])
    time_zone = SelectField("Time zone", choices=public_words.time_zones)
    place = StringField("Place", [Length(max=200)])
    online_url = StringField("Link for joining online", [Length(max=300)])
    size = IntegerField("Seats at a session", [Maybe()])
    most_members = IntegerField("Members at most", [Maybe()])
    openness = SelectField("Who may join", choices=OPENNESS)
    coordinator_id = SelectField("Coordinator", choices=[])


@signed_in
def circles() -> ResponseReturnValue:
    """The circles within reach."""
    with db.reading() as session:
        lines = actions.listed(session, me())
    return render_template(
        "console/sessions/circles.html",
        lines=lines,
        rhythm=actions.rhythm_words,
        may_change=access.sees_everything(me()),
    )


@signed_in
def circle(circle_id: UUID) -> ResponseReturnValue:
    """One circle: what it is, who belongs to it, what is planned."""
    after = request.args.get("after", type=UUID)
    with db.reading() as session:
        found = access.require_circle(session, me(), circle_id)
        members = actions.members_of(session, circle_id, after=after)
        coming = meetings.listed(session, me(), circle_id=circle_id, limit=6)
        waiting = line.of_circle(session, circle_id)
        belong = places.taken(session, [circle_id]).get(circle_id, 0)
        looks_after = session.get(Coordinator, found.coordinator_id) if found.coordinator_id else None
        grown = week.of_circle(session, circle_id)
    return render_template(
        "console/sessions/circle.html",
        grown=grown,
        circle=found,
        members=members,
        after=after,
        older=members[-1][0].id if len(members) == 100 else None,
        coming=coming,
        waiting=waiting,
        belong=belong,
        door=posters.address(found),
        looks_after=looks_after,
        rhythm=actions.rhythm_words(found),
        may_change=access.sees_everything(me()),
    )


@role(*WHOLE)
def new_circle() -> ResponseReturnValue:
    """Make a circle."""
    usual = {"time_zone": me().time_zone, "starts_time": "19:00", "minutes": 75, "every": "1", "openness": "open"}
    return _form(None, CircleForm(data=None if request.method == "POST" else usual))


@role(*WHOLE)
def edit_circle(circle_id: UUID) -> ResponseReturnValue:
    """Change a circle."""
    with db.reading() as session:
        found = access.require_circle(session, me(), circle_id)
    return _form(found, CircleForm(data=None if request.method == "POST" else _typed(found)))


@signed_in
def hold(circle_id: UUID) -> ResponseReturnValue:
    """Let a circle rest, or go on."""
    on = request.form.get("on") == "1"
    actions.hold(circle_id, me(), on=on)
    flash("The circle rests. Nothing of it leaves until you let it go on." if on else "The circle goes on.", "good")
    return redirect(url_for("sessions.circle", circle_id=circle_id))


def _form(found: Circle | None, form: CircleForm) -> ResponseReturnValue:
    with db.reading() as session:
        people = session.scalars(select(Coordinator).where(Coordinator.active.is_(True)).order_by(Coordinator.name))
        form.coordinator_id.choices = [("", "Nobody yet"), *((str(p.id), p.name) for p in people)]
    if found and found.coordinator_id and str(found.coordinator_id) not in dict(form.coordinator_id.choices):
        form.coordinator_id.choices.append((str(found.coordinator_id), "Somebody who is gone"))
    if form.validate_on_submit():
        try:
            made = actions.save(found.id if found else None, me(), _details(form))
        except DomainError as error:
            if error.status != 422:
                raise
            put_error(form, error)
        else:
            flash("Saved." if found else "The circle is there. Plan its first sessions below.", "good")
            return redirect(url_for("sessions.circle", circle_id=made))
    page = render_template("console/sessions/edit_circle.html", form=form, circle=found)
    return page, 422 if form.is_submitted() else 200


def _typed(found: Circle) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(found, name) for name in CircleDetails.__dataclass_fields__}
    weekday, every = _simple(found.rrule)
    return values | {
        "weekday": weekday,
        "every": every,
        "openness": found.openness.value,
        "coordinator_id": str(found.coordinator_id or ""),
    }


def _simple(rule: str) -> tuple[str, str]:
    """The weekday and interval that a rule is, if it is as simple as that."""
    for every in (1, 2):
        for weekday in actions.WEEKDAYS:
            if rule.upper() == actions.weekly(weekday, every):
                return weekday, str(every)
    return (RULE if rule else ""), "1"


def _details(form: CircleForm) -> CircleDetails:
    weekday = form.weekday.data
    rule = (
        form.rrule.data.upper() if weekday == RULE else actions.weekly(weekday, int(form.every.data)) if weekday else ""
    )
    return CircleDetails(
        name=form.name.data,
        slug=form.slug.data.lower(),
        keyword=form.keyword.data,
        theme=form.theme.data,
        description=form.description.data,
        language=form.language.data,
        time_zone=form.time_zone.data,
        rrule=rule,
        starts_time=form.starts_time.data,
        minutes=form.minutes.data,
        place=form.place.data,
        online_url=form.online_url.data,
        size=form.size.data,
        most_members=form.most_members.data,
        openness=Openness(form.openness.data),
        coordinator_id=UUID(form.coordinator_id.data) if form.coordinator_id.data else None,
    )
