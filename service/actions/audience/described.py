"""Who a campaign is for, before anybody's consent is looked at; and the words for why somebody is left out."""

from dataclasses import dataclass, field
from uuid import UUID

from service.actions.hope import rotation as turns
from service.models.campaigns import Campaign, CampaignKind
from service.models.members import ChannelName, Topic

TOPIC_OF: dict[CampaignKind, Topic | None] = {
    CampaignKind.STORY: Topic.STORIES,
    CampaignKind.CHECKIN: Topic.CHECKINS,
    CampaignKind.INVITE: Topic.SESSIONS,
    CampaignKind.TOOL: Topic.TOOLS,
    CampaignKind.PROMPT: Topic.STORIES,
    CampaignKind.ANNOUNCEMENT: None,  # the coordinator says which
}

REASONS: dict[str, str] = {
    "left": "asked us to stop",
    "not_confirmed": "has not confirmed yet",
    "died": "has died",
    "no_address": "has no address on this channel",
    "unreachable": "cannot be reached on this channel",
    "silent": "did not answer whether the number is still theirs",
    "suppressed": "asked us to stop",
    "topic_off": "has this topic switched off",
    "paused": "is taking a break",
    "held": "rests under an open safety flag",
    "already_read": "has already had this story",
    "topic_left_out": "wants no stories about this",
    "not_their_next": "gets another story first",
    "same_address": "shares an address with someone who gets it",
}
"""Why somebody is left out, in the words that the compose page and the reports use."""


@dataclass(frozen=True)
class Audience:
    """Who a campaign is for, before anybody's consent is looked at."""

    channels: tuple[ChannelName, ...]
    topic: Topic | None = None
    circle_id: UUID | None = None
    languages: tuple[str, ...] = ()
    """Only members of these languages; empty: all."""
    story_id: UUID | None = None
    prompt_id: UUID | None = None
    """A prompt that goes to everybody but the one whose words it is."""
    member_ids: tuple[UUID, ...] = field(default=())
    """Only these; empty: everybody."""
    rotation: turns.Place | None = None
    """The story's place among those that come round: only whose next one it is."""
    rotation_channels: tuple[ChannelName, ...] = ()


def of_campaign(campaign: Campaign) -> Audience:
    """The audience that a campaign describes."""
    spec = campaign.audience or {}
    return Audience(
        channels=campaign.channel_names,
        topic=campaign.topic,
        circle_id=campaign.circle_id,
        languages=tuple(spec.get("languages", ())),
        story_id=campaign.story_id,
        prompt_id=campaign.prompt_id,
        member_ids=tuple(UUID(i) for i in spec.get("member_ids", ())),
        rotation=turns.read_spec(spec.get("rotation"), campaign.story_id),
        rotation_channels=tuple(ChannelName(c) for c in spec.get("of", "").split(",") if c),
    )
