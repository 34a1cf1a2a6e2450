"""What no single setting can tell: contradictions between settings, and promises not kept yet."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from otp_service.settings.texts import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from otp_service.settings.sections import AppSettings
    from otp_service.settings.settings import Settings

    Place = tuple[str | int, ...]
    Conflict = tuple[Place, str]

_IDLE = ("operators",)
_IDLE_IN_APPS = ("webhook", "custom_codes", "twilio", "vonage")


def not_in_force(settings: Settings) -> tuple[str, ...]:
    """Say of each setting that was given and has no effect in this version that it has none."""
    return tuple(f"{key} is set but not in force in this version" for key in _idle(settings))


def _idle(settings: Settings) -> Iterator[str]:
    yield from (key for key in _IDLE if key in settings.model_fields_set and getattr(settings, key))
    for name, app in settings.apps.items():
        yield from (f"apps.{name}.{key}" for key in _IDLE_IN_APPS if getattr(app, key))


def conflicts(settings: Settings, routes: Collection[str], providers: Collection[str]) -> Iterator[Conflict]:
    """Where two settings contradict each other, and why.

    Args:
        settings: Perhaps without the tables that have faults of their own.
        routes: Names of all routes, those with faults too: they are no dangling names.
        providers: Names of all providers, likewise.
    """
    yield from _dangling(settings, routes, providers)
    yield from _ambiguous_keys(settings)
    yield from _uncounted_money(settings)
    yield from _strategies(settings)
    yield from _hopeful(settings)
    yield from _shorter(settings)
    if settings.hash_profile == "test" and any(
        key.live for app in settings.apps.values() for key in app.keys
    ):
        yield ("hash_profile",), "must not be test beside a live API key"


def _dangling(settings: Settings, routes: Collection[str], providers: Collection[str]) -> Iterator[Conflict]:
    for name, app in settings.apps.items():
        if app.name != name:
            yield ("apps", name, "name"), "no such setting: the section's own name is the app's"
        if app.route not in routes:
            yield ("apps", name, "route"), f"there is no [routes.{app.route}]"
    for place, chain in _chains(settings):
        yield from ((place, f"there is no [providers.{name}]") for name in chain if name not in providers)
    for name, route in settings.routes.items():
        for index, rule in enumerate(route.rules):
            unknown = sorted((rule.apps or frozenset()) - settings.apps.keys())
            yield from (
                (("routes", name, "rules", index, "apps"), f"there is no [apps.{app}]") for app in unknown
            )


def _chains(settings: Settings) -> Iterator[tuple[Place, tuple[str, ...]]]:
    for name, route in settings.routes.items():
        yield ("routes", name, "providers"), route.providers
        for index, rule in enumerate(route.rules):
            yield ("routes", name, "rules", index, "providers"), rule.providers


def _hopeful(settings: Settings) -> Iterator[Conflict]:
    """Apprise cannot say that a message was not sent, so every provider after it would send once more."""
    for place, chain in _chains(settings):
        types = [settings.providers[name].type for name in chain if name in settings.providers]
        if any(first == "apprise" != then for first, then in pairwise(types)):
            yield place, "must name apprise last: it cannot say that a message was not sent"


def _shorter(settings: Settings) -> Iterator[Conflict]:
    for name, app in settings.apps.items():
        if app.code_length_under_attack and app.code_length_under_attack <= app.code_length:
            yield ("apps", name, "code_length_under_attack"), "must be more than code_length"


def _strategies(settings: Settings) -> Iterator[Conflict]:
    chains = dict(_chains(settings))
    for name, route in settings.routes.items():
        used = {each for at, chain in chains.items() if at[1] == name for each in chain}
        for provider in sorted(route.weights.keys() - used):
            yield ("routes", name, "weights", provider), "must be a provider of this route"
        known = used & settings.providers.keys()
        prices = [price for each in known for price in settings.providers[each].prices.values()]
        if route.strategy == "adaptive" and route.cost_weight and len({each.currency for each in prices}) > 1:
            yield ("routes", name, "cost_weight"), "needs prices in one currency, or must be 0"


def _ambiguous_keys(settings: Settings) -> Iterator[Conflict]:
    seen: set[str] = set()
    for name, app in settings.apps.items():
        for index, key in enumerate(app.keys):
            if key.id in seen:
                yield ("apps", name, "keys", index), "must not have the id of another key"
            seen.add(key.id)


def _uncounted_money(settings: Settings) -> Iterator[Conflict]:
    """A cap counts only if every provider that it may pay has prices, all in the cap's currency."""
    if settings.spend_cap:
        yield from _unpriced(settings, ("spend_cap",), settings.spend_cap.currency, settings.apps.values())
    for name, app in settings.apps.items():
        if app.spend_cap:
            yield from _unpriced(settings, ("apps", name, "spend_cap"), app.spend_cap.currency, [app])


def _unpriced(
    settings: Settings, place: Place, currency: str, apps: Iterable[AppSettings]
) -> Iterator[Conflict]:
    chains = dict(_chains(settings))
    for app in apps:
        names = {name for at, chain in chains.items() if at[:2] == ("routes", app.route) for name in chain}
        for name in sorted(names & settings.providers.keys()):
            prices = settings.providers[name].prices
            everywhere = EVERYWHERE in prices or app.countries <= prices.keys()
            if not everywhere or {price.currency for price in prices.values()} != {currency}:
                yield place, f"needs [providers.{name}.prices] for every country, all in {currency}"
