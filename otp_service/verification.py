"""The thing: one proof that a person holds a phone number."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


SHARDS = 64
"""Shards that an id can name: its first six bits."""

HASH_BYTES = 16
"""Of a code's hash: 128 bits tell all codes apart, and two live ones stay small in Redis."""

_PREFIX = "vrf_"
_ID_BYTES = 16


class Status(StrEnum):
    """Where a verification stands; all but ``pending`` are final."""

    PENDING = "pending"
    APPROVED = "approved"
    CANCELED = "canceled"
    EXPIRED = "expired"
    MAX_ATTEMPTS_REACHED = "max_attempts_reached"
    FAILED = "failed"


class Channel(StrEnum):
    """What a message travels through."""

    SMS = "sms"


@dataclass(frozen=True, slots=True)
class VerificationId:
    """128 bits: six name the shard of the number, the rest are random or derived from an Idempotency-Key."""

    raw: bytes
    bare: str = field(init=False, repr=False, compare=False)
    """The 26 characters after the prefix; every key in Redis has them, so they are written once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "bare", base64.b32encode(self.raw).decode().rstrip("=").lower())

    @classmethod
    def of(cls, shard: int, entropy: bytes | None = None) -> VerificationId:
        """Make an id.

        Args:
            shard: The number's shard, 0..63.
            entropy: 16 bytes, random when None; their first six bits give way to the shard.
        """
        entropy = entropy or secrets.token_bytes(16)
        return cls(bytes([shard << 2 | entropy[0] & 3]) + entropy[1:16])

    @classmethod
    def parse(cls, text: str) -> VerificationId | None:
        """The id that is written so, or None: there is one spelling of each id."""
        try:
            raw = base64.b32decode(text.removeprefix(_PREFIX).upper() + "======")
        except (ValueError, binascii.Error):
            return None
        found = cls(raw)
        return found if len(raw) == _ID_BYTES and str(found) == text else None

    @property
    def shard(self) -> int:
        """The shard that holds everything about the number."""
        return self.raw[0] >> 2

    def __str__(self) -> str:
        return _PREFIX + self.bare


@dataclass(frozen=True, slots=True)
class Transaction:
    """Payee and amount that a code is bound to (PSD2 RTS, article 5: dynamic linking)."""

    payee: str
    amount: str


@dataclass(frozen=True, slots=True)
class Target:
    """Who gets the message, and how it reads; sealed at rest, unsealed by a resend."""

    to: str = field(repr=False)
    locale: str | None = None
    autofill: Mapping[str, str] | None = None
    transaction: Transaction | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    test: bool = False
    """Asked for with a test key: it never reaches a real provider."""

    def pack(self) -> bytes:
        """As short as it can be, so that a plain target fits the record."""
        paid = self.transaction
        values = [
            self.to,
            self.test or None,
            self.locale,
            self.autofill,
            [paid.payee, paid.amount] if paid else None,
            dict(self.metadata) or None,
        ]
        while values[-1] is None:
            values.pop()
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, data: bytes) -> Target:
        """The inverse of ``pack``."""
        values = json.loads(data)
        to, test, locale, autofill, paid, metadata = values + [None] * (6 - len(values))
        return cls(to, locale, autofill, Transaction(*paid) if paid else None, metadata or {}, bool(test))


class Outcome(StrEnum):
    """How a provider answered to a message, and with it what the chain does next."""

    ACCEPTED = "accepted"
    """The provider took the message and named it: the chain stops."""
    UNDELIVERABLE = "undeliverable"
    """Nobody can reach this number, or its holder opted out: the chain stops."""
    BLOCKED = "blocked"
    """Refused as fraud: the chain stops, because going round a block pays for the attack."""
    UNAVAILABLE = "unavailable"
    """This provider cannot, or certainly did not take it: the chain goes on."""
    UNKNOWN = "unknown"
    """It may have gone: the chain goes on with the same code."""


class ReceiptState(StrEnum):
    """What became of an accepted message; it only moves forward, in this order."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Try:
    """One message of one send: a provider's attempt at it."""

    id: VerificationId
    send: int
    attempt: int

    @property
    def name(self) -> str:
        """As providers may know it, for example as their idempotency key."""
        return f"{self.id.bare}s{self.send}t{self.attempt}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One provider's answer to one send."""

    provider: str
    outcome: Outcome
    reason: str
    segments: int
    latency_ms: int
    at: int
    """Milliseconds since the epoch."""
    receipt: ReceiptState | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What is left of one window of one budget (draft-ietf-httpapi-ratelimit-headers)."""

    name: str
    quota: int
    window: int
    """Seconds."""
    left: int
    reset: int
    """Seconds until something is given back."""


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification as its app may see it."""

    id: VerificationId
    status: Status
    purpose: str
    target: Target
    created_ms: int
    expires_ms: int
    now_ms: int
    """The moment, by the clock of Redis, at which all this held."""
    checks_left: int
    sends_left: int
    next_send_ms: int
    deliveries: tuple[Delivery, ...]
    limit: RateLimit | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What one guess at the code came to."""

    id: VerificationId
    status: Status
    approved: bool
    checks_left: int
    proof: str | None = field(default=None, repr=False)
    replayed: bool = False
