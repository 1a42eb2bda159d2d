"""Members as a CSV file for those who see whole addresses: piece by piece, so that memory stays flat.

A cell that a spreadsheet would run as a formula gets an apostrophe before it (CWE-1236); our own import takes it away.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from service import clock
from service.actions import audit
from service.actions.access import sees_addresses
from service.actions.directory import SHELVES
from service.actions.imports_file import RowError
from service.db import reading, transaction
from service.errors import Forbidden
from service.models.content import TopicLeftOut
from service.models.gatherings import Circle, CircleMembership
from service.models.members import Address, AddressState, ChannelName, Member, SubscriptionState, Suppression, Topic
from service.models.staff import Coordinator

PIECE = 500
COLUMNS = (
    "first_name", "phone", "email", "topics", "circle", "timezone", "locale", "country",
    "state", "phone_state", "email_state", "joined_at", "no_stories_about",
)  # fmt: skip
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def members_csv(coordinator: Coordinator) -> Iterator[str]:
    """The lines of the file, as they are read. Audited when it begins. Raises Forbidden for a circle coordinator."""
    if not sees_addresses(coordinator):
        raise Forbidden("Your role here does not include exports. An administrator can change that.")
    with transaction() as session:
        audit.record(session, str(coordinator.id), "members.exported")
    return _pieces()


def errors_csv(errors: Sequence[RowError]) -> str:
    """What was wrong with an import, as a file to work through beside the spreadsheet."""
    return line(("row", "column", "message")) + "".join(line((str(e.row), e.column, e.message)) for e in errors)


def line(cells: Sequence[str]) -> str:
    """One line of CSV that no spreadsheet takes for a formula."""
    out = io.StringIO()
    csv.writer(out).writerow([f"'{cell}" if cell.startswith(_DANGEROUS) else cell for cell in cells])
    return out.getvalue()


def file_name() -> str:
    """`members-2026-11-24.csv`."""
    return f"members-{clock.now():%Y-%m-%d}.csv"


def _pieces() -> Iterator[str]:
    yield "\ufeff" + line(COLUMNS)  # Excel takes a file without the mark for Latin-1
    last: UUID | None = None
    while True:
        with reading() as session:
            rows = _read(session, last)
            text = "".join(line(cells) for _, cells in rows)
        if not rows:
            return
        last = rows[-1][0]
        yield text


def _read(session: Session, last: UUID | None) -> list[tuple[UUID, list[str]]]:
    statement = (
        select(Member)
        .options(selectinload(Member.addresses), selectinload(Member.subscriptions))
        .where(Member.state.in_(SHELVES["all"]))
        .order_by(Member.id)
        .limit(PIECE)
    )
    members = list(session.scalars(statement.where(Member.id > last) if last else statement))
    ids = [m.id for m in members]
    stopped = set(
        session.scalars(
            select(Address.id)
            .join(
                Suppression,
                (Suppression.channel == Address.channel) & (Suppression.index_hash == Address.index_hash),
            )
            .where(Address.member_id.in_(ids))
        )
    )
    circles: dict[UUID, list[str]] = {}
    places = (
        select(CircleMembership.member_id, Circle.name)
        .join(Circle, Circle.id == CircleMembership.circle_id)
        .where(CircleMembership.member_id.in_(ids), CircleMembership.left_at.is_(None))
        .order_by(Circle.name)
    )
    for member_id, name in session.execute(places):
        circles.setdefault(member_id, []).append(name)
    left_out: dict[UUID, list[str]] = {}
    chosen = select(TopicLeftOut.member_id, TopicLeftOut.topic).where(TopicLeftOut.member_id.in_(ids))
    for member_id, topic in session.execute(chosen.order_by(TopicLeftOut.topic)):
        left_out.setdefault(member_id, []).append(topic)
    return [(m.id, _cells(m, circles.get(m.id, []), left_out.get(m.id, []), stopped)) for m in members]


def _cells(member: Member, circles: list[str], left_out: list[str], stopped: set[UUID]) -> list[str]:
    phone, email = (member.address(c) for c in (ChannelName.SMS, ChannelName.EMAIL))
    on = {s.topic for s in member.subscriptions if s.state == SubscriptionState.ACTIVE}
    return [
        member.first_name,
        phone.value if phone else "",
        email.value if email else "",
        ";".join(t.value for t in Topic if t in on),
        ";".join(circles),
        "" if member.time_zone.startswith("country:") else member.time_zone,
        member.locale,
        member.country,
        member.state.value,
        _standing(phone, stopped),
        _standing(email, stopped),
        member.joined_at.isoformat(timespec="seconds") if member.joined_at else "",
        ";".join(left_out),
    ]


def _standing(address: Address | None, stopped: set[UUID]) -> str:
    if address is None:
        return ""
    if address.id in stopped:
        return "stopped"
    if address.state != AddressState.OK:
        return address.state.value
    return "confirmed" if address.verified_at else "not confirmed"
