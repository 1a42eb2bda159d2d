"""ME TOO with a button: a story or a prompt behind a member's signed link, taken like an answer by text."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions.conversations import on_page, undo
from service.actions.conversations.on_page import Heard
from service.actions.delivery import release
from service.actions.leaving import existing
from service.actions.resonance import counting, hearing, prompts
from service.actions.resonance.counting import Thing
from service.actions.understanding import Question
from service.errors import NotFound
from service.models.campaigns import Campaign, Delivery
from service.models.content import Prompt, Resonance, Story, StoryState
from service.models.members import ChannelName, Member

SAYS = {"es": "YO TAMBIEN"}


@dataclass(frozen=True)
class View:
    """What the page shows."""

    words: str
    """The prompt, or the story where its author agreed to a page; else empty."""
    title: str
    """A story's; a prompt has none."""
    about: str
    language: str
    takes: bool
    """Whether there is a button."""
    said: bool
    told: int
    """The number that this member was told, 0 for none."""


def view(what: str, thing_id: UUID, member_id: UUID) -> View:
    """A story or prompt for one member. Raises NotFound once it rests or was taken back."""
    with db.reading() as session:
        member = existing(session, member_id)
        thing = _thing(session, what, thing_id)
        felt = session.scalar(
            select(Resonance).where(counting.answers(thing), Resonance.member_id == member_id, counting.LIVE)
        )
        said, told = felt is not None, (felt.told or 0) if felt else 0
        if isinstance(thing, Prompt):
            own = member.language if thing.words(member.language) else thing.languages[0]
            return View(thing.words(own) or "", "", "", own, True, said, told)
        words = thing.body_email if thing.consent_page else ""
        return View(words, thing.title, thing.about, thing.language, hearing.takes(thing), said, told)


def say(what: str, thing_id: UUID, member_id: UUID, channel: ChannelName) -> tuple[Heard, int]:
    """Take the ME TOO; what became of it, and the number that may be told. Raises NotFound, Conflict."""
    with db.transaction() as session:
        member = existing(session, member_id)
        thing = _thing(session, what, thing_id)
        if not hearing.takes(thing):
            raise NotFound("This takes no answer here.")
        words = SAYS.get(member.language, "ME TOO")
        written = on_page.take(session, member, channel, words, Question.STORY, labels={"did": "me too"})
        if written.heard != Heard.KEPT:
            return written.heard, 0
        felt = counting.record(session, thing, member, written.message.id, written.message.at)
        undo.remember(session, member, written.message, "me_too", {"id": str(felt.id)})
        _close(session, thing, member)
        return Heard.KEPT, felt.told or 0


def take_back(what: str, thing_id: UUID, member_id: UUID) -> None:
    """Take the answer back; it counts for nothing from then on. Raises NotFound."""
    with db.transaction() as session:
        thing = _thing(session, what, thing_id)
        session.execute(
            update(Resonance)
            .where(counting.answers(thing), Resonance.member_id == member_id, counting.LIVE)
            .values(taken_back_at=clock.now())
        )


def _thing(session: Session, what: str, thing_id: UUID) -> Thing:
    gone = NotFound("This is resting. Whoever wrote it may have asked for it back.")
    if what == "prompt":
        prompt = session.scalar(select(Prompt).where(Prompt.id == thing_id, prompts.usable()))
        if prompt is None:
            raise gone
        return prompt
    story = session.get(Story, thing_id)
    if story is None or story.state != StoryState.PUBLISHED or _ended(story.consent_until):
        raise gone
    return story


def _ended(until: date | None) -> bool:
    return until is not None and until < clock.now().date()


def _close(session: Session, thing: Thing, member: Member) -> None:
    """The question is answered, whichever campaign asked it."""
    asked = Campaign.story_id == thing.id if isinstance(thing, Story) else Campaign.prompt_id == thing.id
    session.execute(
        update(Delivery)
        .where(Delivery.member_id == member.id, Delivery.campaign_id.in_(select(Campaign.id).where(asked)))
        .where(Delivery.sending_at.is_not(None), Delivery.answered_at.is_(None))
        .values(answered_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    release(session, member.id, "open_question")
