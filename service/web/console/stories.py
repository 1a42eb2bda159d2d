"""Hope stories: the list, one story with its checks and its way to others, and the form. Tools are in `tools`."""

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField, DateField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.validators import Optional as Maybe

from service import clock, db
from service.actions import access, stories, story_checks
from service.actions.conversations import card
from service.actions.stories import StoryDetails
from service.errors import Conflict, Invalid
from service.models.content import Attribution, Lived, Story, StoryState
from service.models.members import Member
from service.web.auth import me, role, signed_in
from service.web.console import story_author, story_page, tool_series, tools
from service.web.forms import HearthForm, put_error

bp = Blueprint("stories", __name__, url_prefix="/console/stories")

WHOLE = ("admin", "safeguarding", "coordinator")
SHELVES = {
    "review": (
        "In review",
        (StoryState.DRAFT, StoryState.REVIEW, StoryState.AWAITING_AUTHOR, StoryState.SECOND_REVIEW),
    ),
    "published": ("Published", (StoryState.PUBLISHED,)),
    "resting": ("Resting", (StoryState.RESTING,)),
    "ended": ("Withdrawn or declined", (StoryState.WITHDRAWN, StoryState.DECLINED)),
}
TONES = {"draft": "plain", "review": "wait", "awaiting_author": "wait", "second_review": "wait", "published": "good",
         "resting": "plain", "withdrawn": "plain", "declined": "plain"}  # fmt: skip
LIVED = [
    ("unasked", "Not asked yet"),
    ("none", "It tells of neither"),
    ("year", "A year ago or more"),
    ("recent", "Less than a year ago"),
]
ATTRIBUTIONS = [("anonymous", "Nobody: “a member”"), ("first_name", "By first name"), ("initial", "By an initial")]


class StoryForm(HearthForm):
    """A story. Everything about consent is the author's word, noted by a coordinator."""

    title = StringField("Title", [InputRequired("Give it a title."), Length(max=120)])
    about = StringField("About", [Length(max=80)])
    topics = StringField("Topics", [Length(max=200)])
    language = SelectField("Language", choices=[("en", "English"), ("es", "Spanish")])
    body_email = TextAreaField("As a mail")
    body_sms = TextAreaField("As a text")
    author = StringField("Author", [Length(max=254)])
    author_id = SelectField("Which of them?", choices=[])
    attribution = SelectField("How the author is named", choices=ATTRIBUTIONS)
    author_name = StringField("Name to show", [Length(max=80)])
    consent_sms = BooleanField("by text")
    consent_email = BooleanField("by email")
    consent_page = BooleanField("on a page of its own, by its link")
    consent_found = BooleanField("and search engines may find that page")
    consent_until = DateField("Until", [Maybe()])
    lived = SelectField("An attempt, or a loss: how long ago?", choices=LIVED)
    mentions_self_harm = BooleanField("It speaks of suicide or self-harm")
    mentions_loss = BooleanField("It speaks of a loss")
    me_too_allowed = BooleanField("Members may answer ME TOO")


@bp.context_processor
def _words() -> dict[str, object]:
    return {"TONES": TONES, "KINDS": story_checks.KINDS, "may_change": access.sees_everything(me())}


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """Stories by where they are on their way, and by language."""
    shelf = request.args.get("shelf", "published")
    shelf = shelf if shelf in SHELVES else "published"
    language, after = request.args.get("language", ""), request.args.get("after", type=UUID)
    with db.reading() as session:
        found = stories.listed(session, me(), states=SHELVES[shelf][1], language=language, after=after)
        felt = stories.felt_words(session, [s.id for s in found])
    return render_template(
        "console/stories/index.html",
        found=found,
        felt=felt,
        shelf=shelf,
        shelves=SHELVES,
        language=language,
        after=after,
        older=found[-1].id if len(found) == 50 else None,
        today=clock.now().date(),
    )


@bp.get("/<uuid:story_id>")
@signed_in
def show(story_id: UUID) -> ResponseReturnValue:
    """One story, with everything that a reviewer should look at."""
    return _page(story_id)


def _page(story_id: UUID, error: Invalid | None = None) -> ResponseReturnValue:
    page = render_template("console/stories/show.html", **story_page.view(story_id, me()), error=error)
    return page, error.status if error else 200


@bp.route("/new", methods=["GET", "POST"])
@role(*WHOLE)
def new() -> ResponseReturnValue:
    """Write a story down."""
    usual = {"consent_sms": True, "consent_email": True, "me_too_allowed": True, "language": "en"}
    return _form(None, StoryForm(data=None if request.method == "POST" else usual))


@bp.route("/<uuid:story_id>/edit", methods=["GET", "POST"])
@role(*WHOLE)
def edit(story_id: UUID) -> ResponseReturnValue:
    """Change a story, both bodies side by side."""
    with db.reading() as session:
        story = stories.require(session, me(), story_id)
    return _form(story, StoryForm(data=None if request.method == "POST" else _typed(story)))


def _form(story: Story | None, form: StoryForm) -> ResponseReturnValue:
    with db.reading() as session:
        author = session.get(Member, story.author_id) if story and story.author_id else None
        choices = _authors(session, form, author)
    form.author_id.choices = choices
    if form.validate_on_submit():
        try:
            made = stories.save(story.id if story else None, me(), _details(form, choices))
        except (Invalid, Conflict) as error:
            put_error(form, error)
        else:
            flash("Saved. Nothing of it is published by that.", "good")
            return redirect(url_for("stories.show", story_id=made))
    page = render_template(
        "console/stories/edit.html",
        form=form,
        story=story,
        choosing=len(choices) > 2,
        author=author,
        original=story_checks.marked(story.original or "") if story else [],
    )
    return page, 422 if form.is_submitted() else 200


