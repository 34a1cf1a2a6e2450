"""What a provider is: it sends a message and reads its own receipts.

``Provider`` is the only Protocol of the service, because it is the only thing with many implementations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from otp_service.verification import Outcome, ReceiptState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Answer", "Callback", "ForgedReceipt", "Message", "Outcome", "Provider", "Receipt", "ReceiptState"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one number, as handed to a provider."""

    to: str = field(repr=False)
    """E.164, with the plus sign."""
    region: str
    """ISO 3166 alpha-2 of ``to``."""
    text: str = field(repr=False)
    """What the person reads. It holds the code: never logged."""
    expires_in: int
    """Seconds for which the text is of use, 1..600: a provider should not deliver later."""
    attempt: str
    """Names this try, 1..64 of ``[a-z0-9]``; the idempotency key where a provider has one."""
    receipt_url: str | None
    """Where the provider reports, or None where no public URL is configured."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider made of a message."""

    outcome: Outcome
    reason: str = ""
    """The provider's own code, or our word for what happened: at most 32 of ``[A-Za-z0-9_.:-]``."""
    reference: str = ""
    """The provider's name for the message; empty unless accepted."""
    segments: int | None = None
    """Segments the provider counted, where it says."""
    text: str = field(default="", repr=False)
    """The provider's own words, for the log only, where the number is masked."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A request that claims to come from a provider."""

    method: str
    url: str = field(repr=False)
    """As the provider was given it: built from ``public_url``, never from a Host header."""
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider tells later about one message."""

    state: ReceiptState
    outcome: Outcome | None = None
    """For a failed one, which kind of failure: unavailable, undeliverable or blocked."""
    reason: str = ""
    """As in ``Answer``."""


class ForgedReceipt(Exception):  # noqa: N818 - it says what it is
    """A callback whose signature does not prove that the provider sent it."""


class Provider(Protocol):
    """Sends messages and reads its own receipts."""

    name: str
    """The name of its section in the configuration."""
    signs_receipts: bool
    """Whether a receipt route may be mounted: it signs (and the secret is here), or its URL is its proof."""

    async def send(self, message: Message) -> Answer:
        """Hand over one message, once.

        It never raises and never retries. The chain bounds its time from outside and reads a time-out as
        ``unknown``.
        """
        ...

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the receipts in a callback; signature over the raw body first.

        Returns:
            Those that say something new, perhaps none.

        Raises:
            ForgedReceipt: The signature is missing or wrong.
        """
        ...
