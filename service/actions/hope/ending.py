"""The end of a story's way to others, whoever ends it: its author, a coordinator, or words that have to change."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions import holds
from service.models.campaigns import Campaign, Delivery, DeliveryState
from service.models.content import Story, StoryState

APPROVED = "story.author_approved"
AUTHOR = "member"
"""The actor of what an author did themselves."""


def end(session: Session, story: Story, state: StoryState) -> None:
    """Put a story into a state in which nothing of it leaves, not even what is claimed and has not begun to."""
    story.state = state
    story.withdrawn_at = clock.now() if state == StoryState.WITHDRAWN else None
    story.asked_code = story.asked_mark = None
    of_story = select(Campaign.id).where(Campaign.story_id == story.id)
    claimed = select(Delivery.member_id).where(
        Delivery.campaign_id.in_(of_story), Delivery.state == DeliveryState.QUEUED, Delivery.claim.is_not(None)
    )
    # The claim judges the story's state; what is claimed already and has not begun to leave is given up.
    holds.take_back(session, [i for i in session.scalars(claimed.distinct()) if i])
