"""Connections to Redis: plain, through Sentinel, or to a Cluster; none of them retries by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

if TYPE_CHECKING:
    from urllib.parse import SplitResult

RedisClient: TypeAlias = Redis | RedisCluster

CONNECTIONS: Final = 64
"""Scripts in flight from one process; one connection for all would serialise them to a third."""

_TIMEOUT: Final = 0.4
"""Seconds for one answer; two tries fit the store's budget."""


def connect(url: str) -> RedisClient:
    """A client for a URL of the configuration.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://host,host/name`` or
            ``redis+cluster://host,host``; the last two with ``rediss`` as well. ``?ssl_ca_certs=/path``
            names a private authority.
    """
    # redis-py 8 retries every command up to ten times; a script that counts must be run by us, once or twice.
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": _TIMEOUT,
        "socket_connect_timeout": _TIMEOUT,
    }
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[2]
    if kind == "cluster":
        return _cluster(parts, options)
    if kind == "sentinel":
        return _sentinel(parts, options)
    pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS + 8, timeout=_TIMEOUT, **options)
    return Redis.from_pool(pool)


def _cluster(parts: SplitResult, options: dict[str, Any]) -> RedisClient:
    nodes = [ClusterNode(host, port) for host, port in _hosts(parts, 6379)]
    return RedisCluster(
        startup_nodes=nodes,
        max_connections=CONNECTIONS + 8,
        **_security(parts),
        **options,
    )


def _sentinel(parts: SplitResult, options: dict[str, Any]) -> RedisClient:
    name, _, database = parts.path.strip("/").partition("/")
    security = _security(parts)
    tls = {key: value for key, value in security.items() if key.startswith("ssl")}
    sentinel = Sentinel(_hosts(parts, 26379), sentinel_kwargs=options | tls)  # type: ignore[no-untyped-call]
    return sentinel.master_for(  # type: ignore[no-any-return]
        name,
        max_connections=CONNECTIONS + 8,
        db=int(database or 0),
        **security,
        **options,
    )


def _hosts(parts: SplitResult, default_port: int) -> list[tuple[str, int]]:
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return [_host(host, default_port) for host in hosts]


def _host(text: str, default_port: int) -> tuple[str, int]:
    found = urlsplit(f"//{text}")
    return found.hostname or "127.0.0.1", found.port or default_port


def _security(parts: SplitResult) -> dict[str, Any]:
    """User, password and TLS, as keyword arguments of redis-py."""
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    found: dict[str, Any] = {"username": unquote(user), "password": unquote(password)}
    if parts.scheme.startswith("rediss"):
        found |= {"ssl": True, "ssl_ca_certs": dict(parse_qsl(parts.query)).get("ssl_ca_certs")}
    return {name: value for name, value in found.items() if value}
