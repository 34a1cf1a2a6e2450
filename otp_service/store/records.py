"""What the scripts answer, as Python reads it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from otp_service.errors import (
    IdempotencyInProgress,
    IdempotencyMismatch,
    VerificationClosed,
    VerificationNotFound,
)
from otp_service.verification import Delivery, Outcome, RateLimit, ReceiptState, Status, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otp_service.settings import AppSettings
    from otp_service.verification import Target, VerificationId

STATUSES = {
    "p": Status.PENDING,
    "a": Status.APPROVED,
    "c": Status.CANCELED,
    "e": Status.EXPIRED,
    "m": Status.MAX_ATTEMPTS_REACHED,
    "f": Status.FAILED,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One request that changes something, so that it happens once.

    Args:
        name: HMAC of app, path and Idempotency-Key; random without one.
        digest: HMAC of path and body; the same operation with another digest is a mismatch.
        run: Random: tells a second run of the same operation from a script that lost its reply.
        since: Milliseconds; when the Idempotency-Key was first claimed, None without one.
    """

    name: str
    digest: str
    run: str
    since: int | None = None

    @property
    def keyed(self) -> bool:
        """Whether the caller can ask for it again."""
        return self.since is not None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a send puts into the store.

    Args:
        purpose: What the code is good for.
        key_id: The key of the ring that its hash was made with.
        length: Of the code.
        hash: Of the code.
        sealed: The target; a resend leaves it as it is.
    """

    purpose: str
    key_id: str
    length: int
    hash: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A verification that may now be sent, and what is left of its tightest budget."""

    created_ms: int
    now_ms: int
    limit: RateLimit | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A send that was counted: its number, and what is left of its tightest budget."""

    number: int
    limit: RateLimit | None
    made_before: bool = False
    """By an earlier run of the same operation."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A check that was counted: its place among the checks, and what to compare with."""

    key_id: str
    sealed: bytes = field(repr=False)
    ordinal: int = 0
    live: bytes = field(default=b"", repr=False)
    settled: Settled | None = None
    """What it came to, when it was made before."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a check came to; final, and the same for whoever asks again.

    Args:
        outcome: ``approved`` or ``wrong``.
        ordinal: Its place among the checks, from 1.
        status: The letter of the verification's status after it.
        approved_ms: When it was approved.
        alarm: Whether it was one failed check in a row too many.
    """

    outcome: str
    ordinal: int
    status: str
    approved_ms: int = 0
    alarm: bool = False

    @classmethod
    def read(cls, text: bytes) -> Settled:
        """From the result of an operation.

        Raises:
            VerificationClosed: It came too late.
        """
        outcome, first, *rest = text.decode().split(":")
        match outcome:
            case "approved":
                return cls(outcome, int(first), "a", approved_ms=int(rest[0]))
            case "wrong":
                return cls(outcome, int(first), rest[0], alarm="alarm" in rest)
        raise closed(first)


@dataclass(frozen=True, slots=True)
class Record:
    """A verification as Redis holds it, at the moment ``now_ms``."""

    now_ms: int
    status: Status
    app: str
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
    def opened(cls, app: AppSettings, opening: Opening, opened: Opened) -> Record:
        """A verification as ``open`` has just written it."""
        return cls(
            now_ms=opened.now_ms,
            status=Status.PENDING,
            app=app.name,
            purpose=opening.purpose,
            created_ms=opened.created_ms,
            ttl_ms=app.ttl_seconds * 1000,
            key_id=opening.key_id,
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

    def view(
        self, app: AppSettings, id_: VerificationId, target: Target, limit: RateLimit | None = None
    ) -> Verification:
        """As its app may see it."""
        return Verification(
            id=id_,
            app=self.app,
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
    def read(cls, now_ms: int, status: bytes, flat: list[bytes], sealed: bytes | None) -> Record:
        """From a flat list of fields and values."""
        values = dict(zip((name.decode() for name in flat[::2]), flat[1::2], strict=True))
        created = int(values["c"])
        return cls(
            now_ms=now_ms,
            status=STATUSES[status.decode()],
            app=values["a"].decode(),
            purpose=values["p"].decode(),
            created_ms=created,
            ttl_ms=int(values["t"]),
            key_id=values["k"].decode(),
            length=int(values["l"]),
            checks=int(values["n"]),
            sends=int(values["m"]),
            cooldown_ms=int(values["w"]),
            sealed=sealed or values.get("x", b""),
            deliveries=_deliveries(values, created),
        )


def pack(delivery: Delivery, created_ms: int) -> str:
    """A delivery in one field of at most 64 bytes."""
    figures = f"{delivery.segments},{delivery.latency_ms},{delivery.at - created_ms}"
    return f"{delivery.provider},{outcome_letter(delivery.outcome)},{figures},{delivery.reason}"[:64]


def outcome_letter(outcome: Outcome) -> str:
    """An outcome as a delivery in Redis has it."""
    return str(list(Outcome).index(outcome))


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
    return ReceiptState.FAILED if value == b"again" else ReceiptState(value.decode())


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


def limit(state: list[Any]) -> RateLimit | None:
    """The tightest window, where there is any."""
    return window(state) if state else None


def window(state: list[Any]) -> RateLimit:
    """A window's state as a script reports it: name, limit, ms, left, reset in ms."""
    name, quota, length, left, reset = state
    return RateLimit(name.decode(), int(quota), int(length) // 1000, int(left), seconds(int(reset)))


def seconds(ms: int) -> int:
    """Whole seconds to wait: rounded up, and at least one."""
    return max(1, -(-ms // 1000))


def refuse(code: str, rest: list[Any]) -> None:
    """Raise what a script's answer means to every verb alike; return when it means none of that."""
    match code:
        case "missing":
            raise VerificationNotFound("There is no such verification. Ids are kept for a day.")
        case "mismatch":
            raise IdempotencyMismatch(
                "This Idempotency-Key was used with another path or body. Use a new key."
            )
        case "busy":
            raise IdempotencyInProgress(
                "The first request with this Idempotency-Key is still at work. Ask again with the same key.",
                retry_after=seconds(int(rest[0])),
            )
        case "closed":
            raise closed(rest[0].decode())


def closed(letter: str) -> VerificationClosed:
    """The verification is over, or its last check is being compared right now."""
    status = STATUSES[letter]
    return VerificationClosed(
        f"The verification is {status.value.replace('_', ' ')} and takes nothing more. Start a new one."
        if status is not Status.PENDING
        else "The last check is being compared. Fetch the verification to see what came of it.",
        verification_status=status,
    )
