"""Keys for /api/v1: shown once, kept as a hash, ended at once."""

import hashlib
import secrets
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import audit
from service.errors import Invalid, NotFound, NotSignedIn
from service.models.staff import ApiKey

SCOPES = ("read", "write")
PREFIX = "hlk_"


def add(name: str, scopes: tuple[str, ...] = SCOPES, *, actor: str = "cli", created_by: UUID | None = None) -> str:
    """Make a key and return it; it cannot be shown again. Raises Invalid for an unknown scope or an empty name."""
    if not name.strip():
        raise Invalid("Give the key a name that says what uses it.", field="name")
    if unknown := [s for s in scopes if s not in SCOPES]:
        raise Invalid(f"There is no scope {unknown[0]!r}. There are: {', '.join(SCOPES)}.", field="scopes")
    token = PREFIX + secrets.token_urlsafe(32)
    with db.transaction() as session:
        key = ApiKey(
            id=db.uuid7(), name=name.strip()[:80], prefix=token[:10], token_hash=_hash(token), scopes=",".join(scopes),
            created_by=created_by, created_at=clock.now(),
        )  # fmt: skip
        session.add(key)
        session.flush()
        audit.record(session, actor, "api_key.add", key)
    return token


def check(token: str, scope: str) -> UUID:
    """The id of the live key with this scope. Raises NotSignedIn for any other, without saying why."""
    with db.reading() as session:
        key = session.scalar(select(ApiKey).where(ApiKey.token_hash == _hash(token), ApiKey.revoked_at.is_(None)))
    if key is None or scope not in key.scopes.split(","):
        raise NotSignedIn(f"Send a live API key with the scope {scope!r}: `Authorization: Bearer {PREFIX}…`.")
    return key.id


def revoke(key_id: UUID, *, actor: str = "cli") -> None:
    """End a key at once. Raises NotFound."""
    with db.transaction() as session:
        key = session.get(ApiKey, key_id)
        if key is None:
            raise NotFound("There is no such key.")
        key.revoked_at = key.revoked_at or clock.now()
        audit.record(session, actor, "api_key.revoke", key)


def all_keys(session: Session) -> list[ApiKey]:
    """Every key, newest first."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.id.desc())))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
