"""Composing a campaign: what is typed is kept, what is wrong is named beside its field, and nothing that cannot be
rendered for everybody leaves for anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from service import clock, config, db
from service.actions import audience as audiences
from service.actions import audit, outbox
from service.actions.delivery import writing
from service.channels import email, render
from service.channels.segments import Measure, estimate_cost, measure, suggest
from service.errors import Conflict, Invalid, NotFound
from service.models.campaigns import (
    Campaign,
    CampaignContent,
    CampaignKind,
    CampaignState,
    Purpose,
)
from service.models.content import Story, StoryState, Tool
from service.models.gatherings import GroupSession
from service.models.members import ChannelName, Member, Topic
from service.models.staff import Coordinator

STORY_SEGMENTS = 3
"""A story by text is complete within three segments, without a link."""
NEEDS: dict[str, str] = {
    "session_day": "session_id", "session_time": "session_id", "session_place": "session_id",
    "rsvp_yes_url": "session_id", "rsvp_no_url": "session_id", "rsvp_maybe_url": "session_id",
    "story_title": "story_id", "story_body": "story_id", "story_about": "story_id", "story_url": "story_id",
    "tool_title": "tool_id", "tool_body": "tool_id", "circle_name": "circle_id",
}  # fmt: skip
"""Merge fields that only have a value once the campaign names a session, a story, a tool or a circle."""


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
    now = clock.now()
    with db.transaction() as session:
        campaign = Campaign(id=db.uuid7(), created_by=coordinator_id, created_at=now, updated_at=now)
        _apply(campaign, draft)
        session.add(campaign)
        session.flush()
        audit.record(session, actor, "campaign.create", campaign)
        return campaign.id


def update(campaign_id: UUID, draft: Draft, *, actor: str = "system") -> None:
    """Keep what was typed. Raises Conflict once the campaign has left the drafts."""
    with db.transaction() as session:
        campaign = get(session, campaign_id, lock=True)
        if campaign.state != CampaignState.DRAFT:
            raise Conflict("This campaign is on its way and can no longer be edited. Copy it to change it.")
        _apply(campaign, draft)
        campaign.updated_at = clock.now()
        audit.record(session, actor, "campaign.update", campaign)


def _apply(campaign: Campaign, draft: Draft) -> None:
    campaign.name = draft.name.strip()[:120] or draft.kind.title()
    campaign.kind = draft.kind
    campaign.topic = audiences.TOPIC_OF[draft.kind] or draft.topic or (Topic.CIRCLE if draft.circle_id else None)
    campaign.channels = ",".join(draft.channels)
    campaign.circle_id, campaign.session_id = draft.circle_id, draft.session_id
    campaign.story_id, campaign.tool_id = draft.story_id, draft.tool_id
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


def copy(campaign_id: UUID, *, coordinator_id: UUID | None = None, actor: str = "system") -> UUID:
    """A new draft with the same words and audience; returns its id."""
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


def problems(session: Session, campaign: Campaign) -> list[Problem]:
    """Everything that must be mended before this campaign can be sent; empty when it can be."""
    found = _missing(session, campaign)
    for content in campaign.contents:
        if content.channel not in campaign.channel_names:
            continue
        found += _content_problems(session, campaign, content)
    return found


def field_name(content: CampaignContent | ContentDraft, part: str = "body") -> str:
    """The name of a content's form field: `sms_en_body`."""
    return f"{content.channel}_{content.language}_{part}"


