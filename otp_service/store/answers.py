"""What goes into the scripts, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otp_service.errors import (
    IdempotencyInProgress,
    IdempotencyMismatch,
    VerificationClosed,
    VerificationNotFound,
)
from otp_service.verification import RateLimit, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_service.store.budget import Budget
    from otp_service.store.place import Place

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
    """What the first send of a verification puts into the store, and all later ones leave as it is.

    Args:
        purpose: What its codes are good for.
        length: Of its codes.
        sealed: The target.
    """

    purpose: str
    length: int
    sealed: bytes = field(repr=False)
    client: str = ""
    """Tag of the client's address; an approval gives its start back."""


@dataclass(frozen=True, slots=True)
class NewSend:
    """A send that is to be counted.

    Args:
        place: Where.
        operation: Happens once.
        key_id: The key of the ring that its code was hashed with.
        hash: Of its code.
        budgets: What it must stay within.
        lease_ms: How long it may take before another run of the operation goes on with it.
        after_receipt: The send whose receipts said that it failed, or None when a person asked.
    """

    place: Place
    operation: Operation
    key_id: str
    hash: bytes = field(repr=False)
    budgets: Sequence[Budget]
    lease_ms: int
    after_receipt: int | None = None


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
    created_ms: int = 0
    client: str = ""
    """Tag of the address that the verification was started from."""


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


def limit(state: list[Any]) -> RateLimit | None:
    """The tightest window, where there is any."""
    return window(state) if state else None


def window(state: list[Any]) -> RateLimit:
    """A window's state as a script reports it: name, limit, ms, left, reset in ms."""
    name, quota, length, left, reset = state
    return RateLimit(name.decode(), int(quota), int(length) // 1000, int(left), seconds(int(reset)))


def table(flat: list[bytes]) -> dict[str, bytes]:
    """A hash of Redis, which comes as a flat list of names and values."""
    return dict(zip((name.decode() for name in flat[::2]), flat[1::2], strict=True))


def seconds(ms: int) -> int:
    """Whole seconds to wait: rounded up, and at least one."""
    return max(1, -(-ms // 1000))


def refuse(code: str, rest: list[Any]) -> None:
    """Raise what a script's answer means to every verb alike; return when it means none of that."""
    match code:
        case "missing":
            raise VerificationNotFound
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
