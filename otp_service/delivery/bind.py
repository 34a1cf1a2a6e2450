"""The one connection to an SMSC: bound by the first message, and again by the next one after it was lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otp_service.delivery.pdu import GENERIC_NACK, INVALID_COMMAND, RESPONSE, Command, Pdu

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

IDLE_SECONDS: Final = 30.0
"""Between two looks at whether the SMSC is there; most drop a connection that was silent for a minute."""
LAST_SEQUENCE: Final = 0x7FFF_FFFF
"""Sequence numbers begin with 1 and go round (SMPP 3.4, 5.1.4)."""


class BindRefused(Exception):  # noqa: N818 - it says what it is
    """The SMSC does not let us in.

    Args:
        status: Its command_status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"bind refused with 0x{status:02X}")
        self.status = status


class Session:
    """One connection, from its first octet to its last; made by ``Bind``.

    Anything wrong ends it, and with it every request that waits for an answer.

    Args:
        reader: From the SMSC.
        writer: To it.
        deliver: Takes the body of each deliver_sm and says the command_status to answer with.
        patience: Seconds for the other side to show that it is there.
        idle: Seconds between two looks whether it is.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        deliver: Callable[[bytes], Awaitable[int]],
        patience: float,
        idle: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._deliver = deliver
        self._patience = patience
        self._idle = idle
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._doubt = asyncio.Event()
        self._life = asyncio.create_task(self._live())

    @property
    def ended(self) -> bool:
        """Whether it can carry nothing more."""
        return self._life.done()

    async def ask(self, command: Command, body: bytes = b"") -> Pdu:
        """Make a request and wait for its answer, as long as the caller likes.

        Raises:
            ConnectionError: The session ended first; the request may have been obeyed.
            ValueError: The answer is to something else.
        """
        if self.ended:
            raise ConnectionResetError
        sequence = self._sequence = self._sequence % LAST_SEQUENCE + 1
        self._waiting[sequence] = asyncio.get_running_loop().create_future()
        self._say(Pdu(command, 0, sequence, body))
        try:
            answer = await self._waiting[sequence]
        except asyncio.CancelledError:
            self._doubt.set()  # it was waited for in vain: is anybody there?
            raise
        finally:
            del self._waiting[sequence]
        if answer.command not in (command | RESPONSE, GENERIC_NACK):
            raise ValueError("an answer to another request")
        return answer

    async def say_good_bye(self) -> None:
        """And wait for the answer, but not for ever."""
        with suppress(OSError, ValueError):
            async with asyncio.timeout(self._patience):
                await self.ask(Command.UNBIND)

    async def end(self) -> None:
        """Hang up."""
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)

    def _say(self, pdu: Pdu) -> None:
        self._writer.write(bytes(pdu))

    async def _live(self) -> None:
        try:
            with suppress(Exception):  # whatever it was, it is over, and whoever waits hears of it below
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._watch())
                    while True:
                        self._hear(await Pdu.read(self._reader), tasks)
        finally:
            self._writer.transport.abort()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError())

    def _hear(self, pdu: Pdu, tasks: asyncio.TaskGroup) -> None:
        if pdu.command & RESPONSE:
            answer = self._waiting.get(pdu.sequence)
            if answer and not answer.done():
                answer.set_result(pdu)
            return
        match pdu.command:
            case Command.ENQUIRE_LINK:
                self._say(pdu.answer())
            case Command.DELIVER_SM:
                tasks.create_task(self._take(pdu))
            case Command.UNBIND:
                self._say(pdu.answer())
                raise ConnectionResetError
            case _:
                self._say(Pdu(GENERIC_NACK, INVALID_COMMAND, pdu.sequence))

    async def _take(self, pdu: Pdu) -> None:
        status = await self._deliver(pdu.body)
        self._say(pdu.answer(status, b"\0"))

    async def _watch(self) -> None:
        """Ask from time to time, and whenever an answer did not come, whether the SMSC is still there."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle):
                    await self._doubt.wait()
            self._doubt.clear()
            async with asyncio.timeout(self._patience):
                await self.ask(Command.ENQUIRE_LINK)


class Bind:
    """Holds the session, if there is one.

    Args:
        host: Of the SMSC.
        port: Of the SMSC.
        tls: How to check its certificate; without it the connection is plain.
        login: The body of bind_transceiver.
        deliver: As ``Session`` takes it.
        patience: Likewise.
        idle: Likewise.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        login: bytes,
        deliver: Callable[[bytes], Awaitable[int]],
        patience: float,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._login = login
        self._deliver = deliver
        self._patience = patience
        self._idle = idle
        self._opening = asyncio.Lock()
        self._session: Session | None = None

    async def session(self) -> Session:
        """The session, a new one where there is none; nothing but the login was said in it.

        Raises:
            BindRefused: By the SMSC.
            OSError: There is no way to it (also ``EOFError``, ``ValueError``).
        """
        async with self._opening:
            if self._session is None or self._session.ended:
                self._session = await self._open()
            return self._session

    async def close(self) -> None:
        """Say good-bye, and hang up."""
        if self._session is not None:
            await self._session.say_good_bye()
            await self._session.end()

    async def _open(self) -> Session:
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        session = Session(reader, writer, self._deliver, self._patience, self._idle)
        try:
            answer = await session.ask(Command.BIND_TRANSCEIVER, self._login)
        except BaseException:
            await session.end()
            raise
        if answer.status:
            await session.end()
            raise BindRefused(answer.status)
        return session
