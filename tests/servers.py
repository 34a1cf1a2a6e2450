"""The Redis servers that the tests run on: the embedded one, Debian's 7.0, and a Cluster of three masters."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from otp_service.embedded import EmbeddedRedis, find_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SLOTS = 16384
DEBIAN_VERSION = "7.0."


@dataclass(frozen=True)
class Server:
    """One Redis as the service sees it, whatever it is made of."""

    url: str
    nodes: Sequence[EmbeddedRedis]

    def flush(self) -> None:
        for node in self.nodes:
            command(node, "FLUSHALL")

    def names(self) -> list[bytes]:
        return [key for node in self.nodes for key in self.on(node, lambda raw: raw.keys("*"))]

    def dump(self) -> bytes:
        """Every key and every value, as whoever copies the disk has them."""
        return b"".join(self.on(node, _everything) for node in self.nodes)

    def run(self, *words: str | int | bytes) -> Any:
        """A command on the node that holds its key."""
        for node in self.nodes:
            with contextlib.suppress(redis.exceptions.ResponseError):  # MOVED: the next one
                return self.on(node, lambda raw: raw.execute_command(*words))
        raise AssertionError(f"no node ran {words[0]!r}")

    def get(self, key: str) -> bytes:
        found: bytes = self.run("GET", key)
        return found

    def put(self, key: str, value: bytes) -> None:
        self.run("SET", key, value)

    @staticmethod
    def on(node: EmbeddedRedis, do: Callable[[Any], Any]) -> Any:
        with redis.Redis.from_url(node.url) as raw:
            return do(raw)

    def close(self) -> None:
        for node in self.nodes:
            node.__exit__()


def _everything(raw: Any) -> bytes:
    readers = {
        b"hash": raw.hgetall,
        b"string": raw.get,
        b"zset": lambda key: raw.zrange(key, 0, -1, withscores=True),
        b"stream": raw.xrange,
        b"none": lambda _: "expired since it was listed",
    }
    return b"".join(key + repr(readers[raw.type(key)](key)).encode() for key in raw.keys("*"))


def command(node: EmbeddedRedis, *words: str | int) -> object:
    """Run one command on one node, over its own socket."""
    with closing(redis.Redis.from_url(node.url, decode_responses=True)) as client:
        answer: object = client.execute_command(*words)  # type: ignore[no-untyped-call]
        return answer


@contextmanager
def embedded(*, appendonly: bool = False, options: Sequence[str] = ()) -> Iterator[Server]:
    """The server that `otp-service dev` starts."""
    with EmbeddedRedis(find_server(os.environ), appendonly=appendonly, options=options) as node:
        yield Server(node.url, [node])


@contextmanager
def debian() -> Iterator[Server]:
    """Debian's redis-server 7.0, the floor for the Lua scripts; skipped where it is missing, save in CI."""
    program = shutil.which("redis-server")
    if program is None or f"v={DEBIAN_VERSION}" not in _version(program):
        missing = f"no redis-server {DEBIAN_VERSION}x on PATH (apt install redis-server)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    with EmbeddedRedis(Path(program)) as node:
        yield Server(node.url, [node])


@contextmanager
def cluster() -> Iterator[Server]:
    """Three masters with a third of the slots each."""
    server = find_server(os.environ)
    ports = _free_ports(6)
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(EmbeddedRedis(server, port=port, options=_cluster_options(bus)))
            for port, bus in zip(ports[:3], ports[3:], strict=True)
        ]
        for i, node in enumerate(nodes):
            command(node, "CLUSTER", "ADDSLOTSRANGE", i * SLOTS // 3, (i + 1) * SLOTS // 3 - 1)
        for port, bus in zip(ports[1:3], ports[4:], strict=True):
            command(nodes[0], "CLUSTER", "MEET", "127.0.0.1", port, bus)
        _wait_until_ok(nodes)
        yield Server("redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports[:3]), nodes)


def _cluster_options(bus: int) -> Sequence[str]:
    return ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-announce-ip", "127.0.0.1")


def _wait_until_ok(nodes: Sequence[EmbeddedRedis]) -> None:
    """Each node must know all slots: a node that does not yet would answer CLUSTERDOWN."""
    deadline = time.monotonic() + 20
    for node in nodes:
        while not {"cluster_state:ok", "cluster_known_nodes:3"} <= set(
            str(command(node, "CLUSTER", "INFO")).splitlines()
        ):
            assert time.monotonic() < deadline, "the Cluster did not form in 20 s"
            time.sleep(0.02)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; all held at once, so that they differ."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]


def _version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
