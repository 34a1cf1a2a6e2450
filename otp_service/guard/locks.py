"""An operator's locks: a number, or all that begin with a prefix, that nothing is sent to.

Each process has a copy, and reads it again once a second: a send never waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service.errors import InvalidNumber
from otp_service.keyring import name
from otp_service.phone import parse, prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otp_service.keyring import Keyring
    from otp_service.phone import Phone
    from otp_service.store.locks import Lock, LockStore


class Locks:
    """The locks as this process knows them.

    Args:
        store: Where they are.
        keyring: Names numbers; prefixes, which name nobody, stand there in clear.
        now_ms: What the clock of Redis says.
    """

    def __init__(self, store: LockStore, keyring: Keyring, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._keyring = keyring
        self._now_ms = now_ms
        self._version = ""
        self._locks: Mapping[str, Lock] = {}

    def of(self, phone: Phone) -> Lock | None:
        """A lock that a number is under."""
        return next((lock for _, lock in self.all_of(phone)), None)

    def all_of(self, phone: Phone) -> Iterator[tuple[str, Lock]]:
        """Every lock that a number is under, with its prefix; "" where that is the number itself."""
        if not self._locks:
            return
        subjects = {self._number(phone): ""}
        subjects |= {phone.e164[:length]: phone.e164[:length] for length in range(2, len(phone.e164))}
        for subject, shown in subjects.items():
            lock = self._locks.get(subject)
            if lock and (not lock.until_ms or self._now_ms() < lock.until_ms):
                yield shown, lock

    async def refresh(self) -> None:
        """Learn what has changed.

        Raises:
            StoreUnavailable: Redis does not answer; the old copy counts.
        """
        if known := await self._store.read(self._version):
            self._version, self._locks = known.version, known.locks

    async def lock(self, subject: Phone | str, lasts_ms: int | None, reason: str) -> Lock:
        """Lock a number or a prefix, in place of an older lock of the same.

        Args:
            subject: What ``read_subject`` found.
            lasts_ms: How long; None for until it is lifted.
            reason: For other operators.
        """
        return await self._store.lock(self._name(subject), lasts_ms, reason)

    async def unlock(self, subject: Phone | str) -> bool:
        """Lift the lock of a number or a prefix; whether there was one."""
        return await self._store.unlock(self._name(subject))

    def _name(self, subject: Phone | str) -> str:
        return subject if isinstance(subject, str) else self._number(subject)

    def _number(self, phone: Phone) -> str:
        return "#" + name(self._keyring.index("lock", phone.e164))


def read_subject(text: str) -> Phone | str:
    """A number, or else the beginning of numbers.

    Raises:
        InvalidNumber: It is neither, or so long a beginning that it all but names somebody.
    """
    try:
        return parse(text)
    except InvalidNumber:
        return prefix(text)
