"""What OOPS takes back about lines for a harder day."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.models.checkins import OwnLine
from service.models.members import Member


def line(session: Session, member: Member, data: dict[str, Any]) -> str:
    """Forget the line that was just left."""
    row = session.get(OwnLine, UUID(data["id"]))
    if row is not None:
        row.words = None
    return {"es": "tu frase"}.get(member.language, "your line")


KINDS = {"line": line}
