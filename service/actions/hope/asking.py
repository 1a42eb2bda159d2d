"""Asking the author: the exact words go to them, with three digits that belong to these words and to no others.

PUBLISH and the digits, or a button on a signed page, is the author's yes (rule of conversation 8: YES never is).
Nothing is published by that: a coordinator still has to.
"""

import secrets
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, member_links, outbox, stories
from service.actions.hope import pieces, telling
from service.actions.hope.ending import APPROVED, AUTHOR
from service.errors import Conflict
from service.models.campaigns import Purpose
from service.models.content import Attribution, Story, StoryState
from service.models.conversations import Direction, Message
from service.models.members import ChannelName, Member
from service.models.staff import Coordinator

NO_LINKS = frozenset(["MX"])
"""Where carriers block texts with a link in them (rule of conversation 16)."""
ANSWERS = 8
"""So many of the author's messages are shown beside the story."""
BY = {ChannelName.SMS: "text", ChannelName.EMAIL: "email"}


@dataclass(frozen=True)
class Agreed:
    """What the author agrees to, beside the words themselves."""

    sms: bool = True
    email: bool = True
    page: bool = False
    found: bool = False
    attribution: Attribution = Attribution.ANONYMOUS
    until: date | None = None


def ask(story_id: UUID, coordinator: Coordinator) -> list[ChannelName]:
    """Send the author these exact words and the question; returns the channels. Asking again asks with new digits.

    Raises Conflict, with what to do, where something is missing, or where they cannot be written to.
    """
    with db.transaction() as session:
        story = stories.require(session, coordinator, story_id)
        if not access.sees_everything(coordinator):
            raise Conflict("Stories are looked after by coordinators of the whole community.")
        if story.state not in stories.WRITABLE:
            raise Conflict("This story is published already, or at rest.")
        if problems := [*stories.unwritten(story), *_unready(session, story)]:
            raise Conflict(" ".join(problems))
        author = session.get_one(Member, story.author_id)
        story.asked_code, story.asked_mark = _new_code(session, story), stories.text_mark(story)
        story.asked_at, story.state = clock.now(), StoryState.AWAITING_AUTHOR
        session.flush()
        sent = _send(session, story, author)
        audit.record(session, str(coordinator.id), "story.ask", story, text=story.asked_mark)
        return sent


def _unready(session: Session, story: Story) -> list[str]:
    author = session.get(Member, story.author_id) if story.author_id else None
    if author is None:
        return ["Name the author first."]
    if not story.title.strip():
        return ["Give it a title first."]
    if author.held_at is not None:
        return ["It rests while its author is under a safety flag."]
    channels = telling.reach(session, author)
    if not channels:
        return ["Its author cannot be written to now. Ask them in person, and note their yes."]
    if author.discreet and not _may_link(author, channels):
        return ["Its author is discreet, and a link cannot be texted there. Ask them by phone, and note their yes."]
    return []


def _may_link(author: Member, channels: list[ChannelName]) -> bool:
    return ChannelName.EMAIL in channels or author.country not in NO_LINKS


def _new_code(session: Session, story: Story) -> str:
    """Three digits that none of this author's stories has, or has just had."""
    taken = set(session.scalars(select(Story.asked_code).where(Story.author_id == story.author_id)))
    free = [f"{n:03d}" for n in range(100, 1000) if f"{n:03d}" not in taken]
    return free[secrets.randbelow(len(free))]


def _send(session: Session, story: Story, author: Member) -> list[ChannelName]:
    """The words whole: by mail both versions; by text the text and, where there is no mail, the mail's words, too."""
    channels = telling.reach(session, author)
    page = member_links.approve_url(story.id, author.id, str(story.asked_mark)[:16])
    if author.discreet:
        channel = channels[0] if channels[0] == ChannelName.EMAIL or _may_link(author, []) else ChannelName.EMAIL
        outbox.say(session, author, "story_ask_discreet", channel, Purpose.ANSWER, {"page_url": page})
        return [channel]
    facts = {
        "code": story.asked_code, "page_url": page, "story_title": story.title, "story_body": story.body_email,
        "story_text": story.body_sms, "story_about": story.about,
    }  # fmt: skip
    if ChannelName.EMAIL in channels:
        outbox.say(session, author, "story_ask", ChannelName.EMAIL, Purpose.ANSWER, facts)
    if ChannelName.SMS in channels:
        alone = ChannelName.EMAIL not in channels
        for body in pieces.by_text(story, author, alone=alone, link=page if author.country not in NO_LINKS else ""):
            outbox.write(session, author, ChannelName.SMS, body, purpose=Purpose.ANSWER, template="story_words")
        outbox.say(session, author, "story_ask", ChannelName.SMS, Purpose.ANSWER, {"code": story.asked_code})
    return channels


def approve(session: Session, story: Story, author: Member, how: str, agreed: Agreed) -> None:
    """Keep the author's yes to the words as they are, with what they agreed to. The caller has checked which words."""
    story.consent_sms, story.consent_email = agreed.sms, agreed.email
    story.consent_page, story.consent_found = agreed.page, agreed.page and agreed.found
    story.consent_until, story.attribution = agreed.until, agreed.attribution
    story.author_name = {
        Attribution.FIRST_NAME: author.first_name,
        Attribution.INITIAL: author.first_name[:1],
    }.get(agreed.attribution, "")
    story.asked_code = story.asked_mark = None
    story.state, story.updated_at = StoryState.REVIEW, clock.now()
    session.flush()
    audit.record(
        session, AUTHOR, APPROVED, story,
        how=how, on=clock.now().date().isoformat(), text=stories.text_mark(story),
    )  # fmt: skip


def waiting(session: Session, author_id: UUID) -> list[Story]:
    """The stories whose author has been asked and has not answered yet, the newest question first."""
    asked = select(Story).where(
        Story.author_id == author_id, Story.state == StoryState.AWAITING_AUTHOR, Story.asked_code.is_not(None)
    )
    return list(session.scalars(asked.order_by(Story.asked_at.desc())))


def answers(session: Session, story: Story) -> list[Message]:
    """What the author has written since they were asked, oldest first: what to change may be among it."""
    if story.asked_at is None or story.author_id is None or story.state not in stories.WRITABLE:
        return []
    thread = outbox.thread_of(session, story.author_id)
    since = select(Message).where(
        Message.conversation_id == thread, Message.direction == Direction.IN, Message.automatic.is_(False),
        Message.at >= story.asked_at,
    )  # fmt: skip
    return list(session.scalars(since.order_by(Message.at.desc()).limit(ANSWERS)))[::-1]
