"""What OOPS takes back about notes: a thank-you, a yes or no to getting them, a break from giving."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.actions.giving import carrying, wishes
from service.models.encouragement import CarriedNote
from service.models.members import Member


def thanks(session: Session, member: Member, data: dict[str, Any]) -> str:
    """The thank-you, before its author has heard of it."""
    note = session.get(CarriedNote, UUID(data["note"]))
    if note is not None:
        carrying.unthank(session, note)
    return {"es": "tu GRACIAS"}.get(member.language, "your THANKS")


def wish(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Back to what it was about getting notes."""
    wishes.receive(session, member.id, bool(data["before"]), "OOPS")
    return {"es": "tu cambio"}.get(member.language, "your change")


def break_(session: Session, member: Member, data: dict[str, Any]) -> str:
    """The break from giving."""
    wishes.give(session, member.id, True)
    return {"es": "tu descanso de notas"}.get(member.language, "your break from notes")


KINDS = {"note_thanks": thanks, "note_wish": wish, "note_break": break_}
