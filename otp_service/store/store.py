"""The store: one method for every verb, each one script, each on the keys of one shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from otp_service.errors import StoreUnavailable, Throttled, VerificationClosed
from otp_service.store.answers import (
    Counted,
    NewSend,
    Opened,
    Opening,
    Operation,
    Sent,
    Settled,
    closed,
    limit,
    refuse,
    window,
)
from otp_service.store.keys import Shard
from otp_service.store.records import AGAIN, MAY_HAVE_GONE, Record, pack
from otp_service.verification import HASH_BYTES, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_service.store.place import Place
    from otp_service.store.scripts import Scripts
    from otp_service.verification import Delivery, ReceiptState, Try

GRACE_MS: Final = 5_000
"""The last check counted closes the verification this late even when its process died comparing."""

RUN_MS: Final = 15_000
"""How long an operation without an Idempotency-Key is remembered: longer than any run of it."""

DAY_MS: Final = 86_400_000
"""The longest window of a budget: what is older is forgotten."""

FAILURES_IN_ROW: Final = 100
"""NIST SP 800-63B-4, 3.2.2: at most 100 failed attempts in a row on one account."""

AFTER_RECEIPT: Final = 2
"""Sends that failed receipts may cause for one verification."""

OUTBOX_LENGTH: Final = 100_000
"""Events that wait to be told in one shard, about."""


class Store:
    """Verifications, and what is counted about their numbers.

    Every method that changes something raises StoreUnavailable when Redis did not decide in time, and
    VerificationNotFound, VerificationClosed, IdempotencyMismatch and IdempotencyInProgress where they apply.

    Args:
        scripts: Runs the scripts.
        record_ttl: Seconds for which a record can be read.
        idempotency_ttl: Seconds for which an Idempotency-Key is remembered.
        tells: Whether somebody takes events out of the outbox; until then nothing is put there.
    """

    def __init__(
        self, scripts: Scripts, *, record_ttl: int, idempotency_ttl: int, tells: bool = False
    ) -> None:
        self._scripts = scripts
        self._tells = tells
        self._record_ms = record_ttl * 1000
        self._idempotency_ms = idempotency_ttl * 1000

    async def open(self, send: NewSend, opening: Opening) -> Opened | Record:
        """Open a verification, with its first send counted.

        Returns:
            The record, when this operation sent before.

        Raises:
            Throttled: A budget of the number refused; nothing changed.
        """
        now, code, *rest = await self._open(send, opening)
        return Record.read(now, *rest) if code == "done" else Opened(rest[0], now, limit(rest[1]))

    async def may_open(self, send: NewSend, opening: Opening) -> bool:
        """Whether ``open`` would open anything; nothing changes, and it raises what that would raise."""
        reply = await self._open(send, opening, look=True)
        return bool(reply[1] == "free")

    async def resend(self, send: NewSend) -> Sent | None:
        """Count another send and make its code live; its key must be the record's.

        Returns:
            The send, which may have been made before; None when a newer send made it pointless.

        Raises:
            Throttled: The cool-down, or a budget; nothing changed.
        """
        _, code, *rest = await self._resend(send)
        match code:
            case "sent":
                return Sent(rest[0], limit(rest[1]))
            case "done":
                return Sent(rest[0], None, made_before=True)
            case "rotated":
                raise StoreUnavailable("It was started anew in the meantime. Try again.", retry_after=1)
        return None

    async def may_resend(self, send: NewSend) -> bool:
        """Whether ``resend`` would count anything; nothing changes, and it raises what that would raise."""
        reply = await self._resend(send, look=True)
        return bool(reply[1] == "free")

    async def record(
        self,
        place: Place,
        operation: Operation,
        record: Record,
        tries: Sequence[Delivery],
        hash_: bytes,
        *,
        failed: bool,
    ) -> Record:
        """Write down what the providers answered to the latest send of a record.

        Args:
            place: Where.
            operation: The one that sent.
            record: As the sender knows it.
            tries: Every try of this send.
            hash_: Of its code.
            failed: Whether the verification is over with it.
        """
        spent = any(delivery.outcome is not Outcome.UNAVAILABLE for delivery in tries)
        arguments = self._arguments(place) | {
            "deliveries": [
                (f"d{record.sends}.{attempt}", pack(delivery, record.created_ms))
                for attempt, delivery in enumerate(tries, 1)
            ],
            "send": record.sends,
            "failed": failed,
            "given_back": False if spent else place.events.send(record.sends),
            "live_bytes": place.app.live_codes * HASH_BYTES,
            "timer": f"{place.id}:{record.sends}:{place.app.name}",
            **MAY_HAVE_GONE,
        }
        shard = place.shard
        verb_keys = [
            shard.verification(place.id),
            shard.codes(place.id),
            shard.operation(operation.name),
            shard.number(place.number),
            shard.timers,
            shard.outbox,
        ]
        now, code, *rest = await self._scripts.run("record", verb_keys, arguments, hash_)
        return record.at(now, rest[0], rest[1]) if code == "ok" else record

    async def attempt(
        self, place: Place, operation: Operation, length: int, key_ids: Sequence[str]
    ) -> Counted | Literal["length", "unkeyed"]:
        """Count a check and hand out what to compare it with.

        Returns:
            The counted check, or why it was not counted: ``length`` (the code has another) or ``unkeyed``
            (it was hashed with a key that is not in the ring).
        """
        arguments = self._operation(place, operation, GRACE_MS)
        arguments |= {
            "max_checks": place.app.max_checks,
            "grace": GRACE_MS,
            "length": length,
            "key_ids": list(key_ids),
            "live_bytes": place.app.live_codes * HASH_BYTES,
        }
        _, code, *rest = await self._scripts.run("attempt", place.record_keys(operation), arguments)
        refuse(code, rest)
        match code:
            case "counted":
                ordinal, live, key_id, sealed, created, client = rest
                return Counted(
                    key_id.decode(), sealed, ordinal, live, created_ms=int(created), client=client.decode()
                )
            case "done":
                result, key_id, sealed = rest
                return Counted(key_id.decode(), sealed, settled=_again(result))
            case "length":
                return "length"
        return "unkeyed"

    async def settle(self, place: Place, operation: Operation, ordinal: int, *, matched: bool) -> Settled:
        """Approve, once, or record the miss."""
        arguments = self._operation(place, operation, GRACE_MS) | {
            "matched": matched,
            "ordinal": ordinal,
            "max_checks": place.app.max_checks,
            "send_prefix": place.events.sends,
            "failure_member": place.events.failure(operation.name),
            "memory": DAY_MS,
            "failures_in_row": FAILURES_IN_ROW,
            "failures_closed": DAY_MS,
            "failures_memory": 90 * DAY_MS,
        }
        shard = place.shard
        verb_keys = [
            shard.verification(place.id),
            shard.codes(place.id),
            shard.operation(operation.name),
            *place.number_keys,
        ]
        _, code, *rest = await self._scripts.run("settle", verb_keys, arguments)
        refuse(code, rest)
        return Settled.read(rest[0])

    async def cancel(self, place: Place, operation: Operation) -> tuple[Record, bool]:
        """Cancel a pending verification; and whether this operation did so before."""
        shard = place.shard
        verb_keys = [*place.record_keys(operation), shard.number(place.number), shard.outbox]
        now, code, *rest = await self._scripts.run(
            "cancel", verb_keys, self._operation(place, operation, GRACE_MS)
        )
        refuse(code, rest)
        result = rest[0].decode()
        if result != "c":
            raise closed(result.removeprefix("closed:"))
        return Record.read(now, *rest), code == "done"

    async def fetch(self, place: Place) -> Record:
        """Read a verification as it stands."""
        shard = place.shard
        verb_keys = [shard.verification(place.id), shard.details(place.id)]
        now, code, *rest = await self._scripts.run("fetch", verb_keys, self._arguments(place))
        refuse(code, rest)
        return Record.read(now, *rest)

    async def receive(self, about: Try, state: ReceiptState, *, send_again: bool) -> str:
        """Move a receipt forward.

        Returns:
            ``ok``, ``due`` (another send is due now), ``stale`` or ``missing``.

        Args:
            about: The try that it is about.
            state: What became of its message.
            send_again: Whether another send would be worth it.
        """
        shard = Shard(about.id.shard)
        arguments = {
            "receipt": f"r{about.send}.{about.attempt}",
            "state": AGAIN if send_again else state,
            "send": about.send,
            "max_after_receipt": AFTER_RECEIPT,
            "timer": f"{about.id}:{about.send}",
            **MAY_HAVE_GONE,
        }
        reply = await self._scripts.run("receive", [shard.verification(about.id), shard.timers], arguments)
        return str(reply[1])

    async def _open(self, send: NewSend, opening: Opening, *, look: bool = False) -> list[Any]:
        app = send.place.app
        arguments = {
            "purpose": opening.purpose,
            "length": opening.length,
            "ttl": app.ttl_seconds * 1000,
            "cooldown": app.cooldown_seconds[0] * 1000,
            "client": opening.client or False,
            "look": look,
        }
        return await self._count("open", send, arguments, opening.sealed)

    async def _resend(self, send: NewSend, *, look: bool = False) -> list[Any]:
        app = send.place.app
        arguments = {
            "max_sends": app.max_sends,
            "cooldowns": [wait * 1000 for wait in app.cooldown_seconds],
            "max_after_receipt": AFTER_RECEIPT,
            "after_receipt": send.after_receipt or False,
            "send_prefix": send.place.events.sends,
            "look": look,
        }
        return await self._count("resend", send, arguments)

    async def _count(self, verb: str, send: NewSend, arguments: dict[str, Any], *sealed: bytes) -> list[Any]:
        place = send.place
        arguments |= self._operation(place, send.operation, send.lease_ms) | {
            "key_id": send.key_id,
            "live_bytes": place.app.live_codes * HASH_BYTES,
            "budgets": [budget.row() for budget in send.budgets],
            "memory": DAY_MS,
            "failures_in_row": FAILURES_IN_ROW,
            "failures_closed": DAY_MS,
        }
        reply = await self._scripts.run(verb, place.all_keys(send.operation), arguments, send.hash, *sealed)
        _, code, *rest = reply
        refuse(code, rest)
        if code == "refused":
            raise _throttled(rest[0])
        return reply

    def _arguments(self, place: Place) -> dict[str, Any]:
        return {
            "app": place.app.name,
            "id": str(place.id),
            "test": place.test,
            "record_ttl": self._record_ms,
            "tell": self._tells and place.app.webhook is not None,
            "outbox_length": OUTBOX_LENGTH,
            "live_prefix": place.events.live_prefix,
            "live_suffix": place.events.short,
        }

    def _operation(self, place: Place, operation: Operation, lease_ms: int) -> dict[str, Any]:
        return self._arguments(place) | {
            "digest": operation.digest,
            "run": operation.run,
            "keyed": operation.keyed,
            "lease": lease_ms,
            "op_ttl": self._idempotency_ms if operation.keyed else RUN_MS,
        }


def _throttled(refusal: list[Any]) -> Throttled:
    state = window(refusal)
    return Throttled(
        f"Not yet: try again in {state.reset} seconds.",
        reason=state.name,
        retry_after=state.reset,
        limit=state,
    )


def _again(result: bytes) -> Settled:
    """A result that was kept, which can be that the check came too late."""
    try:
        return Settled.read(result)
    except VerificationClosed as problem:
        problem.replayed = True
        raise
