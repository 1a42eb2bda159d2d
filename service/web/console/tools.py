"""Tools: the list with what has to be read again, and the form of a card."""

from datetime import timedelta
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.validators import Optional as Maybe

from service import clock, db
from service.actions import tools as actions
from service.actions.tools import ToolDetails
from service.channels.segments import measure
from service.errors import Invalid
from service.web.auth import me, role, signed_in
from service.web.forms import HearthForm, put_error

WHOLE = ("admin", "safeguarding", "coordinator")


class ToolForm(HearthForm):
    """A card."""

    title = StringField("Title", [InputRequired("Give it a title."), Length(max=120)])
    topics = StringField("Topics", [Length(max=200)])
    language = SelectField("Language", choices=[("en", "English"), ("es", "Spanish")])
    body_sms = TextAreaField("As a text", [InputRequired("Write a few words here.")])
    body_email = TextAreaField("As a mail", [InputRequired("Write a few words here.")])
    owner = StringField("Who looks after it", [Length(max=80)])
    source = StringField("What it follows", [Length(max=200)])
    review_by = DateField("Read again by", [Maybe()])


@signed_in
def tools() -> ResponseReturnValue:
    """Every card, those to be read again first."""
    language = request.args.get("language", "")
    with db.reading() as session:
        found = actions.listed(session, language)
    today = clock.now().date()
    return render_template(
        "console/stories/tools.html",
        found=found,
        language=language,
        today=today,
        soon=today + timedelta(days=30),
        segments={t.id: measure(t.body_sms).segments for t in found},
    )


@role(*WHOLE)
def new_tool() -> ResponseReturnValue:
    """Write a card."""
    usual = {"owner": me().name, "review_by": clock.now().date() + timedelta(days=365)}
    return _form(None, ToolForm(data=None if request.method == "POST" else usual))


@role(*WHOLE)
def edit_tool(tool_id: UUID) -> ResponseReturnValue:
    """Change a card."""
    with db.reading() as session:
        tool = actions.get(session, tool_id)
    typed = {name: getattr(tool, name) for name in ToolDetails.__dataclass_fields__}
    typed["topics"] = tool.topics.replace(",", ", ")
    return _form(tool_id, ToolForm(data=None if request.method == "POST" else typed))


def _form(tool_id: UUID | None, form: ToolForm) -> ResponseReturnValue:
    if form.validate_on_submit():
        details = ToolDetails(
            title=form.title.data,
            body_sms=form.body_sms.data,
            body_email=form.body_email.data,
            review_by=form.review_by.data,
            topics=form.topics.data.split(","),
            language=form.language.data,
            owner=form.owner.data,
            source=form.source.data,
        )
        try:
            actions.save(tool_id, me(), details)
        except Invalid as error:
            put_error(form, error)
        else:
            flash("Saved.", "good")
            return redirect(url_for("stories.tools"))
    page = render_template("console/stories/edit_tool.html", form=form, tool_id=tool_id)
    return page, 422 if form.is_submitted() else 200
