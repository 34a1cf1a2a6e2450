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
NO_LIMITS = {
    "sends_per_number": (),
    "failed_checks_per_number": (),
    "live_verifications": None,
    "starts_per_address": (),
    "starts_per_session": (),
    "sends_per_block": (),
    "unconverted_per_region": None,
}
WIDE = {"unconverted_per_region": 100_000}


@pytest.fixture
def debian(debian_server: Server) -> Iterator[Server]:
    debian_server.flush()
    yield debian_server
    debian_server.flush()


def used(server: Server) -> int:
    return int(server.on(server.nodes[0], lambda raw: raw.info("memory")["used_memory"]))


async def bytes_for_each(server: Server, *, clients: bool = False, **changes: Any) -> float:
    """Over starts to different numbers, through the service; the scripts are in Redis before."""
    limits = {"requests_per_key": "1000000/1s"} | changes.pop("app_limits", {})
    bodies = [{"client": client(i)} if clients else {} for i in range(COUNT)]
    apps = {"web": {"limits": limits}}
    async with lab(server.url, key="live1", apps=apps, **changes) as web:
        await asyncio.gather(*(start(web, 50_000 + i) for i in range(64)))  # connections are not counted
        before = used(server)
        for first in range(0, COUNT, 64):
            await asyncio.gather(*(start(web, i, **bodies[i]) for i in range(first, first + 64)))
        return (used(server) - before) / COUNT


async def start(web: Lab, index: int, **body: Any) -> None:
    """To blocks of ten: all that one may have that are not approved."""
    number = f"+3725{3_000_000 + 1000 * (index // 10) + index % 10}"
    answer = await web.start(number, purpose="login", **body)
    assert answer.status_code == 201


def client(index: int) -> dict[str, str]:
    """An address and a session that nobody else has."""
    return {"ip": f"198.{index >> 16}.{index >> 8 & 255}.{index & 255}", "session": f"s{index}"}


@pytest.mark.slow
async def test_a_live_verification_with_one_delivery_takes_at_most_450_bytes(debian: Server) -> None:
    assert await bytes_for_each(debian, app_limits=NO_LIMITS, limits={"sends_per_number": ()}) <= 450


@pytest.mark.slow
async def test_with_all_its_budgets_it_takes_at_most_700_bytes(debian: Server) -> None:
    assert await bytes_for_each(debian, app_limits=WIDE) <= 700


@pytest.mark.slow
async def test_a_client_that_nobody_else_has_adds_at_most_300_bytes_for_address_and_session_each(
    debian: Server,
) -> None:
    without = await bytes_for_each(debian, app_limits=WIDE)
    debian.flush()
    assert await bytes_for_each(debian, app_limits=WIDE, clients=True) - without <= 600
