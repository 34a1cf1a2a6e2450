"""Runs the Lua scripts: one for every verb, each once, whatever happens to its reply."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from otp_service.store.client import RedisClient

LOST: Final = (RedisConnectionError, RedisTimeoutError, AttributeError)
"""A reply that did not come. The last is redis-py 8.1 on a Cluster: a connection that a time-out cut off
while another task was making it has no writer any more."""

BUDGET_MS: Final = 900
"""A verb of the store, its second try included, is decided within this: the caller hears within a second."""


_NEVER: Final = 2**53


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis runs it."""

    body: str
    sha: str

    @classmethod
    def load(cls, verb: str) -> Script:
        """The script of a verb behind what all scripts share."""
        room = files("otp_service.store") / "lua"
        parts = ["_prelude", "_ledgers" if verb in LEDGER_VERBS else "_budgets", verb]
        return cls.of("\n".join((room / f"{part}.lua").read_text() for part in parts))

    @classmethod
    def of(cls, body: str) -> Script:
        """A script by the name that Redis gives it."""
        return cls(body, hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest())


LEDGER_VERBS: Final = frozenset({"account", "credit", "figures", "lift", "reserve"})
"""They count about one subject that is not a number."""

VERBS: Final = (
    "account",
    "attempt",
    "boot",
    "cancel",
    "carriers",
    "claim",
    "credit",
    "done",
    "due",
    "erase",
    "exchange",
    "fetch",
    "figures",
    "forget",
    "keep",
    "lift",
    "lock",
    "locks",
    "open",
    "receive",
    "record",
    "resend",
    "reserve",
    "settle",
    "standing",
    "unlock",
    "watch",
)


class Scripts:
    """Every change of state goes through here.

    A reply can be lost after the script ran. So a script that got no answer is run once more, with the same
    operation, which makes it answer what it answered first; nothing else in the service retries. A script can
    also run late, after its caller gave up: past ``not_after`` it changes nothing.

    Args:
        client: Plain, Sentinel or Cluster.
        connections: Scripts in flight at once, below the size of the client's pool.
        skew: Milliseconds to add to the clock of Redis; 0 in production, so that only tests move time.
        monotonic: Seconds, never set back.
        watch: Given a verb, what to run it in: sees how long it takes and that it failed.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        connections: int,
        skew: Callable[[], int] = lambda: 0,
        monotonic: Callable[[], float] = time.monotonic,
        watch: Callable[[str], AbstractContextManager[None]] = lambda _verb: nullcontext(),
    ) -> None:
        self._client = client
        self.clustered = isinstance(client, RedisCluster)
        self._scripts = {verb: Script.load(verb) for verb in VERBS}
        self._places = asyncio.Semaphore(connections)
        self._skew = skew
        self._monotonic = monotonic
        self._watch = watch
        self._offset: float | None = None

    @property
    def now_ms(self) -> int:
        """What the clock of Redis says now, by its last answer; 0 before the first."""
        if self._offset is None:
            return 0
        return int(self._monotonic() * 1000 + self._offset) + self._skew()

    async def run(
        self, verb: str, keys: Sequence[str], arguments: dict[str, Any], *blobs: bytes
    ) -> list[Any]:
        """Run a verb and give its reply: the moment it ran (ms), what came of it, and what belongs to that.

        Raises:
            StoreUnavailable: No answer in time, or Redis cannot write now.
        """
        with self._watch(verb):
            return await self._run(self._scripts[verb], keys, arguments, *blobs)

    async def _run(
        self, script: Script, keys: Sequence[str], arguments: dict[str, Any], *blobs: bytes
    ) -> list[Any]:
        try:
            async with asyncio.timeout(BUDGET_MS / 1000), self._places:
                named = json.dumps(arguments, separators=(",", ":"))
                words = [*keys, self._skew(), self._not_after(), named, *blobs]
                try:
                    answer = await self._call(script, words, len(keys))
                except LOST:
                    answer = await self._call(script, words, len(keys))
                if answer[2] == b"late":  # our idea of this server's clock was old; it changed nothing
                    words[len(keys) + 1] = self._not_after(answer[0])
                    answer = await self._call(script, words, len(keys))
        except (*LOST, RedisError, RedisClusterException, OSError, TimeoutError) as fault:
            raise StoreUnavailable(
                "Redis did not answer in time. Try again, with the same Idempotency-Key.",
                retry_after=1,
            ) from fault
        self._not_after(answer[0])
        if answer[2] == b"late":
            raise StoreUnavailable(
                "Redis answered too late, so nothing was changed. Try again.", retry_after=1
            )
        return [answer[1], answer[2].decode(), *answer[3:]]

    async def _call(self, script: Script, arguments: list[Any], keys: int) -> list[Any]:
        try:
            return await self._client.evalsha(script.sha, keys, *arguments)  # type: ignore[no-any-return]
        except NoScriptError:
            return await self._client.eval(script.body, keys, *arguments)  # type: ignore[no-any-return]

    def _not_after(self, moment: int | None = None) -> int:
        """When, on the clock of Redis, this call's time is over; the first call, at boot, has none.

        Args:
            moment: What that clock says now, where it has just been heard.
        """
        if moment is not None:
            self._offset = moment - self._monotonic() * 1000
        if self._offset is None:
            return _NEVER
        return int(self._monotonic() * 1000 + self._offset + BUDGET_MS)