def _authors(session: Session, form: StoryForm, author: Member | None) -> list[tuple[str, str]]:
    """Nobody, the author so far, and whoever the typed words find."""
    known = {str(author.id): author} if author else {}
    for member in card.find_members(session, me(), form.author.data or ""):
        known.setdefault(str(member.id), member)
    return [("", "Nobody’s in particular")] + [(key, _named(m)) for key, m in known.items()]


def _named(member: Member) -> str:
    return f"{member.first_name}, here since {(member.joined_at or member.created_at):%B %Y}"


def _typed(story: Story) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(story, name) for name in StoryDetails.__dataclass_fields__}
    return values | {
        "topics": story.topics.replace(",", ", "),
        "attribution": story.attribution.value,
        "lived": story.lived.value,
        "author_id": str(story.author_id or ""),
    }


def _details(form: StoryForm, choices: list[tuple[str, str]]) -> StoryDetails:
    """What was typed. Words that find several members, or none, come back with the question who is meant."""
    chosen = form.author_id.data or ""
    if form.author.data and not chosen:
        if len(choices) != 2:
            why = "Choose which of them it is." if len(choices) > 2 else "Nobody is found by that."
            raise Invalid(why, field="author_id" if len(choices) > 2 else "author")
        chosen = choices[1][0]
    return StoryDetails(
        title=form.title.data,
        body_email=form.body_email.data or "",
        body_sms=form.body_sms.data or "",
        about=form.about.data,
        topics=tuple(form.topics.data.split(",")),
        language=form.language.data,
        attribution=Attribution(form.attribution.data),
        author_name=form.author_name.data,
        author_id=UUID(chosen) if chosen else None,
        mentions_self_harm=form.mentions_self_harm.data,
        mentions_loss=form.mentions_loss.data,
        me_too_allowed=form.me_too_allowed.data,
        consent_sms=form.consent_sms.data,
        consent_email=form.consent_email.data,
        consent_page=form.consent_page.data,
        consent_found=form.consent_found.data,
        consent_until=form.consent_until.data,
        lived=Lived(form.lived.data),
    )


@bp.post("/<uuid:story_id>/approved")
@role(*WHOLE)
def approved(story_id: UUID) -> ResponseReturnValue:
    """Note the author's yes to these exact words."""
    try:
        on = date.fromisoformat(request.form.get("on", ""))
    except ValueError:
        on = None
    try:
        stories.note_approval(story_id, me(), request.form.get("how", ""), on)
    except Invalid as error:
        return _page(story_id, error)
    flash("Noted. If a word changes, the author is asked again.", "good")
    return redirect(url_for("stories.show", story_id=story_id))


@bp.post("/<uuid:story_id>/publish")
@role(*WHOLE)
def publish(story_id: UUID) -> ResponseReturnValue:
    """One person's yes."""
    try:
        state = stories.publish(story_id, me(), looked=request.form.get("looked") == "1")
    except Invalid as error:
        return _page(story_id, error)
    except Conflict as error:
        flash(error.message, "warn")
    else:
        if state == StoryState.PUBLISHED:
            flash("Published. It can now be sent; nothing is sent by itself.", "good")
        else:
            flash("Your yes is kept. It speaks of self-harm, so a second person reads it now.", "info")
    return redirect(url_for("stories.show", story_id=story_id))


@bp.post("/<uuid:story_id>/<any(withdraw, take_back):what>")
@role(*WHOLE)
def leave(story_id: UUID, what: str) -> ResponseReturnValue:
    """Withdraw it, or take it back to change its words."""
    acts = {"withdraw": stories.withdraw, "take_back": stories.take_back}
    acts[what](story_id, me())
    said = {
        "withdraw": "Withdrawn: its page is down and nothing more of it leaves. What was sent cannot be called back.",
        "take_back": "It is back in review. Nothing of it leaves until it is published anew.",
    }
    flash(said[what], "good")
    return redirect(url_for("stories.show", story_id=story_id))


for _rule, _view, _methods in (
    ("/tools", tools.tools, ["GET"]),
    ("/tools/new", tools.new_tool, ["GET", "POST"]),
    ("/tools/<uuid:tool_id>", tools.edit_tool, ["GET", "POST"]),
    ("/tools/<uuid:tool_id>/retired", tools.retire_tool, ["POST"]),
):
    bp.add_url_rule(_rule, view_func=_view, methods=_methods)
OTHERS: tuple[tuple[str, str, Any, list[str]], ...] = (
    ("/<uuid:story_id>/ask", "ask", story_author.ask, ["POST"]),
    ("/<uuid:story_id>/decline", "decline", story_author.decline, ["POST"]),
    ("/<uuid:story_id>/early", "early", story_author.early, ["POST"]),
    ("/series", "series", tool_series.listed, ["GET"]),
    ("/series/new", "new_series", tool_series.new, ["GET", "POST"]),
    ("/series/<uuid:series_id>", "edit_series", tool_series.edit, ["GET", "POST"]),
    ("/series/<uuid:series_id>/retired", "retire_series", tool_series.retire, ["POST"]),
)
for _rule, _endpoint, _shown, _methods in OTHERS:
    bp.add_url_rule(_rule, _endpoint, view_func=_shown, methods=_methods)
