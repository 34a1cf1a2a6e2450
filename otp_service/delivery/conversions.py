"""Whose codes come back: sends and approvals by provider and country.

Conversion, not "delivered": a receipt says what a provider wants to be paid for, a code that comes back was
read. An approval is credited to the try that ended the send whose code it was; an earlier try of that send
whose fate is unknown cost the person a time-out, whether or not it arrived.

A send counts when it is a minute old, and so does its approval. Counted at once, sends would run ahead of
approvals by as long as people type: a provider that has just got all the traffic would look dead, lose it,
and get it back a minute later. Counted as a miss only when its verification closes, a send through a dead
provider would say so after ten minutes. What comes back later than that still counts. A process that ends
takes the last minute of both along, which makes nobody look better or worse.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otp_service.delivery.breaker import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RIPE_MS: Final = 60_000
"""Age at which a send and its approval count."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of one provider in one country; both figures halve with every hour.

    At most ``MOST_SENDS``: the older then give way to the newer, approvals alike.
    """

    sends: float = 0.0
    approvals: float = 0.0


class Conversions:
    """What this process saw and has yet to tell, and what all processes know.

    Args:
        clock: Milliseconds, never set back.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._green: defaultdict[int, defaultdict[str, list[int]]] = defaultdict(
            lambda: defaultdict(lambda: [0, 0])
        )
        self._known: Mapping[str, Estimate] = {}

    def sent(self, provider: str, region: str) -> None:
        """A provider took a message just now, or may have."""
        self._count(provider, region, 0, 0)

    def approved(self, provider: str, region: str, age_ms: int) -> None:
        """A code came back that a provider carried, in a message of this age."""
        self._count(provider, region, age_ms, 1)

    def take(self) -> dict[str, tuple[int, int]]:
        """Sends and approvals, by circuit, that have ripened since this was last asked."""
        found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        now = self._clock() // 1000
        for second in [second for second in self._green if second <= now]:
            for name, (sends, approvals) in self._green.pop(second).items():
                found[name][0] += sends
                found[name][1] += approvals
        return {name: (sends, approvals) for name, (sends, approvals) in found.items()}

    def learn(self, known: Mapping[str, tuple[float, float]]) -> None:
        """Take over what all processes saw."""
        self._known = {name: Estimate(*counts) for name, counts in known.items()}

    def known(self) -> Mapping[str, Estimate]:
        """By circuit with a country, such as ``smspm:EE``."""
        return self._known

    def estimate(self, provider: str, region: str) -> Estimate:
        """What is known of a provider in a country."""
        return self._known.get(f"{provider}:{region or NOWHERE}", _NOTHING)

    def _count(self, provider: str, region: str, age_ms: int, column: int) -> None:
        now = self._clock()
        ripe = max(now, now + RIPE_MS - age_ms) // 1000
        self._green[ripe][f"{provider}:{region or NOWHERE}"][column] += 1


_NOTHING: Final = Estimate()
