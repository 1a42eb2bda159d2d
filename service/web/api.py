"""The API of /api/v1, for an organisation's own programs; its document is at /api/v1/openapi.json."""

from typing import Any
from uuid import UUID

from flask import Response, current_app, g, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from service import db
from service.actions import api_keys, campaigns, contacts, imports, leaving
from service.errors import Invalid, NotFound, NotSignedIn
from service.models.campaigns import CampaignKind, Schedule
from service.models.gatherings import Circle
from service.models.members import Member
from service.web import api_models as m
from service.web.limits import limiter
from service.web.security import csrf

INFO = Info(
    title="Hearthline",
    version="1",
    description="Members, circles and campaigns. Send `Authorization: Bearer KEY`; `hearthline api-key add` makes one.",
)
SECURITY: dict[str, Any] = {"key": {"type": "http", "scheme": "bearer"}}

bp = APIBlueprint(
    "api", __name__, url_prefix="/api/v1", abp_security=[{"key": []}],
    abp_responses={"401": m.ErrorOut, "404": m.ErrorOut, "409": m.ErrorOut, "422": m.ErrorOut, "429": m.ErrorOut},
)  # fmt: skip
csrf.exempt(bp)
limiter.limit("600 per minute")(bp)

MEMBERS, CAMPAIGNS, CIRCLES = Tag(name="members"), Tag(name="campaigns"), Tag(name="circles")


@bp.before_request
def _authorise() -> None:
    """Every call needs a live key; reading the document needs none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn("Send an API key: `Authorization: Bearer hlk_…`. `hearthline api-key add NAME` makes one.")
    g.actor = "api:" + str(api_keys.check(token.strip(), "read" if request.method == "GET" else "write"))


def refuse(error: ValidationError) -> Response:
    """A body or query that does not fit: the first problem, beside its field."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    response = jsonify(Invalid(f"{field}: {first['msg']}.", field=field).as_dict())
    response.status_code = 422
    return response


def make_app(*args: Any, **kwargs: Any) -> OpenAPI:
    """The Flask application with the API's document; no pages of its own (they would need inline scripts)."""
    return OpenAPI(
        *args, info=INFO, security_schemes=SECURITY, validation_error_callback=refuse, doc_ui=False, **kwargs
    )


def document() -> Response:
    """The OpenAPI document, for programs that write clients."""
    doc: dict[str, Any] = current_app.api_doc  # type: ignore[attr-defined]
    return jsonify(doc)


def init_app(app: OpenAPI) -> None:
    """Register the API and its document."""
    app.register_api(bp)
    app.add_url_rule("/api/v1/openapi.json", "api_document", document)


def _answer(body: BaseModel, status: int = 200) -> Response:
    response = Response(body.model_dump_json(), mimetype="application/json")
    response.status_code = status
    return response


@bp.get("/members", tags=[MEMBERS], responses={"200": m.MembersOut})
def list_members(query: m.Page) -> Response:
    """Members in the order in which they came, a page at a time."""
    statement = select(Member).options(selectinload(Member.addresses), selectinload(Member.subscriptions))
    if query.after:
        statement = statement.where(Member.id > query.after)
    with db.reading() as session:
        found = list(session.scalars(statement.order_by(Member.id).limit(query.limit)))
        page = m.MembersOut(
            members=[_member(member) for member in found], next=found[-1].id if len(found) == query.limit else None
        )
    return _answer(page)


@bp.post("/members", tags=[MEMBERS], responses={"201": m.MemberOut})
def add_member(body: m.NewMember) -> Response:
    """Add a person, under the same rules as a row of `members import`."""
    values = {
        "first_name": body.first_name, "phone": body.phone, "email": body.email, "topics": ";".join(body.topics),
        "circle": body.circle, "timezone": body.timezone, "locale": body.locale, "country": body.country,
        "consented_at": body.consented_at.isoformat() if body.consented_at else "",
        "consent_source": body.consent_source,
    }  # fmt: skip
    return _answer(_load_member(imports.add_member(values, g.actor)), 201)


@bp.get("/members/<uuid:member_id>", tags=[MEMBERS], responses={"200": m.MemberOut})
def get_member(path: m.MemberPath) -> Response:
    """One member."""
    return _answer(_load_member(path.member_id))


@bp.post("/members/<uuid:member_id>/stop", tags=[MEMBERS], responses={"200": m.MemberOut})
def stop_member(path: m.MemberPath, body: m.StopIn) -> Response:
    """Enter a stop that the person asked for elsewhere; it counts like one that was written."""
    leaving.opt_out_by_staff(path.member_id, g.actor, body.how, channel=body.channel, topics=body.topics)
    return _answer(_load_member(path.member_id))


