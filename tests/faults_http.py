"""A loopback HTTP server that misbehaves in one named way, and certificates that are wrong in one."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import socket
import ssl
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path
    from typing import Self


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What a well-behaved server would say."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def head(self, **more: str) -> bytes:
        fields = {"content-length": str(len(self.body))} | self.headers | more
        lines = [f"HTTP/1.1 {self.status} Any", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def __bytes__(self) -> bytes:
        return self.head() + self.body


class Connection:
    """One client, and what can be done to it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: FaultServer
    ) -> None:
        self._reader = reader
        self.writer = writer
        self._server = server
        self.reply = server.reply

    async def request(self) -> Request:
        """Read one whole request, and count it."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        self._server.requests.append(Request(method, target, headers, body))
        self._server.asked.set()
        return self._server.requests[-1]

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> None:
        await self.write(bytes(self.reply))

    async def hang(self) -> None:
        """Say nothing more, until the client hangs up."""
        while await self._reader.read(1 << 16):
            pass
        self._server.hung_up.set()

    def reset(self) -> None:
        """Close with RST, as a crashed process or a middlebox does."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()


async def well(client: Connection) -> None:
    while True:
        await client.request()
        await client.answer()


async def hang_after_accept(client: Connection) -> None:
    await client.hang()


async def hang_after_request(client: Connection) -> None:
    await client.request()
    await client.hang()


async def hang_after_headers(client: Connection) -> None:
    await client.request()
    await client.write(client.reply.head())
    await client.hang()


async def hang_in_body(client: Connection) -> None:
    await client.request()
    await client.write(bytes(client.reply)[:-1])
    await client.hang()


async def drip(client: Connection) -> None:
    """One byte every 20 ms: outlives any read timeout, so only a limit on the whole call ends it."""
    await client.request()
    for byte in bytes(client.reply) * 1000:
        await client.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def close_after_accept(client: Connection) -> None:
    pass


async def reset_after_accept(client: Connection) -> None:
    client.reset()


async def reset_after_request(client: Connection) -> None:
    await client.request()
    client.reset()


async def close_after_request(client: Connection) -> None:
    await client.request()


async def reset_in_body(client: Connection) -> None:
    await client.request()
    await client.write(bytes(client.reply)[:-1])
    client.reset()


async def truncated_body(client: Connection) -> None:
    await client.request()
    await client.write(bytes(client.reply)[:-1])


async def truncated_chunks(client: Connection) -> None:
    await client.request()
    await client.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{")


async def endless_body(client: Connection) -> None:
    await client.request()
    await client.write(client.reply.head(**{"content-length": str(10 << 20)}))
    with contextlib.suppress(ConnectionError):
        for _ in range(160):
            await client.write(b" " * (64 << 10))


async def packed_body(client: Connection) -> None:
    """Answer packed, though the client asked for nothing packed: a few bytes that become 1 MiB."""
    await client.request()
    body = gzip.compress(b" " * (1 << 20) + client.reply.body)
    await client.write(
        client.reply.head(**{"content-encoding": "gzip", "content-length": str(len(body))}) + body
    )


async def not_http(client: Connection) -> None:
    await client.request()
    await client.write(b"220 smtp.example.com ESMTP\r\n\r\n")


async def two_lengths(client: Connection) -> None:
    await client.request()
    await client.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ")


async def endless_headers(client: Connection) -> None:
    await client.request()
    with contextlib.suppress(ConnectionError):
        await client.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(2000):
            await client.write(b"x-%d: %s\r\n" % (number, b"y" * 1000))


async def close_on_reuse(client: Connection) -> None:
    """Read a second request on the kept connection and close without a word: it may have been obeyed."""
    await client.request()
    await client.answer()
    await client.request()


async def reset_on_reuse(client: Connection) -> None:
    await client.request()
    await client.answer()
    await client.request()
    client.reset()


async def close_when_idle(client: Connection) -> None:
    await client.request()
    await client.answer()


class FaultServer:
    """Serves on a free port of 127.0.0.1 until the block ends; ``requests`` is what it read;
    ``asked`` is set by the first of them, ``hung_up`` when a client left of itself.

    Args:
        fault: What to do with each connection.
        reply: What to say where the fault says anything.
        tls: The certificate to show; plain HTTP without.
    """

    def __init__(
        self,
        fault: Callable[[Connection], Awaitable[None]] = well,
        reply: Reply | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.reply = reply or Reply()
        self.url = ""
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()
        self._fault = fault
        self._tls = tls
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        # A call-back that is no coroutine: asyncio logs every exception of one that is.
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._fault(Connection(reader, writer, self))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


@contextlib.contextmanager
def deaf_port() -> Iterator[str]:
    """A URL whose connection is never accepted: the kernel's queue is full, so it drops what comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """A URL that refuses: bound, so that nobody else gets the port, but not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


class Authority:
    """A certificate authority of our own, its certificate in ``ca_file``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])
        self.ca_file = folder / "ca.pem"
        certificate = self._certificate(
            self._name, self._key, x509.BasicConstraints(ca=True, path_length=None)
        )
        self.ca_file.write_bytes(certificate)

    def server(self, address: str = "127.0.0.1", *, expired: bool = False) -> ssl.SSLContext:
        """What a server shows that calls itself ``address``."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        path = self._folder / f"{address}-{expired}.pem"
        path.write_bytes(
            self._certificate(name, key, alternative, days=-1 if expired else 1)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _certificate(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        days: int = 1,
    ) -> bytes:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
