"""Everything that a reviewer should look at in one story: marks, what was changed beside the original, who said yes."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock, db, links
from service.actions import access, stories, story_checks
from service.actions.conversations import replying
from service.actions.hope import asking, helped, telling
from service.actions.outbox import thread_of, words_for
from service.channels.segments import measure
from service.models.content import Story, StoryState
from service.models.conversations import Message
from service.models.members import ChannelName, Member
from service.models.staff import Coordinator
from service.web import differences


def view(story_id: UUID, coordinator: Coordinator) -> dict[str, Any]:
    """What `console/stories/show.html` needs. The author's own words since they were asked are read, and noted so."""
    with db.reading() as session:
        story = stories.require(session, coordinator, story_id)
        whole = access.sees_everything(coordinator)
        writable = story.state in stories.WRITABLE
        author = session.get(Member, story.author_id) if story.author_id and whole else None
        replies = asking.answers(session, story) if whole else []
        found = {
            "story": story,
            "author": author,
            "publisher": session.get(Coordinator, story.published_by) if story.published_by else None,
            "whole": whole,
            "mail": story_checks.marked(story.body_email),
            "text": story_checks.marked(story.body_sms),
            "original": story_checks.marked(story.original or "") if whole else [],
            "changed": differences.words(story.original or "", story.body_email) if whole else [],
            "findings": [*story_checks.findings(story.body_email), *story_checks.findings(story.body_sms)],
            "size": measure(story.body_sms),
            "obstacles": stories.obstacles(session, story) if writable else [],
            "approval": stories.approval(session, story),
            "first": stories.first_reader(session, story),
            "how": stories.HOW,
            "felt": stories.felt_words(session, [story.id])[story.id],
            "helped": helped_words(session, story),
            "writable": writable,
            "public": links.url(f"/s/{links.sign('story', story.id)}") if _has_page(story) else None,
            "replies": replies,
            "kind_words": _kind_words(author) if author and writable else [],
            "reach": bool(author and telling.reach(session, author)),
            "lead": coordinator.role in stories.LEADS,
            "today": clock.now().date(),
        }
    if replies:
        _note(replies, coordinator)
    return found


def _note(replies: list[Message], coordinator: Coordinator) -> None:
    with db.reading() as session:
        thread = thread_of(session, replies[0].member_id) if replies[0].member_id else None
    if thread is not None:
        replying.note_reading(thread, coordinator)


def helped_words(session: Session, story: Story) -> str:
    """How many it helped, never below the privacy floor."""
    yes, answers = helped.counts(session, [story.id]).get(story.id, (0, 0))
    return helped.counted(yes, answers)


def _kind_words(author: Member) -> list[tuple[str, str]]:
    """Our wordings for a kind no, as this author would read them."""
    facts = {"language": author.language, "kind": "historia" if author.language == "es" else "story"}
    return [(name, words_for(ChannelName.SMS, name, facts)[1]) for name in telling.KIND_WORDS]


def _has_page(story: Story) -> bool:
    return story.state == StoryState.PUBLISHED and story.consent_page
