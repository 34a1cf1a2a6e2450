"""What is looked at before the first request: is this the Redis that was meant, and does it keep things."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from otp_service.settings import SettingsError
from otp_service.store import inspection, keys
from otp_service.store.answers import table

if TYPE_CHECKING:
    from otp_service.settings import Settings
    from otp_service.store.client import RedisClient
    from otp_service.store.scripts import Scripts

SCHEMA: Final = 1
"""Version of all that is stored; boot refuses one that it does not know."""

_LOG: Final = logging.getLogger("otp_service")

_MEND: Final = {
    "schema": "this Redis holds data of another version; use an empty one or the matching release",
    "shards": "the shard count differs from the one in Redis; set it back",
    "index_key": "it differs from the one whose names are in Redis; set it back, or use an empty Redis",
}


async def check(scripts: Scripts, client: RedisClient, settings: Settings, fingerprint: str) -> None:
    """Refuse a Redis that belongs to other keys, or that may forget or evict what it is told.

    Raises:
        SettingsError: Each fault with what to do about it.
        StoreUnavailable: Redis does not answer.
    """
    ours = {"schema": str(SCHEMA), "shards": str(settings.shards), "index_key": fingerprint}
    agreed = await _agree(scripts, ours)
    faults = [f"{name}: {_MEND[name]}" for name, value in ours.items() if agreed[name] != value]
    if not settings.allow_unsafe_redis:
        faults += await _unsafe(client)
    if faults:
        raise SettingsError(tuple(faults))


async def _agree(scripts: Scripts, ours: dict[str, str]) -> dict[str, str]:
    """Write down what all processes must agree on, and give back what is written."""
    reply = await scripts.run("boot", [keys.META], {"agree": ours})
    return {name: value.decode() for name, value in table(reply[2]).items()}


async def _unsafe(client: RedisClient) -> list[str]:
    nodes = await inspection.nodes(client)
    if not nodes:
        _LOG.warning("redis: INFO is not allowed, so its policies were not checked")
        return []
    allow = "or set allow_unsafe_redis = true"
    faults = []
    if any(node.policy != "noeviction" for node in nodes):
        faults.append(
            f"redis_url: maxmemory-policy may evict live codes and budgets; set noeviction, {allow}"
        )
    if not all(node.appends for node in nodes) and not await _saves(client):
        faults.append(f"redis_url: nothing is persisted; set appendonly yes, {allow}")
    return faults


async def _saves(client: RedisClient) -> bool:
    """Whether Redis saves snapshots; where CONFIG is not allowed, it is taken at its operator's word."""
    saves = await inspection.snapshots(client)
    if saves is None:
        _LOG.warning("redis: CONFIG is not allowed, so its snapshots were not checked")
    return saves is not False
