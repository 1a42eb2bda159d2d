"""Coordinators: added from the command line, let in by a password, and by a session that can be ended at any time."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from service import clock, db, links, logs
from service.actions import audit
from service.db import transaction
from service.errors import Invalid, LinkExpired, NotFound
from service.models.staff import Coordinator, Role, StaffSession

IDLE = timedelta(hours=12)
"""A session that nobody used for this long has ended: a shift, not a weekend."""
ABSOLUTE = timedelta(days=7)
"""No session lasts longer than this, used or not."""
SEEN_EVERY = timedelta(minutes=5)
PASSWORD_MIN = 12
PASSWORD_MAX = 200

_hasher = PasswordHasher()  # argon2id with the parameters of RFC 9106 for small machines
_UNKNOWN = _hasher.hash(secrets.token_urlsafe(16))
_log = logs.get("staff")


def add_coordinator(email: str, role: Role | None = None, name: str = "", *, actor: str = "cli") -> str:
    """Add a coordinator and return a one-time link with which they set their password.

    Somebody who is already there gets a fresh link (a forgotten password), and `role` and `name` if they are given.
    Raises Invalid (field `email`).
    """
    address = normal_email(email)
    with transaction() as session:
        person = session.scalar(select(Coordinator).where(Coordinator.email == address))
        if person is None:
            person = Coordinator(
                email=address,
                name=name or address.partition("@")[0].replace(".", " ").title(),
                role=role or Role.COORDINATOR,
                created_at=clock.now(),
            )
            session.add(person)
            session.flush()
            audit.record(session, actor, "coordinator.added", person, role=person.role.value)
        else:
            person.role, person.name, person.active = role or person.role, name or person.name, True
            audit.record(session, actor, "coordinator.link_renewed", person, role=person.role.value)
        return password_link(person)


def password_link(person: Coordinator) -> str:
    """The address at which `person` may set a password, once: it ends when the password changes, or after 3 days."""
    token = links.sign("set-password", person.id, _fingerprint(person))
    return links.url(f"/console/password/{token}")


def read_password_link(token: str) -> Coordinator:
    """Whose password the link sets. Raises LinkExpired when it was used or is too old, NotFound when not ours."""
    parts = links.read("set-password", token)
    with db.reading() as session:
        person = session.get(Coordinator, UUID(parts[0]))
    if person is None or not person.active:
        raise NotFound("This account is not here any more. Ask whoever looks after Hearthline.")
    if parts[1] != _fingerprint(person):
        raise LinkExpired("This link was used already. Sign in, or ask for a new link.")
    return person


def set_password(token: str, password: str) -> Coordinator:
    """Set the password of the person whose link this is, and end all of their sessions.

    Raises Invalid (field `password`) with what is wanted, LinkExpired, NotFound.
    """
    person = read_password_link(token)
    _check_password(password, person.email)
    made = hashed(password)  # before the transaction: it takes 50 ms, and SQLite has one writer
    with transaction() as session:
        # Two people with the same link: only the first finds the password that the link was made for.
        changed = session.execute(
            update(Coordinator)
            .where(Coordinator.id == person.id, Coordinator.password_hash.is_not_distinct_from(person.password_hash))
            .values(password_hash=made)
            .returning(Coordinator.id)
        ).first()
        if changed is None:
            raise LinkExpired("This link was used already. Sign in, or ask for a new link.")
        _end(session, person.id)
        audit.record(session, str(person.id), "coordinator.password_set", person)
    person.password_hash = made
    return person


def hashed(password: str) -> str:
    """`password` as it is kept."""
    return _hasher.hash(password)


def authenticate(email: str, password: str) -> Coordinator:
    """The coordinator with this email and password. Raises Invalid.

    An unknown email takes as long as a wrong password, and both get the same answer.
    """
    with db.reading() as session:
        person = session.scalar(select(Coordinator).where(Coordinator.email == email.strip().lower()))
    known = person.password_hash if person is not None and person.active else None
    matches = _verify(known or _UNKNOWN, password)
    if person is None or known is None or not matches:
        _log.warning("sign_in_refused", coordinator_id=str(person.id) if person else None)
        raise Invalid("That email and password do not go together. Try again, or ask an administrator for a new link.")
    if _hasher.check_needs_rehash(known):
        person.password_hash = hashed(password)  # links to a new password are made of it
        with transaction() as session:
            session.execute(
                update(Coordinator).where(Coordinator.id == person.id).values(password_hash=person.password_hash)
            )
    return person


def start_session(coordinator_id: UUID, user_agent: str) -> str:
    """Begin a session and return its token, which only the cookie keeps."""
    token, now = secrets.token_urlsafe(32), clock.now()
    with transaction() as session:
        begun = StaffSession(
            coordinator_id=coordinator_id,
            token_hash=_hash(token),
            user_agent=user_agent[:200],
            created_at=now,
            last_seen_at=now,
        )
        session.add(begun)
        session.flush()
        audit.record(session, str(coordinator_id), "session.started", begun)
    return token


def resume_session(token: str, *, used: bool = True) -> tuple[StaffSession, Coordinator] | None:
    """The live session of this token and whose it is; None when it ended, was idle too long, or never was.

    `used` says whether this counts as somebody being there.
    """
    now = clock.now()
    with db.reading() as session:
        found = session.execute(
            select(StaffSession, Coordinator)
            .join(Coordinator, Coordinator.id == StaffSession.coordinator_id)
            .where(StaffSession.token_hash == _hash(token), *_live(), Coordinator.active)
        ).first()
    if found is None:
        return None
    if used and now - found[0].last_seen_at > SEEN_EVERY:
        with transaction() as session:
            session.execute(update(StaffSession).where(StaffSession.id == found[0].id).values(last_seen_at=now))
    return found[0], found[1]


def live_sessions(coordinator_id: UUID) -> list[StaffSession]:
    """Where this person is signed in, the latest used first."""
    query = select(StaffSession).where(StaffSession.coordinator_id == coordinator_id, *_live())
    with db.reading() as session:
        return list(session.scalars(query.order_by(StaffSession.last_seen_at.desc())))


def end_session(coordinator_id: UUID, session_id: UUID) -> None:
    """End one of this person's sessions; one that is over already stays so. Raises NotFound for anybody else's."""
    with transaction() as session:
        found = session.get(StaffSession, session_id)
        if found is None or found.coordinator_id != coordinator_id:
            raise NotFound("That session is not one of yours.")
        if found.ended_at is None:
            found.ended_at = clock.now()
            audit.record(session, str(coordinator_id), "session.ended", found)


def end_other_sessions(coordinator_id: UUID, keep: UUID) -> int:
    """End all of this person's sessions except `keep`. Returns how many there were."""
    with transaction() as session:
        count = _end(session, coordinator_id, keep)
        audit.record(session, str(coordinator_id), "session.others_ended", count=count)
    return count


