"""Limits on how often something may be tried, counted in Redis for all processes together.

While Redis is down each process counts for itself: a little more gets through, nobody is locked out.
"""

import hashlib
import hmac
import ipaddress

from flask import Flask, request
from flask_limiter import Limiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.config import Settings, current


def client_network() -> str:
    """Who is asking: an IPv4 address, or the /64 of an IPv6 one (one household or phone owns a whole /64)."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def keyed(kind: str, value: str) -> str:
    """A key for counting by something personal (an email, a number) that does not show it in Redis."""
    secret = current().secret_keys[0].encode()
    return f"{kind}:{hmac.new(secret, value.strip().lower().encode(), hashlib.sha256).hexdigest()[:24]}"


limiter = Limiter(
    client_network,
    strategy="moving-window",
    key_prefix="hearthline",
    in_memory_fallback_enabled=True,
    # redis-py would try ten times by default, and every visitor would wait for it
    storage_options={"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)},  # type: ignore[dict-item]
)
"""Nothing is limited by default: `@limiter.limit("10 per minute")` on a view, or `key_func=` for another key."""


def init_app(app: Flask, settings: Settings) -> None:
    """Count in the Redis of `settings`."""
    app.config["RATELIMIT_STORAGE_URI"] = settings.redis.replace("unix://", "redis+unix://", 1)
    limiter.init_app(app)
    limiter._storage_dead = False  # what the application before this one in the same process found means nothing here
