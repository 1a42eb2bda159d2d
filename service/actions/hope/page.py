"""Stories on their authors' signed pages: a yes to exact words, what to change, and taking one back.

A page that was sent with the words shows those words, and no others: once one changes, its link says so.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock
from service.actions import stories
from service.actions.conversations import duty, on_page
from service.actions.conversations.on_page import Heard
from service.actions.hope import asking, taking_back
from service.actions.hope.asking import Agreed
from service.actions.leaving import existing
from service.db import reading, transaction
from service.errors import Conflict, Invalid, NotFound
from service.models.content import Story, StoryState
from service.models.members import ChannelName, Member, MemberState

UNTIL = {"year": timedelta(days=365), "two_years": timedelta(days=730)}


@dataclass(frozen=True)
class Shown:
    """The page of one story to its author. Without `open` these words wait for no answer any more."""

    story: Story
    member: Member
    open: bool
    approved: bool


def view(story_id: UUID, author_id: UUID, mark: str) -> Shown:
    """The words that a link was sent for. Raises NotFound where there is nothing, Conflict where they have changed."""
    with reading() as session:
        story, member = _of(session, story_id, author_id)
        approved = stories.approval(session, story) is not None
        waits = story.state == StoryState.AWAITING_AUTHOR and _same(story, mark)
        if not waits and not (approved and story.state in taking_back.THERE):
            raise Conflict("These words have changed or are resting. If they are to go on, you get the new ones first.")
        return Shown(story, member, waits, approved)


def _of(session: Session, story_id: UUID, author_id: UUID) -> tuple[Story, Member]:
    story, member = session.get(Story, story_id), existing(session, author_id)
    if story is None or story.author_id != author_id or story.state == StoryState.WITHDRAWN:
        raise NotFound("It is not here any more.")
    return story, member


def _same(story: Story, mark: str) -> bool:
    return bool(mark) and str(story.asked_mark or "").startswith(mark) and stories.text_mark(story) == story.asked_mark


def approve(story_id: UUID, author_id: UUID, mark: str, agreed: Agreed) -> None:
    """The author's yes to the words that the page shows. Raises Invalid without a channel, Conflict, NotFound."""
    if not (agreed.sms or agreed.email or agreed.page):
        raise Invalid("Choose at least one way in which it may be read.", field="ways")
    with transaction() as session:
        story, member = _of(session, story_id, author_id)
        if story.state != StoryState.AWAITING_AUTHOR or not _same(story, mark):
            raise Conflict("These words have changed or are resting. If they are to go on, you get the new ones first.")
        if member.state != MemberState.ACTIVE:
            raise Conflict("This is not open to you right now.")
        asking.approve(session, story, member, "page", agreed)


def ask_change(author_id: UUID, channel: ChannelName, words: str) -> tuple[Heard, str]:
    """What the author wants changed, put before a person; what became of it, and when somebody reads it.

    It is taken whatever has become of the story meanwhile. Raises Invalid where nothing was written.
    """
    words = words.replace("\r\n", "\n").strip()
    if not words:
        raise Invalid("Write a few words first.", field="words")
    with transaction() as session:
        member = existing(session, author_id)
        written = on_page.take(session, member, channel, words, only_bare_stop=True)
        if written.heard == Heard.KEPT:
            on_page.to_person(written.thread)
        return written.heard, duty.when_words(session, member)


def mine(member_id: UUID) -> list[Story]:
    """The stories that a member told and has not taken back. Pages show their days and states, never their words."""
    with reading() as session:
        existing(session, member_id)
        return taking_back.of(session, member_id)


def take_back(member_id: UUID, story_id: UUID) -> None:
    """Withdraw one of their own. Raises NotFound."""
    with transaction() as session:
        found = [story for story in taking_back.of(session, member_id) if story.id == story_id]
        if not found:
            raise NotFound("It is not here any more.")
        taking_back.take_back(session, found[0])


def ends_on(choice: str) -> date | None:
    """The day on which a yes ends (`year`, `two_years`); None: when it is taken back."""
    return (clock.now() + UNTIL[choice]).date() if choice in UNTIL else None
