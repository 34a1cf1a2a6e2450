"""The lifecycle of a verification: start, resend, check, cancel, fetch, receive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from otp_service import codes, events
from otp_service.codes import Binding
from otp_service.delivery.courier import verdict
from otp_service.dispatch import Dispatch, Fresh, Parts, Wish
from otp_service.errors import InvalidCodeFormat, UnknownKey, VerificationClosed
from otp_service.guard import clients
from otp_service.guard.subjects import Send
from otp_service.keyring import name
from otp_service.phone import parse
from otp_service.store.answers import STATUSES, NewSend, Opening, Operation
from otp_service.store.place import Place
from otp_service.store.records import Record
from otp_service.verification import HASH_BYTES, Check, Outcome, ReceiptState, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_service.delivery.provider import Receipt
    from otp_service.guard.reservation import Permit
    from otp_service.settings import AppSettings
    from otp_service.store.answers import Counted, Settled
    from otp_service.verification import Target, Transaction, Try, Verification, VerificationId


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess at a code, and what it claims to be for."""

    purpose: str
    transaction: Transaction | None
    code: str = field(repr=False)


class Verifier:
    """Proves that a person holds a phone number.

    Every verb takes the app that calls; one that changes something takes the operation that makes it happen
    once. Those about a verification take whether a test key asks: neither kind of key knows of what the other
    began.

    Args:
        parts: What it takes.
    """

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._registry = parts.registry
        self._keyring = parts.keyring
        self._pool = parts.pool
        self._courier = parts.courier
        self._guard = parts.guard
        self._fixed = parts.fixed
        self._watch = parts.watch
        self._signer = parts.signer
        self._tell = parts.tell
        self._random = parts.random
        self._dispatch = Dispatch(parts)

    def test_numbers(self, app: AppSettings, *, test: bool) -> Mapping[str, str]:
        """Codes by number, as they are fixed now for test keys; a live key knows of none."""
        return self._fixed.codes(app, test=test)

    def ask(self, app: AppSettings, wish: Wish) -> Permit:
        """Ask for leave for a start; meanwhile its Idempotency-Key can be claimed."""
        return self._dispatch.ask(app, wish)

    async def start(self, app: AppSettings, wish: Wish, operation: Operation, permit: Permit) -> Verification:
        """Open a verification and send its code.

        Args:
            app: Whose.
            wish: What is asked for.
            operation: Happens once.
            permit: What ``ask`` gave for this wish.

        Raises:
            Blocked, Throttled: Refused before anything was sent.
            Undeliverable, DeliveryFailed: Nobody took the message; the verification is closed.
        """
        leave = await permit.granted()
        place = self._registry.new(app, wish.target, wish.session, operation)
        key_id = self._keyring.first
        code, hashed = await self._dispatch.code(place, wish, key_id, self._watch.code_length(app))
        sealed = self._registry.seal(place, key_id, wish.target)
        opening = Opening(wish.purpose, len(code), sealed, leave.address)
        rows = self._dispatch.budgets(place, wish)
        send = NewSend(place, operation, key_id, hashed, rows, self._courier.lease_ms(app))
        with self._guard.explaining(app, wish.phone):
            await self._dispatch.ask_operator(app, wish, lambda: self._store.may_open(send, opening))
            opened = await self._store.open(send, opening)
        if isinstance(opened, Record):
            return _answered(place, opened, wish, send=1)
        known = clients.known(wish.address)
        self._tell(events.Started(app.name, str(place.id), wish.purpose, wish.phone.region, known))
        record = Record.opened(send, opening, opened)
        fresh = Fresh(code, hashed, opened.limit, leave)
        return await self._dispatch.send(place, operation, record, wish, fresh)

    async def resend(
        self, app: AppSettings, id_: VerificationId, operation: Operation, *, test: bool
    ) -> Verification:
        """Send a new code; earlier live codes stay valid.

        Raises:
            VerificationNotFound: No such verification.
            VerificationClosed: It is no longer pending.
            Throttled: The cool-down, its own sends or the number's budgets say not yet.
        """
        place = Place(app, id_, test=test)
        record = await self._store.fetch(place)
        if record.status is not Status.PENDING and not operation.keyed:  # else it may have sent before
            raise VerificationClosed(
                "The verification is over. Start a new one.", verification_status=record.status
            )
        return await self._resend(place, record, operation)

    async def send_again(self, app: AppSettings, id_: VerificationId, failed: int) -> None:
        """Send through the next provider, because receipts say that every message of a send has failed."""
        place = Place(app, id_)
        record = await self._store.fetch(place)
        if record.status is Status.PENDING:
            digest = name(self._keyring.index("send again", id_.raw, str(failed)))
            operation = Operation(digest, digest, name(self._random(16)), since=0)
            await self._resend(place, record, operation, after=failed)

    async def check(
        self, app: AppSettings, id_: VerificationId, guess: Guess, operation: Operation, *, test: bool
    ) -> Check:
        """Count one guess, then compare it; of any number of right ones, one is approved.

        Raises:
            VerificationNotFound: No such verification.
            InvalidCodeFormat: This cannot be its code; no check was spent.
            VerificationClosed: It takes no more checks.
        """
        place = Place(app, id_, test=test)
        self._pool.admit()
        counted = await self._store.attempt(place, operation, len(guess.code), self._keyring.ids)
        if counted == "length":
            raise _another_length()
        if counted == "unkeyed":
            raise UnknownKey
        target = self._registry.unseal(place, counted)
        if counted.settled:
            return self._checked(place, counted.settled, target, guess, replayed=True)
        binding = Binding(app.name, id_, target.to, guess.purpose, guess.transaction)
        hashed = await binding.hash(self._pool, self._keyring, counted.key_id, guess.code)
        place = self._registry.of(place, target)
        right = codes.match(hashed, counted.live)
        settled = await self._store.settle(place, operation, counted.ordinal, matched=right)
        self._tell(events.Checked(app.name, str(id_), settled.outcome))
        if settled.outcome == "wrong" and not target.test:
            self._watch.failed(app.name)
        if settled.alarm:
            self._tell(events.NumberClosed(app.name, str(id_)))
        if settled.outcome == "approved":
            self._courier.came_back(id_, target, newer=counted.live.find(hashed) // HASH_BYTES)
            self._give_back(place, target, counted)
        return self._checked(place, settled, target, guess)

    async def cancel(
        self, app: AppSettings, id_: VerificationId, operation: Operation, *, test: bool
    ) -> Verification:
        """Close a pending verification.

        Raises:
            VerificationNotFound: No such verification.
            VerificationClosed: It was closed before.
        """
        place = Place(app, id_, test=test)
        target = self._registry.unseal(place, await self._store.fetch(place))
        record, replayed = await self._store.cancel(self._registry.of(place, target), operation)
        if not replayed:
            self._tell(events.Canceled(app.name, str(id_)))
        return replace(record.view(app, id_, target), replayed=replayed)

    async def fetch(self, app: AppSettings, id_: VerificationId, *, test: bool) -> Verification:
        """Read a verification with its deliveries.

        Raises:
            VerificationNotFound: No such verification.
        """
        place = Place(app, id_, test=test)
        record = await self._store.fetch(place)
        return record.view(app, id_, self._registry.unseal(place, record))

    async def receive(self, provider: str, about: Try, receipt: Receipt) -> bool:
        """Take a provider's receipt for one try, already proved to be its own.

        Returns:
            Whether another send is due now.
        """
        failed = receipt.state is ReceiptState.FAILED and receipt.outcome is Outcome.UNAVAILABLE
        effect = await self._store.receive(about, receipt.state, send_again=failed)
        self._tell(events.Received(str(about.id), provider, receipt.state.value, receipt.reason, effect))
        return effect == "due"

    async def _resend(
        self, place: Place, record: Record, operation: Operation, after: int | None = None
    ) -> Verification:
        """Count another send and make it; after a send that failed, only through a provider not used yet."""
        app, id_ = place.app, place.id
        target = self._registry.unseal(place, record)
        phone = parse(target.to, known=self._fixed.codes(app, test=target.test))
        wish = Wish(phone, record.purpose, target, starts=False)
        order = self._courier.order(app, phone, target, record.used)
        if after and not (order := [provider for provider in order if provider not in record.used]):
            return record.view(app, id_, target)
        place = self._registry.of(place, target)
        async with self._dispatch.ask(app, wish) as permit:
            leave = await permit.granted()
            code, hashed = await self._dispatch.code(place, wish, record.key_id, record.length)
            rows = self._dispatch.budgets(place, wish)
            lease_ms = self._courier.lease_ms(app)
            send = NewSend(place, operation, record.key_id, hashed, rows, lease_ms, after)
            with self._guard.explaining(app, wish.phone):
                await self._dispatch.ask_operator(app, wish, lambda: self._store.may_resend(send))
                sent = await self._store.resend(send)
            if sent is None:
                return record.view(app, id_, target)
            if sent.made_before:  # perhaps since the record was read
                return _answered(place, await self._store.fetch(place), wish, send=sent.number)
            record = record.sent_again(app, sent.number)
            fresh = Fresh(code, hashed, sent.limit, leave)
            return await self._dispatch.send(place, operation, record, wish, fresh, order)

    def _give_back(self, place: Place, target: Target, counted: Counted) -> None:
        """Give back what an approval gives back outside the number's shard."""
        if not target.test:
            send = Send(place.app, parse(target.to), place.number, address=counted.client)
            self._guard.approved(send, place.events.short, counted.created_ms)

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


def _answered(place: Place, record: Record, wish: Wish, *, send: int) -> Verification:
    """What a send that was recorded before came to; its answer was not kept."""
    made = [delivery for (number, _), delivery in record.deliveries.items() if number == send]
    if problem := verdict(made, str(place.id) if wish.starts else None):
        problem.replayed = True
        raise problem
    return replace(record.view(place.app, place.id, wish.target), replayed=True)


def _another_length() -> InvalidCodeFormat:
    return InvalidCodeFormat(
        "The code of this verification has another length, so no check was spent.",
        errors=({"pointer": "/code", "detail": "has another length than the code that was sent"},),
    )
