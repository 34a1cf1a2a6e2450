"""An SMSC that somebody else wrote, as a process (``smsc.js``)."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.provider_cases import missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent


class Smsc:
    """One running SMSC.

    Args:
        process: Its process.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._facts: list[dict[str, Any]] = []
        self.port = 0

    async def order(self, **order: Any) -> None:
        """Tell it what to do, and wait until it has."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.saw("done")

    async def saw(self, name: str) -> Any:
        """The next fact of this name, those before it left for later."""
        assert self._process.stdout
        async with asyncio.timeout(5):
            while not any(name in fact for fact in self._facts):
                self._facts.append(json.loads(await self._process.stdout.readline()))
        fact = next(fact for fact in self._facts if name in fact)
        self._facts.remove(fact)
        return fact[name]

    async def reset(self) -> None:
        """Cut all connections and forget all facts."""
        await self.order(reset=True)
        self._facts.clear()

    def seen(self, name: str) -> int:
        """How many facts of this name nobody has asked for yet, of those that were read."""
        return sum(name in fact for fact in self._facts)


@asynccontextmanager
async def smsc(pem: Path | None = None) -> AsyncIterator[Smsc]:
    """Serve on 127.0.0.1, over TLS with a file of key and certificate."""
    if not (HERE / "node_modules" / "smpp").exists():
        missing("tests/node_modules (npm ci --prefix tests)")
    process = await asyncio.create_subprocess_exec(
        "node",
        HERE / "smsc.js",
        *([pem] if pem else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        running = Smsc(process)
        running.port = await running.saw("listening")
        yield running
    finally:
        process.kill()
        await process.communicate()
