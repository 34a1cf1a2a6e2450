"""How the service reaches Redis: through Sentinel, over TLS, with a user of its own."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis as raw
from redis.asyncio import BlockingConnectionPool, RedisCluster
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from otp_service.embedded import EmbeddedRedis, find_server
from otp_service.store.client import connect
from tests.command import free_port
from tests.faults_http import Authority
from tests.lab import lab
from tests.servers import command, debian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otp_service.store.client import RedisClient


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


CONNECTIONS = 64 + 8
PLAIN, SENTINEL, CLUSTER = "redis://h:7/2", "redis+sentinel://a,[::1]:7/Xotp/3", "redis+cluster://a,b:7000"


def options_of(client: RedisClient) -> dict[str, Any]:
    return (client if isinstance(client, RedisCluster) else client.connection_pool).connection_kwargs


@pytest.mark.parametrize("url", [PLAIN, SENTINEL, CLUSTER])
async def test_an_answer_is_waited_for_less_than_half_a_second_and_nothing_is_tried_again(url: str) -> None:
    client = connect(url)
    options = options_of(client)
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.4, 0.4)
    retry = client.retry if isinstance(client, RedisCluster) else options["retry"]
    assert (retry._retries, isinstance(retry._backoff, NoBackoff)) == (0, True)
    await client.aclose()


async def test_a_plain_pool_makes_its_callers_wait() -> None:
    client = connect(PLAIN)
    pool: Any = client.connection_pool  # type: ignore[union-attr]
    assert isinstance(pool, BlockingConnectionPool)
    assert (pool.max_connections, pool.timeout) == (CONNECTIONS, 0.4)
    assert (options_of(client)["host"], options_of(client)["port"], options_of(client)["db"]) == ("h", 7, 2)
    await client.aclose()


@pytest.mark.parametrize(("url", "database"), [(SENTINEL, 3), ("redis+sentinel://a,[::1]:7/Xotp", 0)])
async def test_every_sentinel_is_asked_for_the_master_by_its_name(url: str, database: int) -> None:
    client = connect(url)
    pool: Any = client.connection_pool  # type: ignore[union-attr]
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == [("a", 26379), ("::1", 7)]
    assert [(each["socket_timeout"], each["retry"]._retries) for each in asked] == [(0.4, 0)] * 2
    assert (pool.service_name, pool.max_connections, options_of(client)["db"]) == (
        "Xotp",
        CONNECTIONS,
        database,
    )
    assert isinstance(pool, SentinelConnectionPool)
    await client.aclose()


async def test_sentinels_are_asked_over_tls_too_but_are_not_shown_the_password() -> None:
    client = connect("rediss+sentinel://otp:p%40ss@a/otp?ssl_ca_certs=/ca.pem")
    pool: Any = client.connection_pool  # type: ignore[union-attr]
    [asked] = [each.connection_pool for each in pool.sentinel_manager.sentinels]
    assert asked.connection_class is SSLConnection
    shown = {name: asked.connection_kwargs.get(name) for name in ("username", "password", "ssl_ca_certs")}
    assert shown == {"username": None, "password": None, "ssl_ca_certs": "/ca.pem"}
    await client.aclose()


async def test_a_cluster_is_found_through_any_of_its_nodes() -> None:
    client = connect("redis+cluster://u:p:q,r@a,b:7000,:7001")
    assert isinstance(client, RedisCluster)
    nodes = client.nodes_manager.startup_nodes.values()
    assert [(node.host, node.port, node.max_connections) for node in nodes] == [
        ("a", 6379, CONNECTIONS),
        ("b", 7000, CONNECTIONS),
        ("127.0.0.1", 7001, CONNECTIONS),
    ]
    assert (options_of(client)["username"], options_of(client)["password"]) == ("u", "p:q,r")
    await client.aclose()


@pytest.mark.parametrize("kind", ["", "+sentinel", "+cluster"])
async def test_without_rediss_there_is_no_tls_and_without_a_user_none_is_named(kind: str) -> None:
    client = connect(f"redis{kind}://:p%40ss@127.0.0.1:1/0")
    options = options_of(client)
    assert (options.get("username"), options["password"]) == (None, "p@ss")
    assert not [name for name in options if name.startswith("ssl")]
    await client.aclose()