def update_account(coordinator_id: UUID, *, name: str, time_zone: str, shortcuts: bool) -> None:
    """Change what a coordinator decides about themselves. Raises Invalid (field `name`)."""
    if not name.strip():
        raise Invalid("Tell the others what to call you.", field="name")
    with transaction() as session:
        person = session.get_one(Coordinator, coordinator_id)
        person.name, person.time_zone, person.shortcuts = name.strip()[:80], time_zone, shortcuts
        audit.record(session, str(coordinator_id), "coordinator.changed", person)


def normal_email(email: str) -> str:
    """An email address as it is stored. Raises Invalid (field `email`)."""
    try:
        return validate_email(email.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise Invalid(f"That is not an email address: {error}", field="email") from None


def _check_password(password: str, email: str) -> None:
    if len(password) < PASSWORD_MIN:
        raise Invalid(f"Use at least {PASSWORD_MIN} characters. Three or four plain words are fine.", field="password")
    if len(password) > PASSWORD_MAX:
        raise Invalid(f"Use at most {PASSWORD_MAX} characters.", field="password")
    if email.partition("@")[0] in password.lower() or len(set(password)) < 5:
        raise Invalid("That is too easy to guess. Three or four unrelated words are fine.", field="password")


def _verify(known: str, password: str) -> bool:
    try:
        return _hasher.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def _live() -> tuple[ColumnElement[bool], ...]:
    now = clock.now()
    return (
        StaffSession.ended_at.is_(None),
        StaffSession.last_seen_at > now - IDLE,
        StaffSession.created_at > now - ABSOLUTE,
    )


def _end(session: Session, coordinator_id: UUID, keep: UUID | None = None) -> int:
    query = update(StaffSession).where(StaffSession.coordinator_id == coordinator_id, StaffSession.ended_at.is_(None))
    if keep is not None:
        query = query.where(StaffSession.id != keep)
    ended = session.execute(query.values(ended_at=clock.now()).returning(StaffSession.id))
    return len(ended.all())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _fingerprint(person: Coordinator) -> str:
    return hashlib.sha256(f"{person.id}:{person.password_hash or ''}".encode()).hexdigest()[:16]
