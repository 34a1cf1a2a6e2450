"""Which providers get a message, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service.delivery import adaptive
from otp_service.delivery.adaptive import Draws

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from otp_service.delivery.conversions import Conversions
    from otp_service.phone import Phone
    from otp_service.settings import Money, RouteSettings, RuleSettings


class Router:
    """Orders providers as the strategy of a route says.

    Args:
        conversions: What ``adaptive`` goes by.
        prices: Of a segment, by provider, then by region or ``*``.
        random: Returns that many random bytes.
    """

    def __init__(
        self,
        conversions: Conversions,
        prices: Mapping[str, Mapping[str, Money]],
        random: Callable[[int], bytes],
    ) -> None:
        self._conversions = conversions
        self._prices = prices
        self._draws = Draws(random)

    def order(self, route: RouteSettings, app: str, phone: Phone, used: Collection[str] = ()) -> list[str]:
        """The providers for a number: of the first rule that is for it, else of the route.

        Args:
            route: The app's route.
            app: The app's name.
            phone: The number.
            used: Providers that this verification used before. They come last, whatever the strategy: a
                person who asks again did not get their message.
        """
        ranked = self._ranked(route, providers(route, app, phone), phone.region)
        return sorted(ranked, key=lambda name: name in used)

    def price(self, provider: str, region: str) -> Money | None:
        """Of a segment, where it is configured."""
        prices = self._prices.get(provider, {})
        return prices.get(region) or prices.get("*")

    def _ranked(self, route: RouteSettings, providers: Sequence[str], region: str) -> Sequence[str]:
        if route.strategy == "weighted":
            return self._drawn(providers, route.weights)
        if route.strategy == "adaptive":
            return adaptive.rank(
                {name: self._conversions.estimate(name, region) for name in providers},
                self._costs(providers, region),
                self._draws,
                cost_weight=route.cost_weight,
                exploration=route.exploration,
            )
        return providers

    def _drawn(self, providers: Sequence[str], weights: Mapping[str, int]) -> list[str]:
        """Drawn one after another, each by its weight (Efraimidis and Spirakis, 2006: keys u^(1/w))."""
        keys = {}
        for name in providers:
            weight = weights.get(name, 1)
            keys[name] = self._draws.random() ** (1 / weight) if weight else -1.0
        return sorted(providers, key=keys.__getitem__, reverse=True)

    def _costs(self, providers: Sequence[str], region: str) -> dict[str, float]:
        """Prices as parts of the dearest; a price that nobody gave is no reason to hope for a low one."""
        prices = {name: self.price(name, region) for name in providers}
        dearest = max((price.amount for price in prices.values() if price), default=0)
        if not dearest:
            return dict.fromkeys(providers, 0.0)
        return {name: float(price.amount / dearest) if price else 1.0 for name, price in prices.items()}


def providers(route: RouteSettings, app: str, phone: Phone) -> Sequence[str]:
    """All that a number's message may go through: of the first rule that is for it, else of the route."""
    found = rule(route, app, phone)
    return found.providers if found else route.providers


def rule(route: RouteSettings, app: str, phone: Phone) -> RuleSettings | None:
    """The first rule of a route that is for a number and an app."""
    for each in route.rules:
        if (
            each.countries & {phone.region, "*"}
            and (each.line_types is None or phone.line_type.value in each.line_types)
            and (each.apps is None or app in each.apps)
        ):
            return each
    return None
