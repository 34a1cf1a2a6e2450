"""The lifecycle of a verification: start, resend, check, cancel, fetch, receive."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from otp_service import codes, events
from otp_service.codes import Binding
from otp_service.delivery.courier import verdict
from otp_service.errors import InvalidCodeFormat, StoreUnavailable, UnknownKey, VerificationClosed
from otp_service.guard import admission, budgets
from otp_service.keyring import name
from otp_service.phone import parse
from otp_service.store.answers import STATUSES, Opening, Operation
from otp_service.store.keys import Events
from otp_service.store.records import Record
from otp_service.store.store import Place
from otp_service.verification import Check, Outcome, ReceiptState, Status, Target, VerificationId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otp_service.codes import HashPool
    from otp_service.delivery.courier import Courier
    from otp_service.delivery.provider import Receipt
    from otp_service.events import Listener
    from otp_service.keyring import Keyring
    from otp_service.phone import Phone
    from otp_service.proof import Signer
    from otp_service.settings import AppSettings, Window
    from otp_service.store.answers import Settled
    from otp_service.store.store import Store
    from otp_service.verification import RateLimit, Transaction, Try, Verification


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks of a start.

    Args:
        phone: The number.
        purpose: What the code will be good for.
        target: How the message reads, and what is kept with it.
        session: The caller's name for its client's session, or None.
    """

    phone: Phone
    purpose: str
    target: Target
    session: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess at a code, and what it claims to be for."""

    purpose: str
    transaction: Transaction | None
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A code that was counted as sent and waits to be: in clear in this process alone."""

    code: str = field(repr=False)
    hash: bytes = field(repr=False)
    limit: RateLimit | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What the lifecycle is made of.

    Args:
        store: Remembers and counts.
        keyring: Names, binds and seals.
        pool: Hashes.
        courier: Takes codes to phones.
        signer: Signs the proofs.
        installation_sends: Windows for the sends to one number over all apps.
        tell: Hears of everything that happens.
        draw: Draws a code of so many digits.
        random: Returns that many random bytes.
    """

    store: Store
    keyring: Keyring
    pool: HashPool
    courier: Courier
    signer: Signer
    installation_sends: Sequence[Window]
    tell: Listener = events.log
    draw: Callable[[int], str] = codes.draw
    random: Callable[[int], bytes] = os.urandom


class Verifier:
    """Proves that a person holds a phone number.

    Every verb takes the app that calls; one that changes something takes the operation that makes it happen
    once.
    """

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._keyring = parts.keyring
        self._pool = parts.pool
        self._courier = parts.courier
        self._signer = parts.signer
        self._installation_sends = parts.installation_sends
        self._tell = parts.tell
        self._draw = parts.draw
        self._random = parts.random

    async def start(self, app: AppSettings, wish: Wish, operation: Operation) -> Verification:
        """Open a verification and send its code.

        Raises:
            Blocked, Throttled: Refused before anything was sent.
            Undeliverable, DeliveryFailed: Nobody took the message; the verification is closed.
        """
        admission.admit(app, wish.phone)
        self._courier.preview(app, wish.phone, wish.target)
        place, send_events = self._new_place(app, wish, operation)
        key_id = self._keyring.first
        binding = Binding(app.name, place.id, wish.phone.e164, wish.purpose, wish.target.transaction)
        code, hashed = await self._new_code(binding, key_id, app.code_length)
        opening = Opening(wish.purpose, key_id, len(code), hashed, self._seal(place, key_id, wish.target))
        rows = budgets.of_start(app, self._installation_sends, send_events)
        opened = await self._store.open(place, operation, opening, rows, self._courier.lease_ms(app))
        if isinstance(opened, Record):
            return _answered(app, place.id, opened, wish.target, send=1, starting=True)
        self._tell(events.Started(app.name, str(place.id), wish.purpose, wish.phone.region))
        record = Record.opened(app, opening, opened)
        fresh = Fresh(code, hashed, opened.limit)
        return await self._send(place, operation, record, wish.phone, wish.target, fresh, starting=True)

    async def resend(self, app: AppSettings, id_: VerificationId, operation: Operation) -> Verification:
        """Send a new code; earlier live codes stay valid.

        Raises:
            VerificationClosed: It is no longer pending.
            Throttled: The cool-down, its own sends or the number's budgets say not yet.
        """
        record = await self._store.fetch(Place(app, id_))
        if record.status is not Status.PENDING and not operation.keyed:  # else it may have sent before
            raise VerificationClosed(
                "The verification is over. Start a new one.", verification_status=record.status
            )
        return await self._resend(app, id_, record, operation)

    async def send_again(self, app: AppSettings, id_: VerificationId, failed: int) -> None:
        """Send through the next provider, because receipts say that every message of a send has failed."""
        record = await self._store.fetch(Place(app, id_))
        if record.status is Status.PENDING:
            digest = name(self._keyring.index("send again", id_.raw, str(failed)))
            operation = Operation(digest, digest, name(self._random(16)), since=0)
            await self._resend(app, id_, record, operation, after=failed)

    async def check(self, app: AppSettings, id_: VerificationId, guess: Guess, operation: Operation) -> Check:
        """Count one guess, then compare it; of any number of right ones, one is approved.

        Raises:
            InvalidCodeFormat: This cannot be its code; no check was spent.
            VerificationClosed: It takes no more checks.
        """
        place = Place(app, id_)
        self._pool.admit()
        counted = await self._store.attempt(place, operation, len(guess.code), self._keyring.ids)
        if counted == "length":
            raise _another_length()
        if counted == "unkeyed":
            raise UnknownKey
        target = self._unseal(place, counted.key_id, counted.sealed)
        if counted.settled:
            return self._checked(place, counted.settled, target, guess, replayed=True)
        binding = Binding(app.name, id_, target.to, guess.purpose, guess.transaction)
        hashed = await self._hash(binding, counted.key_id, guess.code)
        place = self._place(app, id_, target.to)
        right = codes.match(hashed, counted.live)
        settled = await self._store.settle(place, operation, counted.ordinal, matched=right)
        self._tell(events.Checked(app.name, str(id_), settled.outcome))
        if settled.alarm:
            self._tell(events.NumberClosed(app.name, str(id_)))
        return self._checked(place, settled, target, guess)

    async def cancel(self, app: AppSettings, id_: VerificationId, operation: Operation) -> Verification:
        """Close a pending verification.

        Raises:
            VerificationClosed: It was closed before.
        """
        record = await self._store.fetch(Place(app, id_))
        target = self._unseal(Place(app, id_), record.key_id, record.sealed)
        record, replayed = await self._store.cancel(self._place(app, id_, target.to), operation)
        if not replayed:
            self._tell(events.Canceled(app.name, str(id_)))
        return replace(record.view(app, id_, target), replayed=replayed)

    async def fetch(self, app: AppSettings, id_: VerificationId) -> Verification:
        """Read a verification with its deliveries."""
        place = Place(app, id_)
        record = await self._store.fetch(place)
        return record.view(app, id_, self._unseal(place, record.key_id, record.sealed))

    async def receive(self, provider: str, about: Try, receipts: Sequence[Receipt]) -> bool:
        """Take a provider's receipts for one try, already proved to be its own.

        Returns:
            Whether another send is due now.
        """
        due = False
        for receipt in receipts:
            failed = receipt.state is ReceiptState.FAILED and receipt.outcome is Outcome.UNAVAILABLE
            effect = await self._store.receive(about, receipt.state, send_again=failed)
            due = due or effect == "due"
            self._tell(events.Received(str(about.id), provider, receipt.state.value, receipt.reason, effect))
        return due

    async def _resend(
        self,
        app: AppSettings,
        id_: VerificationId,
        record: Record,
        operation: Operation,
        after: int | None = None,
    ) -> Verification:
        """Count another send and make it; after a send that failed, only through a provider not used yet."""
        target = self._unseal(Place(app, id_), record.key_id, record.sealed)
        phone = parse(target.to)
        order = self._courier.order(app, phone, target, record.used)
        if after and not (order := [provider for provider in order if provider not in record.used]):
            return record.view(app, id_, target)
        place = self._place(app, id_, target.to)
        binding = Binding(app.name, id_, target.to, record.purpose, target.transaction)
        code, hashed = await self._new_code(binding, record.key_id, record.length)
        rows = budgets.of_send(app, self._installation_sends, Events(app.name, id_), record.sends + 1)
        sent = await self._store.resend(
            place,
            operation,
            Opening(record.purpose, record.key_id, record.length, hashed, b""),
            rows,
            self._courier.lease_ms(app),
            after,
        )
        if sent is None:
            return record.view(app, id_, target)
        if sent.made_before:
            return _answered(app, id_, record, target, send=sent.number)
        record = record.sent_again(app, sent.number)
        fresh = Fresh(code, hashed, sent.limit)
        return await self._send(place, operation, record, phone, target, fresh, order)

    async def _send(
        self,
        place: Place,
        operation: Operation,
        record: Record,
        phone: Phone,
        target: Target,
        fresh: Fresh,
        order: Sequence[str] | None = None,
        *,
        starting: bool = False,
    ) -> Verification:
        """Make a counted send, write down what the providers answered, and say what it means."""
        app, id_ = place.app, place.id
        order = order or self._courier.order(app, phone, target, record.used)
        deliveries = await self._courier.deliver(app, id_, record, phone, target, fresh.code, order)
        problem = verdict(deliveries, str(id_) if starting else None)
        record = record.delivered(deliveries)
        try:
            record = await self._store.record(
                place, operation, record, deliveries, fresh.hash, failed=starting and problem is not None
            )
        except StoreUnavailable:  # what went out went out: the caller must hear that
            self._tell(events.Unrecorded(app.name, str(id_)))
        if problem:
            raise problem
        return record.view(app, id_, target, fresh.limit)

    async def _new_code(self, binding: Binding, key_id: str, length: int) -> tuple[str, bytes]:
        self._pool.admit()
        code = self._draw(length)
        return code, await self._hash(binding, key_id, code)

    async def _hash(self, binding: Binding, key_id: str, code: str) -> bytes:
        with self._pool.ticket() as ticket:
            return await ticket.hash(binding.digest(self._keyring, key_id, code), binding.salt)

    def _new_place(self, app: AppSettings, wish: Wish, operation: Operation) -> tuple[Place, Events]:
        """Where a new verification goes: the number names the shard, an Idempotency-Key the rest."""
        index = self._keyring.index
        entropy = (
            index("id", app.name, operation.name, str(operation.since))
            if operation.keyed
            else self._random(16)
        )
        shard = index("number", wish.phone.e164)[0] >> 2
        session = name(index("session", app.name, wish.session))[:8] if wish.session else None
        place = self._place(app, VerificationId.of(shard, entropy), wish.phone.e164)
        return place, Events(app.name, place.id, session)

    def _place(self, app: AppSettings, id_: VerificationId, number: str) -> Place:
        return Place(app, id_, name(self._keyring.index("number", number)))

    def _seal(self, place: Place, key_id: str, target: Target) -> bytes:
        return self._keyring.seal(key_id, target.pack(), place.app.name, str(place.id))

    def _unseal(self, place: Place, key_id: str, sealed: bytes) -> Target:
        return Target.unpack(self._keyring.unseal(key_id, sealed, place.app.name, str(place.id)))

    def _checked(
        self, place: Place, settled: Settled, target: Target, guess: Guess, *, replayed: bool = False
    ) -> Check:
        approved = settled.outcome == "approved"
        proof = None
        if approved:
            moment = settled.approved_ms // 1000
            proof = self._signer.sign(
                place.app.name,
                target.to,
                str(place.id),
                guess.purpose,
                moment,
                guess.transaction,
                test=target.test,
            )
        left = max(0, place.app.max_checks - settled.ordinal)
        return Check(place.id, STATUSES[settled.status], approved, left, proof, replayed)


def _answered(
    app: AppSettings,
    id_: VerificationId,
    record: Record,
    target: Target,
    *,
    send: int,
    starting: bool = False,
) -> Verification:
    """What a send that was recorded before came to; its answer was not kept."""
    made = [delivery for (number, _), delivery in record.deliveries.items() if number == send]
    if problem := verdict(made, str(id_) if starting else None):
        problem.replayed = True
        raise problem
    return replace(record.view(app, id_, target), replayed=True)


def _another_length() -> InvalidCodeFormat:
    return InvalidCodeFormat(
        "The code of this verification has another length, so no check was spent.",
        errors=({"pointer": "/code", "detail": "has another length than the code that was sent"},),
    )
