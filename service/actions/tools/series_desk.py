"""Series as coordinators keep them: which cards on which days, and how many members are on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import case, delete, func, select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import audit
from service.actions.tools import cards
from service.errors import Invalid, NotFound
from service.models.content import Tool
from service.models.staff import Coordinator
from service.models.tools import SeriesReader, ToolSeries, ToolSeriesCard

MOST_DAYS = 30


@dataclass(frozen=True)
class SeriesDetails:
    """A series as typed; `tool_ids` in the order of the days."""

    title: str
    language: str
    local_time: str
    tool_ids: Sequence[UUID]
    owner: str = ""


@dataclass(frozen=True)
class Line:
    """A series in its list."""

    series: ToolSeries
    days: int
    resting: int
    """Cards that would be passed over today: past their day, or retired."""
    running: int
    done: int


def get(session: Session, series_id: UUID) -> ToolSeries:
    """The series. Raises NotFound."""
    series = session.get(ToolSeries, series_id)
    if series is None:
        raise NotFound("There is no such series.")
    return series


def listed(session: Session) -> list[Line]:
    """Every series, those that are offered first."""
    found = session.scalars(
        select(ToolSeries).order_by(ToolSeries.retired_at.is_not(None), ToolSeries.created_at)
    ).all()
    ids = [series.id for series in found]
    days: dict[UUID, list[Tool]] = {id_: [] for id_ in ids}
    rows = select(ToolSeriesCard.series_id, Tool).join(Tool, Tool.id == ToolSeriesCard.tool_id)
    for series_id, tool in session.execute(rows.where(ToolSeriesCard.series_id.in_(ids))):
        days[series_id].append(tool)
    readers = session.execute(
        select(
            SeriesReader.series_id,
            func.sum(case((SeriesReader.ended_at.is_(None), 1), else_=0)),
            func.sum(case((SeriesReader.ended == "done", 1), else_=0)),
        )
        .where(SeriesReader.series_id.in_(ids))
        .group_by(SeriesReader.series_id)
    )
    counts = {series_id: (int(running), int(done)) for series_id, running, done in readers}
    return [
        Line(s, len(days[s.id]), sum(cards.is_over(tool) for tool in days[s.id]), *counts.get(s.id, (0, 0)))
        for s in found
    ]


def save(series_id: UUID | None, coordinator: Coordinator, details: SeriesDetails) -> UUID:
    """Keep a series; returns its id. Raises Invalid beside its field, Forbidden, NotFound.

    Whoever is on the way goes on with the cards as they are from the next day on.
    """
    cards.require_whole(coordinator)
    _require_good(details)
    with db.transaction() as session:
        known = set(
            session.scalars(select(Tool.id).where(Tool.id.in_(details.tool_ids), Tool.language == details.language))
        )
        if known != set(details.tool_ids):
            raise Invalid("Choose cards in the language of the series.", field="cards")
        series = get(session, series_id) if series_id else ToolSeries(id=db.uuid7(), created_at=clock.now())
        series.title, series.language, series.owner = details.title.strip(), details.language, details.owner.strip()
        series.local_time = details.local_time
        session.add(series)
        session.flush()
        session.execute(delete(ToolSeriesCard).where(ToolSeriesCard.series_id == series.id))
        for day, tool_id in enumerate(details.tool_ids, start=1):
            session.add(ToolSeriesCard(series_id=series.id, day=day, tool_id=tool_id))
        audit.record(session, str(coordinator.id), "series.change" if series_id else "series.add", series)
        return series.id


def _require_good(details: SeriesDetails) -> None:
    if not details.title.strip():
        raise Invalid("Give it a title.", field="title")
    if not 2 <= len(details.tool_ids) <= MOST_DAYS:
        raise Invalid("Choose a card for two days at least, and for thirty at most.", field="cards")
    if len(set(details.tool_ids)) < len(details.tool_ids):
        raise Invalid("Each card comes once in a series.", field="cards")
    hours, _, minutes = details.local_time.partition(":")
    if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise Invalid("Type the hour like 18:00.", field="local_time")


def set_retired(series_id: UUID, coordinator: Coordinator, *, retired: bool) -> None:
    """Offer a series to nobody any more, or again; whoever is on the way of a retired one gets no further card."""
    cards.require_whole(coordinator)
    with db.transaction() as session:
        series = get(session, series_id)
        series.retired_at = clock.now() if retired else None
        audit.record(session, str(coordinator.id), "series.retire" if retired else "series.restore", series)
