"""The development inbox: messages go nowhere but to the person at this machine."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from otp_service.delivery.provider import Answer, Callback, Message, Outcome, ProviderOptions, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

INBOX_SIZE: Final = 200


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A message as the inbox shows it."""

    to: str = field(repr=False)
    text: str = field(repr=False)
    at: float
    """Seconds since 1970."""


class ConsoleOptions(ProviderOptions):
    """None: there is nobody to log in to."""


class Console:
    """Takes every message and keeps the newest ``INBOX_SIZE`` in ``inbox``, oldest first.

    Args:
        name: The section's name.
        section: Not used.
        transport: Not used.
        now: Seconds since 1970.
    """

    Options: ClassVar[type[ProviderOptions]] = ConsoleOptions
    signs_receipts: bool = False
    takes_media: bool = False

    def __init__(
        self,
        name: str,
        section: ProviderSettings,  # noqa: ARG002 - every provider is built alike
        transport: Transport,  # noqa: ARG002 - every provider is built alike
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.inbox: deque[InboxMessage] = deque(maxlen=INBOX_SIZE)
        self._now = now

    async def send(self, message: Message) -> Answer:
        """Put the message into the inbox."""
        self.inbox.append(InboxMessage(message.to, message.text, self._now()))
        return Answer(Outcome.ACCEPTED, reference=message.attempt)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:  # noqa: ARG002 - there are none
        """None: nobody reports."""
        return ()
