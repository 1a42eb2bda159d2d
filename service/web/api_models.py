"""What the API takes and gives. Strict: an unknown field is an error, not a typo that is silently lost."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.models.campaigns import CampaignKind, CampaignState
from service.models.members import ChannelName, MemberState, Topic


class Strict(BaseModel):
    """Every model of the API."""

    model_config = ConfigDict(extra="forbid")


class MemberPath(Strict):
    """A member's address in the API."""

    member_id: UUID


class CampaignPath(Strict):
    """A campaign's address in the API."""

    campaign_id: UUID


class Page(Strict):
    """A page of a list: `after` is the last id of the page before."""

    after: UUID | None = None
    limit: int = Field(default=50, ge=1, le=200)


class NewMember(Strict):
    """A person to add. With `consented_at` and `consent_source` they are active at once; without, asked once."""

    first_name: str = Field(min_length=1, max_length=80)
    phone: str = Field(default="", max_length=40, description="E.164, or national for `country`")
    email: str = Field(default="", max_length=254)
    topics: list[Topic] = Field(default_factory=list, description="Empty: all")
    circle: str = Field(default="", description="A circle's slug or name")
    timezone: str = ""
    locale: str = "en"
    country: str = Field(default="", max_length=2)
    consented_at: datetime | None = None
    consent_source: str = Field(default="", max_length=120)


class SubscriptionOut(Strict):
    """A member's standing with one topic on one channel."""

    topic: Topic
    channel: ChannelName
    state: str


class MemberOut(Strict):
    """A member. Addresses are masked: the API moves people, it is no phone book."""

    id: UUID
    first_name: str
    state: MemberState
    locale: str
    timezone: str
    country: str
    addresses: dict[ChannelName, str]
    subscriptions: list[SubscriptionOut]
    joined_at: datetime | None


class MembersOut(Strict):
    """A page of members; `next` is the `after` of the following page, null at the end."""

    members: list[MemberOut]
    next: UUID | None


class StopIn(Strict):
    """A stop that a person asked for elsewhere. No channel: both; no topics: all."""

    channel: ChannelName | None = None
    topics: list[Topic] = Field(default_factory=list)
    how: str = Field(min_length=3, max_length=100, description="How they asked: `told our helpline on 3 May`")


class CircleOut(Strict):
    """A circle."""

    id: UUID
    name: str
    slug: str
    keyword: str
    language: str
    timezone: str


class CirclesOut(Strict):
    """Every open circle."""

    circles: list[CircleOut]


class ContentIn(Strict):
    """The words of one channel in one language."""

    channel: ChannelName
    language: str = Field(default="en", pattern="^(en|es)$")
    subject: str = Field(default="", max_length=200)
    body: str = Field(min_length=1, max_length=20_000)


class NewCampaign(Strict):
    """A draft. It leaves only when it is started."""

    name: str = Field(min_length=1, max_length=120)
    kind: CampaignKind
    contents: list[ContentIn] = Field(min_length=1)
    topic: Topic | None = None
    circle_id: UUID | None = None
    session_id: UUID | None = None
    story_id: UUID | None = None
    tool_id: UUID | None = None


class StartIn(Strict):
    """When to send: now, or at one moment (with its time zone)."""

    at: datetime | None = None


class CampaignOut(Strict):
    """A campaign and how far it is."""

    id: UUID
    name: str
    kind: CampaignKind
    state: CampaignState
    audience: int
    states: dict[str, int]
    skipped: dict[str, int]
    paused_reason: str
    created_at: datetime


class ErrorBody(Strict):
    """What went wrong, and what to do next."""

    code: str
    message: str
    field: str | None = None


class ErrorOut(Strict):
    """The body of every error."""

    error: ErrorBody
