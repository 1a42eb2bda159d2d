"""What OOPS takes back about tools: an answer about a card, a series that was begun or ended."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.actions.tools import series
from service.models.members import Member
from service.models.tools import SeriesReader, ToolRead


def helped(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Put an earlier answer back, or none."""
    row = session.get(ToolRead, (UUID(data["tool"]), member.id))
    if row is not None:
        row.helped = data["before"]
        row.answered_at = row.answered_at if row.helped is not None else None
    words = {"es": ("tu ME SIRVE", "tu NO TANTO")}.get(member.language, ("your HELPED", "your NOT REALLY"))
    return words[0] if data["now"] else words[1]


def series_start(session: Session, member: Member, data: dict[str, Any]) -> str:
    """End what was begun."""
    series.end(session, UUID(data["reader"]), "stopped")
    return {"es": "el inicio de la serie"}.get(member.language, "the start of the series")


def series_stop(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Go on with what was ended, unless another has been begun since."""
    reader = session.get(SeriesReader, UUID(data["reader"]))
    if reader is not None and series.running(session, member.id) is None:
        series.go_on(session, reader, member)
    return {"es": "el final de la serie"}.get(member.language, "the end of the series")


def end_running(session: Session, member: Member) -> str | None:
    """OOPS with nothing else to take back, while a series runs: it ends. What it was, None without a series."""
    running = series.running(session, member.id)
    if running is None:
        return None
    series.end(session, running.id, "stopped")
    return {"es": "la serie"}.get(member.language, "the series")


KINDS = {"helped": helped, "series_start": series_start, "series_stop": series_stop}
