"""The audit trail: who with access did what, and read whose words. Ids and counts only, never the words."""

from typing import Any

from sqlalchemy.orm import Session

from service import clock
from service.models.staff import AuditEntry


def record(session: Session, actor: str, action: str, subject: Any = None, **detail: Any) -> None:
    """Add an entry. `actor` is a coordinator's id, `system` or `cli`; `subject` a model or None."""
    session.add(
        AuditEntry(
            at=clock.now(),
            actor=actor,
            action=action,
            subject_type=type(subject).__name__ if subject is not None else "",
            subject_id=str(subject.id) if subject is not None else "",
            detail=detail,
        )
    )
