"""What a campaign may be about: the stories, tools, sessions and circles that a coordinator can choose from."""

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import clock
from service.actions import access
from service.actions import audience as audiences
from service.models.content import Story, StoryRead, StoryState, Tool
from service.models.gatherings import Circle, GroupSession, SessionState
from service.models.members import Topic
from service.models.staff import Coordinator

MOST = 200
"""Rows of a picker: a longer one is no picker any more."""


@dataclass(frozen=True)
class Pick:
    """One thing to choose, with what tells it from the others."""

    id: UUID
    title: str
    language: str
    about: str = ""
    people: int | None = None
    """Of a story: how many would still get it, who have not had it yet."""


def stories(session: Session, audience: audiences.Audience) -> list[Pick]:
    """Published stories, newest first, each with how many of the audience have not had it yet."""
    found = list(
        session.scalars(
            select(Story)
            .where(Story.state == StoryState.PUBLISHED)
            .order_by(Story.published_at.desc(), Story.id.desc())
            .limit(MOST)
        )
    )
    everybody = replace(audience, topic=Topic.STORIES, story_id=None)
    total, had = 0, dict.fromkeys((story.id for story in found), 0)
    for channel in everybody.channels:
        people = audiences.recipients(everybody, channel).subquery()
        total += session.scalar(select(func.count()).select_from(people)) or 0
        readers = (
            select(StoryRead.story_id, func.count())
            .join(people, people.c[0] == StoryRead.member_id)
            .group_by(StoryRead.story_id)
        )
        for story_id, count in session.execute(readers):
            if story_id in had:
                had[story_id] += count
    return [Pick(s.id, s.title, s.language, s.about, total - had[s.id]) for s in found]


def tools(session: Session) -> list[Pick]:
    """Tools that are not past their review date, nor retired, by title."""
    good = (Tool.review_by >= clock.now().date(), Tool.retired_at.is_(None))
    found = select(Tool).where(*good).order_by(Tool.title).limit(MOST)
    return [Pick(t.id, t.title, t.language, t.topics.replace(",", ", ")) for t in session.scalars(found)]


def sessions(session: Session, coordinator: Coordinator) -> list[tuple[GroupSession, Circle]]:
    """Sessions to come of the circles that this coordinator may see, the next first."""
    found = session.execute(
        select(GroupSession, Circle)
        .join(Circle, Circle.id == GroupSession.circle_id)
        .where(
            GroupSession.starts_at > clock.now(),
            GroupSession.state == SessionState.PLANNED,
            access.access_circles(coordinator),
        )
        .order_by(GroupSession.starts_at, GroupSession.id)
        .limit(MOST)
    )
    return [(meeting, circle) for meeting, circle in found]


def circles(session: Session, coordinator: Coordinator) -> list[Circle]:
    """The circles that this coordinator may send to, by name."""
    found = select(Circle).where(Circle.closed_at.is_(None), access.access_circles(coordinator)).order_by(Circle.name)
    return list(session.scalars(found))
