"""The order of providers by whose codes come back: Thompson sampling with a price, a floor and two dampers.

Each provider's conversion is drawn from what its sends leave plausible (a Beta distribution), and the best
draw goes first: what is little known is tried as often as it may be the best (Chapelle and Li, "An Empirical
Evaluation of Thompson Sampling", 2011).
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otp_service.delivery.conversions import Estimate

PRIOR_SENDS: Final = 10
"""Sends that a provider is taken to have made at the conversion of all together, before its own."""
LEAST_SENDS: Final = 20
"""With fewer, by all providers of a country together, there is nothing to learn from yet."""
BAD: Final = 0.2
"""When no provider does better the trouble is not theirs, and the numbers (pumping) or the app decide."""


class Draws(Random):
    """Random figures from the service's one source of randomness, as ``SystemRandom`` makes them.

    Args:
        source: Returns that many random bytes.
    """

    def __init__(self, source: Callable[[int], bytes]) -> None:
        super().__init__()
        self._source = source

    def random(self) -> float:
        """From 0, below 1."""
        return (int.from_bytes(self._source(7)) >> 3) * 2**-53


def rank(
    estimates: Mapping[str, Estimate],
    costs: Mapping[str, float],
    draws: Draws,
    *,
    cost_weight: float,
    exploration: float,
) -> list[str]:
    """Put providers in order.

    Args:
        estimates: What is known of each, in the configured order.
        costs: Price of each, 0 to 1 of the dearest.
        draws: Where chance comes from.
        cost_weight: Conversion that a price of 1 is worth, 0 to 1.
        exploration: Share of calls whose first is drawn evenly, 0 to 1.

    Returns:
        The configured order, but for the explored, while little is known or all are bad: then figures are
        noise, and an order that follows noise only spreads the damage.
    """
    order = list(estimates)
    sends = sum(each.sends for each in estimates.values())
    together = min(1.0, sum(each.approvals for each in estimates.values()) / max(sends, 1.0))
    shapes = {name: _shape(each, together) for name, each in estimates.items()}
    if sends >= LEAST_SENDS and max(back / (back + lost) for back, lost in shapes.values()) > BAD:
        scores = {
            name: draws.betavariate(*shape) - cost_weight * costs[name] for name, shape in shapes.items()
        }
        order.sort(key=scores.__getitem__, reverse=True)
    if draws.random() < exploration:
        order.insert(0, order.pop(int(draws.random() * len(order))))
    return order


def _shape(estimate: Estimate, together: float) -> tuple[float, float]:
    """Approvals and misses of a provider with those of its prior; neither is ever nothing."""
    approvals = min(estimate.approvals, estimate.sends)  # late ones can outlive their sends
    misses = estimate.sends - approvals
    return approvals + 0.5 + PRIOR_SENDS * together, misses + 0.5 + PRIOR_SENDS * (1 - together)
