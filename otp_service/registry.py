"""Where a verification is kept: what it and its number are called there, and what is sealed with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from otp_service.keyring import name
from otp_service.store.place import Place
from otp_service.verification import Target, VerificationId

if TYPE_CHECKING:
    from collections.abc import Callable

    from otp_service.guard.fixed_numbers import FixedNumbers
    from otp_service.keyring import Keyring
    from otp_service.settings import AppSettings
    from otp_service.store.answers import Counted, Operation
    from otp_service.store.records import Record


class Registry:
    """Names and seals: what stands in Redis says nothing to whoever has no keys.

    Args:
        keyring: The keys.
        fixed: Knows the test numbers.
        random: Returns that many random bytes.
    """

    def __init__(self, keyring: Keyring, fixed: FixedNumbers, random: Callable[[int], bytes]) -> None:
        self._keyring = keyring
        self._fixed = fixed
        self._random = random

    def new(self, app: AppSettings, target: Target, session: str | None, operation: Operation) -> Place:
        """Where a new verification goes: its number names the shard, an Idempotency-Key the rest."""
        index = self._keyring.index
        entropy = (
            index("id", app.name, operation.name, str(operation.since))
            if operation.keyed
            else self._random(16)
        )
        shard, _ = located(self._keyring, target.to)
        place = Place(
            app,
            VerificationId.of(shard, entropy),
            session=name(index("session", app.name, session))[:8] if session else None,
            test=target.test,
        )
        return self.of(place, target)

    def of(self, place: Place, target: Target) -> Place:
        """The same with its number.

        What test keys do is counted apart, so that it locks nobody out; and of a test number with each
        verification anew, so that it is never closed.
        """
        if self._fixed.code(place.app, target):
            counted = str(place.id)
        else:
            counted = f"test {target.to}" if target.test else target.to
        return replace(place, number=self.number(counted))

    def number(self, number: str) -> str:
        """What a number in E.164 is called."""
        return located(self._keyring, number)[1]

    def seal(self, place: Place, key_id: str, target: Target) -> bytes:
        """What a verification is for, as only it can be opened again."""
        return self._keyring.seal(key_id, target.pack(), place.app.name, str(place.id))

    def unseal(self, place: Place, kept: Record | Counted) -> Target:
        """What a verification is for.

        Raises:
            UnknownKey: It was sealed with a key that is not in the ring.
        """
        return Target.unpack(self._keyring.unseal(kept.key_id, kept.sealed, place.app.name, str(place.id)))


def located(keyring: Keyring, number: str) -> tuple[int, str]:
    """The shard of a number in E.164, and what it is called there."""
    index = keyring.index("number", number)
    return index[0] >> 2, name(index)
