"""What a live verification costs Redis, measured on Debian's redis-server 7.0."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab import Lab, lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

COUNT = 4_096
NO_LIMITS = {"sends_per_number": (), "failed_checks_per_number": (), "live_verifications": None}


@pytest.fixture
def debian(debian_server: Server) -> Iterator[Server]:
    debian_server.flush()
    yield debian_server
    debian_server.flush()


def used(server: Server) -> int:
    return int(server.on(server.nodes[0], lambda raw: raw.info("memory")["used_memory"]))


async def bytes_for_each(server: Server, **changes: Any) -> float:
    """Over starts to different numbers, through the service; the scripts are in Redis before."""
    limits = {"requests_per_key": "1000000/1s"} | changes.pop("app_limits", {})
    apps = {"web": {"limits": limits}}
    async with lab(server.url, apps=apps, **changes) as web:
        await asyncio.gather(*(start(web, 9_000_000 + i) for i in range(64)))  # connections are not counted
        before = used(server)
        for first in range(0, COUNT, 64):
            await asyncio.gather(*(start(web, 3_000_000 + i) for i in range(first, first + 64)))
        return (used(server) - before) / COUNT


async def start(web: Lab, number: int) -> None:
    answer = await web.start(f"+3725{number:07d}", purpose="login")
    assert answer.status_code == 201


@pytest.mark.slow
async def test_a_live_verification_with_one_delivery_takes_at_most_450_bytes(debian: Server) -> None:
    assert await bytes_for_each(debian, app_limits=NO_LIMITS, limits={"sends_per_number": ()}) <= 450


@pytest.mark.slow
async def test_with_all_its_budgets_it_takes_at_most_700_bytes(debian: Server) -> None:
    assert await bytes_for_each(debian) <= 700
