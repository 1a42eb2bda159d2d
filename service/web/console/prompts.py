"""Prompts, "you too?": the line of those that wait, what was asked, and the form for one of one's own."""

from uuid import UUID

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import TextAreaField
from wtforms.validators import Length

from service import db
from service.actions import access, campaigns
from service.actions.resonance import prompts as actions
from service.errors import DomainError
from service.models.campaigns import CampaignKind
from service.web.auth import me, role, signed_in
from service.web.console import campaign_form
from service.web.forms import HearthForm, put_error

WHOLE = ("admin", "safeguarding", "coordinator")


class PromptForm(HearthForm):
    """What is asked, in one language or both."""

    words_en = TextAreaField("In English", [Length(max=1000)])
    words_es = TextAreaField("In Spanish", [Length(max=1000)])


@signed_in
def listed() -> ResponseReturnValue:
    """Those that wait in their order, and what became of the others."""
    with db.reading() as session:
        line, gone = actions.listed(session)
    return render_template(
        "console/campaigns/prompts.html", line=line, gone=gone, may_change=access.sees_everything(me())
    )


@role(*WHOLE)
def new() -> ResponseReturnValue:
    """Write one."""
    return _form(None, PromptForm(), "")


@role(*WHOLE)
def edit(prompt_id: UUID) -> ResponseReturnValue:
    """Change one of one's own, or say a member's in the other language."""
    with db.reading() as session:
        found = actions.get(session, prompt_id)
        own = actions.own_language(session, found)
    form = PromptForm(data={"words_en": found.words_en or "", "words_es": found.words_es or ""})
    return _form(prompt_id, form, own)


@role(*WHOLE)
def act(prompt_id: UUID, what: str) -> ResponseReturnValue:
    """Move it in the line, retire it, or begin a campaign that asks it: nothing is sent before that is confirmed."""
    if what == "ask":
        return redirect(url_for("campaigns.edit", campaign_id=_draft(prompt_id)))
    if what == "retire":
        actions.retire(prompt_id, me())
        flash("Retired. Nobody is asked this any more.", "good")
    else:
        actions.move(prompt_id, me(), up=what == "up")
    return redirect(url_for("campaigns.prompts"))


def _draft(prompt_id: UUID) -> UUID:
    """The draft that asks it: the one that is there, else a new one."""
    with db.reading() as session:
        prompt = actions.get(session, prompt_id)
        known = actions.draft_of(session, prompt_id)
        draft = campaign_form.first_draft(session, me(), CampaignKind.PROMPT, prompt)
    return known or campaigns.create(draft, coordinator_id=me().id, actor=str(me().id))


def _form(prompt_id: UUID | None, form: PromptForm, own: str) -> ResponseReturnValue:
    if form.validate_on_submit():
        try:
            actions.save(prompt_id, me(), form.words_en.data or "", form.words_es.data or "")
        except DomainError as error:
            put_error(form, error)
        else:
            flash("Saved. It waits in the line below.", "good")
            return redirect(url_for("campaigns.prompts"))
    page = render_template("console/campaigns/edit_prompt.html", form=form, own=own, new=prompt_id is None)
    return page, 422 if form.is_submitted() else 200
