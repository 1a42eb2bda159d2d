"""Proof that a webhook comes from the provider: every one without it is refused before anything in it is believed.

Both functions answer True or False and never raise, whatever a stranger puts into the headers.
"""

import base64
import hmac
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urldefrag, urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from twilio.request_validator import RequestValidator, add_port, get_signature_algorithm, remove_port  # type: ignore[import-untyped]

TWILIO_HEADER = "X-Twilio-Signature"
TWILIO_SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
SENDGRID_SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
SENDGRID_TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"


def verify_twilio(
    auth_token: str, url: str, params: Mapping[str, str], header: str | None, settings_header: str | None = None
) -> bool:
    """Whether `header` (X-Twilio-Signature) signs `url` and the form `params` with `auth_token`; constant time.

    `url` is PUBLIC_URL + path + query as the provider was told it, not what a proxy made of it; it is tried with and
    without its port, because Twilio signs either. `params` is a dict or a werkzeug MultiDict. `settings_header`
    (X-Twilio-Webhooks-Signature-Settings) names the hash when it is not SHA-1. An empty token proves nothing: False.
    """
    if not auth_token or not header:
        return False
    try:
        validator = RequestValidator(auth_token)
        algorithm = get_signature_algorithm(settings_header)
        # Connection overrides (#rc=5) ride in the fragment, and a fragment is never signed.
        parts = urlsplit(urldefrag(url).url)
        given = header.strip().encode()
        # The package's own compare() loops in Python; compare_digest is constant in time by construction.
        good = [
            hmac.compare_digest(validator.compute_signature(form, params, algorithm).encode(), given)
            for form in {parts.geturl(), add_port(parts), remove_port(parts)}
        ]
    except (ValueError, TypeError, AttributeError, KeyError):
        return False
    return any(good)


def verify_sendgrid(public_key_base64: str, raw_body: bytes, signature: str | None, timestamp: str | None) -> bool:
    """Whether `signature` is the ECDSA-SHA256 signature of `timestamp` + `raw_body` under the key.

    The key is base64 DER as SendGrid shows it (PEM armour is accepted), `raw_body` the bytes before any parsing.
    There is no check of age: replays are harmless, because every event is applied once.
    """
    if not signature or not timestamp:
        return False
    key = _sendgrid_key(public_key_base64)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + raw_body, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


@lru_cache(maxsize=16)
def _sendgrid_key(public_key_base64: str) -> ec.EllipticCurvePublicKey | None:
    """The parsed key, or None if it is not an elliptic-curve key; parsing costs more than a verification."""
    armoured = (line for line in public_key_base64.splitlines() if not line.startswith("-----"))
    try:
        key = load_der_public_key(base64.b64decode("".join("".join(armoured).split()), validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None
