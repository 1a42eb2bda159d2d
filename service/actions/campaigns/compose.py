"""Composing a campaign: what is typed is kept, however unfinished, and nothing is sent from here."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from service import clock, config, db
from service.actions import audience as audiences
from service.actions import audit
from service.errors import Conflict, Invalid, NotFound
from service.models.campaigns import Campaign, CampaignContent, CampaignKind, CampaignState
from service.models.content import Prompt, Story, Tool
from service.models.gatherings import Circle, GroupSession
from service.models.members import ChannelName, Topic


@dataclass(frozen=True)
class ContentDraft:
    """What a campaign says on one channel in one language, as typed."""

    channel: ChannelName
    language: str
    body: str
    subject: str = ""


@dataclass(frozen=True)
class Draft:
    """A campaign as composed. `contents` replaces what was there."""

    name: str
    kind: CampaignKind
    channels: tuple[ChannelName, ...]
    contents: tuple[ContentDraft, ...] = ()
    topic: Topic | None = None
    circle_id: UUID | None = None
    session_id: UUID | None = None
    story_id: UUID | None = None
    tool_id: UUID | None = None
    prompt_id: UUID | None = None
    languages: tuple[str, ...] = ()
    member_ids: tuple[UUID, ...] = field(default=())


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a campaign from being sent, beside the field where it can be mended."""

    field: str
    message: str


def get(session: Session, campaign_id: UUID, *, lock: bool = False) -> Campaign:
    """The campaign with its contents. Raises NotFound. `lock` keeps others from changing it meanwhile."""
    statement = select(Campaign).where(Campaign.id == campaign_id).options(selectinload(Campaign.contents))
    if lock and not db.current().is_sqlite:
        statement = statement.with_for_update()
    campaign = session.scalars(statement).one_or_none()
    if campaign is None:
        raise NotFound("There is no such campaign. It may have been deleted.")
    return campaign


def create(draft: Draft, *, coordinator_id: UUID | None = None, actor: str = "system") -> UUID:
    """Keep a new draft, however unfinished, and return its id."""
    with db.transaction() as session:
        return add(session, draft, coordinator_id=coordinator_id, actor=actor).id


def add(session: Session, draft: Draft, *, coordinator_id: UUID | None = None, actor: str = "system") -> Campaign:
    """The same in the caller's transaction."""
    now = clock.now()
    campaign = Campaign(id=db.uuid7(), created_by=coordinator_id, created_at=now, updated_at=now)
    _require_known(session, draft)
    _apply(campaign, draft)
    session.add(campaign)
    session.flush()
    audit.record(session, actor, "campaign.create", campaign)
    return campaign


def update(campaign_id: UUID, draft: Draft, *, actor: str = "system", noted: bool = True) -> None:
    """Keep what was typed. Raises Conflict once the campaign has left the drafts.

    `noted` is False where a page saves by itself while somebody types: that is no act of its own for the audit trail.
    """
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.state != CampaignState.DRAFT:
            raise Conflict("This campaign is on its way and can no longer be edited. Copy it to change it.")
        _require_known(session, draft)
        _apply(campaign, draft)
        campaign.updated_at = clock.now()
        if noted:
            audit.record(session, actor, "campaign.update", campaign)


def _apply(campaign: Campaign, draft: Draft) -> None:
    campaign.name = draft.name.strip()[:120] or draft.kind.title()
    campaign.kind = draft.kind
    campaign.topic = audiences.TOPIC_OF[draft.kind] or draft.topic or (Topic.CIRCLE if draft.circle_id else None)
    campaign.channels = ",".join(draft.channels)
    campaign.circle_id, campaign.session_id = draft.circle_id, draft.session_id
    campaign.story_id, campaign.tool_id, campaign.prompt_id = draft.story_id, draft.tool_id, draft.prompt_id
    campaign.audience = {"languages": list(draft.languages), "member_ids": [str(i) for i in draft.member_ids]}
    kept = {(c.channel, c.language): c for c in campaign.contents}
    campaign.contents = []
    for content in draft.contents:
        if not content.body.strip() and not content.subject.strip():
            continue
        row = kept.get((content.channel, content.language)) or CampaignContent(
            id=db.uuid7(), channel=content.channel, language=content.language
        )
        row.subject, row.body = content.subject.strip()[:200], content.body.strip()
        campaign.contents.append(row)


def _require_known(session: Session, draft: Draft) -> None:
    """Raise Invalid where a draft names something that is not there, or the same words twice."""
    named: tuple[tuple[str, type[db.Base], UUID | None], ...] = (
        ("circle_id", Circle, draft.circle_id),
        ("session_id", GroupSession, draft.session_id),
        ("story_id", Story, draft.story_id),
        ("tool_id", Tool, draft.tool_id),
        ("prompt_id", Prompt, draft.prompt_id),
    )
    for name, model, id_ in named:
        if id_ is not None and session.get(model, id_) is None:
            raise Invalid(f"There is no such {name.removesuffix('_id')}. Choose another one.", field=name)
    places = [(content.channel, content.language) for content in draft.contents]
    if len(set(places)) < len(places):
        raise Invalid("Give the words for each channel and language once.", field="contents")


def copy(campaign_id: UUID, *, coordinator_id: UUID | None = None, actor: str = "system") -> UUID:
    """A new draft with the same words and audience; returns its id. A prompt is asked once: the copy has none yet."""
    now = clock.now()
    with db.transaction() as session:
        old = get(session, campaign_id)
        new = Campaign(
            id=db.uuid7(), name=f"{old.name} (copy)"[:120], kind=old.kind, topic=old.topic, channels=old.channels,
            audience=old.audience, circle_id=old.circle_id, session_id=old.session_id, story_id=old.story_id,
            tool_id=old.tool_id, created_by=coordinator_id, created_at=now, updated_at=now,
        )  # fmt: skip
        new.contents = [
            CampaignContent(id=db.uuid7(), channel=c.channel, language=c.language, subject=c.subject, body=c.body)
            for c in old.contents
        ]
        session.add(new)
        session.flush()
        audit.record(session, actor, "campaign.copy", new)
        return new.id


def field_name(content: CampaignContent | ContentDraft, part: str = "body") -> str:
    """The name of a content's form field: `sms_en_body`."""
    return f"{content.channel}_{content.language}_{part}"


def starter(kind: CampaignKind, channel: ChannelName, language: str) -> tuple[str, str]:
    """(subject, body) that a new campaign of a kind begins with: words that can be sent as they are."""
    for lang in (language, "en"):
        path = config.TEMPLATES / "starters" / f"{kind}.{channel}.{lang}.md"
        if path.exists():
            subject, mark, body = path.read_text("utf-8").partition("\n---\n")
            return (subject.strip(), body.strip()) if mark else ("", subject.strip())
    return "", ""