def _load_member(member_id: UUID) -> m.MemberOut:
    with db.reading() as session:
        member = session.get(Member, member_id)
        if member is None:
            raise NotFound("There is no such member.")
        return _member(member)


def _member(member: Member) -> m.MemberOut:
    return m.MemberOut(
        id=member.id,
        first_name=member.first_name,
        state=member.state,
        locale=member.locale,
        timezone=member.time_zone,
        country=member.country,
        addresses={a.channel: contacts.mask(a.channel, a.value) for a in member.addresses},
        subscriptions=[
            m.SubscriptionOut(topic=s.topic, channel=s.channel, state=s.state) for s in member.subscriptions
        ],
        joined_at=member.joined_at,
    )


@bp.get("/circles", tags=[CIRCLES], responses={"200": m.CirclesOut})
def list_circles() -> Response:
    """Every open circle."""
    with db.reading() as session:
        found = session.scalars(select(Circle).where(Circle.closed_at.is_(None)).order_by(Circle.name))
        circles = [
            m.CircleOut(id=c.id, name=c.name, slug=c.slug, keyword=c.keyword, language=c.language, timezone=c.time_zone)
            for c in found
        ]
    return _answer(m.CirclesOut(circles=circles))


@bp.post("/campaigns", tags=[CAMPAIGNS], responses={"201": m.CampaignOut})
def add_campaign(body: m.NewCampaign) -> Response:
    """Keep a draft."""
    contents = tuple(campaigns.ContentDraft(c.channel, c.language, c.body, c.subject) for c in body.contents)
    if body.kind == CampaignKind.PROMPT:
        raise Invalid("A prompt is asked from the console, or by its rhythm.", field="kind")
    draft = campaigns.Draft(
        name=body.name, kind=body.kind, channels=tuple(dict.fromkeys(c.channel for c in contents)), contents=contents,
        topic=body.topic, circle_id=body.circle_id, session_id=body.session_id, story_id=body.story_id,
        tool_id=body.tool_id,
    )  # fmt: skip
    return _answer(_campaign(campaigns.create(draft, actor=g.actor)), 201)


@bp.get("/campaigns/<uuid:campaign_id>", tags=[CAMPAIGNS], responses={"200": m.CampaignOut})
def get_campaign(path: m.CampaignPath) -> Response:
    """A campaign and how far it is."""
    return _answer(_campaign(path.campaign_id))


@bp.post("/campaigns/<uuid:campaign_id>/start", tags=[CAMPAIGNS], responses={"200": m.CampaignOut})
def start_campaign(path: m.CampaignPath, body: m.StartIn) -> Response:
    """Send a draft now or at a moment, within every member's rules."""
    if body.at is not None and body.at.tzinfo is None:
        raise Invalid("Give the moment with its time zone: 2026-12-01T18:00:00-05:00.", field="at")
    schedule = Schedule.AT if body.at else Schedule.NOW
    campaigns.start(path.campaign_id, schedule=schedule, at=body.at, actor=g.actor)
    return _answer(_campaign(path.campaign_id))


@bp.post("/campaigns/<uuid:campaign_id>/pause", tags=[CAMPAIGNS], responses={"200": m.CampaignOut})
def pause_campaign(path: m.CampaignPath) -> Response:
    """Stop sending at once; what is not yet leaving stays."""
    campaigns.pause(path.campaign_id, actor=g.actor)
    return _answer(_campaign(path.campaign_id))


@bp.post("/campaigns/<uuid:campaign_id>/resume", tags=[CAMPAIGNS], responses={"200": m.CampaignOut})
def resume_campaign(path: m.CampaignPath) -> Response:
    """Go on after a pause."""
    campaigns.resume(path.campaign_id, actor=g.actor)
    return _answer(_campaign(path.campaign_id))


@bp.post("/campaigns/<uuid:campaign_id>/cancel", tags=[CAMPAIGNS], responses={"200": m.CampaignOut})
def cancel_campaign(path: m.CampaignPath) -> Response:
    """End a campaign: what has not begun to leave never will."""
    campaigns.cancel(path.campaign_id, actor=g.actor)
    return _answer(_campaign(path.campaign_id))


def _campaign(campaign_id: UUID) -> m.CampaignOut:
    with db.reading() as session:
        campaign = campaigns.get(session, campaign_id)
        done = campaigns.progress(session, campaign_id)
    return m.CampaignOut(
        id=campaign.id,
        name=campaign.name,
        kind=campaign.kind,
        state=campaign.state,
        audience=done.total,
        states=done.states,
        skipped=done.skipped,
        paused_reason=campaign.paused_reason,
        created_at=campaign.created_at,
    )
