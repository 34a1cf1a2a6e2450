"""What a Redis says of itself, at boot and to ``otp-service doctor``: nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisClusterException, RedisError

from otp_service.errors import StoreUnavailable
from otp_service.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_service.store.client import RedisClient


@dataclass(frozen=True, slots=True)
class Node:
    """One server, by its INFO."""

    server: str
    """``redis`` or ``valkey``."""
    version: str
    """Its own, dotted."""
    policy: str
    """``maxmemory-policy``."""
    appends: bool
    """Whether it keeps an append-only file."""
    used_bytes: int
    most_bytes: int
    """``maxmemory``; 0 for no limit."""

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Node:
        """From one table of INFO; Valkey says a version of Redis as well, for old clients."""
        server = str(info.get("server_name", "redis"))
        return cls(
            server=server,
            version=str(info.get(f"{server}_version", info["redis_version"])),
            policy=str(info.get("maxmemory_policy", "noeviction")),
            appends=bool(info.get("aof_enabled")),
            used_bytes=int(info.get("used_memory", 0)),
            most_bytes=int(info.get("maxmemory", 0)),
        )


@dataclass(frozen=True, slots=True)
class Inspection:
    """A Redis, or all masters of a Cluster."""

    seconds: float
    """Since 1970, by its clock."""
    agreed: Mapping[str, str]
    """What the processes agreed on at their first start; empty before."""
    nodes: tuple[Node, ...]
    """Empty where INFO is not allowed."""
    snapshots: bool | None
    """Whether it saves snapshots; None where CONFIG is not allowed."""


async def inspect(client: RedisClient) -> Inspection:
    """Ask a Redis about itself.

    Raises:
        StoreUnavailable: It does not answer, or does not let us in.
    """
    try:
        moment = await client.time()
        agreed: Any = await client.hgetall(keys.META)
    except (RedisError, RedisClusterException, OSError) as fault:
        raise StoreUnavailable("Redis did not answer.") from fault
    seconds, microseconds = _first(moment)
    return Inspection(
        seconds=seconds + microseconds / 1_000_000,
        agreed={name.decode(): value.decode() for name, value in agreed.items()},
        nodes=await nodes(client),
        snapshots=await snapshots(client),
    )


async def nodes(client: RedisClient) -> tuple[Node, ...]:
    """Every server; none where INFO is not allowed."""
    try:
        info = await client.info()
    except RedisError:
        return ()
    # A Cluster answers with one table for each node.
    return tuple(Node.of(table) for table in ([info] if "redis_version" in info else info.values()))


async def snapshots(client: RedisClient) -> bool | None:
    """Whether Redis saves snapshots; None where CONFIG is not allowed."""
    try:
        answer = await client.config_get("save")
    except RedisError:
        return None
    return bool(answer.get("save"))


def _first(answer: Any) -> Any:  # noqa: ANN401 - redis-py's own
    """Of a Cluster, the answer of one node: they differ by less than matters here."""
    return next(iter(answer.values())) if isinstance(answer, dict) else answer
