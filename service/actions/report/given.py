"""What one member gave and received, in kinds and counts of their own: no score, no streak, no comparison."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, func, select

from service import db
from service.actions.leaving import existing
from service.actions.resonance import counting
from service.models.campaigns import Delivery
from service.models.content import Prompt, Resonance, Story, StoryRead, StoryState
from service.models.encouragement import CarriedNote
from service.models.gatherings import Invitation
from service.models.giving import Gift, GiftState, Giving
from service.models.tools import ToolRead

OF_WORTH = (StoryState.PUBLISHED, StoryState.RESTING)


@dataclass(frozen=True)
class View:
    """The counts. What is 0 is not spoken of."""

    stories: int
    notes: int
    steps: int
    feelings: int
    thanks: int
    """How many of their notes were thanked for."""
    me_too_given: int
    felt_by: int
    """How many said ME TOO to what they shared, as far as may be told: 0 or five and more."""
    stories_read: int
    notes_read: int
    """Notes of others that reached them."""
    tools: int
    sessions: int

    @property
    def gave(self) -> bool:
        """Whether there is anything to show on that side."""
        return any((self.stories, self.notes, self.steps, self.feelings, self.me_too_given))

    @property
    def received(self) -> bool:
        """Whether there is anything to show on that side."""
        return any((self.felt_by, self.stories_read, self.notes_read, self.tools, self.sessions))


def view(member_id: UUID) -> View:
    """Count for one member. Raises NotFound."""
    with db.reading() as session:
        existing(session, member_id)

        def count(statement: Select[int]) -> int:
            return session.scalar(statement) or 0

        def gifts(*kinds: Giving) -> int:
            mine = select(func.count(Gift.id)).where(Gift.member_id == member_id, Gift.kind.in_(kinds))
            return count(mine.where(Gift.state == GiftState.APPROVED))

        stories = count(select(func.count(Story.id)).where(Story.author_id == member_id, Story.state.in_(OF_WORTH)))
        felt = count(
            select(func.coalesce(func.max(Story.felt_shown), 0)).where(Story.author_id == member_id)
        )  # of one thing, not of several: who felt two would be counted twice
        asked = count(
            select(func.coalesce(func.max(Prompt.felt_shown), 0))
            .join(Gift, Gift.id == Prompt.gift_id)
            .where(Gift.member_id == member_id)
        )
        return View(
            stories=stories,
            notes=gifts(Giving.NOTE),
            steps=gifts(Giving.STEP, Giving.SAID),
            feelings=gifts(Giving.FEELING),
            thanks=count(
                select(func.count(CarriedNote.id)).where(
                    CarriedNote.author_id == member_id, CarriedNote.thanked_at.is_not(None)
                )
            ),
            me_too_given=count(select(func.count(Resonance.id)).where(Resonance.member_id == member_id, counting.LIVE)),
            felt_by=max(felt, asked),
            stories_read=count(select(func.count()).select_from(StoryRead).where(StoryRead.member_id == member_id)),
            notes_read=count(
                select(func.count(CarriedNote.id))
                .join(Delivery, Delivery.campaign_id == CarriedNote.campaign_id)
                .where(CarriedNote.member_id == member_id, Delivery.sending_at.is_not(None))
            ),
            tools=count(select(func.count()).select_from(ToolRead).where(ToolRead.member_id == member_id)),
            sessions=count(
                select(func.count(Invitation.id)).where(
                    Invitation.member_id == member_id, Invitation.attended.is_(True)
                )
            ),
        )
