"""What keeps a campaign from being sent: found before the first message leaves, and named beside its field."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock, config
from service.actions import audience as audiences
from service.actions import tools
from service.actions.campaigns.compose import Problem, field_name
from service.actions.campaigns.trying import example, introduced, reader_of, recipients, rendered_for
from service.actions.delivery import writing
from service.actions.resonance import prompts
from service.channels import render
from service.errors import Invalid
from service.models.campaigns import Campaign, CampaignContent, CampaignKind
from service.models.content import Prompt, Story, StoryState, Tool
from service.models.gatherings import GroupSession, SessionState
from service.models.members import ChannelName, Member

STORY_SEGMENTS = 3
"""A story by text is complete within three segments, without a link."""
TRIED = 5
"""Members of each sort for whom every text is written on trial."""
NEEDS: dict[str, str] = {
    "session_day": "session_id", "session_time": "session_id", "session_place": "session_id",
    "rsvp_yes_url": "session_id", "rsvp_no_url": "session_id", "rsvp_maybe_url": "session_id",
    "story_title": "story_id", "story_body": "story_id", "story_about": "story_id", "story_url": "story_id",
    "tool_title": "tool_id", "tool_body": "tool_id", "prompt_body": "prompt_id", "circle_name": "circle_id",
    "gift_words": "gift_id",
}  # fmt: skip
"""Merge fields that only have a value once the campaign names a session, a story, a tool or a circle."""
OFFERED: dict[CampaignKind, tuple[str, ...]] = {
    CampaignKind.STORY: ("story_id", "circle_id"),
    CampaignKind.TOOL: ("tool_id", "circle_id"),
    CampaignKind.PROMPT: ("prompt_id", "circle_id"),
    CampaignKind.INVITE: ("session_id", "circle_id"),
    CampaignKind.CHECKIN: ("circle_id",),
    CampaignKind.ANNOUNCEMENT: ("circle_id",),
}
"""What a campaign of a kind may name; a field that needs anything else has no place in its words."""
_LABELS = {
    "session_id": "session",
    "story_id": "story",
    "prompt_id": "prompt",
    "tool_id": "tool",
    "circle_id": "circle",
    "gift_id": "note",
}
_LANGUAGES = {"en": "English", "es": "Spanish"}
_BY = {ChannelName.SMS: "text", ChannelName.EMAIL: "email"}


def problems(session: Session, campaign: Campaign) -> list[Problem]:
    """Everything that must be mended before this campaign can be sent; empty when it can be."""
    found = _channels(campaign) + _audience(campaign) + _story(session, campaign)
    found += _tool(session, campaign) + _session(session, campaign) + _prompt(session, campaign)
    for content in sorted(campaign.contents, key=lambda c: (c.channel, c.language)):
        if content.channel in campaign.channel_names:
            found += _content(session, campaign, content)
    return list(dict.fromkeys(found))


def _channels(campaign: Campaign) -> list[Problem]:
    if not campaign.channel_names:
        return [Problem("channels", "Choose at least one channel: texts, email or both.")]
    found = []
    for channel in campaign.channel_names:
        if channel not in config.current().enabled_channels:
            found.append(Problem("channels", f"This installation does not send by {_BY[channel]}. Switch it off here."))
        if not any(c.channel == channel for c in campaign.contents):
            found.append(Problem(f"{channel}_en_body", f"Write the {_BY[channel]}, or switch this channel off."))
    return found


def _audience(campaign: Campaign) -> list[Problem]:
    if campaign.kind == CampaignKind.ANNOUNCEMENT and campaign.topic is None:
        words = "Choose a topic or a circle: an announcement goes only to people who asked for it."
        return [Problem("topic", words)]
    return []


def _story(session: Session, campaign: Campaign) -> list[Problem]:
    if campaign.story_id is None:
        return []
    story = session.get(Story, campaign.story_id)
    if story is None or story.state != StoryState.PUBLISHED:
        return [Problem("story_id", "This story is not published, so it cannot be sent. Choose another one.")]
    if story.consent_until and story.consent_until < clock.now().date():
        return [
            Problem("story_id", "Its author agreed to this story only until a day that has passed. Choose another.")
        ]
    agreed = {ChannelName.SMS: story.consent_sms, ChannelName.EMAIL: story.consent_email}
    return [
        Problem("channels", f"The author of this story has not agreed to {_BY[channel]}s. Switch that channel off.")
        for channel in campaign.channel_names
        if not agreed[channel]
    ]


def _tool(session: Session, campaign: Campaign) -> list[Problem]:
    if campaign.tool_id is None:
        return []
    if tools.is_over(session.get(Tool, campaign.tool_id)):
        return [Problem("tool_id", "This tool is past its review date. Have it reviewed, or choose another.")]
    return []


def _prompt(session: Session, campaign: Campaign) -> list[Problem]:
    """A prompt is asked once, while its author is at ease, and of nobody whose language it has no words in."""
    if campaign.kind != CampaignKind.PROMPT:
        return []
    found = [
        Problem(field_name(content), "These words do not say what is asked: {{ prompt_body }} stands for it.")
        for content in campaign.contents
        if content.channel in campaign.channel_names
        and not render.check(content.body)
        and "prompt_body" not in writing.fields_of(content.body)
    ]
    prompt = session.get(Prompt, campaign.prompt_id) if campaign.prompt_id else None
    if prompt is None:
        return found
    if reason := prompts.not_now(session, prompt, besides=campaign.id):
        found.append(Problem("prompt_id", reason))
    chosen = campaign.audience.get("languages") or list(_LANGUAGES)
    if missing := [_LANGUAGES[code] for code in chosen if code in _LANGUAGES and code not in prompt.languages]:
        other = missing[0]
        words = f"It has no words in {other}. Choose only those who read the other, or say it in {other} first."
        found.append(Problem("audience", words))
    return found


def _session(session: Session, campaign: Campaign) -> list[Problem]:
    if campaign.session_id is None:
        return []
    meeting = session.get(GroupSession, campaign.session_id)
    if meeting is None or meeting.starts_at <= clock.now():
        return [Problem("session_id", "This session has begun already. Choose one that is still to come.")]
    if meeting.state == SessionState.CANCELLED:
        return [Problem("session_id", "This session was cancelled. Choose another one.")]
    return []


def _content(session: Session, campaign: Campaign, content: CampaignContent) -> list[Problem]:
    found = []
    for part, source in (("body", content.body), ("subject", content.subject)):
        name = field_name(content, part)
        wrong = render.check(source)
        found += [Problem(name, p.message) for p in wrong] if wrong else _unfilled(campaign, source, name)
    if not content.body.strip():
        found.append(Problem(field_name(content), f"Write the {_BY[content.channel]}; there is only a subject yet."))
    if content.channel == ChannelName.EMAIL and not content.subject.strip():
        found.append(Problem(field_name(content, "subject"), "Write a subject, so that people know what this is."))
    if _unwelcome_me_too(session, campaign, content):
        found.append(Problem(field_name(content), "This story takes no ME TOO: take the line that invites one out."))
    return found or _trial(session, campaign, content)


def _unwelcome_me_too(session: Session, campaign: Campaign, content: CampaignContent) -> bool:
    """No ME TOO on a story of suicide or assault (rule of conversation 12)."""
    story = session.get(Story, campaign.story_id) if campaign.story_id else None
    return story is not None and not story.me_too_allowed and writing.invites_me_too(content.body.upper())


def _unfilled(campaign: Campaign, source: str, name: str) -> list[Problem]:
    """Fields without a value in this campaign. A field with something to say instead needs none."""
    found = []
    for used in sorted(writing.fields_of(source)):
        needs = NEEDS.get(used)
        has_circle = needs == "circle_id" and campaign.session_id
        if needs is None or getattr(campaign, needs) is not None or has_circle or _has_fallback(source, used):
            continue
        shown = f"{{{{ {used} }}}}"
        if needs in OFFERED[campaign.kind]:
            found.append(Problem(needs, f"Choose a {_LABELS[needs]}: the words speak of {shown}."))
        else:
            words = f"{shown} has no value here: a campaign of this kind has no {_LABELS[needs]}. Take it out."
            found.append(Problem(name, words))
    return found


def _has_fallback(source: str, used: str) -> bool:
    """Whether the words can be written without this field: `{{ circle_name or "our group" }}`."""
    try:
        render.render_text(source, {name: value for name, value in render.EXAMPLES.items() if name != used})
    except render.MissingValue:
        return False
    return True


def _trial(session: Session, campaign: Campaign, content: CampaignContent) -> list[Problem]:
    """Write it for a few members of every sort who would get it: what fails now would fail for them."""
    pack = writing.load_pack(session, campaign.id)
    tried = [
        (member.first_name, reader_of(member), introduced(member, content.channel))
        for member in _sorts(session, campaign, content)
        if pack.content(content.channel, member.language).id == content.id
    ]
    for name, reader, at in tried or [("a member", example(content.language), clock.now())]:
        try:
            rendered = rendered_for(pack, reader, content.channel, at)
        except Invalid as error:
            whom = name or "members who have not told us their name"
            return [Problem(field_name(content), f"It cannot be written for {whom}: {error}")]
        if campaign.kind == CampaignKind.STORY and rendered.measure and rendered.measure.segments > STORY_SEGMENTS:
            return [Problem(field_name(content), _too_long(rendered.measure.segments))]
    return []


def _too_long(segments: int) -> str:
    return (
        f"A story by text is at most {STORY_SEGMENTS} segments, complete without a link; this is {segments}. "
        "Shorten it, or send it by email only."
    )


def _sorts(session: Session, campaign: Campaign, content: CampaignContent) -> Sequence[Member]:
    """A few recipients of each sort whose texts differ: of this language, discreet, without a name."""
    audience = audiences.of_campaign(campaign)
    found: dict[UUID, Member] = {}
    for sort in (Member.locale.like(f"{content.language}%"), Member.discreet.is_(True), Member.first_name == ""):
        found |= {m.id: m for m in recipients(session, audience, content.channel, sort, limit=TRIED)}
    return list(found.values())
