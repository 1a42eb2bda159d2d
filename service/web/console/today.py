"""Today: what needs a person now, at one glance, with where to do it."""

from datetime import timedelta

from babel.dates import format_date
from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, campaigns, safety
from service.actions import today as glance
from service.actions.belonging import line
from service.actions.conversations import promises
from service.actions.giving import carrying, desk
from service.actions.vents import desk as vents_desk
from service.models.campaigns import Campaign
from service.models.staff import Role
from service.web import languages
from service.web.auth import me, signed_in
from service.web.console import campaign_words as words
from service.web.times import viewer_zone

ROTA_AHEAD = timedelta(days=7)

bp = Blueprint("today", __name__, url_prefix="/console/today")


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """The first page after signing in."""
    now = clock.now()
    with db.reading() as session:
        person = me()
        concerns, replies = glance.concerns(session, person), glance.replies(session, person)
        budgets, unknown = glance.budgets(session, person), glance.unknown(session, person)
        promised = promises.due(session, person, glance.MOST)
        low, newcomers = glance.low_points(session, person), glance.newcomers(session, person)
        at_desk = desk.count(session, person)
        vents = vents_desk.unread(session, person)
        moving = campaigns.recent(session, access.access_campaigns(person), shelf="on-their-way", limit=glance.MOST)
        return render_template(
            "console/today.html", now=now, concerns=concerns, replies=replies, low=low, newcomers=newcomers,
            gatherings=glance.gatherings(session, person), moving=_with_progress(session, moving), words=words,
            on_duty=safety.on_duty_now(session, now), gap=campaigns.rota_gap(session, now, now + ROTA_AHEAD),
            mood=_weeks(session), floor=glance.FLOOR,
            budgets=budgets, unknown=unknown, may_set=person.role == Role.ADMIN,
            promised=promised, today=promises.today(person), cards=glance.cards_to_read(session, person),
            doors=line.at_the_door(session, person), at_desk=at_desk, vents=vents,
            notes=carrying.how_many_wait(session, person),
            calm=not (concerns or replies.count or low or unknown or promised or at_desk or vents.count),
        )  # fmt: skip


def _weeks(session: Session) -> list[tuple[str, float | None]]:
    """("12 Oct", average or None) of each week."""
    weeks = glance.mood(session, me(), viewer_zone())
    return [(format_date(week.begins, "d MMM", locale=languages.locale()), week.average) for week in weeks]


def _with_progress(session: Session, moving: list[Campaign]) -> list[tuple[Campaign, int, int]]:
    done = campaigns.done_of(session, [campaign.id for campaign in moving])
    return [(campaign, *done.get(campaign.id, (0, 0))) for campaign in moving]
