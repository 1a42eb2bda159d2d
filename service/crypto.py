"""Encryption at rest: AES-256-GCM with rotating keys, and the keyed hash that finds what is encrypted.

Fernet would be the usual choice and is fourteen times slower (docs/decisions/0002-encryption.md).
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
_KEY_ID = 4
_NONCE = 12


class CannotDecrypt(Exception):
    """No key of ENCRYPTION_KEYS opens this value: a key is missing, or the value was tampered with."""


class KeyRing:
    """Encrypts with the first key and decrypts with any. Values name their key in a prefix.

    A value is `version (1) | key id (4) | nonce (12) | ciphertext and tag`; `context` (such as
    `"message.body"`) is authenticated, so a value cannot be moved to another column.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("KeyRing needs at least one key")
        derived = [_derive(key) for key in keys]
        self._ciphers = {key_id: AESGCM(key) for key_id, key in derived}
        self.primary_id = derived[0][0]
        self._primary = self._ciphers[self.primary_id]

    def encrypt(self, plain: bytes, context: str) -> bytes:
        """Encrypt under the first key."""
        nonce = os.urandom(_NONCE)
        return VERSION + self.primary_id + nonce + self._primary.encrypt(nonce, plain, context.encode())

    def decrypt(self, value: bytes, context: str) -> bytes:
        """Decrypt under whichever key made it. Raises CannotDecrypt."""
        key_id, rest = value[1 : 1 + _KEY_ID], value[1 + _KEY_ID :]
        cipher = self._ciphers.get(key_id) if value[:1] == VERSION else None
        if cipher is None:
            raise CannotDecrypt(f"no key {key_id.hex()} in ENCRYPTION_KEYS (for {context})")
        try:
            return cipher.decrypt(rest[:_NONCE], rest[_NONCE:], context.encode())
        except InvalidTag:
            raise CannotDecrypt(f"a value of {context} was changed or belongs elsewhere") from None

    def is_current(self, value: bytes) -> bool:
        """Whether the value is already under the first key."""
        return value[1 : 1 + _KEY_ID] == self.primary_id


def _derive(key: bytes) -> tuple[bytes, bytes]:
    """(key id, AES key) of one ENCRYPTION_KEYS entry."""

    def hkdf(info: bytes, length: int) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(key)

    return hkdf(b"hearthline key id", _KEY_ID), hkdf(b"hearthline aes-256-gcm", 32)


@lru_cache(maxsize=8)
def ring(keys: tuple[bytes, ...]) -> KeyRing:
    """The KeyRing of these keys, made once."""
    return KeyRing(keys)


def blind_index(key: bytes, context: str, value: str) -> bytes:
    """A keyed hash (HMAC-SHA256, 32 bytes) by which an encrypted number or address is found."""
    return hmac.new(key, f"{context}\0{value}".encode(), hashlib.sha256).digest()
