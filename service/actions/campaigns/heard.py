"""What members have answered to a campaign so far, as numbers that show nobody (rule of conversation 12)."""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from service.models.campaigns import Campaign, CampaignKind, Delivery
from service.models.content import Prompt, Story
from service.models.conversations import CheckIn
from service.models.gatherings import Invitation, Rsvp
from service.models.members import Member

FLOOR = 5
"""Below so many answers a distribution would show who felt what."""


@dataclass(frozen=True)
class Heard:
    """Answers so far. `scores` is None while fewer than FLOOR members have answered; empty where none are asked."""

    answered: int
    """Copies that were answered in any way."""
    scores: dict[int, int] | None = field(default_factory=dict)
    """1 very hard … 5 good → members"""
    rsvps: dict[Rsvp, list[str]] = field(default_factory=dict)
    """First names, in the order of answering."""
    me_too: int | None = None
    """How many said ME TOO to the story or prompt, as far as may be told; 0 below the floor, None where none is asked.
    It is the number of the thing and not of the campaign: two campaigns apart would tell more than both.
    """


def heard(session: Session, campaign: Campaign, *seen: ColumnElement[bool]) -> Heard:
    """Read the answers to a campaign; `seen` are the members whose names may be shown (access.access_members)."""
    answered = session.scalar(select(func.count(Delivery.answered_at)).where(Delivery.campaign_id == campaign.id))
    return Heard(
        answered or 0,
        scores=_scores(session, campaign) if campaign.kind == CampaignKind.CHECKIN else {},
        rsvps=_rsvps(session, campaign, seen) if campaign.session_id else {},
        me_too=_me_too(session, campaign),
    )


def _scores(session: Session, campaign: Campaign) -> dict[int, int] | None:
    counts = dict.fromkeys(range(1, 6), 0)
    rows = session.execute(
        select(CheckIn.score, func.count(CheckIn.member_id.distinct()))
        .where(CheckIn.campaign_id == campaign.id)
        .group_by(CheckIn.score)
    )
    for score, count in rows:
        counts[score] = count
    return counts if sum(counts.values()) >= FLOOR else None


def _rsvps(session: Session, campaign: Campaign, seen: tuple[ColumnElement[bool], ...]) -> dict[Rsvp, list[str]]:
    rows = session.execute(
        select(Invitation.rsvp, Member.first_name)
        .join(Member, Member.id == Invitation.member_id)
        .where(Invitation.session_id == campaign.session_id, Invitation.rsvp.is_not(None), _got_it(campaign), *seen)
        .order_by(Invitation.answered_at)
    )
    names: dict[Rsvp, list[str]] = {answer: [] for answer in Rsvp}
    for rsvp, name in rows:
        if rsvp is not None:
            names[rsvp].append(name or "somebody")
    return names


def _me_too(session: Session, campaign: Campaign) -> int | None:
    if campaign.kind == CampaignKind.STORY and campaign.story_id:
        return session.scalar(select(Story.felt_shown).where(Story.id == campaign.story_id, Story.me_too_allowed))
    if campaign.kind == CampaignKind.PROMPT and campaign.prompt_id:
        return session.scalar(select(Prompt.felt_shown).where(Prompt.id == campaign.prompt_id))
    return None


def _got_it(campaign: Campaign) -> ColumnElement[bool]:
    return exists().where(Delivery.campaign_id == campaign.id, Delivery.member_id == Member.id)
