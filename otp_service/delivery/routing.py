"""Which providers get a message, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from otp_service.settings import RouteSettings


def order(route: RouteSettings, region: str, used: Collection[str] = ()) -> list[str]:
    """The providers for a number: of the first rule that names its country, else of the route.

    Args:
        route: The app's route.
        region: ISO 3166 alpha-2 of the number.
        used: Providers that this verification used before. They come last: a person who asks again did not
            get their message.
    """
    rules = (rule.providers for rule in route.rules if rule.countries & {region, "*"})
    return sorted(next(rules, route.providers), key=lambda name: name in used)
