"""Tools: the list with what has to be read again, and the form of a card."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.validators import Optional as Maybe

from service import clock, db
from service.actions import outbox
from service.actions import tools as actions
from service.actions.tools import ToolDetails, topics
from service.channels import email_markdown
from service.channels.segments import measure
from service.errors import Invalid
from service.models.content import Tool
from service.models.members import ChannelName
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
    language, retired = request.args.get("language", ""), request.args.get("shelf") == "retired"
    with db.reading() as session:
        found = actions.listed(session, language, retired=retired)
        standing = actions.standings(session, found)
    today = clock.now().date()
    return render_template(
        "console/stories/tools.html",
        found=found,
        language=language,
        retired=retired,
        standing=standing,
        today=today,
        soon=today + actions.SOON,
        segments={t.id: measure(t.body_sms).segments for t in found},
    )


@role(*WHOLE)
def new_tool() -> ResponseReturnValue:
    """Write a card."""
    usual = {"owner": me().name, "review_by": clock.now().date() + timedelta(days=365)}
    return _form(None, ToolForm(data=None if request.method == "POST" else usual))


@role(*WHOLE)
def retire_tool(tool_id: UUID) -> ResponseReturnValue:
    """Send it to nobody any more, or bring it back."""
    if request.form.get("retired") == "1":
        actions.retire(tool_id, me())
        flash("Retired: it is sent to nobody any more.", "good")
    else:
        actions.restore(tool_id, me())
        flash("It is back.", "good")
    return redirect(url_for("stories.tools"))


@role(*WHOLE)
def edit_tool(tool_id: UUID) -> ResponseReturnValue:
    """Change a card."""
    with db.reading() as session:
        tool = actions.get(session, tool_id)
    typed = {name: getattr(tool, name) for name in ToolDetails.__dataclass_fields__}
    typed["topics"] = tool.topics.replace(",", ", ")
    return _form(tool, ToolForm(data=None if request.method == "POST" else typed))


@dataclass(frozen=True)
class Preview:
    """A card as a member gets it."""

    text: str
    segments: int
    unicode: list[str]
    """Signs that make the text dearer."""
    subject: str
    mail: str


def _preview(form: ToolForm) -> Preview:
    """The whole answer to TOOL, with the lines around the card."""
    topic = topics.name_of((form.topics.data or "").split(",")[0].strip().lower(), form.language.data).capitalize()
    facts = {"first_name": "Ana", "topic": topic, "tool_title": form.title.data, "language": form.language.data}
    _none, text = outbox.words_for(ChannelName.SMS, "tool_card", facts | {"tool_body": form.body_sms.data or ""})
    subject, mail = outbox.words_for(ChannelName.EMAIL, "tool_card", facts | {"tool_body": form.body_email.data or ""})
    measured = measure(text)
    return Preview(text, measured.segments, measured.offenders, subject, email_markdown.to_text(mail))


def _form(tool: Tool | None, form: ToolForm) -> ResponseReturnValue:
    tool_id = tool.id if tool else None
    looks = request.form.get("do") == "preview"
    if form.validate_on_submit() and not looks:
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
    preview = _preview(form) if looks or tool else None
    page = render_template("console/stories/edit_tool.html", form=form, tool_id=tool_id, tool=tool, preview=preview)
    return page, 422 if form.is_submitted() and not looks else 200
