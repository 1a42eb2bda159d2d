"""What OOPS takes back: a ME TOO. That it was given stays known, so that the same person hears no second number."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock
from service.models.content import Resonance
from service.models.members import Member


def me_too(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Count it no more."""
    felt = session.get(Resonance, UUID(data["id"]))
    if felt is not None:
        felt.taken_back_at = clock.now()
    return {"es": "tu YO TAMBIEN"}.get(member.language, "your ME TOO")


def news(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Hear of it again, or no more, as before."""
    member.no_news = bool(data["before"])
    return {"es": "tu cambio"}.get(member.language, "your change")


KINDS = {"me_too": me_too, "news": news}
