"""A story as a member told it by text, mail or page: kept as they wrote it, for a coordinator to edit beside it.

How its author is named is chosen with their yes to the exact words (`hope.asking`), not before.
"""

from typing import Any

from sqlalchemy.orm import Session

from service import clock, db
from service.actions import story_checks
from service.actions.giving.gifts import Passed
from service.models.content import Attribution, Story, StoryState


def hand_over(session: Session, passed: Passed) -> dict[str, Any]:
    """Put a story before a person: its words are kept as `original`, and both bodies begin as a copy of them."""
    now = clock.now()
    story = Story(
        id=db.uuid7(),
        author_id=passed.member.id,
        title="",
        language=passed.member.language,
        attribution=Attribution.ANONYMOUS,
        author_name="",
        original=passed.words,
        body_email=passed.words,
        body_sms="",
        state=StoryState.REVIEW,
        mentions_self_harm=story_checks.mentions_self_harm(passed.words),
        me_too_allowed=not story_checks.forbids_me_too(passed.words),
        consent_sms=False,
        consent_email=False,
        consent_page=False,
        created_at=now,
        updated_at=now,
    )
    session.add(story)
    session.flush()
    passed.remember["story"] = str(story.id)
    return {}
