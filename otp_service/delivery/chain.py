"""One message through the providers of a route, one after another, until one takes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

from otp_service.delivery.provider import Answer, Outcome
from otp_service.verification import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from otp_service.delivery.breaker import Breakers, Turn
    from otp_service.delivery.provider import Message, Provider

STOPS: Final = frozenset({Outcome.ACCEPTED, Outcome.UNDELIVERABLE, Outcome.BLOCKED})

TIMEOUT: Final = "timeout"
"""Of an answer that did not come in time, as the transport says it too."""


@dataclass(frozen=True, slots=True)
class Circuits:
    """The breakers as one country sees them."""

    breakers: Breakers
    region: str
    """ISO 3166 alpha-2."""


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
        circuits: Circuits | None = None,
    ) -> list[tuple[Delivery, Answer]]:
        """Try the providers in order; stop at the first that settles the matter.

        Args:
            order: Names of providers.
            compose: Makes the message for a try: its number from 1, the provider's name.
            deadline: Seconds for all of it.
            began_ms: The moment it began, by the clock of Redis.
            segments: Segments of the text, for providers that do not say.
            circuits: Say who is not worth a try, and learn from those made; None to ask nobody.

        Returns:
            Every try, in order.
        """
        tries: list[tuple[Delivery, Answer]] = []
        start = self._clock()
        for name, turn in _turns(order, circuits, tries):
            began = self._clock()
            left = deadline - (began - start)
            if left <= 0:
                break
            limit = self._timeouts[name]
            answer = await self._try(name, compose(len(tries) + 1, name), min(left, limit))
            if turn and (
                left >= limit or answer.reason != TIMEOUT
            ):  # else the deadline was short, not it slow
                turn.heard(answer)
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
            return Answer(Outcome.UNKNOWN, TIMEOUT)
        except Exception as fault:  # noqa: BLE001 - an exception that nobody listed may have gone out
            return Answer(Outcome.UNKNOWN, type(fault).__name__[:32])


def _turns(
    order: Sequence[str], circuits: Circuits | None, tries: Sequence[tuple[Delivery, Answer]]
) -> Iterator[tuple[str, Turn | None]]:
    """Who is tried: all that no breaker shuts out, and, rather than nobody, the one shut out longest.

    Args:
        order: Names of providers.
        circuits: As for ``deliver``.
        tries: Made so far, each before the next provider is asked for.
    """
    if circuits is None:
        yield from ((name, None) for name in order)
        return
    shut = []
    for name in order:
        if turn := circuits.breakers.turn(name, circuits.region):
            yield name, turn
        else:
            shut.append(name)
    if shut and all(answer.outcome is Outcome.UNAVAILABLE for _, answer in tries):
        turn = circuits.breakers.last_resort(shut, circuits.region)
        yield turn.provider, turn
