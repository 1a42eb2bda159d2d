"""Coordinators as administrators look after them: roles, who may still come in, and who can be reached at night."""

from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from service import clock
from service.actions import audit, contacts, staff
from service.db import transaction
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.gatherings import Circle, CircleStaff
from service.models.staff import Coordinator, DutyShift, Role, StaffSession


def people(session: Session) -> list[Coordinator]:
    """Everybody who has, or had, a way in; those who still have it first, by name."""
    return list(session.scalars(select(Coordinator).order_by(Coordinator.active.desc(), Coordinator.name)))


def require(session: Session, person_id: UUID) -> Coordinator:
    """The coordinator. Raises NotFound."""
    person = session.get(Coordinator, person_id)
    if person is None:
        raise NotFound("There is no such coordinator.")
    return person


def invite(email: str, name: str, role: Role, actor: Coordinator) -> str:
    """Add somebody; returns the one-time link with which they set their password. Raises Invalid beside its field."""
    _only_admins(actor)
    address = staff.normal_email(email)
    if not name.strip():
        raise Invalid("Tell the others what to call them.", field="name")
    with transaction() as session:
        if session.scalar(select(Coordinator.id).where(Coordinator.email == address)):
            raise Invalid("Somebody has this address already. Make them a new link from the list.", field="email")
    return staff.add_coordinator(address, role, name.strip()[:80], actor=str(actor.id))


def new_link(person_id: UUID, actor: Coordinator) -> str:
    """A fresh one-time link, for a lost password, or for somebody who comes back. Raises NotFound."""
    _only_admins(actor)
    with transaction() as session:
        email = require(session, person_id).email
    return staff.add_coordinator(email, actor=str(actor.id))


def change(person_id: UUID, actor: Coordinator, *, name: str, role: Role, phone: str, circles: list[UUID]) -> None:
    """Name, role, the number that pages go to ("" for none), and the circles that they look after.

    Raises Invalid beside its field, Conflict for the last administrator, NotFound.
    """
    _only_admins(actor)
    if not name.strip():
        raise Invalid("Tell the others what to call them.", field="name")
    number = contacts.phone(phone) if phone.strip() else None
    with transaction() as session:
        person = require(session, person_id)
        if person.role == Role.ADMIN and role != Role.ADMIN:
            _not_the_last(session, person)
        before = person.role
        person.name, person.role, person.phone = name.strip()[:80], role, number
        session.execute(delete(CircleStaff).where(CircleStaff.coordinator_id == person.id))
        known = session.scalars(select(Circle.id).where(Circle.id.in_(circles)))
        session.add_all([CircleStaff(circle_id=i, coordinator_id=person.id) for i in known])
        audit.record(session, str(actor.id), "coordinator.changed", person, before=before.value, role=role.value)


def deactivate(person_id: UUID, actor: Coordinator) -> None:
    """End somebody's way in: every session of theirs ends, and shifts to come are taken off the rota.

    Raises Conflict for oneself and for the last administrator, NotFound.
    """
    _only_admins(actor)
    if person_id == actor.id:
        raise Conflict("You cannot shut yourself out. Ask another administrator.")
    with transaction() as session:
        person = require(session, person_id)
        _not_the_last(session, person)
        now = clock.now()
        person.active = False
        ended = update(StaffSession).where(StaffSession.coordinator_id == person.id, StaffSession.ended_at.is_(None))
        session.execute(ended.values(ended_at=now).execution_options(synchronize_session=False))
        session.execute(delete(DutyShift).where(DutyShift.coordinator_id == person.id, DutyShift.starts_at > now))
        audit.record(session, str(actor.id), "coordinator.deactivated", person)


def circles_of(session: Session, person_id: UUID) -> list[UUID]:
    """The circles that somebody was given to look after."""
    return list(session.scalars(select(CircleStaff.circle_id).where(CircleStaff.coordinator_id == person_id)))


def every_circle(session: Session) -> list[Circle]:
    """Circles that somebody can be given, by name."""
    return list(session.scalars(select(Circle).where(Circle.closed_at.is_(None)).order_by(Circle.name)))


def _not_the_last(session: Session, person: Coordinator) -> None:
    if person.role != Role.ADMIN:
        return
    others = select(func.count()).where(
        Coordinator.role == Role.ADMIN, Coordinator.active.is_(True), Coordinator.id != person.id
    )
    if not session.scalar(others):
        raise Conflict("This is the last administrator. Make somebody else one first.")


def _only_admins(actor: Coordinator) -> None:
    if actor.role != Role.ADMIN:
        raise Forbidden("Only an administrator can change who comes in.")
