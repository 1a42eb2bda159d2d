"""What OOPS takes back: a vent that was just begun goes, with everything that is in it."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.actions.vents import forgetting
from service.models.members import Member
from service.models.vents import Vent


def vent(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Delete it, unless it is gone already."""
    row = session.get(Vent, UUID(data["id"]))
    if row is not None:
        forgetting.forget(session, row)
    return {"es": "tu desahogo"}.get(member.language, "your vent")


KINDS = {"vent": vent}
