"""Tools: short cards with an owner, a source and a day by which somebody reads them again; expired, they rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
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
    if not access.sees_everything(coordinator):
        raise Forbidden("Tools are looked after by coordinators of the whole community.")
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


def listed(session: Session, language: str = "") -> list[Tool]:
    """Every card, those to be read again first."""
    statement = select(Tool).order_by(Tool.review_by, Tool.title)
    return list(session.scalars(statement.where(Tool.language == language) if language else statement))
