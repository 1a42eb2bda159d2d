"""Campaigns: the list, and the page of one that is on its way or done. Composing and sending are in their own files."""

import hashlib
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from service import db
from service.actions import access, campaigns
from service.actions.resonance import telling
from service.channels.errors import remedy
from service.errors import Conflict
from service.models.campaigns import Campaign, CampaignState
from service.models.content import Prompt, Story, Tool
from service.models.gatherings import Circle, GroupSession
from service.web.auth import me, signed_in
from service.web.console import campaign_compose, campaign_send, prompts, rhythms
from service.web.console import campaign_words as words
from service.web.console.campaign_compose import mine

PAGE = 20
STOP_ASKING = 286  # htmx: show this and poll no more
MOVING = (CampaignState.SCHEDULED, CampaignState.SENDING, CampaignState.PAUSED)
OFTEN, SELDOM = 2, 10
"""Seconds between two looks at the progress: a count of a very big campaign takes a moment."""
BIG = 20_000

bp = Blueprint("campaigns", __name__, url_prefix="/console/campaigns")


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """The list, newest first, on one of its shelves."""
    shelf = request.args.get("shelf", "all")
    shelf = shelf if shelf in campaigns.SHELVES else "all"
    before, after = request.args.get("before", type=UUID), request.args.get("after", type=UUID)
    with db.reading() as session:
        rows = campaigns.recent(
            session, access.access_campaigns(me()), shelf=shelf, before=before, after=after, limit=PAGE + 1
        )
        more = len(rows) > PAGE
        rows = rows[-PAGE:] if after else rows[:PAGE]
        newer, older = (more, True) if after else (before is not None, more)
        return render_template(
            "console/campaigns/index.html", rows=rows, shelf=shelf, words=words,
            done=campaigns.done_of(session, [c.id for c in rows]), circles=_circle_names(session, rows),
            newer=url_for("campaigns.index", shelf=shelf, after=rows[0].id) if newer and rows else None,
            older=url_for("campaigns.index", shelf=shelf, before=rows[-1].id) if older and rows else None,
        )  # fmt: skip


def _circle_names(session: Session, rows: list[Campaign]) -> dict[UUID, str]:
    ids = {c.circle_id for c in rows if c.circle_id}
    return {i: circle.name for i in ids if (circle := session.get(Circle, i))}


@bp.get("/<uuid:campaign_id>")
@signed_in
def show(campaign_id: UUID) -> ResponseReturnValue:
    """A campaign that is scheduled, on its way, or done."""
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        if campaign.state == CampaignState.DRAFT:
            return redirect(url_for("campaigns.edit", campaign_id=campaign_id))
        return render_template(
            "console/campaigns/show.html", circle=_circle(session, campaign), about=_about(session, campaign),
            prompt=session.get(Prompt, campaign.prompt_id) if campaign.prompt_id else None,
            result_on=telling.result_from(campaign), **_progress(session, campaign),
        )  # fmt: skip


@bp.get("/<uuid:campaign_id>/progress")
@signed_in
def progress(campaign_id: UUID) -> ResponseReturnValue:
    """How far it is, for a page that renews itself: 204 while it is as the page has `seen` it, 286 when it is over."""
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        found = _progress(session, campaign)
        changed = request.args.get("state") != campaign.state.value
        if request.args.get("seen") == found["signature"]:
            return "", 204
        html = render_template("console/campaigns/_progress_changed.html", changed=changed, **found)
    return html, 200 if campaign.state in MOVING else STOP_ASKING


def _progress(session: Session, campaign: Campaign) -> dict[str, Any]:
    done = campaigns.progress(session, campaign.id)
    heard = campaigns.heard(session, campaign, access.access_members(me()))
    parts = [(label, sum(done.states.get(s, 0) for s in states), tone) for label, states, tone in words.GROUPS]
    left = done.seconds_left(campaign.started_at) if campaign.state == CampaignState.SENDING else None
    seen = (campaign.state, campaign.paused_reason, sorted(done.states.items()), sorted(done.waiting.items()), heard)
    return {
        "campaign": campaign,
        "kind": words.KINDS[campaign.kind],
        "words": words,
        "done": done,
        "parts": [part for part in parts if part[1] or part[0] in ("Arrived", "On the way", "Waiting")],
        "heard": heard,
        "time_left": words.duration(left) if left else "",
        "moving": campaign.state in MOVING,
        "signature": hashlib.sha256(repr((*seen, done.last_minute)).encode()).hexdigest()[:12],
        "every": SELDOM if done.total > BIG else OFTEN,
        "remedy": remedy,
    }


