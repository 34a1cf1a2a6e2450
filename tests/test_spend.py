"""A day's cap on money: reserved with the send, settled by what was sent, never overshot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from otp_service import events
from otp_service.delivery.provider import Answer
from otp_service.guard.spend import Prices, micro
from otp_service.settings import Money
from otp_service.verification import Outcome
from tests.lab import NUMBER, Lab
from tests.test_guard import counters, number, reasons

if TYPE_CHECKING:
    from tests.servers import Server

PRICES = {"*": "0.10 EUR", "DE": "0.05 EUR"}
NO_RULES: dict[str, Any] = {"sends_per_block": ["100000/1h"], "unconverted_per_region": 100_000}


def caps(app: str | None = None, installation: str | None = None, **more: Any) -> dict[str, Any]:
    """A configuration with caps; a segment costs 0.10 EUR."""
    web = {"limits": NO_RULES} | ({"spend_cap": app} if app else {}) | more
    whole = {"spend_cap": installation} if installation else {}
    return {"providers": {"console": {"prices": PRICES}}, "apps": {"web": web}} | whole


async def sent(live: Lab, count: int, first: int = 0) -> int:
    """How many of so many starts at the same time were sent."""
    answers = await asyncio.gather(*(live.start(number(first + i)) for i in range(count)))
    assert {answer.json().get("reason", "spend_cap") for answer in answers} == {"spend_cap"}
    return sum(answer.status_code == 201 for answer in answers)


@pytest.mark.every_server
@pytest.mark.naive("weighs_then_counts")
@pytest.mark.parametrize(
    "changes", [caps("1.25 EUR"), caps(installation="1.25 EUR"), caps("1.25 EUR", "900 EUR")]
)
async def test_fifty_starts_for_the_last_unit_of_a_cap_spend_it_and_no_more(live: Lab) -> None:
    assert await sent(live, 9) == 9
    assert await sent(live, 50, 100) == 1  # 80 % of 1.25 are ten messages of 0.10
    assert len(live.inbox) == 10


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [caps("0.50 EUR")])
async def test_the_last_fifth_is_for_numbers_verified_before(live: Lab) -> None:
    id_ = (await live.start(number(0))).json()["id"]
    await live.check(id_, live.code())
    await live.service.guard.idle()
    assert await sent(live, 20, 1) == 3
    assert await reasons(live, number(50), number(0), number(0)) == ["spend_cap", "", "spend_cap"]


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [caps("0.50 EUR", "0.50 EUR")])
async def test_money_comes_back_when_its_half_hour_leaves_the_day(live: Lab) -> None:
    assert await sent(live, 10) == 4
    answer = await live.start(NUMBER)
    assert answer.json()["retry_after"] == int(answer.headers["Retry-After"])
    assert 84_600 < answer.json()["retry_after"] <= 88_200
    assert answer.headers["RateLimit"].startswith('"spend_cap";r=0;t=')
    live.pass_time(answer.json()["retry_after"])
    assert await sent(live, 10, 100) == 4


@pytest.mark.parametrize("changes", [caps("0.50 EUR", countries=["DE", "EE"])])
async def test_a_refused_send_costs_nothing(live: Lab, redis: Server) -> None:
    assert await sent(live, 10) == 4
    before = counters(redis)
    assert await sent(live, 10, 100) == 0
    await live.service.guard.idle()
    assert counters(redis) == before


@pytest.mark.parametrize("changes", [caps("10 EUR")])
async def test_a_call_that_is_repeated_costs_once(live: Lab, redis: Server) -> None:
    for _ in range(5):
        assert (await live.start(key="k")).status_code == 201
    await live.service.guard.idle()
    assert redis.run("HGET", "otp:{money}:web:c", "s") == b"100000"


TWO: dict[str, Any] = {
    "providers": {"console": {"prices": {"*": "0.01 EUR"}}, "dear": {"type": "console", "prices": PRICES}},
    "routes": {"default": {"providers": ["console", "dear"]}},
    "apps": {"web": {"spend_cap": "10 EUR", "limits": NO_RULES}},
}


@pytest.mark.parametrize(
    ("outcome", "spent"),
    [(Outcome.ACCEPTED, 10_000), (Outcome.UNKNOWN, 110_000), (Outcome.UNAVAILABLE, 100_000)],
)
@pytest.mark.parametrize("changes", [TWO])
async def test_what_was_taken_or_may_have_gone_is_paid_for(
    live: Lab, redis: Server, outcome: Outcome, spent: int
) -> None:
    async def send(_: Any) -> Answer:
        return Answer(outcome)

    live.service.providers["console"].send = send  # type: ignore[method-assign, assignment]
    assert (await live.start()).status_code == 201
    assert redis.run("HGET", "otp:{money}:web:c", "s") == str(spent).encode()
    assert redis.run("HGET", "otp:{money}:web:c", "r") == b"0"


@pytest.mark.parametrize("changes", [TWO])
async def test_a_resend_costs_too(live: Lab, redis: Server) -> None:
    id_ = (await live.start()).json()["id"]
    live.pass_time(30)
    assert (await live.resend(id_)).status_code == 200
    assert redis.run("HGET", "otp:{money}:web:c", "s") == b"110000"


@pytest.mark.parametrize("changes", [caps("1.25 EUR")])
async def test_four_fifths_spent_are_an_alarm(live: Lab) -> None:
    await sent(live, 12)
    told = [event for event in live.told if isinstance(event, events.SpendReached)]
    assert told == [events.SpendReached("web", "1", "1.25")]
    refused = [event for event in live.told if isinstance(event, events.SendRefused)]
    assert {(event.rule, event.figure, event.limit) for event in refused} == {("spend_cap", "1", "1")}


def test_prices_are_by_country_or_for_all() -> None:
    prices = Prices({"a": {"DE": Money.parse("0.045 EUR"), "*": Money.parse("0.1 EUR")}, "b": {}})
    assert [prices.dearest(["a", "b"], region) for region in ("DE", "EE")] == [45_000, 100_000]
    assert prices.dearest(["b"], "DE") == 0


def test_six_decimals_are_kept() -> None:
    assert micro(Money.parse("0.000001 EUR")) == 1
