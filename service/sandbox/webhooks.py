"""How the vendors knock: the URLs, headers and signatures of what the stand-in posts to the service."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urldefrag, urlencode

from cryptography.hazmat.primitives.asymmetric import ec
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped,unused-ignore]

from service.config import Settings
from service.sandbox import keys
from service.sandbox.post import Answer, post
from service.sandbox.store import Store, timestamp

TWILIO_MESSAGE = "/webhooks/twilio/message#rc=5&rp=all"
"""As an operator is told to set it: with Twilio's own retries asked for in the fragment."""
SENDGRID_EVENTS = "/webhooks/sendgrid/events"
SENDGRID_INBOUND = "/webhooks/sendgrid/inbound"
_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
_TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


@dataclass(frozen=True)
class Overrides:
    """Connection overrides: up to `retries` after the failures named in `policy` (4xx, 5xx, ct, rt or all)."""

    retries: int
    policy: frozenset[str]

    def retry(self, answer: Answer, attempt: int) -> bool:
        """Whether attempt number `attempt` (from 0), which got `answer`, is to be followed by another."""
        if answer.ok or answer.failure == "elsewhere" or attempt >= self.retries:
            return False
        if answer.status:
            kind = f"{answer.status // 100}xx"
        else:
            kind = "ct" if answer.failure == "connect" else "rt"
        return "all" in self.policy or kind in self.policy


def split_overrides(url: str) -> tuple[str, Overrides]:
    """`url#rc=5&rp=all` → the URL that is signed and requested, and the overrides (default: 1 on a failed connect)."""
    bare, fragment = urldefrag(url)
    given = parse_qs(fragment)
    count = given.get("rc", ["1"])[0]
    retries = min(int(count), 5) if count.isascii() and count.isdigit() else 1
    return bare, Overrides(retries, frozenset(",".join(given.get("rp", ["ct"])).split(",")))


def post_twilio(settings: Settings, url: str, params: Mapping[str, str], token: str) -> Answer:
    """Post a form, signed over the exact URL and the parameters. `token` stays the same between retries."""
    signature = RequestValidator(settings.twilio_auth_token).compute_signature(url, dict(params))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "User-Agent": "TwilioProxy/1.1",
        "X-Twilio-Signature": signature,
        "I-Twilio-Idempotency-Token": token,
    }
    return post(settings, url, headers, urlencode(params).encode())


def post_events(store: Store, body: bytes) -> Answer:
    """Post a JSON array of events to the Event Webhook."""
    headers = {"Content-Type": "application/json", "User-Agent": "SendGrid Event API"}
    return _post_signed(store, SENDGRID_EVENTS, store.event_key, headers, body)


def post_inbound_mail(store: Store, content_type: str, body: bytes) -> Answer:
    """Post a multipart form to Inbound Parse."""
    headers = {"Content-Type": content_type, "User-Agent": "Sendlib/1.0"}
    return _post_signed(store, SENDGRID_INBOUND, store.inbound_key, headers, body)


def _post_signed(
    store: Store, path: str, key: ec.EllipticCurvePrivateKey, headers: dict[str, str], body: bytes
) -> Answer:
    at = str(int(timestamp()))
    signed = headers | {_TIMESTAMP: at, _SIGNATURE: keys.sign(key, at, body)}
    return post(store.settings, store.settings.base_url + path, signed, body)


def opaque(length: int = 22) -> str:
    """A random id in the alphabet that SendGrid uses."""
    return base64.urlsafe_b64encode(secrets.token_bytes(length)).decode()[:length]
