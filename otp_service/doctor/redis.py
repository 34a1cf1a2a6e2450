"""Is this the Redis that was meant, and does it keep what it is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from otp_service.doctor.finding import Finding, fail, ok, warn
from otp_service.errors import StoreUnavailable
from otp_service.keyring import Keyring
from otp_service.store.boot import SCHEMA
from otp_service.store.client import connect
from otp_service.store.inspection import inspect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from otp_service.settings import Settings
    from otp_service.store.inspection import Inspection, Node

SKEW_SECONDS: Final = 2
"""Proofs carry the clock of Redis and are read by that of others; NTP keeps both within some hundredths."""

FLOORS: Final = {"redis": (7, 0), "valkey": (7, 2)}
"""The oldest servers on which the scripts are tested; Valkey's first release is 7.2."""

HEADROOM: Final = 0.2
"""Below this share of ``maxmemory`` left it is time to act: at 0 every start is answered 503."""


async def of_redis(settings: Settings, now: Callable[[], float] = time.time) -> AsyncIterator[Finding]:
    """Ask Redis about itself; nothing is written.

    Args:
        settings: Where it is, and with what it must agree.
        now: This machine's clock, in seconds since 1970.
    """
    client = connect(settings.redis_url or "")
    try:
        before = now()
        found = await inspect(client)
        skew = found.seconds - (before + now()) / 2
    except StoreUnavailable as error:
        # The name of the fault only: a server may quote what it was sent, the password included.
        cause = type(error.__cause__).__name__
        yield fail(f"redis: does not answer ({cause}); start it, or correct redis_url or its password")
        return
    finally:
        await client.aclose()
    if abs(skew) > SKEW_SECONDS:
        yield warn(f"redis: its clock differs from this one by {skew:+.0f} s; run NTP on both machines")
    else:
        yield ok("redis: answers, and its clock is this one's")
    for finding in (*_agreed(settings, found), *_persistence(settings, found)):
        yield finding
    for node in found.nodes:
        for finding in _node(settings, node):
            yield finding


def _agreed(settings: Settings, found: Inspection) -> Iterator[Finding]:
    fingerprint = Keyring([(key.id, key.secret) for key in settings.keyring], settings.index_key or b"")
    ours = {
        "schema": str(SCHEMA),
        "shards": str(settings.shards),
        "index_key": fingerprint.fingerprint(),
    }
    others = [name for name, value in ours.items() if found.agreed.get(name, value) != value]
    for name in others:
        yield fail(f"redis: holds the data of another {name}; set it back, or use an empty Redis")
    if not others:
        yield ok("redis: " + ("holds the data of these settings" if found.agreed else "is new"))


def _persistence(settings: Settings, found: Inspection) -> Iterator[Finding]:
    unsafe = warn if settings.allow_unsafe_redis else fail
    if not found.nodes:
        yield warn("redis: INFO is not allowed, so version, policy and memory were not checked; allow +info")
    elif all(node.appends for node in found.nodes):
        yield ok("redis: keeps an append-only file")
    elif found.snapshots:
        yield warn("redis: keeps snapshots only, and forgets what came after the last; set appendonly yes")
    elif found.snapshots is None:
        yield warn("redis: CONFIG is not allowed, so its snapshots were not checked; set appendonly yes")
    else:
        yield unsafe("redis: nothing is persisted, so a restart forgets every budget; set appendonly yes")


def _node(settings: Settings, node: Node) -> Iterator[Finding]:
    version = f"{node.server} {node.version}"
    floor = FLOORS.get(node.server, FLOORS["redis"])
    if tuple(int(part) for part in node.version.split(".")[:2]) < floor:
        yield fail(f"redis: {version} is too old; upgrade to {'.'.join(map(str, floor))} or later")
    else:
        yield ok(f"redis: {version}")
    if node.policy != "noeviction":
        evicts = f"redis: {node.policy} may evict live codes and budgets; set maxmemory-policy noeviction"
        yield (warn if settings.allow_unsafe_redis else fail)(evicts)
    else:
        yield ok("redis: evicts nothing")
    if node.most_bytes and node.used_bytes > (1 - HEADROOM) * node.most_bytes:
        yield warn(f"redis: {node.used_bytes / node.most_bytes:.0%} of maxmemory is used; raise maxmemory")
