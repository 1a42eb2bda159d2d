"""Before a campaign leaves: reading it as a member would, and a last page that says plainly what will happen."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import DateField, RadioField, TimeField
from wtforms.validators import Optional

from service import clock, config, db
from service.actions import access, campaigns
from service.actions import audience as audiences
from service.actions.delivery import budget
from service.errors import DomainError, Invalid, NotFound
from service.models.campaigns import Campaign, CampaignState, Schedule
from service.models.gatherings import Circle
from service.models.members import Member, MemberState
from service.web.auth import me, signed_in
from service.web.console import campaign_words as words
from service.web.console.campaign_compose import mine, notes
from service.web.forms import HearthForm, put_error
from service.web.times import local, viewer_zone

FOUND = 12
"""Members offered by a search."""
EMAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""For an email shown in a frame: its own styles apply, and nothing in it can run, load or lead anywhere."""


class SendForm(HearthForm):
    """When a campaign leaves."""

    when = RadioField(
        "When",
        choices=[(Schedule.NOW.value, "Now"), (Schedule.AT.value, "At"), (Schedule.LOCAL.value, "Local")],
        default=Schedule.NOW.value,
    )
    day = DateField("Day", [Optional()])
    hour = TimeField("Hour", [Optional()])


@signed_in
def preview(campaign_id: UUID) -> ResponseReturnValue:
    """The messages as one member gets them."""
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        member = _reader(session)
        query = request.args.get("q", "").strip()
        return render_template(
            "console/campaigns/preview.html", campaign=campaign, member=member, query=query, language=_language(),
            people=_search(session, query) if query else audiences.sample(session, audiences.of_campaign(campaign), 12),
            found=campaigns.previews(session, campaign, member, _language()), words=words,
        )  # fmt: skip


@signed_in
def preview_html(campaign_id: UUID) -> ResponseReturnValue:
    """The email alone, for an isolated frame."""
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        for shown in campaigns.previews(session, campaign, _reader(session), _language()):
            if isinstance(shown, campaigns.Rendered) and shown.html:
                return _isolated(shown.html)
    raise NotFound("There is no email to show.")


def _isolated(html: str) -> Response:
    response = make_response(html)
    response.headers["Content-Security-Policy"] = EMAIL_POLICY
    return response


def _language() -> str:
    asked = request.args.get("language", "en")
    return asked if asked in words.LANGUAGES else "en"


def _reader(session: Session) -> Member | None:
    """The member that the page shows it as. Raises NotFound for one of another circle."""
    asked = request.args.get("member", type=UUID)
    if asked is None:
        return None
    member = session.scalar(select(Member).where(Member.id == asked, access.access_members(me())))
    if member is None:
        raise NotFound("There is no such member, or they belong to another circle.")
    return member


def _search(session: Session, query: str) -> list[Member]:
    statement = select(Member).where(
        Member.first_name.ilike(f"{_plain(query)}%", escape="\\"),
        Member.state == MemberState.ACTIVE,
        access.access_members(me()),
    )
    return list(session.scalars(statement.order_by(Member.first_name, Member.id).limit(FOUND)))


def _plain(query: str) -> str:
    return query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


@signed_in
def review(campaign_id: UUID) -> ResponseReturnValue:
    """The last page before sending. A draft with something missing goes back to its page."""
    with db.reading() as session:
        campaign = mine(session, campaign_id)
        if campaign.state != CampaignState.DRAFT:
            return redirect(url_for("campaigns.show", campaign_id=campaign_id))
        if campaigns.problems(session, campaign):
            flash("Something is still missing: it is named below.", "warn")
            return redirect(url_for("campaigns.edit", campaign_id=campaign_id))
        return _review_page(session, campaign, SendForm(formdata=None))


@signed_in
def send(campaign_id: UUID) -> ResponseReturnValue:
    """Hand the campaign over to be sent."""
    form = SendForm()
    with db.reading() as session:
        access.require_own_circle(session, me(), mine(session, campaign_id).circle_id)
    try:
        if not form.validate():
            return _again(campaign_id, form)
        schedule, at, wall = _moment(form)
        campaigns.start(campaign_id, schedule=schedule, at=at, local=wall, actor=str(me().id))
    except Invalid as error:
        put_error(form, Invalid(error.message, field="hour" if error.field == "at" else error.field))
        return _again(campaign_id, form)
    flash(_handed_over(schedule, at, wall), "good")
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))


def _again(campaign_id: UUID, form: SendForm) -> ResponseReturnValue:
    with db.reading() as session:
        return _review_page(session, mine(session, campaign_id), form), 422


def _moment(form: SendForm) -> tuple[Schedule, datetime | None, str | None]:
    """(schedule, moment, hour on each member's own clock). Raises Invalid when a day or an hour is missing."""
    schedule = Schedule(form.when.data)
    if schedule == Schedule.NOW:
        return schedule, None, None
    if form.day.data is None:
        raise Invalid("Choose a day.", field="day")
    if form.hour.data is None:
        raise Invalid("Choose an hour.", field="hour")
    wall = datetime.combine(form.day.data, form.hour.data)
    if schedule == Schedule.LOCAL:
        return schedule, None, wall.isoformat(timespec="minutes")
    return schedule, wall.replace(tzinfo=viewer_zone()), None


def _handed_over(schedule: Schedule, at: datetime | None, wall: str | None) -> str:
    if schedule == Schedule.AT and at:
        return f"It leaves on {local(at)}. You can still pause or cancel it."
    if schedule == Schedule.LOCAL and wall:
        return f"It leaves at {wall[11:]} on each member's own clock. You can still pause or cancel it."
    return "It is on its way."


def _review_page(session: Session, campaign: Campaign, form: SendForm) -> str:
    reach = campaigns.reach(session, campaign)
    now = clock.now()
    tomorrow = now.astimezone(viewer_zone()).date() + timedelta(days=1)
    begin, wall = _asked(form) or (now, None)
    return render_template(
        "console/campaigns/review.html", campaign=campaign, form=form, words=words, kind=words.KINDS[campaign.kind],
        reach=reach, cost=campaigns.estimate(session, campaign, reach.by_channel), tomorrow=tomorrow,
        window=config.current().sending_window, outlook=campaigns.outlook(session, campaign, begin, wall),
        circle=session.get(Circle, campaign.circle_id) if campaign.circle_id else None,
        expected=campaigns.expected_replies(session, campaign.kind, reach.people, begin),
        found=campaigns.previews(session, campaign, None, _first_language(campaign)),
        notes=notes(session, campaign), budgets=[s for s in budget.standings(session) if s.limit is not None],
    )  # fmt: skip


def _first_language(campaign: Campaign) -> str:
    chosen: list[Any] = campaign.audience.get("languages", [])
    return str(chosen[0]) if len(chosen) == 1 else "en"


def _asked(form: SendForm) -> tuple[datetime, str | None] | None:
    """The moment that was typed, for a page that comes back; None when it cannot be read."""
    try:
        _, at, wall = _moment(form)
    except (DomainError, ValueError):
        return None
    if wall:
        return datetime.fromisoformat(wall).replace(tzinfo=viewer_zone()), wall
    return (at, None) if at else None
