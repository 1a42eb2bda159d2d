"""What can come round in a rhythm, in one place: the campaign that it makes each time, and what that carries.

A check-in says the same each time. A story or a prompt is another one each time, and a day without one is let go.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from service.actions.checkins import stories
from service.actions.resonance import prompts
from service.models.campaigns import Campaign, CampaignKind
from service.models.checkins import Rhythm, RhythmKind
from service.models.members import Topic

CHOSEN = frozenset(["story_id", "prompt_id"])
"""What a rhythm chooses by itself each time: that it is missing now is nothing that a coordinator could mend."""


@dataclass(frozen=True)
class Kind:
    """One sort of rhythm."""

    campaign: CampaignKind
    topic: Topic
    choose: Callable[[Session, Rhythm, Campaign], bool]
    """Put into the campaign what it carries this time; False where there is nothing. It changes nothing else: it is
    also asked on trial.
    """
    several: Callable[[Session, Rhythm, date], list[dict[str, Any]]] | None = None
    """Where one occurrence may be several campaigns: the values of each, none where there is nothing."""


def _the_same(session: Session, rhythm: Rhythm, campaign: Campaign) -> bool:
    return True


KINDS: dict[RhythmKind, Kind] = {
    RhythmKind.CHECKIN: Kind(CampaignKind.CHECKIN, Topic.CHECKINS, _the_same),
    RhythmKind.PROMPT: Kind(CampaignKind.PROMPT, Topic.STORIES, prompts.choose),
    RhythmKind.STORY: Kind(CampaignKind.STORY, Topic.STORIES, _the_same, stories.of_day),
}
