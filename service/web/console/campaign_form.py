"""The form of a campaign: what may be chosen, what was typed, and the draft that it makes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from wtforms import HiddenField, RadioField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import Length
from wtforms.widgets import CheckboxInput, ListWidget

from service import config
from service.actions import access, campaigns
from service.actions import audience as audiences
from service.actions.campaigns import choosing
from service.actions.campaigns.choosing import Pick
from service.actions.resonance import prompts
from service.errors import Forbidden
from service.models.campaigns import Campaign, CampaignKind
from service.models.content import Prompt, Story, Tool
from service.models.gatherings import Circle, GroupSession
from service.models.members import ChannelName, Topic
from service.models.staff import Coordinator
from service.web.console import campaign_words as words
from service.web.forms import HearthForm
from service.web.times import local

LANGUAGES = tuple(words.LANGUAGES)
CONTENTS: tuple[tuple[ChannelName, str], ...] = tuple((c, language) for c in ChannelName for language in LANGUAGES)
SHORT_BODY, LONG_BODY = 4_000, 100_000
PROMPT_LABEL = 90
"""Letters of a prompt in its picker."""


class CampaignForm(HearthForm):
    """Everything about a campaign on one page."""

    was = HiddenField()
    """What the page knew the campaign to be about: a save by itself may have been quicker than the page."""
    name = StringField("Name", [Length(max=120, message="Use at most 120 letters.")])
    kind = RadioField("Kind", choices=[(k.value, k.value) for k in CampaignKind], validate_choice=False)
    story_id = SelectField("Story", validate_choice=False)
    tool_id = SelectField("Tool", validate_choice=False)
    prompt_id = SelectField("What is asked", validate_choice=False)
    session_id = SelectField("Session", validate_choice=False)
    topic = SelectField(
        "About",
        choices=[("", "Choose a topic"), *[(t.value, n) for t, n in words.TOPICS.items()]],
        validate_choice=False,
    )
    circle_id = SelectField("Circle", validate_choice=False)
    audience = RadioField(
        "Languages",
        choices=[("", "Everybody"), *[(code, f"Only those who read {name}") for code, name in words.LANGUAGES.items()]],
        validate_choice=False,
    )
    channels = SelectMultipleField(
        "Channels", choices=[("sms", "Text"), ("email", "Email")],
        option_widget=CheckboxInput(), widget=ListWidget(prefix_label=False),
    )  # fmt: skip
    sms_en_body = TextAreaField("Text in English", [Length(max=SHORT_BODY)])
    sms_es_body = TextAreaField("Text in Spanish", [Length(max=SHORT_BODY)])
    email_en_subject = StringField("Subject in English", [Length(max=200, message="Use at most 200 letters.")])
    email_en_body = TextAreaField("Email in English", [Length(max=LONG_BODY)])
    email_es_subject = StringField("Subject in Spanish", [Length(max=200, message="Use at most 200 letters.")])
    email_es_body = TextAreaField("Email in Spanish", [Length(max=LONG_BODY)])


@dataclass(frozen=True)
class Choices:
    """What the pickers offer to this coordinator."""

    stories: list[Pick]
    tools: list[Pick]
    prompts: list[Prompt]
    sessions: list[tuple[GroupSession, Circle]]
    circles: list[Circle]


def load_choices(session: Session, coordinator: Coordinator, campaign: Campaign) -> Choices:
    """Read what may be chosen; how many a story may still reach follows the campaign's audience."""
    story = campaign.kind == CampaignKind.STORY
    return Choices(
        stories=choosing.stories(session, audiences.of_campaign(campaign)) if story else [],
        tools=choosing.tools(session) if campaign.kind == CampaignKind.TOOL else [],
        prompts=prompts.ready(session) if campaign.kind == CampaignKind.PROMPT else [],
        sessions=choosing.sessions(session, coordinator) if campaign.kind == CampaignKind.INVITE else [],
        circles=choosing.circles(session, coordinator),
    )


def offer(form: CampaignForm, session: Session, coordinator: Coordinator, campaign: Campaign) -> None:
    """Fill the pickers. What is chosen already stays in its list even when it is offered no more."""
    found = load_choices(session, coordinator, campaign)
    stories = [(str(p.id), _story_label(p)) for p in found.stories]
    tools = [(str(p.id), f"{p.title} ({words.LANGUAGES.get(p.language, p.language)})") for p in found.tools]
    meetings = [(str(s.id), f"{local(s.starts_at)} · {s.title or c.name}") for s, c in found.sessions]
    circles = [(str(c.id), c.name) for c in found.circles]
    asked = [(str(p.id), _prompt_label(p)) for p in found.prompts]
    prompt = _chosen(session, Prompt, campaign.prompt_id)
    story, tool = _chosen(session, Story, campaign.story_id), _chosen(session, Tool, campaign.tool_id)
    meeting, circle = _chosen(session, GroupSession, campaign.session_id), _chosen(session, Circle, campaign.circle_id)
    form.story_id.choices = [("", "Choose a story"), *_with(stories, story, story and story.title)]
    form.tool_id.choices = [("", "Choose a tool"), *_with(tools, tool, tool and tool.title)]
    form.prompt_id.choices = [("", "Choose one"), *_with(asked, prompt, prompt and _prompt_label(prompt))]
    form.session_id.choices = [
        ("", "Choose a session"),
        *_with(meetings, meeting, meeting and local(meeting.starts_at)),
    ]
    everybody = [("", "Everybody who asked for this")] if access.sees_everything(coordinator) else []
    form.circle_id.choices = [*everybody, *_with(circles, circle, circle and circle.name)]


