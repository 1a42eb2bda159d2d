"""The campaigns of one occurrence of a story rhythm: one for each story that somebody should get this time."""

from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from service.actions import audience as audiences
from service.actions.delivery.writing import invites_me_too
from service.actions.hope import rotation
from service.models.campaigns import Campaign
from service.models.checkins import Rhythm
from service.models.content import Story
from service.models.members import ChannelName, Topic

MOST = 20
"""Campaigns of one occurrence. Whoever would get a later story gets it the next time."""


def of_day(session: Session, rhythm: Rhythm, day: date) -> list[dict[str, Any]]:
    """What each campaign of this day carries, as values of a `Campaign`; none where everybody has had everything."""
    channels = [ChannelName(c) for c in rhythm.channels.split(",") if c]
    found: list[dict[str, Any]] = []
    for language, stories in rotation.order(session, channels, day).items():
        for number, story in enumerate(stories):
            at = rotation.place(rhythm.id, day, channels, stories[:number], story)
            values = {
                "story_id": story.id,
                "channels": ",".join(rotation.channels_of(story, channels)),
                "audience": {"languages": [language], "rotation": at.spec(), "of": rhythm.channels},
            }
            if len(found) < MOST and _somebody(session, rhythm, values):
                found.append(values | {"name": f"{rhythm.name}: {story.title}"[:120]})
    return found


def _somebody(session: Session, rhythm: Rhythm, values: dict[str, Any]) -> bool:
    """Whether anybody would get it."""
    trial = Campaign(circle_id=rhythm.circle_id, topic=Topic.STORIES, **values)
    audience = audiences.of_campaign(trial)
    return any(
        session.execute(audiences.recipients(audience, channel).limit(1)).first() is not None
        for channel in audience.channels
    )


def words_for(rhythm: Rhythm, story: Story, channels: str) -> list[dict[str, Any]]:
    """The rhythm's words for this story: in its language where there are some, and no ME TOO where it takes none."""
    chosen = []
    for channel in channels.split(","):
        mine = [c for c in rhythm.contents if c["channel"] == channel]
        mine.sort(key=lambda c: c["language"] != story.language)
        for content in mine[:1]:
            body = content["body"] if story.me_too_allowed else _without_me_too(content["body"])
            chosen.append(content | {"language": story.language, "body": body})
    return chosen


def _without_me_too(body: str) -> str:
    return "\n\n".join(part for part in body.split("\n\n") if not invites_me_too(part.upper()))
