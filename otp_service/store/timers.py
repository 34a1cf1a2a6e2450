"""What is due and when, for the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service.store.keys import Shard

if TYPE_CHECKING:
    from otp_service.store.scripts import Scripts


class Timers:
    """The timers of every shard; the scripts that change a verification set them.

    Args:
        scripts: Runs the scripts.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def due(self, shard: int, most: int, lease_ms: int) -> list[str]:
        """Timers of a shard that are due, put off by the lease."""
        reply = await self._scripts.run("due", [Shard(shard).timers], {"most": most, "lease": lease_ms})
        return [timer.decode() for timer in reply[2]]

    async def done(self, shard: int, timer: str) -> None:
        """Take a timer off the list."""
        await self._scripts.run("done", [Shard(shard).timers], {"timer": timer})

    async def ping(self) -> None:
        """Ask the first shard for nothing.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        await self.due(0, 0, 0)
