"""Composing a campaign on one page: everything typed is kept, and what is missing is said beside its field."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from service import config, db
from service.actions import access, campaigns, kind_words
from service.channels.render import FIELDS
from service.channels.segments import suggest
from service.errors import DomainError, Invalid
from service.models.campaigns import Campaign, CampaignKind, CampaignState
from service.models.content import Story, Tool
from service.models.gatherings import GroupSession
from service.models.members import ChannelName
from service.models.staff import Coordinator
from service.web.auth import me, signed_in
from service.web.console import campaign_form
from service.web.console import campaign_words as words
from service.web.console.campaign_form import CampaignForm
from service.web.forms import put_error

PALETTES: dict[CampaignKind, tuple[str, ...]] = {
    CampaignKind.STORY: ("story_body", "story_title", "story_about", "story_url", "me_too_url"),
    CampaignKind.CHECKIN: (),
    CampaignKind.INVITE: (
        "session_day", "session_time", "session_place", "rsvp_yes_url", "rsvp_no_url", "rsvp_maybe_url",
    ),
    CampaignKind.TOOL: ("tool_body", "tool_title"),
    CampaignKind.ANNOUNCEMENT: (),
    CampaignKind.PROMPT: ("prompt_body", "me_too_url"),
}  # fmt: skip
"""The merge fields that a kind has of its own; the others fit everywhere."""
ANYWHERE = ("first_name", "circle_name", "org_name", "coordinator_name", "preferences_url", "unsubscribe_url")


@signed_in
def new() -> ResponseReturnValue:
    """Choose what kind of thing to send."""
    return render_template("console/campaigns/new.html", kinds=campaign_form.kinds_for(me()))


@signed_in
def create() -> ResponseReturnValue:
    """Begin a draft with words that can be sent as they are."""
    try:
        kind = CampaignKind(request.form.get("kind", ""))
    except ValueError:
        raise Invalid("Choose one of the kinds.", field="kind") from None
    with db.reading() as session:
        draft = campaign_form.first_draft(session, me(), kind)
    campaign_id = campaigns.create(draft, coordinator_id=me().id, actor=str(me().id))
    return redirect(url_for("campaigns.edit", campaign_id=campaign_id))


@signed_in
def edit(campaign_id: UUID) -> ResponseReturnValue:
    """The page of a draft. One that has left the drafts has a page of its own."""
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        if campaign.state != CampaignState.DRAFT:
            return redirect(url_for("campaigns.show", campaign_id=campaign_id))
        return _page(session, campaign, campaign_form.filled(campaign))


@signed_in
def save(campaign_id: UUID) -> ResponseReturnValue:
    """Keep everything, then do what the button says. What cannot be used comes back with the reason beside it."""
    go = request.form.get("go", "save")
    form = CampaignForm()
    try:
        _keep(campaign_id, form, plain=go.removeprefix("plain:") if go.startswith("plain:") else "")
        if go == "test":
            _send_test(campaign_id)
    except DomainError as error:
        put_error(form, error)
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        if not form.errors:
            _moved(campaign, form)
        if go == "review" and not form.errors:
            for problem in campaigns.problems(session, campaign):
                put_error(form, Invalid(problem.message, field=problem.field))
        if form.errors:
            return _page(session, campaign, form), 422
    if go == "review":
        return redirect(url_for("campaigns.review", campaign_id=campaign_id))
    if go == "preview":
        return redirect(url_for("campaigns.preview", campaign_id=campaign_id))
    if go == "save":
        flash("Saved. It stays a draft until you send it.", "good")
    anchor = go.removeprefix("plain:") if go.startswith("plain:") else None
    return redirect(url_for("campaigns.edit", campaign_id=campaign_id, _anchor=anchor))


@signed_in
def autosave(campaign_id: UUID) -> ResponseReturnValue:
    """Keep what is being typed, and answer with what follows from it: whom it reaches, how long it is, what is missing.

    Nothing that is being typed is touched by the answer.
    """
    form = CampaignForm()
    try:
        _keep(campaign_id, form, noted=False)
    except DomainError as error:
        put_error(form, error)
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        found = _live(session, campaign, form)
        campaign_form.offer(form, session, me(), campaign)
        moved = _moved(campaign, form) if found["saved"] else []
        return render_template(
            "console/campaigns/_live.html", campaign=campaign, form=form, words=words, moved=moved, **found
        )


def _moved(campaign: Campaign, form: CampaignForm) -> list[str]:
    """The fields that follow what was just chosen, now with what was saved: only these are renewed on the page."""
    saved = campaign_form.filled(campaign)
    moved = [n for n in ("name", "circle_id", "audience") if (form[n].data or "") != saved[n].data]
    moved = [n for n in moved if n != "name" or form.name.data]
    for name in ("was", *moved):
        form[name].data = saved[name].data
    return moved


def mine(session: Session, campaign_id: UUID) -> Campaign:
    """The campaign with its words, if this coordinator may see it. Raises NotFound."""
    access.require_campaign(session, me(), campaign_id)
    return campaigns.get(session, campaign_id)


def _keep(campaign_id: UUID, form: CampaignForm, *, plain: str = "", noted: bool = True) -> None:
    """Save the form. Raises DomainError; errors of the form itself stay in the form, and nothing is saved."""
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        campaign_form.offer(form, session, me(), campaign)
        if not form.validate():
            return
        if plain in form and form[plain].data:
            form[plain].data = suggest(form[plain].data) or form[plain].data
        draft = campaign_form.draft_of(form, campaign, session, turn=noted)
        _within_reach(session, me(), draft)
    campaigns.update(campaign_id, draft, actor=str(me().id), noted=noted)


def _within_reach(session: Session, coordinator: Coordinator, draft: campaigns.Draft) -> None:
    """A circle coordinator sends to their own circles, about their own sessions. Raises Invalid beside the field."""
    campaign_form.require_may_compose(coordinator, draft.kind)
    meeting = session.get(GroupSession, draft.session_id) if draft.session_id else None
    for field, circle_id in (("circle_id", draft.circle_id), ("session_id", meeting.circle_id if meeting else None)):
        if field == "session_id" and meeting is None:
            continue
        try:
            access.require_own_circle(session, coordinator, circle_id)
        except DomainError as error:
            raise Invalid(error.message, field=field) from None


def _send_test(campaign_id: UUID) -> None:
    used = campaigns.send_test(campaign_id, me())
    ways = " and ".join({"sms": "text", "email": "email"}[channel] for channel in used)
    flash(f"A test is on its way to you by {ways}. Its links lead nowhere in particular.", "good")


def _page(session: Session, campaign: Campaign, form: CampaignForm) -> str:
    campaign_form.offer(form, session, me(), campaign)
    return render_template(
        "console/campaigns/edit.html", campaign=campaign, form=form, kinds=campaign_form.kinds_for(me()), words=words,
        palette=[(name, FIELDS[name]) for name in (*PALETTES[campaign.kind], *ANYWHERE)],
        channels_here=config.current().enabled_channels, phone=bool(me().phone),
        **_live(session, campaign, form),
    )  # fmt: skip


def _live(session: Session, campaign: Campaign, form: CampaignForm) -> dict[str, Any]:
    """What follows from the saved words: shown beside them, and renewed while somebody types."""
    problems = [] if form.errors else campaigns.problems(session, campaign)
    beside: dict[str, list[str]] = {}
    untouched = campaign.updated_at == campaign.created_at
    for problem in problems if not untouched else []:
        beside.setdefault(problem.field, []).append(problem.message)
    for name, messages in form.errors.items():
        if name:
            beside.setdefault(name, []).extend(messages)
    reach = campaigns.reach(session, campaign)
    return {
        "reach": reach,
        "cost": campaigns.estimate(session, campaign, reach.by_channel) if campaign.contents else Decimal(0),
        "sizes": campaigns.sizes(session, campaign),
        "problems": problems,
        "beside": beside,
        "saved": not form.errors,
        "expected": campaigns.expected_replies(session, campaign.kind, reach.people),
        "notes": notes(session, campaign),
    }


def notes(session: Session, campaign: Campaign) -> list[str]:
    """What is no mistake, and still worth knowing before it is sent."""
    found = []
    content = _about(session, campaign)
    chosen = campaign.audience.get("languages", [])
    if content is not None and chosen != [content.language]:
        language = words.LANGUAGES.get(content.language, content.language)
        found.append(
            f"This is in {language}. Choose “Only those who read {language}”, or the others get it in {language} too."
        )
    meeting = session.get(GroupSession, campaign.session_id) if campaign.session_id else None
    if meeting and campaign.circle_id and meeting.circle_id != campaign.circle_id:
        found.append("The session is another circle's: people of one circle are invited to the other.")
    return found + _wording(campaign)


def _wording(campaign: Campaign) -> list[str]:
    """What in the words may hurt or weigh on somebody; they may be sent all the same."""
    contents = sorted(campaign.contents, key=lambda c: (c.channel, c.language))
    return [
        f"{words.LANGUAGES.get(c.language, c.language)} {'text' if c.channel == ChannelName.SMS else 'email'}: {each}"
        for c in contents
        if c.channel in campaign.channel_names
        for each in kind_words.advice(f"{c.subject}\n{c.body}", c.language)
    ]


def _about(session: Session, campaign: Campaign) -> Story | Tool | None:
    if campaign.story_id:
        return session.get(Story, campaign.story_id)
    return session.get(Tool, campaign.tool_id) if campaign.tool_id else None
