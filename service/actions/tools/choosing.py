"""Which card a member gets: one on the topic that they have not had, the more helpful the sooner."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.actions.tools import cards, helped
from service.actions.tools.topics import topics_of
from service.models.content import Tool
from service.models.tools import ToolRead


def best(session: Session, found: Sequence[Tool], member_id: UUID, topic: str, *, new: bool = False) -> Tool | None:
    """The card on `topic` for this member, out of `found`; with `new` only one that they have not had yet.

    What they have had comes last, the longest ago first.
    """
    had = helped.had(session, member_id)
    about = [tool for tool in found if topic in topics_of(tool) and not (new and tool.id in had)]
    standing = helped.standings(session, found)
    fresh = sorted(
        (t for t in about if t.id not in had), key=lambda t: (-standing[t.id].score, _place(t, topic), t.title)
    )
    again = sorted((t for t in about if t.id in had), key=lambda t: had[t.id])
    return next(iter([*fresh, *again]), None)


def _place(tool: Tool, topic: str) -> int:
    """Where the topic stands among the card's own: what it is most about comes first."""
    return topics_of(tool).index(topic)


def ranked(session: Session, language: str) -> list[Tool]:
    """The cards of a language that may be sent, the most helpful first."""
    found = cards.current(session, language)
    standing = helped.standings(session, found)
    return sorted(found, key=lambda tool: (-standing[tool.id].score, tool.title))


def last_topic(session: Session, member_id: UUID) -> str:
    """What the member last asked for, empty if nothing."""
    last = select(ToolRead.topic).where(ToolRead.member_id == member_id, ToolRead.topic != "")
    return session.scalar(last.order_by(ToolRead.at.desc()).limit(1)) or ""
