"""The service as processes: the API, as many of it as asked for, and the worker alone."""

from __future__ import annotations

import asyncio
import logging.config
import math
import os
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from otp_service.delivery.courier import RECORDING_SECONDS
from otp_service.errors import StoreUnavailable
from otp_service.metrics import exposed
from otp_service.reload import Reloadable, revised, tell_faults
from otp_service.service import build
from otp_service.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import NoReturn

    from starlette.types import ASGIApp

    from otp_service.settings import Settings

LOG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": "otp_service.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    # At INFO httpx writes down the URL of every call, and those of some providers hold the account's id.
    "loggers": {"httpx": {"level": "WARNING"}, "uvicorn": {"level": "WARNING"}},
}
"""One line for each event, on standard error: JSON, or for people on a terminal."""

BACKLOG: Final = 2048
"""Connections that wait for a process to take them; the kernel's ``somaxconn`` may be less."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class RedisUnreachable(RuntimeError):  # noqa: N818 - it says what is the matter
    """Redis did not answer at the start; the text says so to whoever starts the service."""


def serve(
    read: Callable[[], Settings], *, host: str, port: int, workers: int, work: bool, drain_seconds: float = 0
) -> None:
    """Serve the API until SIGINT or SIGTERM; SIGHUP reads the configuration again.

    Args:
        read: Reads the configuration, in every process.
        host: Address or name to listen on; ``::`` is IPv4 too.
        port: 0 for a free one.
        workers: Processes that serve, at least 1.
        work: Whether each runs the worker too.
        drain_seconds: How long to serve on after SIGTERM, with ``/readyz`` at 503.

    Raises:
        SettingsError: Something is missing, the address is taken, or Redis is not the one that was meant.
        RedisUnreachable: It does not answer.
        SystemExit: With 0 when it was told to stop.
    """
    settings = read()
    settings.require_serving()
    end_on_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # it waits until somebody listens to it
    logging.config.dictConfig(LOG)
    _run(_look(settings))
    with listen(host, port) as listener, exposed(settings.metrics_listen, workers) as metrics:
        # Every process gets the settings that were found good, whatever the file says by then.
        app = partial(Reloadable, read=read, work=work, drain_seconds=drain_seconds, metrics=metrics)
        config = server_config(settings, partial(app, settings), factory=True, workers=workers)
        where = _authority(host, listener.getsockname()[1])
        logging.getLogger("otp_service").info("Serving on http://%s, processes: %d", where, workers)
        if workers == 1:
            run(config, listener)
            return
        processes = _Processes(config, listener, settings, read, app)
        processes.run()
        if any(process.exitcode == STARTUP_FAILURE for process in processes.processes):
            raise SystemExit(STARTUP_FAILURE)  # it wrote why to the log


class _Processes(Multiprocess):
    """uvicorn's, but SIGHUP is passed on: a new process would cost every open connection.

    Args:
        config: How each serves.
        listener: Where.
        settings: What is in force.
        read: Reads the configuration again.
        app: Makes the application of a process that starts.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        settings: Settings,
        read: Callable[[], Settings],
        app: Callable[[Settings], Reloadable],
    ) -> None:
        super().__init__(config, [listener])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        self._settings = settings
        self._read = read
        self._app = app

    def handle_hup(self) -> None:
        """Let every process, those that start later too, have the configuration as it now is."""
        try:
            self._settings, _ = revised(self._settings, self._read)
        except SettingsError as error:
            tell_faults(error)
            return
        except Exception:  # whatever it is, this process must go on watching over the others
            logging.getLogger("otp_service").exception("Not reloaded")
            return
        self.config.app = partial(self._app, self._settings)
        for process in self.processes:
            # The signal would end one that does not listen to it yet.
            ready = process.wait_until_ready(self.config.timeout_worker_healthcheck, self.should_exit)
            if ready and process.pid:
                os.kill(process.pid, signal.SIGHUP)


def run(config: uvicorn.Config, listener: socket.socket) -> None:
    """Serve in this process until SIGINT or SIGTERM."""
    # Not Server.run(), which leaves a coroutine behind when a signal comes while it imports the event loop.
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve([listener]))


def work(read: Callable[[], Settings]) -> None:
    """Run the worker alone until SIGINT or SIGTERM; SIGHUP reads the configuration again.

    Raises:
        SettingsError: Something is missing, or Redis is not the one that was meant.
        RedisUnreachable: It does not answer.
    """
    settings = read()
    settings.require_serving()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    logging.config.dictConfig(LOG)
    with exposed(settings.metrics_listen) as metrics:
        _run(_work(Reloadable(settings, read, work=True, metrics=metrics)))


def _run(what: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(what)
    except StoreUnavailable as error:
        # The name of the fault only: a server may quote what it was sent, the password included.
        cause = type(error.__cause__).__name__
        raise RedisUnreachable(
            f"redis_url: Redis does not answer there ({cause}). Start it, or correct the address."
        ) from error


async def _look(settings: Settings) -> None:
    """Fail here, with a sentence, rather than in every process with a traceback."""
    async with build(settings).running(work=False):
        pass


async def _work(service: Reloadable) -> None:
    told = asyncio.Event()
    async with service.running():
        for each in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(each, told.set)
        logging.getLogger("otp_service").info("Working")
        await told.wait()


def listen(host: str, port: int) -> socket.socket:
    """A socket on which connections wait from now on, so that nobody is refused while the service starts.

    Raises:
        SettingsError: The address is taken, or is not this machine's.
    """
    ipv6 = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ipv6 else socket.AF_INET,
            backlog=BACKLOG,
            dualstack_ipv6=ipv6,
        )
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]  # create_server repeats the address in its own way
        raise SettingsError((f"--port: cannot listen on {_authority(host, port)}: {why}",)) from None


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def server_config(
    settings: Settings,
    app: ASGIApp | Callable[[], ASGIApp],
    **options: Any,  # noqa: ANN401 - uvicorn's own
) -> uvicorn.Config:
    """How uvicorn is to serve this service.

    Args:
        settings: What it serves.
        app: The application.
        options: More of uvicorn's own.
    """
    slowest = max((route.deadline_seconds for route in settings.routes.values()), default=0)
    return uvicorn.Config(
        app,
        loop="auto",  # uvloop, wherever there is one
        http="httptools",
        ws="none",
        lifespan="on",
        proxy_headers=False,  # whoever wants another address could write it into a header
        server_header=False,
        access_log=False,
        timeout_worker_healthcheck=30,  # seconds; a process that still imports on a slow machine is not hung
        timeout_graceful_shutdown=math.ceil(slowest) + RECORDING_SECONDS,
        **{"log_config": LOG} | options,
    )


def end_on_signals() -> None:
    """Let SIGINT and SIGTERM end this process with 0.

    uvicorn raises the signal again once it has shut down. As PID 1 of a container a process ignores signals
    that it has no handler for, so ours is there from the start.
    """
    for each in _SIGNALS:
        signal.signal(each, _end)


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)
