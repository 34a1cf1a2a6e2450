"""What is kept about one number: for an operator who looks at it, pardons it or has it forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisClusterException, RedisError

from otp_service.errors import StoreUnavailable
from otp_service.store import keys
from otp_service.store.keys import Shard
from otp_service.store.store import DAY_MS
from otp_service.verification import VerificationId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from otp_service.store.budget import Budget
    from otp_service.store.client import RedisClient
    from otp_service.store.scripts import Scripts

_AT_ONCE: Final = 1000
"""Keys that one SCAN looks at: a millisecond of the server's time."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one window of a budget counts.

    Args:
        budget: As the caller reads it in ``reason``.
        limit: The most that it lets pass.
        window_ms: In how long.
        counted: Now.
        wait_ms: Until the oldest of them leaves.
    """

    budget: str
    limit: int
    window_ms: int
    counted: int
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a number stands with its budgets."""

    tallies: Sequence[Tally]
    row: int
    """Failed checks in a row."""
    closed_ms: int
    """Until it opens again after too many of those; 0 while it is open."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record: whose it is, and the sealed target that says whom it is about."""

    id: VerificationId
    app: str
    key_id: str
    sealed: bytes = field(repr=False)


class Numbers:
    """What the shards hold, number by number.

    Every method raises StoreUnavailable when Redis does not answer in time.

    Args:
        scripts: Runs the scripts.
        client: Lists records.
    """

    def __init__(self, scripts: Scripts, client: RedisClient) -> None:
        self._scripts = scripts
        self._client = client

    async def standing(self, shard: int, number: str, app: str, budgets: Sequence[Budget]) -> Standing:
        """How a number stands with an app's budgets; nothing changes.

        Args:
            shard: Of the number.
            number: Its name in Redis.
            app: Whose failed checks in a row.
            budgets: What is weighed before a start.
        """
        at = Shard(shard)
        arguments = {"budgets": [budget.row() for budget in budgets], "memory": DAY_MS}
        names = [at.number(number), at.failures(number, app)]
        _, _, tallies, row, closed_ms = await self._scripts.run("standing", names, arguments)
        return Standing([Tally(budget.decode(), *figures) for budget, *figures in tallies], row, closed_ms)

    async def pardon(self, shard: int, number: str, apps: Iterable[str]) -> bool:
        """Take from a number what is held against it in its shard; whether there was anything."""
        at = Shard(shard)
        names = [at.number(number), *(at.failures(number, app) for app in apps)]
        return bool((await self._scripts.run("erase", names, {}))[2])

    async def erase(self, id_: VerificationId) -> None:
        """Erase a verification as if it had never been."""
        at = Shard(id_.shard)
        await self._scripts.run("erase", [at.verification(id_), at.codes(id_), at.details(id_)], {})

    async def distrust(self, block: str, number: str) -> None:
        """Forget that a number of a block was verified.

        Args:
            block: The tag of its ledger.
            number: What the number is called there.
        """
        await self._scripts.run("forget", [keys.ledger(block, "v")], {"number": number})

    async def records(self, shard: int) -> AsyncIterator[Kept]:
        """Every record of a shard, whomever it is about: that stands in none of them in clear."""
        at = Shard(shard)
        try:
            async for key in self._client.scan_iter(match=at.records, count=_AT_ONCE):
                id_ = VerificationId.parse("vrf_" + key.decode().rpartition(":")[2])
                if id_ and (found := await self._read(at, id_)):
                    yield found
        except (RedisError, RedisClusterException, OSError) as fault:
            raise StoreUnavailable("Redis did not answer.", retry_after=1) from fault

    async def _read(self, at: Shard, id_: VerificationId) -> Kept | None:
        fields: Any = await self._client.hmget(at.verification(id_), ["a", "k", "x"])
        app, key_id, sealed = fields
        details: Any = sealed or await self._client.get(at.details(id_))
        return Kept(id_, app.decode(), key_id.decode(), details) if app and details else None
