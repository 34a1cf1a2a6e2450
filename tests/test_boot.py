"""What a Redis says of itself, and what boot and `doctor` make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from redis.exceptions import NoPermissionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.errors import StoreUnavailable
from otp_service.settings import Settings, SettingsError
from otp_service.store import boot
from otp_service.store.inspection import Node, inspect
from tests.lab import lab, tables

if TYPE_CHECKING:
    from otp_service.store.client import RedisClient
    from tests.servers import Server

SAFE = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": 1}
EVICTS = SAFE | {"maxmemory_policy": "allkeys-lru"}
FORGETS = SAFE | {"aof_enabled": 0}
EVICTING = (
    "redis_url: maxmemory-policy may evict live codes and budgets; set noeviction, "
    "or set allow_unsafe_redis = true"
)
FORGETFUL = "redis_url: nothing is persisted; set appendonly yes, or set allow_unsafe_redis = true"
FORBIDDEN = NoPermissionError("not you")


class Redis:
    """Answers like redis-py: an exception is raised, a Cluster answers by node."""

    def __init__(
        self, info: Any, save: Any = "", meta: Any = None, moment: Any = (1_700_000_000, 250_000)
    ) -> None:
        self._answers = {"info": info, "save": {"save": save}, "meta": meta or {}, "time": moment}
        if isinstance(save, Exception):
            self._answers["save"] = save

    def _answer(self, name: str) -> Any:
        if isinstance(answer := self._answers[name], Exception):
            raise answer
        return answer

    async def info(self) -> Any:
        return self._answer("info")

    async def config_get(self, name: str) -> Any:
        return self._answer(name)

    async def time(self) -> Any:
        return self._answer("time")

    async def hgetall(self, name: str) -> Any:
        assert name == "otp:meta"
        return self._answer("meta")


class Agreed:
    """Scripts of a Redis on which all agree."""

    def __init__(self, *written: bytes) -> None:
        self._written = list(written)

    async def run(self, verb: str, keys: list[str], arguments: dict[str, Any]) -> list[Any]:
        assert (verb, keys, list(arguments)) == ("boot", ["otp:meta"], ["agree"])
        flat = [text.encode() for pair in arguments["agree"].items() for text in pair]
        return [0, "ok", self._written or flat]


def settings(**changes: Any) -> Settings:
    return Settings.model_validate(tables("redis://h", **({"allow_unsafe_redis": False} | changes)))


async def faults(redis: Redis, *written: bytes, **changes: Any) -> tuple[str, ...]:
    try:
        await boot.check(Agreed(*written), cast("RedisClient", redis), settings(**changes), "print")  # type: ignore[arg-type]
    except SettingsError as error:
        return error.faults
    return ()


@pytest.mark.parametrize(
    ("redis", "found"),
    [
        (Redis(SAFE), ()),
        (Redis({"redis_version": "7", "aof_enabled": 1}), ()),
        (Redis({"redis_version": "7"}), (FORGETFUL,)),
        (Redis(EVICTS), (EVICTING,)),
        (Redis(FORGETS), (FORGETFUL,)),
        (Redis(FORGETS, save="3600 1"), ()),
        (Redis(EVICTS | FORGETS | {"maxmemory_policy": "volatile-ttl"}), (EVICTING, FORGETFUL)),
        (Redis({"a:1": SAFE, "b:1": EVICTS}), (EVICTING,)),
        (Redis({"a:1": FORGETS, "b:1": SAFE}), (FORGETFUL,)),
        (Redis({"a:1": SAFE, "b:1": SAFE}), ()),
    ],
)
async def test_boot_refuses_what_may_evict_or_forget(redis: Redis, found: tuple[str, ...]) -> None:
    assert await faults(redis) == found


@pytest.mark.parametrize(
    ("redis", "says"),
    [
        (Redis(FORBIDDEN), ["redis: INFO is not allowed, so its policies were not checked"]),
        (Redis(FORGETS, save=FORBIDDEN), ["redis: CONFIG is not allowed, so its snapshots were not checked"]),
        (Redis(SAFE, save=FORBIDDEN), []),
    ],
)
async def test_what_it_may_not_see_boot_takes_at_the_operators_word_and_says_so(
    redis: Redis, says: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert await faults(redis) == ()
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("otp_service", sentence) for sentence in says
    ]


async def test_what_was_allowed_is_not_looked_at() -> None:
    assert await faults(Redis(AssertionError("asked")), allow_unsafe_redis=True) == ()


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (
            (b"schema", b"2", b"shards", b"64", b"index_key", b"print"),
            "schema: this Redis holds data of another",
        ),
        ((b"schema", b"1", b"shards", b"32", b"index_key", b"print"), "shards: the shard count differs"),
        ((b"schema", b"1", b"shards", b"64", b"index_key", b"other"), "index_key: it differs from the one"),
    ],
)
async def test_boot_refuses_what_belongs_to_other_settings(written: tuple[bytes, ...], found: str) -> None:
    [fault] = await faults(Redis(SAFE), *written)
    assert fault.startswith(found)
    assert len(await faults(Redis(EVICTS), *written)) == 2


async def test_all_processes_agree_in_one_key_by_the_names_that_they_always_had(redis: Server) -> None:
    async with lab(redis.url) as web:
        fingerprint = web.service.keyring.fingerprint()
    assert redis.run("HGETALL", "otp:meta") == {
        b"index_key": fingerprint.encode(),
        b"schema": b"1",
        b"shards": b"64",
    }


@pytest.mark.parametrize(
    ("info", "node"),
    [
        (
            SAFE | {"used_memory": 5, "maxmemory": 9},
            Node("redis", "7.2.4", "noeviction", appends=True, used_bytes=5, most_bytes=9),
        ),
        (
            {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.0.1"},
            Node("valkey", "9.0.1", "noeviction", appends=False, used_bytes=0, most_bytes=0),
        ),
        (
            {"redis_version": "7.2.4", "server_name": "valkey"},
            Node("valkey", "7.2.4", "noeviction", appends=False, used_bytes=0, most_bytes=0),
        ),
        (EVICTS, Node("redis", "7.2.4", "allkeys-lru", appends=True, used_bytes=0, most_bytes=0)),
    ],
)
async def test_a_server_is_read_from_its_info(info: dict[str, Any], node: Node) -> None:
    found = await inspect(cast("RedisClient", Redis(info)))
    assert found.nodes == (node,)


async def test_a_redis_is_read_without_a_trace() -> None:
    found = await inspect(cast("RedisClient", Redis(SAFE, "3600 1", {b"schema": b"1"})))
    assert (found.seconds, found.agreed, found.snapshots) == (1_700_000_000.25, {"schema": "1"}, True)
    assert (await inspect(cast("RedisClient", Redis(SAFE)))).snapshots is False


async def test_a_cluster_is_read_node_by_node() -> None:
    moments = {"a:1": (1_700_000_000, 0), "b:1": (1_700_000_009, 0)}
    found = await inspect(cast("RedisClient", Redis({"a:1": SAFE, "b:1": EVICTS}, moment=moments)))
    assert [node.policy for node in found.nodes] == ["noeviction", "allkeys-lru"]
    assert found.seconds == 1_700_000_000


async def test_what_may_not_be_seen_is_left_out() -> None:
    found = await inspect(cast("RedisClient", Redis(FORBIDDEN, FORBIDDEN)))
    assert (found.nodes, found.snapshots) == ((), None)


@pytest.mark.parametrize("fault", [RedisTimeoutError("late"), OSError("gone")])
async def test_a_redis_that_does_not_answer_is_said(fault: Exception) -> None:
    with pytest.raises(StoreUnavailable, match=r"^Redis did not answer\.$") as refused:
        await inspect(cast("RedisClient", Redis(SAFE, moment=fault)))
    assert refused.value.__cause__ is fault
