"""What both sides hear later: an author, at a few steps, how many felt what they shared, and those who answered a
prompt, how many they were.

Never at the moment of an answer, so that its time tells nothing, and always as a campaign: consent, breaks, hours, caps
and flags hold.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select

from service import clock, db, logs
from service.actions.belonging import notes
from service.actions.resonance import counting, prompts
from service.actions.resonance.counting import Thing
from service.models.campaigns import Campaign, CampaignKind
from service.models.content import Prompt, Resonance, Story, StoryState
from service.models.members import Member, MemberState, Topic

log = logs.get("me_too")

QUIET = timedelta(hours=24)
"""An author hears nothing while answers come in."""
RESULT_AFTER = timedelta(days=4)
RESULT_UNTIL = timedelta(days=14)
AT_ONCE = 1000
"""Members in one note."""


def run() -> dict[str, int]:
    """One round of everything; counts by what was done. May be repeated at will."""
    chores: dict[str, Callable[[], int]] = {"prompts": _adopt, "authors": tell_authors, "results": tell_results}
    done = {}
    for name, chore in chores.items():
        try:
            done[name] = chore()
        except Exception as error:  # a part that fails keeps none of the others from being done
            log.error("a chore of ME TOO failed", chore=name, exc_info=error)
    return {name: count for name, count in done.items() if count}


def _adopt() -> int:
    with db.transaction() as session:
        return prompts.adopt(session)


def tell_authors() -> int:
    """Tell those whose words have reached a new step; how many were told."""
    since = clock.now() - QUIET
    with db.reading() as session:
        stories: Sequence[UUID] = session.scalars(
            select(Story.id).where(
                Story.felt_shown > Story.felt_told, Story.felt_at < since, Story.state == StoryState.PUBLISHED
            )
        ).all()
        asked: Sequence[UUID] = session.scalars(
            select(Prompt.id).where(Prompt.felt_shown > Prompt.felt_told, Prompt.felt_at < since, prompts.usable())
        ).all()
    return sum(_tell_author(Story, i) for i in stories) + sum(_tell_author(Prompt, i) for i in asked)


def _tell_author(model: type[Story] | type[Prompt], thing_id: UUID) -> bool:
    with db.transaction() as session:
        found: Any = session.get(model, thing_id, with_for_update=True)
        thing: Thing | None = found
        if thing is None:
            return False
        reached = counting.step(thing.felt_shown)
        author_id = counting.author_of(session, thing)
        author = session.get(Member, author_id) if author_id else None
        if reached <= thing.felt_told or (author is not None and author.held_at is not None):
            return False  # under a flag they hear it later
        thing.felt_told = reached
        if author is None or author.state != MemberState.ACTIVE or author.no_news:
            return False
        notes.one(
            session, "felt_news", f"Felt by {reached} (automatic)", author, {"count": reached}, circle=None,
            topic=Topic.STORIES,
        )  # fmt: skip
        return True


def result_from(campaign: Campaign) -> datetime | None:
    """From when those who answer the campaign's prompt hear how many they were; None before it has begun."""
    return campaign.frozen_at + RESULT_AFTER if campaign.started_at and campaign.frozen_at else None


def tell_results() -> int:
    """Tell those who answered a prompt, some days later, how many they were; to how many."""
    now = clock.now()
    with db.reading() as session:
        due = session.scalars(
            select(Prompt.id)
            .join(Campaign, and_(Campaign.prompt_id == Prompt.id, Campaign.kind == CampaignKind.PROMPT))
            .where(
                Prompt.result_at.is_(None),
                prompts.usable(),
                Campaign.started_at.is_not(None),  # not called off before anybody was asked
                Campaign.frozen_at.between(now - RESULT_UNTIL, now - RESULT_AFTER),
            )
        ).all()
    return sum(_tell_result(prompt_id) for prompt_id in due)


def _tell_result(prompt_id: UUID) -> int:
    with db.transaction() as session:
        prompt = session.get(Prompt, prompt_id, with_for_update=True)
        if prompt is None or prompt.result_at is not None:
            return 0  # another clock was quicker
        prompt.result_at = clock.now()
        author = counting.author_of(session, prompt)
        said = select(Resonance.member_id).where(counting.answers(prompt), counting.LIVE)
        ids = sorted(i for i in session.scalars(said) if i != author)
        # Each of them knows of themselves: the others are one fewer.
        shown = max(prompt.felt_shown, counting.within(session, prompt, counting.rounded(len(ids) - 1)))
        template = "prompt_result" if shown else "prompt_result_few"
        context = {language: {"count": shown, "prompt": notes.PROMPT} for language in notes.LANGUAGES}
        for start in range(0, len(ids), AT_ONCE):
            notes.note(
                session, template, "You too? What became of it (automatic)", ids[start : start + AT_ONCE], context,
                circle=None, prompt_id=prompt.id, topic=Topic.STORIES,
            )  # fmt: skip
        return len(ids)
