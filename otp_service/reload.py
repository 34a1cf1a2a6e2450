"""The application that the newest configuration describes: SIGHUP makes it anew, SIGTERM drains it first."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from starlette.routing import Router

from otp_service.app import create_app
from otp_service.errors import StoreUnavailable
from otp_service.metrics import Metrics
from otp_service.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

    from otp_service.settings import Settings

FIXED: Final = ("redis_url", "index_key", "shards", "metrics_listen")
"""What all processes, and all that happened before, must agree on, or what is bound already."""

_log = logging.getLogger("otp_service")


def revised(settings: Settings, read: Callable[[], Settings]) -> tuple[Settings, tuple[str, ...]]:
    """Read the configuration again.

    Args:
        settings: What is in force.
        read: Reads it.

    Returns:
        What is to be in force, and the settings that stay as they were until a restart.

    Raises:
        SettingsError: Names every fault.
    """
    fresh = read()
    fresh.require_serving()
    kept = tuple(name for name in FIXED if getattr(fresh, name) != getattr(settings, name))
    return fresh.model_copy(update={name: getattr(settings, name) for name in kept}), kept


def tell_faults(error: SettingsError) -> None:
    """Write each fault of a configuration that stays out of force into the log."""
    for fault in error.faults:
        _log.error("Not reloaded: %s", fault)


class Reloadable:
    """An ASGI application that stands for the one of the newest settings.

    A request stays with the application that it came to; one that was replaced is closed after its last.

    Args:
        settings: What to begin with.
        read: Reads the configuration again; it raises SettingsError with every fault.
        work: Whether to run the worker too.
        drain_seconds: How long to serve on after SIGTERM, with ``/readyz`` at 503, before the server hears
            of it: so long a load balancer may take to notice.
        metrics: Where to count, if somebody serves that; a reload sets nothing back.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        *,
        work: bool,
        drain_seconds: float = 0,
        metrics: Metrics | None = None,
    ) -> None:
        self._settings = settings
        self._read = read
        self._work = work
        self._drain_seconds = drain_seconds
        self._metrics = metrics or Metrics()
        self._asked = asyncio.Event()
        self._draining = False
        self._replaced: set[asyncio.Task[None]] = set()
        self._lifespan = Router(lifespan=lambda _: self.running())
        self._current: _Generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the newest application."""
        await (self._lifespan if scope["type"] == "lifespan" else self._current)(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve, and listen to signals; closes everything at the end.

        Raises:
            SettingsError: This is not the Redis that was meant, or not one that keeps things.
            StoreUnavailable: Redis does not answer.
        """
        self._current = await self._opened(self._settings)
        reloading = asyncio.create_task(self._reload_when_asked())
        try:
            with self._signals():
                yield
        finally:
            reloading.cancel()
            await asyncio.gather(reloading, return_exceptions=True)
            await asyncio.gather(self._current.close(), *self._replaced)

    async def reload(self) -> None:
        """Put the configuration into force as it now is; a faulty one changes nothing, as the log says."""
        try:
            settings, kept = revised(self._settings, self._read)
            fresh = await self._opened(settings)
        except SettingsError as error:
            tell_faults(error)
        except StoreUnavailable:
            # Without the exception: a server may quote what it was sent, the password included.
            _log.error("Not reloaded: Redis does not answer")
        except Exception:  # noqa: BLE001 - whatever it was, what serves goes on
            _log.exception("Not reloaded")
        else:
            replaced, self._current, self._settings = self._current, fresh, settings
            closing = asyncio.create_task(replaced.close())
            self._replaced.add(closing)
            closing.add_done_callback(self._replaced.discard)
            for name in kept:
                _log.warning("%s has changed, which takes a restart: left as it was", name)
            _log.info("Reloaded")

    async def _reload_when_asked(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.reload()

    async def _opened(self, settings: Settings) -> _Generation:
        generation = _Generation(create_app(settings, work=self._work, metrics=self._metrics))
        await generation.open()
        generation.app.state.service.draining = self._draining
        return generation

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGHUP, and SIGTERM before the server, whose handler is in place by now."""
        loop = asyncio.get_running_loop()
        stop = signal.getsignal(signal.SIGTERM)

        def drain() -> None:
            if self._draining or not callable(stop):
                return
            self._draining = self._current.app.state.service.draining = True
            _log.info("Draining for %g s", self._drain_seconds)
            loop.call_later(self._drain_seconds, stop, signal.SIGTERM, None)

        handlers = {signal.SIGHUP: self._asked.set} | ({signal.SIGTERM: drain} if self._drain_seconds else {})
        before = {
            number: signal.signal(number, lambda *_, do=do: loop.call_soon_threadsafe(do))
            for number, do in handlers.items()
        }
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for number, handler in before.items():
                signal.signal(number, handler)


class _Generation:
    """One application, and how many requests it has under way."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._lifespan = AsyncExitStack()
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        self._idle.clear()
        try:
            await self.app(scope, receive, send)
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()

    async def open(self) -> None:
        await self._lifespan.enter_async_context(self.app.router.lifespan_context(self.app))

    async def close(self) -> None:
        """Close it after its last request; new ones must not come any more."""
        await self._idle.wait()
        await self._lifespan.aclose()
