"""Races: two server processes on two ports, half of the connections to each, released together."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.lab import bearer, tables
from tests.served import CODE, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Ground
    from tests.servers import Server

pytestmark = [pytest.mark.timeout(240)]

ROUNDS = [10, pytest.param(100, marks=pytest.mark.slow)]
RAISED: dict[str, Any] = {"limits": {"requests_per_key": "100000/1s"}}
START = "/v1/verifications/start"

Round = "Callable[[int, list[str]], Awaitable[list[httpx.Response]]]"


@pytest.fixture
async def release(redis: Server, ground: Ground) -> AsyncIterator[Round]:
    """Start a verification, and send it these codes all at once."""
    configuration = tables(redis.url, apps={"web": RAISED})
    limits = httpx.Limits(max_connections=64)
    with served(configuration, ground.variant) as one, served(configuration, ground.variant) as two:
        async with (
            httpx.AsyncClient(base_url=one, headers=bearer("web1"), limits=limits, timeout=30) as left,
            httpx.AsyncClient(base_url=two, headers=bearer("web1"), limits=limits, timeout=30) as right,
        ):

            async def race(number: int, codes: list[str]) -> list[httpx.Response]:
                started = await left.post(START, json={"to": f"+3725{number:07d}"})
                path = f"/v1/verifications/{started.json()['id']}/check"
                return await asyncio.gather(
                    *((left, right)[i % 2].post(path, json={"code": code}) for i, code in enumerate(codes))
                )

            yield race


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.naive("counts_after_comparing")
async def test_of_fifty_wrong_checks_five_are_evaluated(release: Any, rounds: int) -> None:
    wrong = [f"{i:06d}" for i in range(50)]
    for round_ in range(rounds):
        answers = await release(1_000_000 + round_, wrong)
        assert Counter(answer.status_code for answer in answers) == {200: 5, 410: 45}


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.naive("many_winners")
async def test_of_sixteen_right_checks_one_is_approved(release: Any, rounds: int) -> None:
    for round_ in range(rounds):
        answers = await release(2_000_000 + round_, [CODE] * 16)
        assert Counter(answer.status_code for answer in answers) == {200: 1, 410: 15}
        assert sum(answer.json().get("approved", False) for answer in answers) == 1
