"""A verification as Redis holds it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from otp_service.store.answers import STATUSES, table
from otp_service.verification import Delivery, Outcome, ReceiptState, Status, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otp_service.settings import AppSettings
    from otp_service.store.answers import NewSend, Opened, Opening
    from otp_service.verification import RateLimit, Target, VerificationId


AGAIN: Final = "again"
"""A receipt of a message that failed and is worth another send."""


@dataclass(frozen=True, slots=True)
class Record:
    """A verification as Redis holds it, at the moment ``now_ms``."""

    now_ms: int
    status: Status
    purpose: str
    created_ms: int
    ttl_ms: int
    key_id: str
    length: int
    checks: int
    sends: int
    cooldown_ms: int
    """When the next send may go, from ``created_ms``."""
    sealed: bytes = field(repr=False)
    deliveries: Mapping[tuple[int, int], Delivery]
    """By send and try."""

    @classmethod
    def opened(cls, send: NewSend, opening: Opening, opened: Opened) -> Record:
        """A verification as ``open`` has just written it."""
        app = send.place.app
        return cls(
            now_ms=opened.now_ms,
            status=Status.PENDING,
            purpose=opening.purpose,
            created_ms=opened.created_ms,
            ttl_ms=app.ttl_seconds * 1000,
            key_id=send.key_id,
            length=opening.length,
            checks=0,
            sends=1,
            cooldown_ms=app.cooldown_seconds[0] * 1000,
            sealed=opening.sealed,
            deliveries={},
        )

    @property
    def used(self) -> set[str]:
        """The providers that were tried."""
        return {delivery.provider for delivery in self.deliveries.values()}

    def sent_again(self, app: AppSettings, send: int) -> Record:
        """As ``resend`` has just left it."""
        wait = app.cooldown_seconds[min(send, len(app.cooldown_seconds)) - 1] * 1000
        return replace(self, sends=send, cooldown_ms=self.now_ms - self.created_ms + wait)

    def delivered(self, tries: Sequence[Delivery]) -> Record:
        """With the tries of its latest send."""
        made = {(self.sends, attempt): delivery for attempt, delivery in enumerate(tries, 1)}
        return replace(self, deliveries={**self.deliveries, **made})

    def at(self, now_ms: int, status: bytes, checks: int) -> Record:
        """As it stands at a later moment."""
        return replace(self, now_ms=now_ms, status=STATUSES[status.decode()], checks=checks)

    def view(
        self, app: AppSettings, id_: VerificationId, target: Target, limit: RateLimit | None = None
    ) -> Verification:
        """As its app may see it."""
        return Verification(
            id=id_,
            status=self.status,
            purpose=self.purpose,
            target=target,
            created_ms=self.created_ms,
            expires_ms=self.created_ms + self.ttl_ms,
            now_ms=self.now_ms,
            checks_left=max(0, app.max_checks - self.checks),
            sends_left=max(0, app.max_sends - self.sends),
            next_send_ms=self.created_ms + self.cooldown_ms,
            deliveries=tuple(self.deliveries.values()),
            limit=limit,
        )

    @classmethod
    def read(cls, now_ms: int, status: bytes, flat: list[bytes], sealed: bytes) -> Record:
        """As a script reads it out: fields and values, and the sealed target wherever it is."""
        values = table(flat)
        created = int(values["c"])
        return cls(
            now_ms=now_ms,
            status=STATUSES[status.decode()],
            purpose=values["p"].decode(),
            created_ms=created,
            ttl_ms=int(values["t"]),
            key_id=values["k"].decode(),
            length=int(values["l"]),
            checks=int(values["n"]),
            sends=int(values["m"]),
            cooldown_ms=int(values["w"]),
            sealed=sealed,
            deliveries=_deliveries(values, created),
        )


def pack(delivery: Delivery, created_ms: int) -> str:
    """A delivery in one field of at most 64 bytes."""
    figures = f"{delivery.segments},{delivery.latency_ms},{delivery.at - created_ms}"
    return f"{delivery.provider},{outcome_letter(delivery.outcome)},{figures},{delivery.reason}"[:64]


def outcome_letter(outcome: Outcome) -> str:
    """An outcome as a delivery in Redis has it."""
    return str(list(Outcome).index(outcome))


MAY_HAVE_GONE: Final = {
    "accepted": outcome_letter(Outcome.ACCEPTED),
    "unknown": outcome_letter(Outcome.UNKNOWN),
}
"""Outcomes of a message that may be on its way, as a delivery in Redis has them."""


def _deliveries(values: Mapping[str, bytes], created_ms: int) -> dict[tuple[int, int], Delivery]:
    found = {}
    for name, value in values.items():
        if name[0] == "d":
            send, _, attempt = name[1:].partition(".")
            receipt = values.get(f"r{name[1:]}")
            found[int(send), int(attempt)] = replace(
                _unpack(value.decode(), created_ms), receipt=_receipt(receipt)
            )
    return dict(sorted(found.items()))


def _receipt(value: bytes | None) -> ReceiptState | None:
    if value is None:
        return None
    text = value.decode()
    return ReceiptState.FAILED if text == AGAIN else ReceiptState(text)


def _unpack(text: str, created_ms: int) -> Delivery:
    provider, outcome, segments, latency, at, reason = text.split(",", 5)
    return Delivery(
        provider=provider,
        outcome=list(Outcome)[int(outcome)],
        reason=reason,
        segments=int(segments),
        latency_ms=int(latency),
        at=created_ms + int(at),
    )
