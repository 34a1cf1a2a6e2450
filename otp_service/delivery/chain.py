"""One message through the providers of a route, one after another, until one takes it."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final

from otp_service.delivery.provider import Answer, Outcome
from otp_service.verification import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otp_service.delivery.provider import Message, Provider

STOPS: Final = frozenset({Outcome.ACCEPTED, Outcome.UNDELIVERABLE, Outcome.BLOCKED})


class Chain:
    """Tries each provider once, within one deadline.

    Args:
        providers: By name.
        timeouts: Seconds for each provider's answer.
        clock: Seconds, never set back.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        timeouts: Mapping[str, float],
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._providers = providers
        self._timeouts = timeouts
        self._clock = clock

    async def deliver(
        self,
        order: Sequence[str],
        compose: Callable[[int, str], Message],
        *,
        deadline: float,
        began_ms: int,
        segments: int,
    ) -> list[tuple[Delivery, Answer]]:
        """Try the providers in order; stop at the first that settles the matter.

        Args:
            order: Names of providers.
            compose: Makes the message for a try: its number from 1, the provider's name.
            deadline: Seconds for all of it.
            began_ms: The moment it began, by the clock of Redis.
            segments: Segments of the text, for providers that do not say.

        Returns:
            Every try, in order.
        """
        tries: list[tuple[Delivery, Answer]] = []
        start = self._clock()
        for name in order:
            began = self._clock()
            left = deadline - (began - start)
            if left <= 0:
                break
            answer = await self._try(name, compose(len(tries) + 1, name), min(left, self._timeouts[name]))
            delivery = Delivery(
                provider=name,
                outcome=answer.outcome,
                reason=answer.reason,
                segments=answer.segments or segments,
                latency_ms=round((self._clock() - began) * 1000),
                at=began_ms + round((began - start) * 1000),
            )
            tries.append((delivery, answer))
            if answer.outcome in STOPS:
                break
        return tries

    async def _try(self, name: str, message: Message, seconds: float) -> Answer:
        """One provider's answer; the limit is round the whole try, because bytes can trickle in for ever."""
        try:
            async with asyncio.timeout(seconds):
                return await self._providers[name].send(message)
        except TimeoutError:
            return Answer(Outcome.UNKNOWN, "timeout")
        except Exception as fault:  # noqa: BLE001 - an exception that nobody listed may have gone out
            return Answer(Outcome.UNKNOWN, type(fault).__name__[:32])