def _missing(session: Session, campaign: Campaign) -> list[Problem]:
    found = []
    if not campaign.channel_names:
        found.append(Problem("channels", "Choose at least one channel: texts, email or both."))
    for channel in campaign.channel_names:
        if channel not in config.current().enabled_channels:
            found.append(Problem("channels", f"This installation does not send by {channel}. Choose another channel."))
        if not any(c.channel == channel for c in campaign.contents):
            found.append(
                Problem(f"{channel}_en_body", "Write the message for this channel, or switch the channel off.")
            )
    if campaign.kind == CampaignKind.ANNOUNCEMENT and campaign.topic is None:
        found.append(
            Problem("topic", "Choose a topic or a circle: an announcement goes only to people who asked for it.")
        )
    if campaign.kind == CampaignKind.STORY and campaign.story_id:
        story = session.get(Story, campaign.story_id)
        if story is None or story.state != StoryState.PUBLISHED:
            found.append(Problem("story_id", "This story is not published, so it cannot be sent. Choose another one."))
    if campaign.tool_id:
        tool = session.get(Tool, campaign.tool_id)
        if tool is None or tool.review_by < clock.now().date():
            found.append(Problem("tool_id", "This tool is past its review date. Have it reviewed, or choose another."))
    if campaign.session_id:
        meeting = session.get(GroupSession, campaign.session_id)
        if meeting is None or meeting.starts_at <= clock.now():
            found.append(Problem("session_id", "This session has begun already. Choose one that is still to come."))
    return found


def _content_problems(session: Session, campaign: Campaign, content: CampaignContent) -> list[Problem]:
    found = []
    for part, source in (("body", content.body), ("subject", content.subject)):
        name = field_name(content, part)
        template_problems = render.check(source)
        found += [Problem(name, p.message) for p in template_problems]
        if not template_problems:
            found += _unfilled(campaign, source, name)
    if content.channel == ChannelName.EMAIL and not content.subject.strip():
        found.append(Problem(field_name(content, "subject"), "Write a subject, so that people know what this is."))
    if not found:
        found += _trial(session, campaign, content)
    return found


def _unfilled(campaign: Campaign, source: str, name: str) -> list[Problem]:
    labels = {"session_id": "session", "story_id": "story", "tool_id": "tool", "circle_id": "circle"}
    found = []
    for used in sorted(writing.fields_of(source)):
        needs = NEEDS.get(used)
        has_circle = needs == "circle_id" and campaign.session_id
        if needs and getattr(campaign, needs) is None and not has_circle:
            found.append(
                Problem(name, f"{{{{ {used} }}}} has no value here: choose a {labels[needs]} for this campaign.")
            )
    return found


def _trial(session: Session, campaign: Campaign, content: CampaignContent) -> list[Problem]:
    """Render for a few members who would get it: what fails now would fail for them."""
    pack = writing.load_pack(session, campaign.id)
    members = audiences.sample(session, audiences.of_campaign(campaign), limit=10)
    for reader in [reader_of(m) for m in members] or [EXAMPLE]:
        try:
            rendered = rendered_for(pack, reader, content.channel)
        except Invalid as error:
            return [
                Problem(field_name(content), f"It cannot be written for {reader.first_name or 'a member'}: {error}")
            ]
        if campaign.kind == CampaignKind.STORY and rendered.measure and rendered.measure.segments > STORY_SEGMENTS:
            return [
                Problem(
                    field_name(content),
                    f"A story by text is at most {STORY_SEGMENTS} segments, complete without a link; this is "
                    f"{rendered.measure.segments}. Shorten it, or send it by email only.",
                )
            ]
    return []


EXAMPLE = writing.Reader(None, "Ana", "en", "UTC", "")
"""Stands in for a member where nobody is in the audience yet."""


def reader_of(member: Member) -> writing.Reader:
    """Whom a member is to the templates."""
    return writing.Reader(
        member.id, member.first_name, member.locale, member.time_zone, member.country, member.discreet
    )


@dataclass(frozen=True)
class Rendered:
    """One message as one reader gets it. `html` is for an isolated frame; `measure` only for texts."""

    channel: ChannelName
    subject: str
    text: str
    html: str = ""
    measure: Measure | None = None
    plain: str | None = None
    """The text with plain quotes and dashes, where that alone makes it cheaper."""
    cost: Decimal | None = None
    """US dollars, an estimate."""


def rendered_for(pack: writing.Pack, reader: writing.Reader, channel: ChannelName) -> Rendered:
    """A campaign's message as this reader would get it. Raises render.Invalid (TemplateInvalid, MissingValue)."""
    if channel == ChannelName.SMS:
        body = writing.text_body(pack, reader, introduced_at=clock.now())
        size = measure(body)
        return Rendered(
            channel, "", body, measure=size, plain=suggest(body), cost=estimate_cost(size.segments, reader.country)
        )
    compiled = writing.compiled(pack, reader.language, reader.discreet)
    content = pack.content(channel, reader.language)
    fields = writing.fields_of(content.body) | writing.fields_of(content.subject) | writing.URL_FIELDS
    subject, text, html = email.render_email(compiled, writing.context(pack, reader, channel, fields))
    return Rendered(channel, subject, text, html)


