"""Where a verification is: its shard, and the keys there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service.store.keys import Events, Shard

if TYPE_CHECKING:
    from otp_service.settings import AppSettings
    from otp_service.store.answers import Operation
    from otp_service.verification import VerificationId


@dataclass(frozen=True, slots=True)
class Place:
    """Where a verification is.

    Args:
        app: Whose it is, with its policy.
        id: Names the shard.
        number: The number's name in Redis; verbs that only read do without.
        session: Stands for the client's session; only a start has one.
        test: Whether a test key asks; None finds what keys of either kind began.
    """

    app: AppSettings
    id: VerificationId
    number: str = ""
    session: str | None = None
    test: bool | None = None

    @property
    def shard(self) -> Shard:
        """The shard that the id names."""
        return Shard(self.id.shard)

    @property
    def events(self) -> Events:
        """What it is called among the events of its number."""
        return Events(self.app.name, self.id, self.session)

    def record_keys(self, operation: Operation) -> list[str]:
        """Its record and all that goes with it, and what became of an operation."""
        shard = self.shard
        return [
            shard.verification(self.id),
            shard.codes(self.id),
            shard.details(self.id),
            shard.operation(operation.name),
        ]

    @property
    def number_keys(self) -> list[str]:
        """What is counted about its number, and who is told."""
        shard = self.shard
        return [shard.number(self.number), shard.failures(self.number, self.app.name), shard.outbox]

    def all_keys(self, operation: Operation) -> list[str]:
        """What a send touches."""
        return [*self.record_keys(operation), *self.number_keys]
