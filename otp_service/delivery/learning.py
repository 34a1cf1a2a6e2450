"""What a process learns about providers from its own traffic, and shares with all others once a second.

Nobody waits for it: starts and checks leave notes here, and a task of its own talks to Redis. While that is
down, each process goes by what it knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from otp_service.delivery.breaker import Breakers
from otp_service.delivery.conversions import Conversions
from otp_service.errors import StoreUnavailable
from otp_service.verification import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otp_service.events import Listener
    from otp_service.store.experience import Experience
    from otp_service.verification import Delivery, VerificationId

EVERY_SECONDS: Final = 1.0

MAY_HAVE_GONE: Final = frozenset({Outcome.ACCEPTED, Outcome.UNKNOWN})


class Learning:
    """The breakers and conversions of this process, kept up with those of all others.

    Args:
        experience: What all processes share.
        clock: Milliseconds, never set back.
        tell: Hears when a breaker opens or closes.
        learned: Given, after each exchange, the states of the breakers, and sends and approvals by circuit.
        process: Unlike that of any other process.
    """

    def __init__(
        self,
        experience: Experience,
        clock: Callable[[], int],
        tell: Listener,
        learned: Callable[[Mapping[str, int | None], Mapping[str, tuple[float, float]]], None],
        process: str,
    ) -> None:
        self.breakers = Breakers(clock, tell)
        self.conversions = Conversions(clock)
        self._experience = experience
        self._learned = learned
        self._process = process
        self._exchanges = 0
        self._approved: list[tuple[VerificationId, str, int]] = []

    def tried(self, region: str, deliveries: Iterable[Delivery]) -> None:
        """Count the messages that may have gone out."""
        for delivery in deliveries:
            if delivery.outcome in MAY_HAVE_GONE:
                self.conversions.sent(delivery.provider, region)

    def approved(self, id_: VerificationId, region: str, newer: int) -> None:
        """Note that a code came back; the record says later who carried it.

        Args:
            id_: Whose code.
            region: ISO 3166 alpha-2 of the number.
            newer: How many of its live codes were newer.
        """
        self._approved.append((id_, region, newer))

    async def run(self) -> None:
        """Exchange once a second until canceled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.exchange()

    async def exchange(self) -> None:
        """Tell what this process found out, and learn what all did.

        Without an answer, breakers are told of next time; conversions are not, as they may have been counted.
        """
        approved, self._approved = self._approved, []
        found = self.breakers.take()
        try:
            await self._credit(approved)
            approved = []
            self._exchanges += 1
            found = replace(found, conversions=self.conversions.take())
            known = await self._experience.exchange(f"{self._process}.{self._exchanges}", found)
        except StoreUnavailable:
            self.breakers.put_back(found)
            self._approved += approved
        except Exception:
            logging.getLogger("otp_service").exception("what is known of providers was not shared")
        else:
            self.breakers.learn(known.openings)
            self.conversions.learn(known.conversions)
            self._learned(self.breakers.states(), known.conversions)

    async def _credit(self, approved: Iterable[tuple[VerificationId, str, int]]) -> None:
        """Ask the records who carried the codes that came back, all of a shard at once."""
        shards: defaultdict[int, list[tuple[VerificationId, str, int]]] = defaultdict(list)
        for each in approved:
            shards[each[0].shard].append(each)
        for shard, group in shards.items():
            carriers = await self._experience.carriers(shard, [(id_, newer) for id_, _, newer in group])
            for (_, region, _), carrier in zip(group, carriers, strict=True):
                if carrier:
                    self.conversions.approved(carrier[0], region, carrier[1])
