"""Turning claimed deliveries into what a provider sends: the campaign's words, each member's fields, required lines.

A campaign's templates and content are loaded once per drain; only what differs between members is made per message.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from jinja2 import meta
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from service import clock, config, links
from service.actions import member_links, outbox, times
from service.actions.delivery.claims import Claimed
from service.actions.giving import week
from service.actions.outbox import NEUTRAL
from service.channels import render
from service.channels.base import Text
from service.models.campaigns import Campaign, CampaignContent, CampaignKind
from service.models.content import Prompt, Story, Tool
from service.models.conversations import Message
from service.models.gatherings import Circle, GroupSession
from service.models.giving import Gift
from service.models.members import ChannelName
from service.models.staff import Coordinator

if TYPE_CHECKING:  # what emails need is a lot of memory, and a worker of texts never needs it
    from service.channels.email import CompiledEmail

STOP_LINE_EVERY = timedelta(days=28)
"""A text says how to stop on the first, and again when it has not for this long."""
_WORD = re.compile(r"\w+")
URL_FIELDS = frozenset(
    ["preferences_url", "unsubscribe_url", "rsvp_yes_url", "rsvp_no_url", "rsvp_maybe_url", "story_url", "me_too_url"]
)


@dataclass
class Pack:
    """One campaign with everything that its messages speak of."""

    campaign: Campaign
    contents: dict[tuple[ChannelName, str], CampaignContent]
    circle: Circle | None = None
    session: GroupSession | None = None
    story: Story | None = None
    prompt: Prompt | None = None
    tool: Tool | None = None
    gift: Gift | None = None
    coordinator_name: str = ""
    growth: dict[tuple[ChannelName, str], str] = field(default_factory=dict)
    """What a circle's week tells of its members' steps, by channel and language."""
    compiled: dict[tuple[UUID, bool], "CompiledEmail"] = field(default_factory=dict)
    """Emails that were compiled already, by content and whether they are discreet."""

    def content(self, channel: ChannelName, language: str) -> CampaignContent:
        """The words for a channel, in the member's language where they exist, else in the one that does."""
        exact = self.contents.get((channel, language)) or self.contents.get((channel, "en"))
        return exact or next(c for (ch, _), c in sorted(self.contents.items()) if ch == channel)


def load_pack(session: Session, campaign_id: UUID) -> Pack:
    """Read a campaign and all that it refers to."""
    campaign = session.scalars(
        select(Campaign).where(Campaign.id == campaign_id).options(selectinload(Campaign.contents))
    ).one()
    meeting = session.get(GroupSession, campaign.session_id) if campaign.session_id else None
    circle_id = campaign.circle_id or (meeting.circle_id if meeting else None)
    author = session.get(Coordinator, campaign.created_by) if campaign.created_by else None
    pack = Pack(
        campaign=campaign,
        contents={(c.channel, c.language): c for c in campaign.contents},
        circle=session.get(Circle, circle_id) if circle_id else None,
        session=meeting,
        story=session.get(Story, campaign.story_id) if campaign.story_id else None,
        prompt=session.get(Prompt, campaign.prompt_id) if campaign.prompt_id else None,
        tool=session.get(Tool, campaign.tool_id) if campaign.tool_id else None,
        gift=session.get(Gift, campaign.gift_id) if campaign.gift_id else None,
        coordinator_name=author.name.split()[0] if author else "",
    )
    if circle_id and any(week.FIELD in fields_of(content.body) for content in campaign.contents):
        pack.growth = week.words(session, circle_id, campaign.id, _around(pack))
    return pack


