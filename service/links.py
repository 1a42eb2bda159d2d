"""Signed links: what a member or coordinator may do without signing in is carried, signed, in the address.

Links change settings only by a button behind them (no GET changes anything), and what is held about a person is
never shown through one alone: phones are shared and mail is forwarded.
"""

import base64
import hmac
from functools import lru_cache
from typing import Any
from uuid import UUID

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from service import config
from service.errors import LinkExpired, NotFound

DAY = 24 * 3600
_REPLY_MAC = 16  # letters
LIFETIMES: dict[str, int | None] = {
    "confirm": 3 * DAY,  # rule of conversation 8: a confirmation counts within 72 hours
    "preferences": 365 * DAY,
    "unsubscribe": None,  # a link to leave works for as long as the mail exists
    "circles": 365 * DAY,
    "rsvp": 30 * DAY,
    "story": None,
    "me-too": 60 * DAY,
    "approve": 30 * DAY,
    "set-password": 3 * DAY,
    "acknowledge": 7 * DAY,
    "held": 900,
}


def sign(purpose: str, *parts: str | int | UUID) -> str:
    """A URL-safe token for `purpose` (a key of LIFETIMES) that carries `parts`, in the order given."""
    serializer = _serializer(tuple(config.current().secret_keys), _known(purpose))
    return serializer.dumps([p.hex if isinstance(p, UUID) else p for p in parts])


def read(purpose: str, token: str) -> list[Any]:
    """The parts of a token. Raises LinkExpired when it is too old and NotFound when we did not sign it."""
    serializer = _serializer(tuple(config.current().secret_keys), _known(purpose))
    try:
        parts = serializer.loads(token, max_age=LIFETIMES[purpose])
    except SignatureExpired:
        raise LinkExpired("This link is too old. Ask us for a new one, or answer any of our messages.") from None
    except BadSignature:
        raise NotFound("This link is not complete. Open it again from the message that we sent.") from None
    if not isinstance(parts, list):
        raise NotFound("This link is not one of ours.")
    return parts


def delivery_token(delivery_id: int) -> str:
    """The short signed name of a delivery in callback addresses."""
    name = str(delivery_id)
    return f"{name}.{_mac(config.current().secret_keys[0], name)}"


def read_delivery_token(token: str) -> int | None:
    """The delivery's id, or None when we did not sign this."""
    name, _, mac = token.partition(".")
    if not (name.isascii() and name.isdigit()):
        return None
    given = mac.encode("utf-8", "replace")
    good = any(hmac.compare_digest(_mac(key, name).encode(), given) for key in config.current().secret_keys)
    return int(name) if good else None


def _mac(key: str, name: str) -> str:
    """15 bytes of a keyed hash: a campaign signs one for every recipient, so nothing is done twice here."""
    return base64.urlsafe_b64encode(hmac.digest(key.encode(), b"delivery" + name.encode(), "sha256")[:15]).decode()


def reply_token(kind: str, value: str) -> str:
    """The token of a `reply+TOKEN@` address, such as `9f86d081884c7d65dz62`: a hash, the kind (without a z), the value.

    Mail systems fold case and some dislike signs, so it is all small letters and digits; `value` must be too.
    """
    name = f"{kind}z{value}"
    return _reply_mac(config.current().secret_keys[0], name) + name


def read_reply_token(token: str) -> tuple[str, str] | None:
    """`(kind, value)` of a reply token, or None when no key of ours made it."""
    whole = token.strip().lower()
    mac, name = whole[:_REPLY_MAC].encode("utf-8", "replace"), whole[_REPLY_MAC:]
    kind, between, value = name.partition("z")
    good = any(hmac.compare_digest(_reply_mac(key, name).encode(), mac) for key in config.current().secret_keys)
    return (kind, value) if good and between else None


def _reply_mac(key: str, name: str) -> str:
    """Few bytes: a guess is tried by sending a mail, and gains a place in somebody's conversation at most."""
    return hmac.digest(key.encode(), b"reply" + name.encode("utf-8", "replace"), "sha256")[: _REPLY_MAC // 2].hex()


def url(path: str) -> str:
    """A full address on PUBLIC_URL for `path`, which starts with a slash."""
    return config.current().base_url + path


@lru_cache(maxsize=64)
def _serializer(keys: tuple[str, ...], purpose: str) -> URLSafeTimedSerializer:
    """A serializer is dearer to make than to use, and a campaign uses it for every recipient."""
    return URLSafeTimedSerializer(keys[::-1], salt=purpose)


def _known(purpose: str) -> str:
    if purpose not in LIFETIMES:
        raise ValueError(f"no signed link is called {purpose!r}")
    return purpose
