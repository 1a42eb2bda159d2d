"""What stories are about, in words that mean the same in both languages, and which topics a member leaves out."""

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.actions.tools import topics
from service.errors import Invalid
from service.models.content import Story, StoryState, TopicLeftOut

LOOKED_AT = 300
LONGEST = 40


def cleaned(words: Iterable[str]) -> list[str]:
    """Topics as they are kept: `duelo` and `Grief` are both `grief`; what has no name of ours stays as it was typed."""
    kept = (topics.key_of(word.strip())[:LONGEST] for word in words if word.strip())
    return list(dict.fromkeys(kept))


def left_out(session: Session, member_id: UUID) -> frozenset[str]:
    """The topics of which the member wants no stories."""
    return frozenset(session.scalars(select(TopicLeftOut.topic).where(TopicLeftOut.member_id == member_id)))


def names_left_out(session: Session, member_id: UUID, language: str) -> list[str]:
    """The same by name, in the language of whoever reads it."""
    return sorted(topics.name_of(topic, language) for topic in left_out(session, member_id))


def offered(session: Session, member_id: UUID, language: str) -> list[tuple[str, str, bool]]:
    """(topic, its name, whether it is left out) of what stories in the member's language are about, by name."""
    out = left_out(session, member_id)
    there = session.scalars(
        select(Story.topics)
        .where(Story.state == StoryState.PUBLISHED, Story.language == language, Story.topics != "")
        .limit(LOOKED_AT)
    )
    known = {topic for listed in there for topic in listed.split(",") if topic} | out
    named = [(topic, topics.name_of(topic, language), topic in out) for topic in known]
    return sorted(named, key=lambda row: row[1])


def leave_out(session: Session, member_id: UUID, wanted: Collection[str]) -> bool:
    """Keep exactly these as left out; whether anything changed. Raises Invalid for what is no topic of ours."""
    before = left_out(session, member_id)
    known = before | {t for listed in session.scalars(select(Story.topics).limit(LOOKED_AT)) for t in listed.split(",")}
    if not set(wanted) <= known:
        raise Invalid("Choose from the list.", field="left_out")
    gone = before - set(wanted)
    session.execute(delete(TopicLeftOut).where(TopicLeftOut.member_id == member_id, TopicLeftOut.topic.in_(gone)))
    session.add_all(TopicLeftOut(member_id=member_id, topic=topic) for topic in set(wanted) - before)
    session.flush()
    return before != set(wanted)
