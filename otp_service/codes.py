"""Codes: drawn, hashed, matched.

Hash = Argon2id(HMAC-SHA256(ring key; app, id, number, purpose, transaction, code), salt). The code space is
small, so the cost alone protects nobody; the key outside Redis does, and the cost slows whoever gets both.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final

from argon2.low_level import Type, hash_secret_raw

from otp_service.errors import InvalidCodeFormat, Overloaded
from otp_service.verification import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otp_service.keyring import Keyring
    from otp_service.verification import Transaction, VerificationId

MIN_LENGTH: Final = 4
MAX_LENGTH: Final = 10


@dataclass(frozen=True, slots=True)
class Profile:
    """What one Argon2id hash costs.

    Args:
        memory_kib: Memory in KiB.
        passes: Passes over that memory.
        lanes: Lanes; one, because every core is busy with another hash already.
    """

    memory_kib: int
    passes: int
    lanes: int = 1


PROFILES: Final = {
    # OWASP Password Storage Cheat Sheet, "Argon2id": one of its choices of equal strength, the one that
    # takes the least CPU.
    "owasp": Profile(memory_kib=7168, passes=5),
    # For installations that trust the key ring to stay outside Redis and want thousands of checks a second.
    "keyed": Profile(memory_kib=1024, passes=1),
    # The least that Argon2 allows (RFC 9106, 3.1); settings refuse it beside a live key.
    "test": Profile(memory_kib=8, passes=1),
}


def draw(length: int, below: Callable[[int], int] = secrets.randbelow) -> str:
    """A code of so many digits, each value equally likely, leading zeros kept.

    Args:
        length: Digits, 6..10.
        below: Returns a random integer in 0..n-1, without bias.
    """
    return f"{below(10**length):0{length}d}"


def clean(text: str) -> str:
    """The code that a person meant: spaces and dashes dropped, any script's decimal digits read as digits.

    Raises:
        InvalidCodeFormat: Not 4 to 10 letters or digits; no check was spent.
    """
    code = "".join(_digit(character) for character in text if not _is_separator(character))
    if MIN_LENGTH <= len(code) <= MAX_LENGTH and code.isascii() and code.isalnum():
        return code
    raise InvalidCodeFormat(
        "This cannot be a code, so no check was spent. Send the 4 to 10 letters or digits of the message.",
        errors=({"pointer": "/code", "detail": "4 to 10 letters or digits"},),
    )


def _is_separator(character: str) -> bool:
    return unicodedata.category(character) in {"Zs", "Pd"}


def _digit(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


class HashPool:
    """As many threads as cores and a short queue; past it a caller is turned away before anything is counted.

    A queue without an end would make everybody wait for work that nobody waits for any more.

    Args:
        profile: What a hash costs.
        threads: Hashes at work at once.
        queue: Callers that may wait for a thread.
        hashed: Hears, in the thread, how many seconds each hash waited and how many it took.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        threads: int,
        queue: int,
        hashed: Callable[[float, float], None] = lambda _waited, _took: None,
    ) -> None:
        self._profile = profile
        self._hashed = hashed
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._free = threads + queue

    def admit(self) -> None:
        """Turn a caller away while the queue is full; ask before anything is counted.

        It holds no place: whoever waits for Redis must not keep others from hashing, so what is under way
        there can exceed the queue by the number of its connections.

        Raises:
            Overloaded: The queue is full.
        """
        if self._free < 1:
            raise Overloaded(
                "The service is at its limit and counted nothing. Try again shortly.", retry_after=1
            )

    async def hash(self, digest: bytes, salt: bytes) -> bytes:
        """Argon2id of a digest, off the event loop, for a caller who was admitted."""
        with self.place():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._hash, digest, salt, perf_counter())

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one place in the pool or its queue."""
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    def close(self) -> None:
        """Let go of the threads; hashes at work are finished."""
        self._pool.shutdown(cancel_futures=True)

    def _hash(self, digest: bytes, salt: bytes, asked: float) -> bytes:
        cost = self._profile
        began = perf_counter()
        hashed = hash_secret_raw(digest, salt, cost.passes, cost.memory_kib, cost.lanes, HASH_BYTES, Type.ID)
        self._hashed(began - asked, perf_counter() - began)
        return hashed


@dataclass(frozen=True, slots=True)
class Binding:
    """Everything that a code is good for; hashed with it, so that it opens nothing else."""

    app: str
    id: VerificationId
    number: str = field(repr=False)
    purpose: str
    transaction: Transaction | None

    def digest(self, keyring: Keyring, key_id: str, code: str) -> bytes:
        """The code and what it is bound to, under a key of the ring."""
        bound = (self.transaction.payee, self.transaction.amount) if self.transaction else ()
        return keyring.code_digest(key_id, self.app, self.id.raw, self.number, self.purpose, *bound, code)

    async def hash(self, pool: HashPool, keyring: Keyring, key_id: str, code: str) -> bytes:
        """What is kept of the code, and compared."""
        return await pool.hash(self.digest(keyring, key_id, code), self.salt)

    @property
    def salt(self) -> bytes:
        """16 bytes of this verification's own.

        RFC 9106, 3.1 asks of a salt only that no two secrets share it; the id is unique by construction
        (122 random bits, or an HMAC), so it serves and costs Redis nothing.
        """
        return self.id.raw


def match(hashed: bytes, live: bytes) -> bool:
    """Whether a hash is one of the live ones: the one compare of the service, in constant time.

    Args:
        hashed: 16 bytes.
        live: The live hashes, one after another.
    """
    found = False
    for start in range(0, len(live), HASH_BYTES):
        found |= hmac.compare_digest(hashed, live[start : start + HASH_BYTES])
    return found
