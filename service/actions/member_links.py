"""The signed links in members' messages. A campaign needs several for each recipient, so these are made fast.

What they carry, in this order, is read by `service.web.public`: see the functions. Tokens are those of `links.sign`,
which makes a new serializer each time and tries to compress: 12 µs instead of 3.
"""

from functools import lru_cache
from uuid import UUID

from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode, int_to_bytes

from service import config
from service.models.members import ChannelName, Topic


def preferences_url(member_id: UUID, channel: ChannelName) -> str:
    """The page where a member changes what they get: `[member, channel that the link went to]`."""
    return _url("p", "preferences", member_id.hex, channel)


def circles_url(member_id: UUID, channel: ChannelName) -> str:
    """The member's circles, with the way in and out: `[member, channel that the link went to]`."""
    return _url("my", "circles", member_id.hex, channel)


def unsubscribe_url(member_id: UUID, channel: ChannelName, topic: Topic | None) -> str:
    """Out of one topic on a channel, without a topic out of all of it (RFC 8058): `[member, channel, topic]`."""
    return _url("u", "unsubscribe", member_id.hex, channel, topic or "")


def confirm_url(address_id: UUID) -> str:
    """The page with the button that confirms an address: `[address]`; works for 72 hours."""
    return _url("c", "confirm", address_id.hex)


def rsvp_url(session_id: UUID, member_id: UUID, channel: ChannelName, answer: str = "") -> str:
    """The page that answers an invite: `[session, member, channel]`; `answer` (yes, no, maybe) is only marked."""
    url = _url("rsvp", "rsvp", session_id.hex, member_id.hex, channel)
    return f"{url}?answer={answer}" if answer else url


def story_url(story_id: UUID) -> str:
    """A story's own page: `[story]`. It opens only while its author agrees to a page."""
    return _url("s", "story", story_id.hex)


def approve_url(story_id: UUID, author_id: UUID, mark: str) -> str:
    """The page where an author says yes to exact words: `[story, author, beginning of the words' mark]`."""
    return _url("a", "approve", story_id.hex, author_id.hex, mark)


def me_too_url(what: str, thing_id: UUID, member_id: UUID, channel: ChannelName) -> str:
    """A story (`what` is `story`) or prompt (`prompt`) with a ME TOO button: `[what, thing, member, channel]`."""
    return _url("too", "me-too", what, thing_id.hex, member_id.hex, channel)


def _url(page: str, purpose: str, *parts: str) -> str:
    """`parts` are hex ids and our own short words: nothing in them needs escaping in JSON."""
    signer, key = _signer(config.current().secret_keys[0], purpose)
    payload = base64_encode('["' + '","'.join(parts) + '"]')
    value = payload + b"." + base64_encode(int_to_bytes(signer.get_timestamp()))
    signature = base64_encode(signer.algorithm.get_signature(key, value))
    return f"{config.current().base_url}/{page}/{(value + b'.' + signature).decode()}"


@lru_cache(maxsize=32)
def _signer(secret: str, purpose: str) -> tuple[TimestampSigner, bytes]:
    signer = URLSafeTimedSerializer(secret, salt=purpose).make_signer(purpose)
    assert isinstance(signer, TimestampSigner)
    return signer, signer.derive_key()
