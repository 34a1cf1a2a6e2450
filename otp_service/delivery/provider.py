"""What a provider is: it sends a message and reads its own receipts.

``Provider`` is the only Protocol of the service, because it is the only thing with many implementations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from otp_service.verification import Outcome, ReceiptState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

__all__ = [
    "Answer",
    "Callback",
    "ForgedReceipt",
    "Message",
    "Outcome",
    "Provider",
    "ProviderOptions",
    "Receipt",
    "ReceiptState",
]


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
    """Where the provider reports on this message, or None where no public URL is configured."""
    token: str = field(default="", repr=False)
    """The end of ``receipt_url``, 52 of ``[a-z2-7]``: for a reference field, where all receipts of a provider
    come to one address."""
    media: tuple[str, ...] = ()
    """Addresses of pictures to go with it (MMS), only for providers with ``takes_media``."""
    carrier: str = ""
    """Who runs the number, where the caller knows: for e-mail gateways, which are the carrier's own."""


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
    lasting: bool = False
    """Whether it will answer so for minutes to come, whoever asks: credentials or credit refused."""
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
    token: str = ""
    """``Message.token`` of the message, where the address that it came to does not say it."""


class ForgedReceipt(Exception):  # noqa: N818 - it says what it is
    """A callback whose signature does not prove that the provider sent it."""


class ProviderOptions(BaseModel):
    """The settings of its own that a provider's section takes, and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Provider(Protocol):
    """Sends messages and reads its own receipts."""

    Options: ClassVar[type[ProviderOptions]]
    """The settings of its own that its section takes."""
    name: str
    """The name of its section in the configuration."""
    signs_receipts: bool
    """Whether a receipt route may be mounted: it signs (and the secret is here), or its URL is its proof."""
    takes_media: bool
    """Whether it sends pictures."""

    def __init__(self, name: str, section: ProviderSettings, transport: Transport) -> None:
        """Build it from a section without faults; the transport carries its calls and closes it."""
        ...

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