def _story_label(pick: Pick) -> str:
    about = f", about {pick.about}" if pick.about else ""
    language = words.LANGUAGES.get(pick.language, pick.language)
    return f"{pick.title}{about} ({language}; {words.count(pick.people or 0, 'person', 'people')} may still get it)"


def _prompt_label(prompt: Prompt) -> str:
    said = prompt.words("en") or prompt.words("es") or ""
    languages = " and ".join(words.LANGUAGES[language] for language in prompt.languages)
    return (
        f"“{shorten(said, PROMPT_LABEL, placeholder='…')}” ({languages}, from {'a member' if prompt.gift_id else 'us'})"
    )


def _chosen(session: Session, model: Any, chosen: UUID | None) -> Any:
    return session.get(model, chosen) if chosen else None


def _with(offered: list[tuple[str, str]], chosen: Any, label: str | None) -> list[tuple[str, str]]:
    if chosen is None or any(value == str(chosen.id) for value, _ in offered):
        return offered
    return [*offered, (str(chosen.id), f"{label} (no longer offered)")]


def filled(campaign: Campaign) -> CampaignForm:
    """The form with what the campaign holds."""
    return CampaignForm(
        formdata=None,
        data={
            "was": str(subject_id(campaign) or ""),
            "name": campaign.name,
            "kind": campaign.kind.value,
            "story_id": str(campaign.story_id or ""),
            "tool_id": str(campaign.tool_id or ""),
            "prompt_id": str(campaign.prompt_id or ""),
            "session_id": str(campaign.session_id or ""),
            "circle_id": str(campaign.circle_id or ""),
            "topic": campaign.topic.value if campaign.topic else "",
            "audience": _one_language(campaign),
            "channels": [c.value for c in campaign.channel_names],
            **{f"{c.channel}_{c.language}_body": c.body for c in campaign.contents},
            **{f"{c.channel}_{c.language}_subject": c.subject for c in campaign.contents},
        },
    )


def _one_language(campaign: Campaign) -> str:
    chosen = campaign.audience.get("languages", [])
    return str(chosen[0]) if len(chosen) == 1 else ""


def draft_of(form: CampaignForm, campaign: Campaign, session: Session, *, turn: bool) -> campaigns.Draft:
    """The draft that was typed. What belongs to another kind, and members chosen one by one, stay as they were.

    `turn` lets another kind take effect. What a campaign is about brings its name, circle and language along.
    """
    kind = (_enum(CampaignKind, form.kind.data) if turn else None) or campaign.kind
    contents = tuple(_contents(form))
    if kind != campaign.kind:
        contents = tuple(_turned(contents, campaign.kind, kind))
    typed = campaigns.Draft(
        name=form.name.data or "",
        kind=kind,
        channels=tuple(c for c in ChannelName if c.value in (form.channels.data or ())),
        contents=contents,
        topic=_enum(Topic, form.topic.data) if kind == CampaignKind.ANNOUNCEMENT else None,
        circle_id=_uuid(form.circle_id.data),
        session_id=_uuid(form.session_id.data) if kind == CampaignKind.INVITE else None,
        story_id=_uuid(form.story_id.data) if kind == CampaignKind.STORY else None,
        tool_id=_uuid(form.tool_id.data) if kind == CampaignKind.TOOL else None,
        prompt_id=_uuid(form.prompt_id.data) if kind == CampaignKind.PROMPT else None,
        languages=(form.audience.data,) if form.audience.data in LANGUAGES else (),
        member_ids=tuple(UUID(i) for i in campaign.audience.get("member_ids", ())),
    )
    return _following(session, campaign, typed, _uuid(form.was.data))


