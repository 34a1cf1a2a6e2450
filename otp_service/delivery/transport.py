"""How a provider is called over HTTP, and what each failure of a call says about the message.

The interface is httpx, so that a test can replace the network by a function. The wire below it is aiohttp,
because httpx's own transport costs several times the CPU with calls in flight (figures in CONTRIBUTING); the
adapter is ours, because only then is the table of failures ours: one that calls a reset "not sent" would make
the chain count a message as lost that the person is reading.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import httpx
from yarl import URL

from otp_service.delivery.provider import Answer, Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Self

    from otp_service.settings import ProviderSettings

CONNECT_SECONDS: Final = 1.0
"""Longest wait for a free place in the pool, the name, the connection and TLS together."""
MAX_ANSWER_BYTES: Final = 64 * 1024
"""An answer to one message is a few hundred bytes; more is not what we asked for."""
MAX_CONNECTIONS: Final = 256
"""Connections to one provider; a caller that finds none free within ``CONNECT_SECONDS`` has not sent."""
IDLE_SECONDS: Final = 4.0
"""A server that drops an idle connection just as we write leaves a message of unknown fate, so ours end
first: 5 s is the least default among common servers (Node.js ``server.keepAliveTimeout``)."""


class _BrokenAnswer(Exception):  # noqa: N818 - the answer is broken, not the program
    """An answer that cannot be read safely."""


# The first row that fits decides. Only what aiohttp raises before it has a connection, and so before it can
# have written a byte, is certain; whatever is not listed is `unknown`.
FAILURES: Final[tuple[tuple[type[Exception], Outcome, str], ...]] = (
    (aiohttp.ClientConnectorDNSError, Outcome.UNAVAILABLE, "no_such_host"),
    (aiohttp.ClientConnectorCertificateError, Outcome.UNAVAILABLE, "bad_certificate"),
    (aiohttp.ClientConnectorSSLError, Outcome.UNAVAILABLE, "tls_failed"),
    (aiohttp.ClientConnectorError, Outcome.UNAVAILABLE, "connect_failed"),
    (aiohttp.ConnectionTimeoutError, Outcome.UNAVAILABLE, "connect_timeout"),
    (TimeoutError, Outcome.UNKNOWN, "timeout"),
    # These two may be a pooled connection that died as it was used again: the request may have been read.
    (aiohttp.ServerDisconnectedError, Outcome.UNKNOWN, "closed"),
    (aiohttp.ClientOSError, Outcome.UNKNOWN, "reset"),
    (aiohttp.ClientPayloadError, Outcome.UNKNOWN, "truncated"),
    (aiohttp.ClientResponseError, Outcome.UNKNOWN, "not_http"),
    (_BrokenAnswer, Outcome.UNKNOWN, "broken_answer"),
    (Exception, Outcome.UNKNOWN, "call_failed"),
)


class Transport:
    """The one pool of connections, for every provider.

    Sends each request once: no retries, no redirects, no cookies, and neither proxies nor credentials from
    the environment. Closed by ``aclose`` or as a context manager.

    Args:
        wire: What carries the requests.
    """

    def __init__(self, wire: httpx.AsyncBaseTransport | None = None) -> None:
        self._public = httpx.create_ssl_context(trust_env=False)
        self._closing = AsyncExitStack()
        self._client = httpx.AsyncClient(
            transport=wire or Aiohttp(),
            headers={"user-agent": "otp-service", "accept-encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            trust_env=False,
        )

    def endpoint(self, url: str, *, timeout: float, ca_file: Path | None = None) -> Endpoint:
        """One address of a provider, reached through this pool.

        Args:
            url: Where it takes messages.
            timeout: Seconds for a whole call, from the pool to the last byte of the answer; a third of it, at
                most ``CONNECT_SECONDS``, to connect.
            ca_file: PEM file of the only authorities to trust; without it the public ones.

        Raises:
            OSError: The file cannot be read, or (``ssl.SSLError``) holds no certificate.
        """
        tls = ssl.create_default_context(cafile=ca_file) if ca_file else self._public
        return Endpoint(self._client, url, timeout, tls)

    def reach(self, section: ProviderSettings, default: str, path: str = "") -> Endpoint:
        """The address of a provider as its section has it.

        Args:
            section: Its base URL goes before the default; its time-out and authorities count.
            default: The provider's own base URL.
            path: From there to where it takes messages; begins with a slash.

        Raises:
            OSError: As ``endpoint`` does.
        """
        base = section.base_url or default
        url = base.rstrip("/") + path if path else base
        return self.endpoint(url, timeout=section.timeout_seconds, ca_file=section.ca_file)

    def on_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call this too when all is closed: for a provider that holds a connection of another kind."""
        self._closing.push_async_callback(close)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._closing.aclose()
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Endpoint:
    """One address of a provider; made by ``Transport.endpoint``."""

    def __init__(self, client: httpx.AsyncClient, url: str, timeout: float, tls: ssl.SSLContext) -> None:
        self._client = client
        self._url = url
        self._timeout = timeout
        self._extensions = {"connect": min(CONNECT_SECONDS, timeout / 3), "tls": tls}

    async def post(self, **request: Any) -> httpx.Response | Answer:  # noqa: ANN401 - httpx's own words
        """POST once.

        There is no ``get``: POST is what neither aiohttp (its ``IDEMPOTENT_METHODS``) nor a proxy on the way
        (RFC 9110, 9.2.2) sends a second time when a connection dies.

        Args:
            request: ``headers``, ``json``, ``data``, ``content`` and ``auth`` as ``httpx.AsyncClient.post``
                takes them.

        Returns:
            The response, whatever its status, with its body read; or what the failure of the call says.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._client.post(self._url, extensions=self._extensions, **request)
        except Exception as failure:  # noqa: BLE001 - whatever it was, a send ends with an answer
            return next(
                Answer(outcome, reason) for kind, outcome, reason in FAILURES if isinstance(failure, kind)
            )


class Aiohttp(httpx.AsyncBaseTransport):
    """Carries httpx's requests over aiohttp and reads each answer to its end.

    Args:
        connections: Most connections to one host.
    """

    def __init__(self, connections: int = MAX_CONNECTIONS) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send once, read all.

        Raises:
            Exception: Whatever aiohttp raises, for ``FAILURES`` to judge.
        """
        response = await self._open().request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=request.headers,
            data=request.content,
            ssl=request.extensions["tls"],
            timeout=aiohttp.ClientTimeout(total=None, connect=request.extensions["connect"]),
            allow_redirects=False,
        )
        try:
            return httpx.Response(
                response.status,
                headers=response.raw_headers,
                content=await _body(response),
                request=request,
            )
        finally:
            response.close()  # of a body read to its end the connection is back in the pool already

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        # Not in the constructor: a session belongs to the event loop that it is made in.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, limit_per_host=self._connections, keepalive_timeout=IDLE_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, unless it is longer than an answer can be or encoded against our wish.

    64 KiB can unpack to 64 MiB, and we asked for none to be packed.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _BrokenAnswer
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise _BrokenAnswer
    return bytes(body)