def previews(session: Session, campaign: Campaign, member_id: UUID | None) -> list[Rendered | Problem]:
    """What a member (None: an example reader) would get on each channel, or what keeps it from being written."""
    member = session.get(Member, member_id) if member_id else None
    reader = reader_of(member) if member else EXAMPLE
    pack = writing.load_pack(session, campaign.id)
    found: list[Rendered | Problem] = []
    for channel in campaign.channel_names:
        if not any(c.channel == channel for c in campaign.contents):
            continue
        try:
            found.append(rendered_for(pack, reader, channel))
        except Invalid as error:
            found.append(Problem(f"{channel}_{reader.language}_body", error.message))
    return found


def send_test(campaign_id: UUID, coordinator: Coordinator) -> list[ChannelName]:
    """Send the campaign, as an example reader gets it, to the coordinator; returns the channels used.

    Raises Invalid with what keeps it from being written.
    """
    used: list[ChannelName] = []
    with db.transaction() as session:
        campaign = get(session, campaign_id)
        pack = writing.load_pack(session, campaign_id)
        name = coordinator.name.split()[0]
        reader = writing.Reader(None, name, _language(campaign), coordinator.time_zone, "")
        targets: Sequence[tuple[ChannelName, str | None]] = (
            (ChannelName.SMS, coordinator.phone),
            (ChannelName.EMAIL, coordinator.email),
        )
        for channel, to in targets:
            if channel not in campaign.channel_names or not to:
                continue
            if not any(c.channel == channel for c in campaign.contents):
                continue
            rendered = rendered_for(pack, reader, channel)
            body = rendered.text if channel == ChannelName.SMS else _body_for_test(pack, reader)
            outbox.write_to(session, channel, to, body, subject=rendered.subject, purpose=Purpose.TEST)
            used.append(channel)
        audit.record(session, str(coordinator.id), "campaign.test", campaign)
    if not used:
        raise Invalid("There is nothing to send yet, or your own phone and email are missing in Settings.")
    return used


def _body_for_test(pack: writing.Pack, reader: writing.Reader) -> str:
    """The Markdown of the email with the fields filled in; the layout is added when it leaves."""
    source = pack.content(ChannelName.EMAIL, reader.language).body
    return render.render_text(source, writing.context(pack, reader, ChannelName.EMAIL, writing.fields_of(source)))


def _language(campaign: Campaign) -> str:
    return campaign.contents[0].language if campaign.contents else "en"


def estimate(session: Session, campaign: Campaign, summary: audiences.Summary) -> Decimal:
    """About what the texts of a campaign will cost, in US dollars, from a sample of its audience."""
    count = summary.by_channel.get(ChannelName.SMS, 0)
    if not count or not any(c.channel == ChannelName.SMS for c in campaign.contents):
        return Decimal(0)
    pack = writing.load_pack(session, campaign.id)
    costs: list[Decimal] = []
    for member in audiences.sample(session, audiences.of_campaign(campaign)):
        try:
            rendered = rendered_for(pack, reader_of(member), ChannelName.SMS)
        except Invalid:
            continue
        costs.append(rendered.cost or Decimal(0))
    return (sum(costs, Decimal(0)) / len(costs) * count) if costs else Decimal(0)


def starter(kind: CampaignKind, channel: ChannelName, language: str) -> tuple[str, str]:
    """(subject, body) that a new campaign of a kind begins with: words that can be sent as they are."""
    for lang in (language, "en"):
        path = config.TEMPLATES / "starters" / f"{kind}.{channel}.{lang}.md"
        if path.exists():
            subject, mark, body = path.read_text("utf-8").partition("\n---\n")
            return (subject.strip(), body.strip()) if mark else ("", subject.strip())
    return "", ""