def _around(pack: Pack) -> dict[str, str]:
    """By language, a text of this campaign with the longest line that may follow it, and nothing in place of growth."""
    around = {}
    for language in week.LANGUAGES:
        reader = Reader(None, "", language, "UTC", "")
        pack.growth = dict.fromkeys([(ChannelName.SMS, language)], "")
        long_ago = clock.now() - 2 * STOP_LINE_EVERY
        around[language] = text_body(pack, reader, long_ago)
    return around


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever a message is written for: a member, or a coordinator who previews or tests."""

    member_id: UUID | None
    first_name: str
    locale: str
    time_zone: str
    country: str
    discreet: bool = False

    @property
    def language(self) -> str:
        """`en` or `es`."""
        return self.locale.split("-")[0].lower()


@lru_cache(maxsize=2048)
def fields_of(source: str) -> frozenset[str]:
    """The merge fields that a template uses."""
    return frozenset(meta.find_undeclared_variables(render.TEXT.parse(source)))


def context(pack: Pack, reader: Reader, channel: ChannelName, fields: Iterable[str]) -> dict[str, str | None]:
    """The values of the merge fields for one reader; signed links are made only where a template uses them."""
    neutral = NEUTRAL.get(reader.language, NEUTRAL["en"])
    hide = reader.discreet and channel == ChannelName.SMS
    values: dict[str, str | None] = {
        "first_name": reader.first_name,
        "org_name": neutral["sender"] if hide else config.current().org_name,
        "coordinator_name": pack.coordinator_name,
        "circle_name": (neutral["circle"] if hide else pack.circle.name) if pack.circle else None,
    }
    if pack.growth:
        spoken = "es" if reader.language == "es" else "en"
        # Others' words on a phone that may be overlooked would tell what this is about.
        values[week.FIELD] = "" if hide else pack.growth.get((channel, spoken), "")
    if pack.story:
        on_sms = channel == ChannelName.SMS
        values |= {
            "story_title": neutral["title"] if hide else pack.story.title,
            "story_about": None if hide else pack.story.about,
            "story_body": pack.story.body_sms if on_sms else pack.story.body_email,
        }
    if pack.prompt:
        values["prompt_body"] = pack.prompt.words(reader.language) or pack.prompt.words(pack.prompt.languages[0])
    if pack.tool:
        values |= {
            "tool_title": pack.tool.title,
            "tool_body": pack.tool.body_sms if channel == ChannelName.SMS else pack.tool.body_email,
        }
    if pack.gift:
        values["gift_words"] = pack.gift.body
    if pack.session:
        values |= {
            "session_day": times.day(pack.session.starts_at, reader.time_zone, reader.locale),
            "session_time": times.hour(pack.session.starts_at, reader.time_zone, reader.locale),
            "session_place": pack.session.place or pack.session.online_url,
        }
    if wanted := URL_FIELDS.intersection(fields):
        values |= _links(pack, reader, channel, wanted)
    return values


def _links(pack: Pack, reader: Reader, channel: ChannelName, wanted: frozenset[str]) -> dict[str, str | None]:
    made: dict[str, str | None] = {}
    if reader.member_id is None:  # a test to a coordinator: the links are shown, and lead to the public page
        return {name: links.url("/") for name in wanted}
    if "preferences_url" in wanted:
        made["preferences_url"] = member_links.preferences_url(reader.member_id, channel)
    if "unsubscribe_url" in wanted:
        made["unsubscribe_url"] = member_links.unsubscribe_url(reader.member_id, channel, pack.campaign.topic)
    if "story_url" in wanted and pack.story:
        made["story_url"] = member_links.story_url(pack.story.id)
    if "me_too_url" in wanted and (thing := _takes_me_too(pack)):
        made["me_too_url"] = member_links.me_too_url(*thing, reader.member_id, channel)
    for answer in ("yes", "no", "maybe"):
        if f"rsvp_{answer}_url" in wanted and pack.session:
            made[f"rsvp_{answer}_url"] = member_links.rsvp_url(pack.session.id, reader.member_id, channel, answer)
    return made


def _takes_me_too(pack: Pack) -> tuple[str, UUID] | None:
    """What a reader of this may answer with ME TOO, if anything."""
    if pack.prompt:
        return "prompt", pack.prompt.id
    return ("story", pack.story.id) if pack.story and pack.story.me_too_allowed else None


def text_body(pack: Pack, reader: Reader, introduced_at: datetime | None) -> str:
    """A campaign's text message for one reader: the words unchanged, then the lines that must be there."""
    source = pack.content(ChannelName.SMS, reader.language).body
    values = context(pack, reader, ChannelName.SMS, fields_of(source))
    body = render.render_text(source, values).strip()
    return "\n".join([body, *required_lines(pack, reader, body, introduced_at)])


def required_lines(pack: Pack, reader: Reader, body: str, introduced_at: datetime | None) -> list[str]:
    """What a text must say and does not say yet: how to answer, who writes, how to stop."""
    facts = outbox.facts(reader.country, reader.language, discreet=reader.discreet)
    lines = []
    upper = body.upper()
    kind = pack.campaign.kind
    if kind == CampaignKind.CHECKIN and not ("1" in body and "5" in body):
        lines.append(outbox.wording("sms/checkin_scale.txt", reader.language, facts))
    elif kind == CampaignKind.INVITE and not {"YES", "SI", "SÍ"}.intersection(_WORD.findall(upper)):
        lines.append({"es": "¿Vienes? Responde SI, NO o QUIZAS."}.get(reader.language, "Reply YES, NO or MAYBE."))
    elif kind == CampaignKind.STORY and pack.story and pack.story.me_too_allowed and not invites_me_too(upper):
        lines.append({"es": "¿Te suena? Responde YO TAMBIEN."}.get(reader.language, "Felt this too? Reply ME TOO."))
    elif kind == CampaignKind.PROMPT and not invites_me_too(upper):
        lines.append({"es": "¿Te pasa? Responde YO TAMBIEN."}.get(reader.language, "You too? Reply ME TOO."))
    if introduced_at is None:
        lines.append(outbox.wording("sms/sms_footer_first.txt", reader.language, facts))
    elif introduced_at < clock.now() - STOP_LINE_EVERY:
        lines.append(outbox.wording("sms/sms_footer_stop.txt", reader.language, facts))
    elif not reader.discreet and facts["org_name"].upper() not in upper:
        lines.append(f"- {facts['org_name']}")
    return lines


def invites_me_too(upper: str) -> bool:
    """Whether words (in capitals) ask for a ME TOO."""
    return "ME TOO" in upper or "YO TAMBI" in upper


def tells_stop(introduced_at: datetime | None) -> bool:
    """Whether the next text to an address says how to stop, so that the address counts as told."""
    return introduced_at is None or introduced_at < clock.now() - STOP_LINE_EVERY


def text(packs: dict[UUID, Pack], messages: dict[UUID, Message], c: Claimed) -> Text:
    """A claimed text ready to leave. Raises MissingValue where a field has no value for this member."""
    if c.campaign_id is not None:
        body = text_body(packs[c.campaign_id], reader_of(c), c.introduced_at)
    else:
        body = messages[c.message_id].body if c.message_id else ""
    return Text(c.id, c.to, body, links.delivery_token(c.id))


def reader_of(c: Claimed) -> Reader:
    """Whom a claimed delivery is written for."""
    return Reader(c.member_id, c.first_name, c.locale, c.time_zone, c.country, c.discreet)
