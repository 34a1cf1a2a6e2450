"""Counts how often a caller waits on Redis: calls in flight at the same time are one wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.lab import Lab


class Waits:
    """A client between the service and the real one."""

    def __init__(self, lab: Lab) -> None:
        self.count = 0
        self.together = 0
        self._flying = 0
        self._client = lab.service.scripts._client
        lab.service.scripts._client = self  # type: ignore[assignment]

    async def evalsha(self, *arguments: Any) -> Any:
        self.count += self._flying == 0
        self._flying += 1
        self.together = max(self.together, self._flying)
        try:
            return await self._client.evalsha(*arguments)
        finally:
            self._flying -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def take(self) -> int:
        """How many since this was last asked."""
        count, self.count = self.count, 0
        return count
