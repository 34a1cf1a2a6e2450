"""The two clients: they send and they sleep, the rest is decided elsewhere."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from ._call import Call, Endpoint
from ._errors import ConnectionFailed, OtpError, TimedOut
from ._results import Check, Verification
from ._retries import Retries
from ._verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Self

T = TypeVar("T")

# The service gives a start 8 s before it answers; the rest is the way there and back.
DEFAULT_TIMEOUT_SECONDS = 12.0
DEFAULT_MAX_RETRIES = 2


class Client(Verbs[Verification, Check]):
    """The service, for code that blocks; one for the whole process, threads may share it.

    Args:
        base_url: Where the service is, such as ``https://otp.example.com``.
        api_key: ``otp_live_…`` or ``otp_test_…``.
        timeout: Seconds for each step (connect, send, every read) of one try.
        max_retries: Tries after the first, where another try can help.
        http_client: Yours, for proxies, certificates or pools; you close it.
        sleep: Waits so many seconds.
        rng: Draws the jitter, from 0 up to 1.

    Raises:
        ValueError: ``base_url`` or ``api_key`` cannot be what it should.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: httpx.Client | None = None,
        sleep: Callable[[float], object] = time.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = Endpoint(base_url, api_key)
        self._retries = Retries(max_retries, rng)
        self._timeout = timeout
        self._sleep = sleep
        self._http = http_client or httpx.Client()
        self._owns_http = http_client is None

    def close(self) -> None:
        """Closes the connections; those of your own ``http_client`` stay open."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._endpoint.base_url!r})"

    def _run(self, call: Call[T]) -> T:
        done = 0
        while True:
            try:
                return self._try(call)
            except OtpError as error:
                wait = self._retries.wait(done, error)
                if wait is None:
                    raise
            self._sleep(wait)
            done += 1

    def _try(self, call: Call[T]) -> T:
        request = _request(self._http, self._endpoint, call, self._timeout)
        with _no_answer():
            response = self._http.send(request, auth=None, follow_redirects=False)
        return call.answer(response.status_code, response.headers, response.content)


class AsyncClient(Verbs[Coroutine[Any, Any, Verification], Coroutine[Any, Any, Check]]):
    """The service, for code that awaits; one for the whole event loop.

    Takes what Client takes; ``sleep`` is awaited, so it is ``trio.sleep`` where asyncio does not run.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = Endpoint(base_url, api_key)
        self._retries = Retries(max_retries, rng)
        self._timeout = timeout
        self._sleep = sleep
        self._http = http_client or httpx.AsyncClient()
        self._owns_http = http_client is None

    async def aclose(self) -> None:
        """Closes the connections; those of your own ``http_client`` stay open."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({self._endpoint.base_url!r})"

    async def _run(self, call: Call[T]) -> T:
        done = 0
        while True:
            try:
                return await self._try(call)
            except OtpError as error:
                wait = self._retries.wait(done, error)
                if wait is None:
                    raise
            await self._sleep(wait)
            done += 1

    async def _try(self, call: Call[T]) -> T:
        request = _request(self._http, self._endpoint, call, self._timeout)
        with _no_answer():
            response = await self._http.send(request, auth=None, follow_redirects=False)
        return call.answer(response.status_code, response.headers, response.content)


def _request(
    http: httpx.Client | httpx.AsyncClient, endpoint: Endpoint, call: Call[Any], default_timeout: float
) -> httpx.Request:
    return http.build_request(
        call.method,
        endpoint.url(call),
        headers=endpoint.headers(call),
        content=call.content,
        timeout=default_timeout if call.timeout is None else call.timeout,
    )


@contextmanager
def _no_answer() -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise TimedOut(f"no answer in time ({type(error).__name__})") from error
    except httpx.RequestError as error:
        raise ConnectionFailed(f"no answer ({type(error).__name__}: {error})") from error
