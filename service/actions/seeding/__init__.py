"""Planting the demo's made-up community, in one transaction and once per database.

Everything is written as the real verbs would have left it behind, with times in the past; no message leaves. It is
refused wherever real people could be meant (`permitted`).
"""

from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import exists, insert, select, update
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions.seeding import circles, consents, content, felt, given, people, rooms, said, sent, talks
from service.actions.seeding.crowd import MIX as MIX
from service.actions.seeding.crowd import add as _add_crowd
from service.actions.seeding.ground import Ground
from service.actions.seeding.ground import Row as Row
from service.actions.seeding.ground import Rows as Rows
from service.actions.seeding.ground import chance as chance
from service.errors import Conflict
from service.models.members import Address, ChannelName, Member
from service.models.staff import Coordinator, Role

MARK = "made_up_people"
"""In `system_values`: that this database is a demo's, whether the community is there, and how many others are."""


def permitted(session: Session) -> dict[str, Any] | None:
    """What the mark says, None on a database that nothing was planted in yet.

    Raises Conflict where messages would leave for real providers, or where there are members that nobody made up.
    """
    if config.current().uses_real_providers:
        raise Conflict(
            "The demo's people are made up, but TWILIO_API_URL or SENDGRID_API_URL leads to real providers. Unset it."
        )
    mark = session.scalar(select(db.system_values.c.data).where(db.system_values.c.name == MARK))
    if mark is None and session.scalar(select(exists().where(Member.demo.is_(False)))):
        raise Conflict(
            "This database has members that are not the demo's. Start the demo with another DATA_DIR or DATABASE_URL."
        )
    return dict(mark) if mark is not None else None


def set_mark(session: Session, known: dict[str, Any] | None, **changes: Any) -> None:
    """Note what has been planted; two who do so at once cannot both be the first."""
    if known is None:
        session.execute(insert(db.system_values).values(name=MARK, data=changes))
    else:
        session.execute(update(db.system_values).where(db.system_values.c.name == MARK).values(data=known | changes))


def plant(rows: Rows, password: str) -> bool:
    """Write the whole community, with `password` for its coordinators; False, and nothing, if it is there already.

    Raises Conflict where it may not be (`permitted`), and on an installation that is no demo.
    """
    if not config.current().demo:
        raise Conflict("Only `hearthline demo` invites the made-up community.")
    with db.transaction() as session:
        known = permitted(session)
        if known and known.get("community"):
            return False
        set_mark(session, known, community=True)
        _plant(Ground(session, clock.now(), rows), password)
    return True


def _plant(ground: Ground, password: str) -> None:
    """The order matters: what is sent needs whom, breaks and flags come after what was sent before them."""
    people.coordinators(ground, password)
    people.rota(ground)
    circles.circles(ground)
    people.members(ground)
    circles.places(ground)
    circles.sessions(ground)
    content.stories(ground)
    content.tools(ground)
    rooms.series(ground)
    content.read_before(ground)
    talks.check_ins_before(ground)
    sent.campaigns(ground)
    circles.rsvps(ground)
    talks.questions_waiting(ground)
    talks.conversations(ground)
    rooms.answers(ground)
    given.gifts(ground)
    said.wishes(ground)
    said.vents(ground)
    rooms.rhythms(ground)
    felt.told(ground)
    felt.asked(ground)
    felt.in_rotation(ground)
    consents.breaks(ground)
    ground.keep_phones()


def sign_in(password: str) -> tuple[str, str] | None:
    """The administrator's email, and `password` if it is still theirs, else words that say so. None without one."""
    with db.reading() as session:
        person = session.scalar(
            select(Coordinator)
            .where(Coordinator.role == Role.ADMIN, Coordinator.active, Coordinator.password_hash.is_not(None))
            .order_by(Coordinator.created_at, Coordinator.id)
            .limit(1)
        )
    if person is None or person.password_hash is None:
        return None
    try:
        PasswordHasher().verify(person.password_hash, password)
    except VerificationError:
        return person.email, "the one that you have set"
    return person.email, password


def fill_up(n: int, mix: dict[str, float] | None = None) -> int:
    """Add made-up active members until there are `n` of them, beside the community; how many were added.

    `mix` are the shares of those with a phone, a mailbox, or both (`MIX`). Raises Conflict (`permitted`), and
    ValueError where there are not that many numbers that nobody has.
    """
    added = 0
    while True:
        with db.transaction() as session:
            known = permitted(session)
            there = int((known or {}).get("crowd", 0))
            made = _add_crowd(session, there, n, mix or MIX)
            if made:
                set_mark(session, known, crowd=there + made)
        added += made
        if there + made >= n:
            return added


def addresses() -> list[tuple[str, str, str]]:
    """(`phone` or `mailbox`, address, first name) of everybody in the made-up community, members and coordinators."""
    with db.reading() as session:
        members = session.execute(
            select(Address.channel, Address.value, Member.first_name)
            .join(Member, Member.id == Address.member_id)
            .where(Member.demo.is_(True))
            .order_by(Member.first_name)
        )
        found = [("phone" if c == ChannelName.SMS else "mailbox", value, name) for c, value, name in members]
        for person in session.scalars(select(Coordinator)):
            found.append(("mailbox", person.email, person.name))
            if person.phone:
                found.append(("phone", person.phone, person.name))
    return found
