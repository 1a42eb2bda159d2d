"""A story taken back by its author, at any time: nothing more of it leaves, its page comes down, and what was sent
stays sent, which is said plainly.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions import audit, times
from service.actions.hope.ending import APPROVED, AUTHOR, end
from service.models.content import Story, StoryRead, StoryState
from service.models.members import Member

THERE = (
    StoryState.REVIEW, StoryState.AWAITING_AUTHOR, StoryState.SECOND_REVIEW, StoryState.PUBLISHED, StoryState.RESTING,
)  # fmt: skip
MOST = 6
"""More than anybody has; what a text can offer by letters."""


def of(session: Session, member_id: UUID) -> list[Story]:
    """The stories that a member told and has not taken back, the oldest first: their letters stay."""
    mine = select(Story).where(Story.author_id == member_id, Story.state.in_(THERE))
    return list(session.scalars(mine.order_by(Story.created_at, Story.id).limit(MOST)))


def take_back(session: Session, story: Story) -> dict[str, Any]:
    """Withdraw it; returns what OOPS needs."""
    before = story.state
    end(session, story, StoryState.WITHDRAWN)
    audit.record(session, AUTHOR, "story.withdraw", story)
    return {"story": str(story.id), "state": str(before)}


def choices(found: list[Story], member: Member) -> str:
    """`A 3 May, B 12 June`: days and no titles, for somebody else may see the phone."""
    days = [times.day(story.created_at, member.time_zone, member.locale) for story in found]
    return ", ".join(f"{chr(ord('A') + n)} {day}" for n, day in enumerate(days))


def undo(session: Session, member: Member, data: dict[str, Any]) -> str:
    """The author did not mean to: it is where it was, if nobody has touched it since."""
    story = session.get(Story, UUID(data["story"]))
    if story is not None and story.state == StoryState.WITHDRAWN and story.author_id == member.id:
        held = data["state"] == StoryState.PUBLISHED and member.held_at is not None
        asked = data["state"] == StoryState.AWAITING_AUTHOR  # those digits are gone; a coordinator asks anew
        story.state = StoryState.RESTING if held else StoryState.REVIEW if asked else StoryState(data["state"])
        story.withdrawn_at, story.updated_at = None, clock.now()
        audit.record(session, AUTHOR, "story.withdraw_undone", story)
    return {"es": "tu RETIRAR"}.get(member.language, "your WITHDRAW")


def undo_yes(session: Session, member: Member, data: dict[str, Any]) -> str:
    """The author takes their yes back: nothing of it leaves until they have said it again."""
    story = session.get(Story, UUID(data["story"]))
    if story is not None and story.author_id == member.id and story.state in THERE:
        end(session, story, StoryState.REVIEW)
        story.consent_sms = story.consent_email = story.consent_page = story.consent_found = False
        audit.record(session, AUTHOR, APPROVED, story, how="undone", on="", text="")
    return {"es": "tu PUBLICAR"}.get(member.language, "your PUBLISH")


def undo_helped(session: Session, member: Member, data: dict[str, Any]) -> str:
    """The answer about a story is as it was before."""
    read = session.get(StoryRead, (UUID(data["story"]), member.id))
    if read is not None:
        read.helped = data["before"]
    word = {True: ("HELPED", "ME SIRVE"), False: ("NOT REALLY", "NO TANTO")}[data["now"]]
    return {"es": f"tu {word[1]}"}.get(member.language, f"your {word[0]}")


KINDS = {"story_back": undo, "story_yes": undo_yes, "story_helped": undo_helped}
