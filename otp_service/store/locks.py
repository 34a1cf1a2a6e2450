"""Locks: numbers and prefixes that an operator has closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service.store import keys
from otp_service.store.answers import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_service.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as it stands in Redis.

    Args:
        until_ms: When it is over; 0 for never.
        reason: The operator's own.
    """

    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """All locks, by subject: a prefix, or the name of a number."""

    version: str
    locks: Mapping[str, Lock]


class LockStore:
    """The one key with all locks; every method raises StoreUnavailable when Redis does not answer in time.

    Args:
        scripts: Runs the scripts.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def lock(self, subject: str, lasts_ms: int | None, reason: str) -> Lock:
        """Lock a subject, in place of an older lock of it.

        Args:
            subject: What is locked.
            lasts_ms: How long; None for until it is lifted.
            reason: The operator's own.
        """
        arguments = {"subject": subject, "lasts": lasts_ms or False, "reason": reason}
        reply = await self._scripts.run("lock", [keys.LOCKS], arguments)
        return Lock(reply[2], reason)

    async def unlock(self, subject: str) -> bool:
        """Lift the lock of a subject; whether there was one."""
        reply = await self._scripts.run("unlock", [keys.LOCKS], {"subject": subject})
        return bool(reply[2])

    async def read(self, version: str) -> Known | None:
        """All locks; None when they are those of a version that is known."""
        _, code, *rest = await self._scripts.run("locks", [keys.LOCKS], {"known": version})
        if code == "same":
            return None
        held, locks = rest
        return Known(held.decode(), {subject: _read(lock) for subject, lock in table(locks).items()})


def _read(lock: bytes) -> Lock:
    until, _, reason = lock.decode().partition(",")
    return Lock(int(until), reason)
