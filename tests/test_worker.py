from __future__ import annotations

import asyncio
from typing import Any

from otp_service.verification import SHARDS
from otp_service.worker import Worker


class Counting:
    """Timers of which none is due, and how many were asked for at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.at_once = self.most = 0

    async def due(self, shard: int, _most: int, _lease_ms: int) -> list[str]:
        self.asked.append(shard)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return []


async def test_a_look_at_all_shards_leaves_connections_to_others() -> None:
    timers: Any = Counting()
    nobody: Any = None
    await Worker(timers, nobody, nobody, {}).work()
    assert (sorted(timers.asked), timers.most) == (list(range(SHARDS)), 8)
