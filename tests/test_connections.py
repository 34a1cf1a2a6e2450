"""How the service reaches Redis: through Sentinel, over TLS, with a user of its own."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
import redis as raw
from redis.asyncio import RedisCluster

from otp_service.embedded import EmbeddedRedis, find_server
from otp_service.store.client import connect
from tests.command import free_port
from tests.faults_http import Authority
from tests.lab import lab
from tests.servers import command, debian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def sentinel(folder: Path, master: int) -> Iterator[int]:
    """One Sentinel that watches a master called ``otp``."""
    port = free_port()
    file = folder / "sentinel.conf"
    file.write_text(f"bind 127.0.0.1\nport {port}\nsentinel monitor otp 127.0.0.1 {master} 1\n")
    words = [str(find_server(os.environ)), str(file), "--sentinel"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    with closing(raw.Redis(port=port)) as client:
        while True:
            try:
                client.ping()
            except raw.ConnectionError:
                assert time.monotonic() < deadline, "Sentinel did not answer in 10 s"
                time.sleep(0.02)
            else:
                return


async def approves(url: str) -> bool:
    async with lab(url) as web:
        id_ = (await web.start()).json()["id"]
        return bool((await web.check(id_, web.code())).json()["approved"])


async def test_through_sentinel(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedRedis(find_server(os.environ), port=port), sentinel(tmp_path, port) as watcher:
        assert await approves(f"redis+sentinel://127.0.0.1:{watcher}/otp")


async def test_with_a_user_that_may_only_what_the_service_needs() -> None:
    port = free_port()
    with EmbeddedRedis(find_server(os.environ), port=port) as node:
        allowed = ["+evalsha", "+eval", "+time", "+@read", "+@write", "+@connection", "-@dangerous"]
        command(node, "ACL", "SETUSER", "otp", "on", ">p@ss", "~otp:*", *allowed)
        command(node, "ACL", "SETUSER", "default", "off")
        assert await approves(f"redis://otp:p%40ss@127.0.0.1:{port}/0")


async def test_over_tls_with_a_private_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.server()
    certificate = tmp_path / "127.0.0.1-False.pem"
    port = free_port()
    with debian() as server:
        for name, value in {
            "tls-cert-file": certificate,
            "tls-key-file": certificate,
            "tls-ca-cert-file": authority.ca_file,
            "tls-auth-clients": "no",
            "tls-port": port,
        }.items():
            command(server.nodes[0], "CONFIG", "SET", name, str(value))
        assert await approves(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.ca_file}")
        with closing(raw.Redis(port=port, ssl=True)) as stranger, pytest.raises(raw.ConnectionError):
            stranger.ping()


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_tls_and_its_user_reach_every_node(kind: str) -> None:
    client = connect(f"rediss+{kind}://otp:p%40ss@127.0.0.1:1,127.0.0.1:2/otp?ssl_ca_certs=/ca.pem")
    pool = client if isinstance(client, RedisCluster) else client.connection_pool
    wanted = {"username": "otp", "password": "p@ss", "ssl_ca_certs": "/ca.pem"}
    assert {name: pool.connection_kwargs.get(name) for name in wanted} == wanted
    await client.aclose()
