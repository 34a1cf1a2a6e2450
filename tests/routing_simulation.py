"""What a strategy is worth: four hours of sends, in one of which the first provider falls to 20 %.

``python -m tests.routing_simulation [seed …]`` prints a table. The router, the conversions and the script in
Redis are the real ones; people and providers are drawn, the same for every strategy.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
from dataclasses import dataclass
from random import Random
from statistics import mean
from typing import TYPE_CHECKING, Any

from otp_service.delivery.conversions import Conversions
from otp_service.delivery.routing import Router
from otp_service.phone import parse
from otp_service.settings import Money, RouteSettings
from otp_service.store.client import CONNECTIONS, connect
from otp_service.store.experience import Experience, Findings
from otp_service.store.scripts import Scripts
from tests import servers
from tests.lab import NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence

SOUND = {"a": 0.92, "b": 0.90, "c": 0.80}
FALLEN = {"a": 0.20}
PRICES = {"a": "0.050 EUR", "b": "0.060 EUR", "c": "0.040 EUR"}
HOURS = 4
FALL = range(3600, 7200)
STEP = 10
SENDS_A_STEP = 5
TYPING = 25.0
"""Seconds from a send to its approval, on average (exponential)."""

STRATEGIES: dict[str, dict[str, Any]] = {
    "ordered a b c": {"strategy": "ordered", "providers": ("a", "b", "c")},
    "fixed on b": {"strategy": "ordered", "providers": ("b", "a", "c")},
    "fixed on c": {"strategy": "ordered", "providers": ("c", "a", "b")},
    "weighted 1 1 1": {"strategy": "weighted", "providers": ("a", "b", "c")},
    "adaptive": {"strategy": "adaptive", "providers": ("a", "b", "c"), "cost_weight": 0},
    "adaptive, priced": {"strategy": "adaptive", "providers": ("a", "b", "c")},
}


def seeded(seed: int) -> Random:
    """The same chance in every run."""
    return Random(seed)  # noqa: S311 - the simulation must repeat


@dataclass(frozen=True)
class Result:
    """Shares of sends whose code came back, and what one send cost."""

    conversion: float
    in_the_fall: float
    price: float


async def simulate(redis: servers.Server, strategy: str, seed: int) -> Result:
    """Four hours of one strategy."""
    redis.flush()
    moment, people = 0, seeded(seed)
    client = connect(redis.url)
    experience = Experience(Scripts(client, connections=CONNECTIONS, skew=lambda: moment * 1000))
    conversions = Conversions(lambda: moment * 1000)
    prices = {name: {"*": Money.parse(price)} for name, price in PRICES.items()}
    router = Router(conversions, prices, seeded(seed + 1).randbytes)
    route, phone = RouteSettings.model_validate(STRATEGIES[strategy]), parse(NUMBER)
    typing: list[tuple[float, int, str]] = []
    made: list[tuple[int, bool, float]] = []
    for moment in range(0, HOURS * 3600, STEP):
        while typing and typing[0][0] <= moment:
            _, sent, name = heapq.heappop(typing)
            conversions.approved(name, phone.region, (moment - sent) * 1000)
        for _ in range(SENDS_A_STEP):
            luck, seconds = people.random(), people.expovariate(1 / TYPING)
            name = router.order(route, "web", phone)[0]
            conversions.sent(name, phone.region)
            chance = FALLEN.get(name, SOUND[name]) if moment in FALL else SOUND[name]
            if luck < chance:
                heapq.heappush(typing, (moment + seconds, moment, name))
            made.append((moment, luck < chance, float(prices[name]["*"].amount)))
        known = await experience.exchange(str(moment), Findings(conversions=conversions.take()))
        conversions.learn(known.conversions)
    await client.aclose()
    return Result(
        mean(came for _, came, _ in made),
        mean(came for at, came, _ in made if at in FALL),
        mean(price for _, _, price in made),
    )


async def compare(seeds: Sequence[int], names: Sequence[str] = tuple(STRATEGIES)) -> dict[str, Result]:
    """Strategies, each the mean of all seeds."""
    with servers.embedded() as redis:
        found = {name: [await simulate(redis, name, seed) for seed in seeds] for name in names}
    return {
        name: Result(
            mean(each.conversion for each in results),
            mean(each.in_the_fall for each in results),
            mean(each.price for each in results),
        )
        for name, results in found.items()
    }


def best_fixed(results: dict[str, Result]) -> str:
    """The fixed order that one would have chosen, knowing all of it."""
    fixed = [name for name in results if STRATEGIES[name]["strategy"] == "ordered"]
    return max(fixed, key=lambda name: results[name].conversion)


def main() -> None:
    """Print the table."""
    results = asyncio.run(compare([int(word) for word in sys.argv[1:]] or range(5)))
    best = best_fixed(results)
    print(f"{'strategy':<18}{'conversion':>11}{'in the fall':>13}{'EUR a send':>12}")  # noqa: T201 - a program
    for name, each in results.items():
        note = "  best fixed order, known afterwards" if name == best else ""
        print(f"{name:<18}{each.conversion:>11.1%}{each.in_the_fall:>13.1%}{each.price:>12.4f}{note}")  # noqa: T201


if __name__ == "__main__":
    main()
