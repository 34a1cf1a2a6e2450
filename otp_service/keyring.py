"""The keys that live outside Redis, and everything done with them.

A copy of Redis alone is worthless: codes are hashed under a ring key, what names a person is sealed under
one, and numbers appear only as HMACs under the index key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from otp_service.errors import UnknownKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_Key = TypeVar("_Key")

NONCE_BYTES = 12
"""NIST SP 800-38D, 8.2: 96 bits; random, since a key seals far fewer than 2^32 times in its life."""


def keyed_digest(key: bytes, *parts: bytes | str) -> bytes:
    """HMAC-SHA256 over the parts, each behind its length, so that no two lists of parts read alike."""
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        mac.update(len(data).to_bytes(4, "big") + data)
    return mac.digest()


def name(digest: bytes) -> str:
    """128 bits of a digest in 26 characters, as used in keys of Redis."""
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


class Keyring:
    """The ring that hashes codes and seals records, and the index key that never rotates.

    Args:
        keys: Id and 32 bytes of each key, newest first: the first signs.
        index_key: 32 bytes for names in Redis (numbers, operations, receipts).
        random: Returns that many random bytes.
    """

    def __init__(
        self,
        keys: Sequence[tuple[str, bytes]],
        index_key: bytes,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._code_keys = {key_id: keyed_digest(key, "code") for key_id, key in keys}
        self._seals = {key_id: AESGCM(keyed_digest(key, "seal")) for key_id, key in keys}
        self._index_key = index_key
        self._random = random
        self.first = keys[0][0]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, newest first."""
        return tuple(self._code_keys)

    def index(self, label: str, *parts: bytes | str) -> bytes:
        """32 bytes that stand for the parts in Redis; ``label`` keeps one use apart from another."""
        return keyed_digest(self._index_key, label, *parts)

    def fingerprint(self) -> str:
        """What boot compares: tells two index keys apart and says nothing about either."""
        return name(self.index("fingerprint"))

    def code_digest(self, key_id: str, *parts: bytes | str) -> bytes:
        """32 bytes under a ring key: what Argon2 then hashes.

        Raises:
            UnknownKey: The ring has no such key.
        """
        return keyed_digest(self._find(self._code_keys, key_id), *parts)

    def seal(self, key_id: str, data: bytes, *bound_to: str) -> bytes:
        """Encrypt ``data`` so that it opens only together with what it is bound to."""
        nonce = self._random(NONCE_BYTES)
        return nonce + self._find(self._seals, key_id).encrypt(nonce, data, "\0".join(bound_to).encode())

    def unseal(self, key_id: str, sealed: bytes, *bound_to: str) -> bytes:
        """The inverse of ``seal``.

        Raises:
            UnknownKey: The ring has no such key.
            cryptography.exceptions.InvalidTag: Altered, or bound to something else.
        """
        nonce, data = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return self._find(self._seals, key_id).decrypt(nonce, data, "\0".join(bound_to).encode())

    @staticmethod
    def _find(keys: Mapping[str, _Key], key_id: str) -> _Key:
        try:
            return keys[key_id]
        except KeyError:
            raise UnknownKey from None