def _circle(session: Session, campaign: Campaign) -> Circle | None:
    return session.get(Circle, campaign.circle_id) if campaign.circle_id else None


def _about(session: Session, campaign: Campaign) -> Story | Tool | GroupSession | None:
    if campaign.session_id:
        return session.get(GroupSession, campaign.session_id)
    if campaign.story_id:
        return session.get(Story, campaign.story_id)
    return session.get(Tool, campaign.tool_id) if campaign.tool_id else None


@bp.post("/<uuid:campaign_id>/pause")
@signed_in
def pause(campaign_id: UUID) -> ResponseReturnValue:
    """Stop sending for now."""
    return _act(campaign_id, campaigns.pause, "Paused. What had not left waits until you resume.")


@bp.post("/<uuid:campaign_id>/resume")
@signed_in
def resume(campaign_id: UUID) -> ResponseReturnValue:
    """Go on."""
    return _act(campaign_id, campaigns.resume, "It goes on.")


@bp.post("/<uuid:campaign_id>/cancel")
@signed_in
def cancel(campaign_id: UUID) -> ResponseReturnValue:
    """End it for good."""
    return _act(
        campaign_id, campaigns.cancel, "Cancelled. What had not left stays here; what has left cannot be called back."
    )


def _act(campaign_id: UUID, action: Any, done: str) -> ResponseReturnValue:
    with db.reading() as session:
        mine(session, campaign_id)
    try:
        action(campaign_id, actor=str(me().id))
        flash(done, "good")
    except Conflict as error:  # somebody was quicker, or it has just finished: the page shows how it stands
        flash(error.message, "info")
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))


@bp.post("/<uuid:campaign_id>/copy")
@signed_in
def copy(campaign_id: UUID) -> ResponseReturnValue:
    """Begin a new draft with the same words."""
    with db.reading() as session:
        mine(session, campaign_id)
    new_id = campaigns.copy(campaign_id, coordinator_id=me().id, actor=str(me().id))
    flash("This is a copy. Nothing is sent until you say so.", "good")
    return redirect(url_for("campaigns.edit", campaign_id=new_id))


for _rule, _view, _method in (
    ("/new", campaign_compose.new, "GET"),
    ("/new", campaign_compose.create, "POST"),
    ("/<uuid:campaign_id>/edit", campaign_compose.edit, "GET"),
    ("/<uuid:campaign_id>/edit", campaign_compose.save, "POST"),
    ("/<uuid:campaign_id>/autosave", campaign_compose.autosave, "POST"),
    ("/<uuid:campaign_id>/preview", campaign_send.preview, "GET"),
    ("/<uuid:campaign_id>/preview.html", campaign_send.preview_html, "GET"),
    ("/<uuid:campaign_id>/review", campaign_send.review, "GET"),
    ("/<uuid:campaign_id>/review", campaign_send.send, "POST"),
):
    bp.add_url_rule(_rule, view_func=_view, methods=[_method])
RHYTHMS: tuple[tuple[str, str, Any, list[str]], ...] = (
    ("/rhythms", "rhythms", rhythms.listed, ["GET"]),
    ("/rhythms/new", "new_rhythm", rhythms.new, ["GET", "POST"]),
    ("/rhythms/<uuid:rhythm_id>", "edit_rhythm", rhythms.edit, ["GET", "POST"]),
    ("/rhythms/<uuid:rhythm_id>/<any(pause, resume, end):what>", "act_on_rhythm", rhythms.act, ["POST"]),
)
PROMPTS: tuple[tuple[str, str, Any, list[str]], ...] = (
    ("/prompts", "prompts", prompts.listed, ["GET"]),
    ("/prompts/new", "new_prompt", prompts.new, ["GET", "POST"]),
    ("/prompts/<uuid:prompt_id>", "edit_prompt", prompts.edit, ["GET", "POST"]),
    ("/prompts/<uuid:prompt_id>/<any(up, down, retire, ask):what>", "act_on_prompt", prompts.act, ["POST"]),
)
for _rule, _endpoint, _shown, _methods in (*RHYTHMS, *PROMPTS):
    bp.add_url_rule(_rule, _endpoint, view_func=_shown, methods=_methods)
