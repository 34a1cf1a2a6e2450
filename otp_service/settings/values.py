"""Keys, windows and money: typed values, each with the one text it is written as."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from otp_service.settings.readers import unique, written

KEY_BYTES = 32
"""AES-256, HMAC-SHA256 and an Ed25519 seed (RFC 8032) all take 256 bits."""

SCOPES = frozenset({"verify", "read"})
"""What an API key may be allowed: start, resend, check and cancel; read."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class RingKey:
    """A named key of a ring: ``id:base64``."""

    id: str
    """1..16 of ``[A-Za-z0-9]``; it is stored beside what the key made."""
    secret: bytes = field(repr=False)
    """32 bytes."""

    @classmethod
    def parse(cls, text: str) -> RingKey:
        """Read ``id:base64``."""
        key_id, _, encoded = text.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9]{1,16}", key_id):
            raise ValueError("must be id:base64, the id 1 to 16 of A-Z a-z 0-9")
        return cls(key_id, _key_bytes(encoded))


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of an app's API key: ``id:sha256:live:scopes``."""

    id: str
    """1..32 base62 characters, the second part of the key itself."""
    digest: bytes = field(repr=False)
    """SHA-256 of the secret, the third part of the key."""
    live: bool
    """A test key never reaches a real provider."""
    scopes: frozenset[str]
    """Some of ``SCOPES``."""

    @classmethod
    def parse(cls, text: str) -> ApiKey:
        """Read ``id:sha256 hex:live|test:scopes``, several scopes separated by commas."""
        found = re.fullmatch(r"([0-9A-Za-z]{1,32}):([0-9a-fA-F]{64}):(live|test):([a-z,]+)", text)
        scopes = frozenset(found[4].split(",")) if found else frozenset()
        if not found or not scopes <= SCOPES:
            raise ValueError(
                "must be id:sha256:live|test:scopes as `otp-service keys create` prints it; "
                "scopes are verify, read or verify,read"
            )
        return cls(found[1], bytes.fromhex(found[2]), found[3] == "live", scopes)


@dataclass(frozen=True, slots=True)
class Window:
    """How many in how long: ``10/1h``; windows slide."""

    limit: int
    """1..9,999,999."""
    seconds: int
    """1..86,400: the store forgets what is older than a day."""

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read ``limit/time``, the time a number with s, m, h or d."""
        found = re.fullmatch(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,4})([smhd])", text)
        seconds = int(found[2]) * _UNITS[found[3]] if found else 0
        if not found or seconds > _UNITS["d"]:
            raise ValueError('must be like "10/1h": a limit from 1, and up to one day in s, m, h or d')
        return cls(int(found[1]), seconds)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency: ``100 EUR``."""

    amount: Decimal
    """Not negative; up to six decimals, since a segment costs fractions of a cent."""
    currency: str
    """ISO 4217."""

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read ``amount currency``."""
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ([A-Z]{3})", text)
        if not found:
            raise ValueError('must be like "0.045 EUR": an amount, a space, an ISO 4217 currency')
        return cls(Decimal(found[1]), found[2])


def _key_bytes(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != KEY_BYTES:
        raise ValueError(f"must be base64 of {KEY_BYTES} bytes, as `openssl rand -base64 32` prints it")
    return found


def _digest(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError("must be a SHA-256 digest, 64 hex digits")
    return bytes.fromhex(text)


def _webhook_secret(text: str) -> str:
    try:
        size = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    # Standard Webhooks, "Signature scheme": 24 to 64 bytes.
    if not text.startswith("whsec_") or not 24 <= size <= 64:  # noqa: PLR2004
        raise ValueError("must be whsec_ and base64 of 24 to 64 bytes")
    return text


def _written_out(value: object) -> object:
    # A file gives lists and code gives tuples: only code, that of `otp-service dev`, switches a budget off.
    if value == []:
        raise ValueError("must name at least one; a budget cannot be switched off")
    return value


def _a_cap(money: Money) -> Money:
    if not money.amount:
        raise ValueError("must be more than nothing: a cap of 0 switches every login off")
    return money


Key = Annotated[bytes, written(bytes, _key_bytes)]
Digest = Annotated[bytes, written(bytes, _digest)]
WebhookSecret = Annotated[str, AfterValidator(_webhook_secret)]
Ring = Annotated[
    tuple[Annotated[RingKey, written(RingKey, RingKey.parse)], ...],
    unique(lambda key: key.id, "must not have two keys of one id"),
]
ApiKeys = tuple[Annotated[ApiKey, written(ApiKey, ApiKey.parse)], ...]
Rate = Annotated[Window, written(Window, Window.parse)]
Budget = Annotated[
    tuple[Rate, ...],
    BeforeValidator(_written_out),
    unique(lambda window: window.seconds, "must not have two windows of one length"),
]
Price = Annotated[Money, written(Money, Money.parse)]
Cap = Annotated[Price, AfterValidator(_a_cap)]
