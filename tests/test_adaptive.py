"""Adaptive routes: what a code that came back says of whom, and the order that follows from it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from otp_service.delivery.adaptive import BAD, LEAST_SENDS, Draws, rank
from otp_service.delivery.conversions import Estimate
from otp_service.store.experience import HALF_LIFE_MS, MOST_SENDS
from tests import faults_http, routing_simulation
from tests.faults_http import FaultServer
from tests.lab import NUMBER, Lab, bearer, code_in, lab, other_code
from tests.test_delivery import TWILIO_OK, routed, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import Server

ROUTE: dict[str, Any] = {
    "providers": {"a": {"type": "console"}, "b": {"type": "console"}},
    "routes": {"default": {"providers": ["a", "b"]}},
}


@pytest.fixture
def changes() -> dict[str, Any]:
    return ROUTE


async def learn(live: Lab) -> dict[str, Estimate]:
    """What all processes know once a minute has made it count."""
    await live.service.learning.exchange()
    live.pass_time(60)
    await live.service.learning.exchange()
    return dict(live.service.learning.conversions.known())


async def begin(live: Lab) -> str:
    return str((await live.start()).json()["id"])


def inbox(live: Lab, provider: str) -> list[str]:
    return [code_in(each.text) for each in live.service.providers[provider].inbox]  # type: ignore[attr-defined]


# Whom an approval is credited to


@pytest.mark.every_server
async def test_a_code_that_comes_back_is_a_send_and_an_approval_of_its_provider(live: Lab) -> None:
    id_ = await begin(live)
    await live.check(id_, inbox(live, "a")[0])
    assert await learn(live) == {"a:EE": Estimate(1, 1)}


async def test_a_wrong_code_is_no_approval(live: Lab) -> None:
    id_ = await begin(live)
    await live.check(id_, other_code(inbox(live, "a")[0]))
    assert await learn(live) == {"a:EE": Estimate(1, 0)}


@pytest.mark.every_server
@pytest.mark.parametrize(("carrier", "expected"), [("a", (1, 0)), ("b", (0, 1))])
async def test_after_a_resend_the_provider_is_credited_whose_code_it_was(
    live: Lab, carrier: str, expected: tuple[int, int]
) -> None:
    id_ = await begin(live)
    live.pass_time(30)
    await live.resend(id_)
    await live.check(id_, inbox(live, carrier)[0])
    known = await learn(live)
    assert (known["a:EE"].approvals, known["b:EE"].approvals) == pytest.approx(expected, rel=0.02)


async def test_a_provider_that_left_the_person_waiting_gets_no_credit(redis: Server) -> None:
    async with (
        FaultServer(faults_http.hang_after_request) as silent,
        FaultServer(reply=TWILIO_OK) as good,
        routed(redis, silent.url, good.url) as live,
    ):
        id_ = await begin(live)
        await live.check(id_, code_in(said(good)))
        assert await learn(live) == {"first:EE": Estimate(1, 0), "second:EE": Estimate(1, 1)}


async def test_who_certainly_took_no_message_has_no_send(redis: Server) -> None:
    with faults_http.closed_port() as down:
        async with FaultServer(reply=TWILIO_OK) as good, routed(redis, down, good.url) as live:
            await begin(live)
            assert await learn(live) == {"second:EE": Estimate(1, 0)}


async def test_what_a_test_key_sends_and_checks_never_counts(live: Lab) -> None:
    live.http.headers.update(bearer("web1", "test"))
    id_ = await begin(live)
    assert (await live.check(id_, live.code())).json()["approved"]
    assert await learn(live) == {}


# When it counts


async def test_a_send_and_its_approval_count_when_they_are_a_minute_old(live: Lab) -> None:
    id_ = await begin(live)
    live.pass_time(20)
    await live.check(id_, inbox(live, "a")[0])
    live.pass_time(38)
    await live.service.learning.exchange()
    assert live.service.learning.conversions.known() == {}
    live.pass_time(3)
    await live.service.learning.exchange()
    assert live.service.learning.conversions.known() == {"a:EE": Estimate(1, 1)}


async def test_an_approval_after_more_than_a_minute_counts_at_once(live: Lab) -> None:
    id_ = await begin(live)
    live.pass_time(90)
    await live.check(id_, inbox(live, "a")[0])
    await live.service.learning.exchange()
    assert live.service.learning.conversions.known() == {"a:EE": Estimate(1, 1)}


@pytest.mark.every_server
async def test_what_is_known_halves_in_an_hour(live: Lab) -> None:
    for to in ("+37256789045", "+37256789046"):
        await live.start(to)
    await learn(live)
    live.pass_time(HALF_LIFE_MS / 1000)
    await live.service.learning.exchange()
    assert live.service.learning.conversions.estimate("a", "EE").sends == pytest.approx(1)


@pytest.mark.every_server
async def test_a_long_past_does_not_outvote_what_is_new(live: Lab) -> None:
    conversions = live.service.learning.conversions
    for came_back in (True, False):
        for _ in range(MOST_SENDS):
            conversions.sent("a", "EE")
            if came_back:
                conversions.approved("a", "EE", 0)
        await learn(live)
    known = conversions.estimate("a", "EE")
    assert (known.sends, known.approvals) == pytest.approx((MOST_SENDS, MOST_SENDS / 2), rel=0.03)


async def test_what_is_hours_old_is_forgotten(live: Lab) -> None:
    await begin(live)
    await learn(live)
    live.pass_time(5 * HALF_LIFE_MS / 1000)
    await live.service.learning.exchange()
    assert live.service.learning.conversions.known() == {}


@pytest.fixture
async def pair(redis: Server) -> AsyncIterator[tuple[Lab, Lab]]:
    async with lab(redis.url, key="live1", **ROUTE) as one, lab(redis.url, key="live1", **ROUTE) as other:
        yield one, other


async def test_services_add_up_what_they_see_and_credit_what_the_other_sent(pair: tuple[Lab, Lab]) -> None:
    one, other = pair
    id_ = await begin(one)
    await other.check(id_, inbox(one, "a")[0])
    await other.start("+37256789046")
    await learn(one)
    await learn(other)
    await one.service.learning.exchange()
    assert one.service.learning.conversions.estimate("a", "EE").sends == pytest.approx(2, rel=0.03)
    assert one.service.learning.conversions.estimate("a", "EE").approvals == pytest.approx(1, rel=0.03)


# The order

EVEN = dict.fromkeys("abc", 0.0)


def firsts(
    costs: dict[str, float] | None = None, exploration: float = 0, **estimates: Estimate
) -> Counter[str]:
    """Who comes first in a thousand draws."""
    draws = Draws(routing_simulation.seeded(3).randbytes)
    return Counter(
        rank(estimates, costs or EVEN, draws, cost_weight=0.05, exploration=exploration)[0]
        for _ in range(1000)
    )


def test_whose_codes_come_back_goes_first() -> None:
    assert firsts(a=Estimate(200, 60), b=Estimate(200, 180), c=Estimate(200, 140))["b"] > 990


def test_what_is_little_known_is_tried_as_often_as_it_may_be_the_best() -> None:
    assert 20 < firsts(a=Estimate(200, 180), b=Estimate(2, 1))["b"] < 400


def test_with_few_sends_the_configured_order_stays() -> None:
    assert firsts(a=Estimate(LEAST_SENDS / 2, 0), b=Estimate(LEAST_SENDS / 2 - 1, 9))["a"] == 1000


def test_when_all_are_bad_the_configured_order_stays() -> None:
    bad = BAD - 0.05
    assert firsts(a=Estimate(1000, 50), b=Estimate(1000, 1000 * bad))["a"] == 1000


def test_the_floor_of_exploration_reaches_a_provider_that_is_known_to_be_bad() -> None:
    found = firsts(exploration=0.1, a=Estimate(1e6, 9e5), b=Estimate(1e6, 1e5))
    assert 25 < found["b"] < 80


def test_of_equals_the_cheaper_goes_first() -> None:
    same = Estimate(1e6, 9e5)
    assert firsts(costs={"a": 1.0, "b": 0.5}, a=same, b=same)["b"] == 1000


def test_a_price_does_not_outweigh_codes_that_do_not_come_back() -> None:
    assert firsts(costs={"a": 1.0, "b": 0.0}, a=Estimate(1e6, 9e5), b=Estimate(1e6, 8e5))["a"] == 1000


def test_more_approvals_than_sends_are_no_harm() -> None:
    assert firsts(a=Estimate(20, 25), b=Estimate(20, 1))["a"] > 950


async def test_a_service_moves_to_whose_codes_come_back(redis: Server) -> None:
    adaptive: dict[str, Any] = {
        "providers": ROUTE["providers"],
        "routes": {"default": {"providers": ["a", "b"], "strategy": "adaptive", "exploration": 0}},
    }
    async with lab(redis.url, key="live1", **adaptive) as live:
        conversions = live.service.learning.conversions
        for _ in range(300):
            for provider in "ab":
                conversions.sent(provider, "EE")
            conversions.approved("b", "EE", 0)
        await learn(live)
        [delivery] = (await live.start(NUMBER)).json()["deliveries"]
        assert delivery["provider"] == "b"


# All together


FIXED = [name for name in routing_simulation.STRATEGIES if name != "weighted 1 1 1"]


async def test_adaptive_comes_within_two_points_of_the_best_fixed_order_known_afterwards() -> None:
    results = await routing_simulation.compare([1], FIXED)
    best = results[routing_simulation.best_fixed(results)]
    assert results["adaptive"].conversion > best.conversion - 0.02
    assert results["adaptive"].conversion > results["ordered a b c"].conversion + 0.1


@pytest.mark.slow
async def test_adaptive_does_so_for_every_seed() -> None:
    for seed in range(8):
        results = await routing_simulation.compare([seed], FIXED)
        best = results[routing_simulation.best_fixed(results)]
        assert results["adaptive"].conversion > best.conversion - 0.02, seed
