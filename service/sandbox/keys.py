"""The stand-in's own signing keys, one for events and one for Inbound Parse, and the signature SendGrid makes."""

import base64
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.errors import ConfigurationError

EVENTS = "events"
INBOUND = "inbound"


def ensure(data_path: Path) -> tuple[str, str]:
    """Make both keys once (DATA_DIR/sandbox/*.pem, mode 600) and return their public halves.

    Returns (events, inbound), each base64 of DER SubjectPublicKeyInfo, the form that SendGrid shows and
    SENDGRID_WEBHOOK_PUBLIC_KEY takes. Raises ConfigurationError if a key file cannot be read.
    """
    return public_key(load(data_path, EVENTS)), public_key(load(data_path, INBOUND))


def load(data_path: Path, name: str) -> ec.EllipticCurvePrivateKey:
    """The private key `name` (EVENTS or INBOUND), made if there is none. Safe between processes."""
    path = data_path / "sandbox" / f"{name}.pem"
    if not path.exists():
        _make(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise ConfigurationError([f"{path} cannot be read: delete it to have a new key made"]) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError([f"{path} is not an EC key: delete it to have a new key made"])
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Written whole under another name and linked into place: two processes may start at once, and neither
    # may read half a key or replace one that the other has already told the service about.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def public_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Base64 DER of the public half."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def sign(key: ec.EllipticCurvePrivateKey, timestamp: str, body: bytes) -> str:
    """SendGrid's webhook signature: base64 ECDSA-SHA256 (DER) over timestamp + raw body."""
    return base64.b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
