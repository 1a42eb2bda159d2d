"""The eight factors of DESIGN section 1 as things that members do: what counts for each, in one place.

Each source is a SELECT of (member, moment), bounded by time and led by an index; nobody's words are read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select

from service.actions.belonging.life import DIGEST_NAME
from service.actions.resonance import counting
from service.models.campaigns import Campaign, CampaignKind, Delivery, DeliveryState
from service.models.content import Prompt, Resonance, Story, StoryRead
from service.models.encouragement import CarriedNote
from service.models.gatherings import CircleMembership, GroupSession, Invitation, PlaceAsk, Rsvp
from service.models.giving import Gift, GiftState, Giving
from service.models.tools import SeriesReader, ToolRead
from service.models.vents import Vent

Source = Callable[[datetime], Any]
"""Since when → SELECT member id, moment."""
WRITTEN = (GiftState.REVIEW, GiftState.ASKED, GiftState.APPROVED)
NOT_THERE = (DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED, DeliveryState.UNDELIVERED)


@dataclass(frozen=True)
class Factor:
    """One of the eight."""

    key: str
    name: str
    counts: str
    """What counts, in a sentence."""
    sources: tuple[Source, ...]


def _stories_read(since: datetime) -> Any:
    return select(StoryRead.member_id, StoryRead.at).where(StoryRead.at >= since)


def _stories_helped(since: datetime) -> Any:
    helped = (StoryRead.at >= since, StoryRead.helped.is_(True), StoryRead.answered_at.is_not(None))
    return select(StoryRead.member_id, StoryRead.answered_at).where(*helped)


def _me_too(since: datetime) -> Any:
    return select(Resonance.member_id, Resonance.at).where(Resonance.at >= since, counting.LIVE)


def _me_too_to_stories(since: datetime) -> Any:
    joined = select(Story.author_id, Resonance.at).join(Story, Story.id == Resonance.story_id)
    return joined.where(Resonance.at >= since, counting.LIVE, Story.author_id.is_not(None))


def _me_too_to_prompts(since: datetime) -> Any:
    joined = select(Gift.member_id, Resonance.at).join(Prompt, Prompt.id == Resonance.prompt_id)
    return joined.join(Gift, Gift.id == Prompt.gift_id).where(Resonance.at >= since, counting.LIVE)


def _tools_asked(since: datetime) -> Any:
    return select(ToolRead.member_id, ToolRead.at).where(ToolRead.at >= since)


def _series(since: datetime) -> Any:
    return select(SeriesReader.member_id, SeriesReader.started_at).where(SeriesReader.started_at >= since)


def _gifts(*kinds: Giving) -> Source:
    def source(since: datetime) -> Any:
        written = (Gift.state.in_(WRITTEN), Gift.passed_at >= since, Gift.kind.in_(kinds))
        return select(Gift.member_id, Gift.passed_at).where(*written)

    return source


def _stories_told(since: datetime) -> Any:
    return select(Story.author_id, Story.published_at).where(
        Story.author_id.is_not(None), Story.published_at.is_not(None), Story.published_at >= since
    )


def _notes_that_helped(since: datetime) -> Any:
    """A THANKS came back: to its giver it is support given."""
    thanked = (CarriedNote.thanked_at.is_not(None), CarriedNote.thanked_at >= since)
    return select(CarriedNote.author_id, CarriedNote.thanked_at).where(*thanked)


def _vents(since: datetime) -> Any:
    """Those that are still kept: what is forgotten when its author chose is forgotten here, too."""
    return select(Vent.member_id, Vent.opened_at).where(Vent.opened_at >= since, Vent.pieces > 0)


def _circle_weeks(since: datetime) -> Any:
    joined = select(Delivery.member_id, Delivery.sending_at).join(Campaign, Campaign.id == Delivery.campaign_id)
    return joined.where(
        Campaign.kind == CampaignKind.ANNOUNCEMENT,
        Campaign.name.like(f"%{DIGEST_NAME}"),
        Campaign.scheduled_at >= since,
        Delivery.member_id.is_not(None),
        Delivery.sending_at >= since,
        Delivery.state.not_in(NOT_THERE),
    )


def _sessions(since: datetime) -> Any:
    joined = select(Invitation.member_id, GroupSession.starts_at).join(
        GroupSession, GroupSession.id == Invitation.session_id
    )
    said_yes = and_(Invitation.rsvp == Rsvp.YES, Invitation.attended.is_not(False))
    return joined.where(GroupSession.starts_at >= since, said_yes | Invitation.attended.is_(True))


def _circles_joined(since: datetime) -> Any:
    return select(CircleMembership.member_id, CircleMembership.joined_at).where(CircleMembership.joined_at >= since)


def _places_asked(since: datetime) -> Any:
    return select(PlaceAsk.member_id, PlaceAsk.asked_at).where(PlaceAsk.asked_at >= since)


FACTORS: tuple[Factor, ...] = (
    Factor(
        "hope", "Hope", "Got a hope story, asked for one, or said that one helped.", (_stories_read, _stories_helped)
    ),
    Factor(
        "universality", "Universality", "Said ME TOO, or shared something to which others said it.",
        (_me_too, _me_too_to_stories, _me_too_to_prompts),
    ),
    Factor(
        "learning", "Learning and growth", "Asked for a tool, said whether it helped, or began a series.",
        (_tools_asked, _series),
    ),
    Factor(
        "giving", "Giving support", "Passed on a note or a feeling, heard thanks, or told a story that was published.",
        (_gifts(Giving.NOTE, Giving.FEELING), _notes_that_helped, _stories_told),
    ),
    Factor("release", "Emotional release", "Said it out loud with VENT, as far as it is still kept.", (_vents,)),
    Factor(
        "watching", "Watching and learning", "Got a circle’s week, or passed on a step or a sentence.",
        (_circle_weeks, _gifts(Giving.STEP, Giving.SAID)),
    ),
    Factor(
        "belonging", "Connection and belonging", "Said yes to a session, came to one, or joined a circle.",
        (_sessions, _circles_joined),
    ),
    Factor(
        "finding", "Finding one’s support", "Joined a circle, or asked for a place in one.",
        (_circles_joined, _places_asked),
    ),
)  # fmt: skip
"""In the order of DESIGN section 1."""