def _following(session: Session, campaign: Campaign, typed: campaigns.Draft, was: UUID | None) -> campaigns.Draft:
    """Where another story, tool, prompt or session was just chosen: its language, its circle and its title come along.

    Only what still follows the choice before (or was never chosen) moves; whatever somebody set stays.
    """
    after = _subject(session, typed.kind, subject_id(typed))
    before = _subject(session, typed.kind, was)
    if after is None or subject_id(typed) == was:
        return typed
    label, old = words.KINDS[typed.kind].label, before or Subject("", "", None)
    follows_name = typed.name in ("", label, words.KINDS[campaign.kind].label, f"{label}: {old.title}")
    follows_language = (typed.languages[0] if typed.languages else "") in ("", old.language)
    return replace(
        typed,
        name=(f"{label}: {after.title}" if after.title else label) if follows_name else typed.name,
        circle_id=after.circle_id if after.circle_id and typed.circle_id in (None, old.circle_id) else typed.circle_id,
        languages=((after.language,) if after.language else ()) if follows_language else typed.languages,
    )


@dataclass(frozen=True)
class Subject:
    """What a campaign is about, as far as the rest of it follows."""

    title: str
    """Empty for a prompt: a feeling may be taken back, and a name would keep its words."""
    language: str
    circle_id: UUID | None


def subject_id(campaign: Campaign | campaigns.Draft) -> UUID | None:
    """The story, tool, prompt or session that a campaign is about."""
    return campaign.story_id or campaign.tool_id or campaign.prompt_id or campaign.session_id


def _subject(session: Session, kind: CampaignKind, chosen: UUID | None) -> Subject | None:
    if chosen is None:
        return None
    if kind == CampaignKind.INVITE:
        meeting = session.get(GroupSession, chosen)
        title = f"{meeting.title or meeting.circle.name}, {local(meeting.starts_at)}" if meeting else ""
        return Subject(title, "", meeting.circle_id) if meeting else None
    if kind == CampaignKind.PROMPT:
        prompt = session.get(Prompt, chosen)
        return Subject("", prompt.languages[0] if len(prompt.languages) == 1 else "", None) if prompt else None
    content = session.get(Story, chosen) or session.get(Tool, chosen)
    return Subject(content.title, content.language, None) if content else None


def _contents(form: CampaignForm) -> Iterable[campaigns.ContentDraft]:
    for channel, language in CONTENTS:
        body = form[f"{channel}_{language}_body"].data or ""
        subject = (form[f"{channel}_{language}_subject"].data or "") if channel == ChannelName.EMAIL else ""
        yield campaigns.ContentDraft(channel, language, body.replace("\r\n", "\n"), subject)


def _turned(
    contents: Sequence[campaigns.ContentDraft], before: CampaignKind, after: CampaignKind
) -> Iterable[campaigns.ContentDraft]:
    """Words that nobody has touched become those of the new kind; what somebody wrote stays."""
    for content in contents:
        own = (content.subject.strip(), content.body.strip())
        if own in (campaigns.starter(before, content.channel, content.language), ("", "")):
            subject, body = campaigns.starter(after, content.channel, content.language)
            yield campaigns.ContentDraft(content.channel, content.language, body, subject)
        else:
            yield content


def first_draft(
    session: Session, coordinator: Coordinator, kind: CampaignKind, prompt: Prompt | None = None
) -> campaigns.Draft:
    """What a new campaign of a kind begins with, a prompt to ask perhaps.

    Raises Forbidden for a circle coordinator without a circle, or for a prompt.
    """
    require_may_compose(coordinator, kind)
    circles = [] if access.sees_everything(coordinator) else choosing.circles(session, coordinator)
    if not circles and not access.sees_everything(coordinator):
        raise Forbidden("You look after no circle yet. An administrator can give you one; then you can send to it.")
    contents = []
    for channel, language in CONTENTS:
        subject, body = campaigns.starter(kind, channel, language)
        contents.append(campaigns.ContentDraft(channel, language, body, subject))
    return campaigns.Draft(
        name=words.KINDS[kind].label,
        kind=kind,
        channels=tuple(ChannelName(c) for c in config.current().enabled_channels),
        contents=tuple(contents),
        circle_id=circles[0].id if circles else None,
        prompt_id=prompt.id if prompt else None,
        languages=prompt.languages if prompt and len(prompt.languages) == 1 else (),
    )


def kinds_for(coordinator: Coordinator) -> dict[CampaignKind, words.Kind]:
    """The kinds that a coordinator can begin: not a prompt for one of a circle, for there is one line for everybody."""
    whole = access.sees_everything(coordinator)
    return {kind: about for kind, about in words.KINDS.items() if whole or kind != CampaignKind.PROMPT}


def require_may_compose(coordinator: Coordinator, kind: CampaignKind) -> None:
    """Raise Forbidden for a kind that is not theirs to begin."""
    if kind not in kinds_for(coordinator):
        raise Forbidden("Prompts go to everybody: ask a coordinator who sees all circles.")


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(str(value)) if value else None
    except ValueError:
        return None


def _enum(kind: Any, value: Any) -> Any:
    try:
        return kind(value) if value else None
    except ValueError:
        return None
