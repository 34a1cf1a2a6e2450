"""A TCP proxy in front of a Redis that misbehaves on demand: it loses, delays, holds and cuts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from typing import Self

CHUNK = 1 << 16


class Proxy:
    """Relays on a free port of 127.0.0.1 until the block ends.

    Our clients wait for each reply before they ask again, so a chunk from the server is one reply (or all
    those of a handshake).

    Args:
        target: ``unix:///path`` or ``redis://host:port``, as EmbeddedRedis has it.

    Attributes:
        url: How redis clients are to connect.
        lose_every: Every n-th reply is lost with its connection, after the server did what was asked.
        delay: Seconds that each reply takes longer.
        hold_after: So many replies still pass; later ones are held and the client waits. None: all pass.
        held: Set when a reply was held.
    """

    def __init__(self, target: str) -> None:
        self.url = ""
        self.lose_every = 0
        self.delay = 0.0
        self.hold_after: int | None = None
        self.held = asyncio.Event()
        self._target = urlsplit(target)
        self._replies = 0
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Close every connection that is open now."""
        for client in self._clients:
            client.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            from_server, to_server = await self._connect()
            with contextlib.closing(to_server):
                ways = [
                    asyncio.create_task(_pass_on(reader, to_server)),
                    asyncio.create_task(self._answer(from_server, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.scheme == "unix":
            return await asyncio.open_unix_connection(self._target.path)
        return await asyncio.open_connection(self._target.hostname, self._target.port)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while reply := await reader.read(CHUNK):
            self._replies += 1
            if self.lose_every and self._replies % self.lose_every == 0:
                return
            if self.hold_after == 0:
                self.held.set()
                await asyncio.Future()  # until the client gives up, or is cut off
            if self.hold_after:
                self.hold_after -= 1
            await asyncio.sleep(self.delay)
            writer.write(reply)
            await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while request := await reader.read(CHUNK):
        writer.write(request)
        await writer.drain()
