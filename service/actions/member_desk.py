"""What coordinators do about one member. Each act first makes sure that this coordinator may see that member."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from service.actions import audit, consent, directory, leaving, phones
from service.actions.access import require_circle
from service.actions.belonging import places
from service.actions.new_members import join_circle
from service.db import reading, transaction
from service.errors import Conflict, Invalid
from service.models.members import ChannelName, Topic
from service.models.staff import Coordinator

MAY_ERASE = ("admin", "safeguarding")
MAY_CHANGE = ("admin", "safeguarding", "coordinator")
"""Roles that see whole addresses, and so may change them, add people, import and export."""


def check(coordinator: Coordinator, member_id: UUID) -> None:
    """Raises NotFound unless the coordinator may see the member."""
    with reading() as session:
        directory.require(session, coordinator, member_id)


def stop(
    coordinator: Coordinator,
    member_id: UUID,
    how: str,
    *,
    channel: ChannelName | None = None,
    topics: Collection[Topic] = (),
) -> None:
    """Enter a stop that somebody told us (`how`: by phone, in person). Everybody who sees the member may.

    Raises Invalid (field `how`) without it.
    """
    if not how.strip():
        raise Invalid("Say how they told you, such as “by phone, to me”. It is kept with the consents.", field="how")
    check(coordinator, member_id)
    leaving.opt_out_by_staff(member_id, coordinator.id, how.strip(), channel=channel, topics=topics)


def pause(coordinator: Coordinator, member_id: UUID, until: datetime) -> datetime:
    """Send nothing of our own accord until then; at most a year. Raises Invalid (field `pause_until`)."""
    with transaction() as session:
        member = directory.require(session, coordinator, member_id)
        _must_be_here(member.state)
        found = consent.pause(session, member, until, source="console", actor=consent.staff(coordinator.id))
        audit.record(session, str(coordinator.id), "member.paused", member)
        return found


def resume(coordinator: Coordinator, member_id: UUID) -> bool:
    """End a pause; whether there was one."""
    with transaction() as session:
        member = directory.require(session, coordinator, member_id)
        ended = consent.resume(session, member, source="console", actor=consent.staff(coordinator.id))
        audit.record(session, str(coordinator.id), "member.resumed", member)
        return ended


def phone_is_theirs(coordinator: Coordinator, member_id: UUID) -> None:
    """Note that the phone is still theirs: they said so on another way. Raises Conflict when nothing is in doubt."""
    with transaction() as session:
        phones.vouch(session, coordinator, directory.require(session, coordinator, member_id))


def undo_stop(coordinator: Coordinator, member_id: UUID, channel: ChannelName, why: str) -> list[Topic]:
    """Take back a stop that was read into words that did not mean it; the topics that are on again."""
    check(coordinator, member_id)
    return leaving.undo_opt_out(member_id, channel, coordinator.id, why)


def add_to_circle(coordinator: Coordinator, member_id: UUID, circle_id: UUID) -> bool:
    """Give the member a place; whether it is new. A circle coordinator: in their own circles."""
    with transaction() as session:
        member = directory.require(session, coordinator, member_id)
        _must_be_here(member.state)
        circle = require_circle(session, coordinator, circle_id)
        if circle.closed_at is not None:
            raise Conflict("This circle has closed.")
        new = join_circle(session, member, circle_id, chosen=True)
        audit.record(session, str(coordinator.id), "member.circle_joined", member, circle=str(circle_id))
        return new


def leave_circle(coordinator: Coordinator, member_id: UUID, circle_id: UUID) -> bool:
    """Take the member out of a circle; whether they were in it. Their consents stay as they are."""
    with transaction() as session:
        member = directory.require(session, coordinator, member_id)
        require_circle(session, coordinator, circle_id)
        if not places.leave(session, member, circle_id):
            return False
        audit.record(session, str(coordinator.id), "member.circle_left", member, circle=str(circle_id))
        return True


def mark_died(coordinator: Coordinator, member_id: UUID) -> None:
    """Stop everything at once and hold the circles' messages for a person (rule of conversation 6)."""
    check(coordinator, member_id)
    leaving.mark_died(member_id, coordinator.id)


def erase(coordinator: Coordinator, member_id: UUID, typed: str) -> None:
    """Forget a person for good. `typed` is their first name (or ERASE where there is none), against slips.

    Raises Invalid (field `typed`) when it is another.
    """
    with reading() as session:
        expected = directory.require(session, coordinator, member_id).first_name or "ERASE"
    if typed.strip().casefold() != expected.casefold():
        raise Invalid(f"Type {expected} to make sure that it is the right person.", field="typed")
    leaving.erase(member_id, str(coordinator.id))


def _must_be_here(state: object) -> None:
    if state in consent.GONE:
        raise Conflict("This member is not with us any more; nothing of theirs can be changed.")
