"""Replies that are ready: words a coordinator can begin with. They are filled in, read, and sent by a person."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import db
from service.actions import access, audit
from service.channels import render
from service.errors import Forbidden, Invalid, NotFound
from service.models.staff import CannedReply, Coordinator

FIELDS = ("first_name",)
"""Merge fields that a reply may use."""


def listed(session: Session, language: str = "") -> list[CannedReply]:
    """Every reply, by language and title."""
    found = select(CannedReply).order_by(CannedReply.language, CannedReply.title, CannedReply.id)
    return list(session.scalars(found.where(CannedReply.language == language) if language else found))


def get(session: Session, reply_id: UUID) -> CannedReply:
    """The reply. Raises NotFound."""
    found = session.get(CannedReply, reply_id)
    if found is None:
        raise NotFound("This reply is not there any more.")
    return found


def save(reply_id: UUID | None, coordinator: Coordinator, *, title: str, language: str, body: str) -> UUID:
    """Keep a reply; returns its id. Raises Invalid beside its field, Forbidden, NotFound."""
    _may(coordinator)
    if not title.strip():
        raise Invalid("Give it a title, so that others find it.", field="title")
    if not body.strip():
        raise Invalid("Write a few words here.", field="body")
    if problems := render.check(body, FIELDS):
        raise Invalid(" ".join(p.message for p in problems), field="body")
    with db.transaction() as session:
        found = get(session, reply_id) if reply_id else CannedReply(id=db.uuid7())
        found.title, found.language, found.body = title.strip()[:80], language, body.strip()
        session.add(found)
        session.flush()
        audit.record(session, str(coordinator.id), "canned.change" if reply_id else "canned.add", found)
        return found.id


def delete(reply_id: UUID, coordinator: Coordinator) -> None:
    """Take a reply away. Raises NotFound, Forbidden."""
    _may(coordinator)
    with db.transaction() as session:
        found = get(session, reply_id)
        audit.record(session, str(coordinator.id), "canned.delete", found)
        session.delete(found)


def filled(reply: CannedReply, first_name: str) -> str:
    """The words with the member's name in them; as they were written where a name is missing: a person reads them."""
    try:
        return render.run(render.TEXT.from_string(reply.body), {"first_name": first_name} if first_name else {})
    except render.MissingValue:
        return reply.body


def _may(coordinator: Coordinator) -> None:
    if not access.sees_everything(coordinator):
        raise Forbidden("Replies that are ready are looked after by coordinators of the whole community.")
