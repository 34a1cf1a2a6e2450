"""A plain text through a route, to one number or to many; without Redis, for nothing is to be verified."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otp_service.delivery import providers
from otp_service.delivery.chain import Chain
from otp_service.delivery.conversions import Conversions
from otp_service.delivery.provider import Message, Outcome
from otp_service.delivery.routing import Router
from otp_service.delivery.transport import Transport
from otp_service.errors import Problem
from otp_service.guard.admission import admit
from otp_service.phone import parse
from otp_service.segments import segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otp_service.phone import Phone
    from otp_service.settings import AppSettings, RouteSettings, Settings
    from otp_service.verification import Delivery

EXPIRES_IN: Final = 600
"""Seconds: the longest that a provider is asked to keep trying."""


@dataclass(frozen=True, slots=True)
class Content:
    """What everybody gets."""

    text: str = field(repr=False)
    """In NFC."""
    media: tuple[str, ...] = ()
    """Addresses of pictures."""
    carrier: str = ""
    """Who runs the numbers, for e-mail gateways."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A number, and the providers for it."""

    place: str
    """Where it was read, such as ``numbers.txt:3``."""
    phone: Phone
    order: tuple[str, ...]
    """Names of providers."""


class Sending:
    """One text on its way through one route.

    Args:
        settings: The configuration, without faults.
        app: Whose countries and line types count.
        route: Which providers there are, and in which order.
        content: What to send.
        random: Returns that many random bytes.
    """

    def __init__(
        self,
        settings: Settings,
        app: AppSettings,
        route: RouteSettings,
        content: Content,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._sections = settings.providers
        self._app = app
        self._route = route
        self._content = content
        self._random = random
        prices = {name: section.prices for name, section in settings.providers.items()}
        # What came back is in Redis: an adaptive route knows nothing here, and draws its order.
        self._router = Router(Conversions(lambda: 0), prices, random)
        self._stopped = False

    def recipients(
        self, lines: Iterable[tuple[str, str]], region: str | None = None
    ) -> tuple[list[Recipient], list[str]]:
        """Read numbers, each once however often it is written.

        Args:
            lines: Where each stands, and the number.
            region: ISO 3166 alpha-2 of numbers without a plus sign.

        Returns:
            Those that may be sent to, and what is wrong with each of the others: it never repeats a number.
        """
        found: dict[str, Recipient] = {}
        faults: list[str] = []
        for place, line in lines:
            try:
                phone = parse(line.strip(), region)
                admit(self._app, phone)
            except Problem as problem:
                faults.append(f"{place}: {problem.detail}")
                continue
            if order := self._order(phone):
                found.setdefault(phone.e164, Recipient(place, phone, order))
            else:
                faults.append(f"{place}: No provider of the route sends pictures to {phone.region}.")
        return list(found.values()), faults

    async def deliver(
        self,
        recipients: Sequence[Recipient],
        *,
        concurrency: int,
        tell: Callable[[Recipient, Sequence[Delivery]], None],
    ) -> None:
        """Send to everybody, or until ``stop``; what has begun is brought to its end.

        Args:
            recipients: As ``recipients`` read them.
            concurrency: Messages on their way at once, 1 or more.
            tell: Hears of each recipient's tries, as soon as they are over.
        """
        waiting = iter(recipients)

        async def work(chain: Chain) -> None:
            while not self._stopped and (recipient := next(waiting, None)):
                tell(recipient, await self._send(chain, recipient))

        async with Transport() as transport:
            chain = self._chain({name for each in recipients for name in each.order}, transport)
            await asyncio.gather(*(work(chain) for _ in range(min(concurrency, len(recipients)))))

    def stop(self) -> None:
        """Begin no more messages."""
        self._stopped = True

    def _order(self, phone: Phone) -> tuple[str, ...]:
        order = self._router.order(self._route, self._app.name, phone)
        return tuple(name for name in order if not self._content.media or self._takes_media(name))

    def _takes_media(self, name: str) -> bool:
        return providers.TYPES[self._sections[name].type].takes_media

    def _chain(self, names: Iterable[str], transport: Transport) -> Chain:
        sections = {name: self._sections[name] for name in names}
        return Chain(
            {name: providers.build(name, section, transport) for name, section in sections.items()},
            {name: section.timeout_seconds for name, section in sections.items()},
        )

    async def _send(self, chain: Chain, recipient: Recipient) -> list[Delivery]:
        tries = await chain.deliver(
            recipient.order,
            lambda _, __: self._message(recipient.phone),
            deadline=self._route.deadline_seconds,
            began_ms=0,  # nobody asks when
            segments=segments(self._content.text).count,
        )
        return [delivery for delivery, _ in tries]

    def _message(self, phone: Phone) -> Message:
        return Message(
            to=phone.e164,
            region=phone.region,
            text=self._content.text,
            expires_in=EXPIRES_IN,
            attempt=self._random(16).hex(),
            receipt_url=None,  # there would be nothing to find it by
            media=self._content.media,
            carrier=self._content.carrier,
        )


def arrived(tries: Sequence[Delivery]) -> bool:
    """Whether a provider took the message; one that may have gone did not arrive."""
    return any(delivery.outcome is Outcome.ACCEPTED for delivery in tries)
