"""Money: what a send may cost at most, and what it did cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otp_service.verification import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otp_service.settings import Money
    from otp_service.verification import Delivery

MICRO: Final = 1_000_000
"""Micro-units of a currency: prices have up to six decimals."""

EVERY_NUMBER: Final = 80
"""Percent of a cap that any number may use. The rest is for numbers verified before: whoever uses up the
first part must not switch off the login of those who have one."""

_PAID: Final = frozenset({Outcome.ACCEPTED, Outcome.UNKNOWN})


def micro(money: Money) -> int:
    """An amount in micro-units."""
    return int(money.amount * MICRO)


class Prices:
    """What a segment costs.

    Args:
        sections: By provider, then by region or ``*``; nothing where nobody said.
    """

    def __init__(self, sections: Mapping[str, Mapping[str, Money]]) -> None:
        self._micro = {
            provider: {region: micro(price) for region, price in prices.items()}
            for provider, prices in sections.items()
        }

    def dearest(self, providers: Iterable[str], region: str) -> int:
        """Of one segment, in micro-units, whoever of the providers takes it."""
        return max((self._price(provider, region) for provider in providers), default=0)

    def of(self, deliveries: Iterable[Delivery], region: str) -> int:
        """Of all messages that were taken or may have gone, in micro-units."""
        paid = (delivery for delivery in deliveries if delivery.outcome in _PAID)
        return sum(self._price(delivery.provider, region) * delivery.segments for delivery in paid)

    def _price(self, provider: str, region: str) -> int:
        prices = self._micro.get(provider, {})
        return prices.get(region, prices.get("*", 0))
