"""How often somebody may ask to join, counted for all processes together in Redis, wherever the request comes from.

Text messages cost money, so forms that send them are attacked ("SMS pumping": thousands of numbers of one range).
While Redis is away each process counts for itself: a little more gets through, nobody is locked out.
"""

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache

from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from service import config, logs
from service.errors import TooMany
from service.models.members import ChannelName

PER_NETWORK = [parse("20/hour"), parse("60/day")]
"""A shelter or a library shares one address, so this is not small."""
PER_PREFIX = [parse("30/hour"), parse("100/day")]
"""Numbers with the same first seven digits: pumping uses ranges, people do not."""
PER_ADDRESS = [parse("3/hour"), parse("6/day")]
ALL_TEXTS = [parse("600/hour")]
"""All requests with a number: the last line against an attack from many networks at once."""

_log = logs.get("join_limits")


def check(ip: str | None, addresses: Mapping[ChannelName, str]) -> None:
    """Count one request to join. Raises TooMany if any limit is passed.

    `ip` is the network as `web.limits` names it; `addresses` are in their stored form.
    """
    counted: list[tuple[RateLimitItem, str, str]] = []
    if ip:
        counted += [(limit, "network", ip) for limit in PER_NETWORK]
    for channel, value in addresses.items():
        counted += [(limit, channel.value, _hidden(value)) for limit in PER_ADDRESS]
    if number := addresses.get(ChannelName.SMS):
        counted += [(limit, "prefix", number[:8]) for limit in PER_PREFIX]  # the + and seven digits
        counted += [(limit, "texts", "all") for limit in ALL_TEXTS]
    if refused := _over(counted):
        _log.warning("join_refused", limits=refused)
        raise TooMany("There were many requests in a short time. Please wait an hour, then try again.")


def _over(counted: list[tuple[RateLimitItem, str, str]]) -> list[str]:
    """Count everything, also what comes after a refusal; which kinds of limit are passed."""
    settings = config.current()
    limiter, own = _limiters(settings.redis, settings.database)
    refused = set()
    for limit, kind, value in counted:
        try:
            free = limiter.hit(limit, "join", kind, value)
        except StorageError:
            limiter = own  # for the rest of this request: each try may cost a second
            free = own.hit(limit, "join", kind, value)
        if not free:
            refused.add(kind)
    return sorted(refused)


@lru_cache(maxsize=4)
def _limiters(redis_url: str, _database: str) -> tuple[FixedWindowRateLimiter, FixedWindowRateLimiter]:
    """The limiter that all processes of an installation share, and this process's own for when Redis is away."""
    storage = storage_from_string(
        redis_url.replace("unix://", "redis+unix://", 1),
        wrap_exceptions=True,
        socket_connect_timeout=1,
        socket_timeout=1,
    )
    return FixedWindowRateLimiter(storage), FixedWindowRateLimiter(MemoryStorage())


def _hidden(value: str) -> str:
    """An address as a key that does not show it in Redis."""
    secret = config.current().secret_keys[0].encode()
    return hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()[:24]
