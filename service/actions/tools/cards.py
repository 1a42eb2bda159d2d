"""A card: words, owner, source, and the day by which somebody reads it again; past that day, or retired, it rests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit
from service.errors import Forbidden, Invalid, NotFound
from service.models.content import Tool
from service.models.staff import Coordinator

LONGEST_TRUST = timedelta(days=731)
"""A card is read again at least every two years."""
SOON = timedelta(days=30)
"""For so long before its day a card is pointed out."""


@dataclass(frozen=True)
class ToolDetails:
    """A card as typed."""

    title: str
    body_sms: str
    body_email: str
    review_by: date | None
    topics: Sequence[str] = ()
    language: str = "en"
    owner: str = ""
    source: str = ""


def get(session: Session, tool_id: UUID) -> Tool:
    """The card. Raises NotFound."""
    tool = session.get(Tool, tool_id)
    if tool is None:
        raise NotFound("There is no such tool.")
    return tool


def save(tool_id: UUID | None, coordinator: Coordinator, details: ToolDetails) -> UUID:
    """Keep a card; returns its id. Raises Invalid beside its field, Forbidden, NotFound."""
    require_whole(coordinator)
    for name, words in (("title", details.title), ("body_sms", details.body_sms), ("body_email", details.body_email)):
        if not words.strip():
            raise Invalid("Write a few words here.", field=name)
    today = clock.now().date()
    if details.review_by is None or not today < details.review_by <= today + LONGEST_TRUST:
        raise Invalid("Choose a day within the next two years.", field="review_by")
    with db.transaction() as session:
        tool = get(session, tool_id) if tool_id else Tool(id=db.uuid7(), created_at=clock.now())
        for name, value in vars(details).items():
            setattr(tool, name, value.strip() if isinstance(value, str) else value)
        tool.topics = ",".join(t for t in (t.strip().lower() for t in details.topics) if t)[:200]
        session.add(tool)
        session.flush()
        audit.record(session, str(coordinator.id), "tool.change" if tool_id else "tool.add", tool)
        return tool.id


def retire(tool_id: UUID, coordinator: Coordinator) -> None:
    """Send a card to nobody any more; it stays readable here. Raises Forbidden, NotFound."""
    _set_retired(tool_id, coordinator, clock.now(), "tool.retire")


def restore(tool_id: UUID, coordinator: Coordinator) -> None:
    """Bring a retired card back. Raises Forbidden, NotFound."""
    _set_retired(tool_id, coordinator, None, "tool.restore")


def _set_retired(tool_id: UUID, coordinator: Coordinator, at: datetime | None, act: str) -> None:
    require_whole(coordinator)
    with db.transaction() as session:
        tool = get(session, tool_id)
        tool.retired_at = at
        audit.record(session, str(coordinator.id), act, tool)


def require_whole(coordinator: Coordinator) -> None:
    """Raises Forbidden for a coordinator of single circles: cards go to everybody."""
    if not access.sees_everything(coordinator):
        raise Forbidden("Tools are looked after by coordinators of the whole community.")


def listed(session: Session, language: str = "", *, retired: bool = False) -> list[Tool]:
    """Every card, those to be read again first; or those that were retired."""
    statement = select(Tool).order_by(Tool.review_by, Tool.title)
    statement = statement.where(Tool.retired_at.is_not(None) if retired else Tool.retired_at.is_(None))
    return list(session.scalars(statement.where(Tool.language == language) if language else statement))


def current(session: Session, language: str) -> list[Tool]:
    """The cards of a language that may be sent today, by title."""
    statement = select(Tool).where(
        Tool.language == language, Tool.retired_at.is_(None), Tool.review_by >= clock.now().date()
    )
    return list(session.scalars(statement.order_by(Tool.title, Tool.id)))


def is_over(tool: Tool | None) -> bool:
    """Whether a card may not be sent: past its day, retired, or not there at all."""
    return tool is None or tool.retired_at is not None or tool.review_by < clock.now().date()


def expiring(session: Session) -> list[Tool]:
    """Cards that are past their day or soon will be, the first to go first: somebody has to read them again."""
    statement = select(Tool).where(Tool.retired_at.is_(None), Tool.review_by < clock.now().date() + SOON)
    return list(session.scalars(statement.order_by(Tool.review_by, Tool.title)))
