"""What OOPS takes back: something that was just passed on."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.actions.giving import gifts
from service.models.content import Story, StoryState
from service.models.giving import Gift, Giving
from service.models.members import Member

NAMES = {
    Giving.STORY: ("your story", "tu historia"),
    Giving.NOTE: ("your note", "tu nota"),
    Giving.STEP: ("your step", "tu paso"),
    Giving.SAID: ("your sentence", "tu frase"),
    Giving.FEELING: ("your feeling", "lo que compartiste"),
}


def passed_on(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Take back what was passed on; whatever a person has made of it goes, too."""
    if data.get("gift") and (gift := session.get(Gift, UUID(data["gift"]))) is not None:
        gifts.take_back(session, gift)
    story = session.get(Story, UUID(data["story"])) if data.get("story") else None
    if story is not None and story.state != StoryState.WITHDRAWN:
        session.delete(story)
    return NAMES[Giving(data["kind"])][member.language == "es"]


def gift_circle(session: Session, member: Member, data: dict[str, Any]) -> str:
    """The question whose week it may be in is open again."""
    gift = session.get(Gift, UUID(data["gift"]))
    if gift is not None and gift.state in gifts.OPEN:
        gift.circle_id, gift.circle_choices = None, data["choices"]
    return {"es": "tu grupo para esto"}.get(member.language, "your circle for it")


KINDS = {"passed_on": passed_on, "gift_circle": gift_circle}
