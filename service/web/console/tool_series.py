"""Series of tools: the list, and the form in which each day gets its card."""

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectField, StringField
from wtforms.validators import InputRequired, Length

from service import db
from service.actions import tools
from service.actions.tools import series, series_desk
from service.actions.tools.series_desk import SeriesDetails
from service.errors import Invalid
from service.web.auth import me, role, signed_in
from service.web.forms import HearthForm, put_error

WHOLE = ("admin", "safeguarding", "coordinator")
SHORTEST = 7
"""Days that a new form has room for."""


class SeriesForm(HearthForm):
    """A series; the cards of its days are plain selects beside it."""

    title = StringField("Title", [InputRequired("Give it a title."), Length(max=60)])
    language = SelectField("Language", choices=[("en", "English"), ("es", "Spanish")])
    local_time = StringField("At about", [InputRequired("Type the hour like 18:00.")])
    owner = StringField("Who looks after it", [Length(max=80)])


@signed_in
def listed() -> ResponseReturnValue:
    """Every series, and how many are on the way."""
    with db.reading() as session:
        lines = series_desk.listed(session)
    return render_template("console/stories/series.html", lines=lines)


@role(*WHOLE)
def new() -> ResponseReturnValue:
    """Make a series."""
    usual = {"local_time": "18:00", "owner": me().name, "language": request.args.get("language", "en")}
    return _form(None, SeriesForm(data=None if request.method == "POST" else usual), [])


@role(*WHOLE)
def edit(series_id: UUID) -> ResponseReturnValue:
    """Change a series."""
    with db.reading() as session:
        found = series_desk.get(session, series_id)
        chosen = [tool.id for tool in series.cards_of(session, series_id)]
    typed = {name: getattr(found, name) for name in ("title", "language", "local_time", "owner")}
    return _form(series_id, SeriesForm(data=None if request.method == "POST" else typed), chosen)


@role(*WHOLE)
def retire(series_id: UUID) -> ResponseReturnValue:
    """Offer it no longer, or again."""
    retired = request.form.get("retired") == "1"
    series_desk.set_retired(series_id, me(), retired=retired)
    flash("It is offered to nobody any more." if retired else "It is offered again.", "good")
    return redirect(url_for("stories.series"))


def _form(series_id: UUID | None, form: SeriesForm, chosen: list[UUID]) -> ResponseReturnValue:
    problem = ""
    if form.is_submitted():
        chosen = [UUID(value) for value in request.form.getlist("card") if _is_id(value)]
    if form.validate_on_submit():
        details = SeriesDetails(form.title.data, form.language.data, form.local_time.data, chosen, form.owner.data)
        try:
            series_desk.save(series_id, me(), details)
        except Invalid as error:
            if error.field == "cards":
                problem = error.message
            else:
                put_error(form, error)
        else:
            flash("Saved. Nobody gets it who does not ask for it.", "good")
            return redirect(url_for("stories.series"))
    with db.reading() as session:
        cards = tools.listed(session, form.language.data or "")
    rows = [str(id_) for id_ in chosen] + [""] * max(2, SHORTEST - len(chosen))
    page = render_template(
        "console/stories/edit_series.html", form=form, series_id=series_id, rows=rows, problem=problem,
        cards=[(str(tool.id), tool.title) for tool in sorted(cards, key=lambda tool: tool.title)],
    )  # fmt: skip
    return page, 422 if form.is_submitted() else 200


def _is_id(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
