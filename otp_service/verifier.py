"""The lifecycle of a verification: start, resend, check, cancel, fetch, receive."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from otp_service import codes, events
from otp_service.codes import Binding
from otp_service.delivery.courier import verdict
from otp_service.errors import (
    InvalidCodeFormat,
    StoreUnavailable,
    UnknownKey,
    VerificationClosed,
    VerificationNotFound,
)
from otp_service.guard import budgets, clients
from otp_service.guard.fixed_numbers import unsent
from otp_service.guard.guard import tightest
from otp_service.guard.reservation import Reservation
from otp_service.guard.signals import Question
from otp_service.guard.subjects import Send
from otp_service.keyring import name
from otp_service.phone import parse
from otp_service.store.answers import STATUSES, Opening, Operation
from otp_service.store.keys import Events
from otp_service.store.records import Record
from otp_service.store.store import Place
from otp_service.verification import HASH_BYTES, Check, Outcome, ReceiptState, Status, Target, VerificationId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from otp_service.codes import HashPool
    from otp_service.delivery.courier import Courier
    from otp_service.delivery.provider import Receipt
    from otp_service.events import Listener
    from otp_service.guard.fixed_numbers import FixedNumbers
    from otp_service.guard.guard import Guard
    from otp_service.guard.reservation import Permit
    from otp_service.guard.watch import Watch
    from otp_service.keyring import Keyring
    from otp_service.phone import Phone
    from otp_service.proof import Signer
    from otp_service.settings import AppSettings, Window
    from otp_service.store.answers import Counted, Settled
    from otp_service.store.store import Store
    from otp_service.verification import RateLimit, Transaction, Try, Verification

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks of a start.

    Args:
        phone: The number.
        purpose: What the code will be good for.
        target: How the message reads, and what is kept with it.
        session: The caller's name for its client's session, or None.
        address: Its client's IP address, or None.
    """

    phone: Phone
    purpose: str
    target: Target
    session: str | None = field(default=None, repr=False)
    address: str | None = field(default=None, repr=False)


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
    leave: Reservation


@dataclass(frozen=True, slots=True)
class Parts:
    """What the lifecycle is made of.

    Args:
        store: Remembers and counts.
        keyring: Names, binds and seals.
        pool: Hashes.
        courier: Takes codes to phones.
        guard: Says whether a send may be paid for.
        fixed: Knows the test numbers.
        watch: Says how long codes must be.
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
    guard: Guard
    fixed: FixedNumbers
    watch: Watch
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
        self._guard = parts.guard
        self._fixed = parts.fixed
        self._watch = parts.watch
        self._signer = parts.signer
        self._installation_sends = parts.installation_sends
        self._tell = parts.tell
        self._draw = parts.draw
        self._random = parts.random

    def test_numbers(self, app: AppSettings, *, test: bool) -> Mapping[str, str]:
        """Codes by number, as they are fixed now for test keys; a live key knows of none."""
        return self._fixed.codes(app, test=test)

    def ask(self, app: AppSettings, wish: Wish) -> Permit:
        """Ask for leave for a start; meanwhile its Idempotency-Key can be claimed."""
        return self._guard.permit(self._leave(app, wish.phone, wish.target, wish))

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
        leave = await self._granted(permit, app, wish.phone, wish.purpose, wish.target, wish)
        place, send_events = self._new_place(app, wish, operation)
        key_id = self._keyring.first
        binding = Binding(app.name, place.id, wish.phone.e164, wish.purpose, wish.target.transaction)
        fixed = self._fixed.code(app, wish.target)
        code, hashed = await self._new_code(binding, key_id, self._watch.code_length(app), fixed)
        sealed = self._seal(place, key_id, wish.target)
        opening = Opening(wish.purpose, key_id, len(code), hashed, sealed, leave.address)
        rows = [] if fixed else budgets.of_start(app, self._installation_sends, send_events)
        with self._guard.explaining(app, wish.phone):
            opened = await self._store.open(place, operation, opening, rows, self._courier.lease_ms(app))
        if isinstance(opened, Record):
            return _answered(app, place.id, opened, wish.target, send=1, starting=True)
        known = clients.known(wish.address)
        self._tell(events.Started(app.name, str(place.id), wish.purpose, wish.phone.region, known))
        record = Record.opened(app, opening, opened)
        fresh = Fresh(code, hashed, opened.limit, leave)
        return await self._send(place, operation, record, wish.phone, wish.target, fresh, starting=True)

    async def resend(
        self, app: AppSettings, id_: VerificationId, operation: Operation, *, test: bool
    ) -> Verification:
        """Send a new code; earlier live codes stay valid.

        Raises:
            VerificationNotFound: No such verification, or keys of the other kind began it.
            VerificationClosed: It is no longer pending.
            Throttled: The cool-down, its own sends or the number's budgets say not yet.
        """
        record = await self._store.fetch(Place(app, id_))
        target = self._target(app, id_, record, test=test)
        if record.status is not Status.PENDING and not operation.keyed:  # else it may have sent before
            raise VerificationClosed(
                "The verification is over. Start a new one.", verification_status=record.status
            )
        return await self._resend(app, id_, record, target, operation)

    async def send_again(self, app: AppSettings, id_: VerificationId, failed: int) -> None:
        """Send through the next provider, because receipts say that every message of a send has failed."""
        record = await self._store.fetch(Place(app, id_))
        if record.status is Status.PENDING:
            digest = name(self._keyring.index("send again", id_.raw, str(failed)))
            operation = Operation(digest, digest, name(self._random(16)), since=0)
            target = self._unseal(Place(app, id_), record.key_id, record.sealed)
            await self._resend(app, id_, record, target, operation, after=failed)

    async def check(
        self, app: AppSettings, id_: VerificationId, guess: Guess, operation: Operation, *, test: bool
    ) -> Check:
        """Count one guess, then compare it; of any number of right ones, one is approved.

        Raises:
            VerificationNotFound: No such verification, or keys of the other kind began it.
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
        target = self._target(app, id_, counted, test=test)
        if counted.settled:
            return self._checked(place, counted.settled, target, guess, replayed=True)
        binding = Binding(app.name, id_, target.to, guess.purpose, guess.transaction)
        hashed = await self._hash(binding, counted.key_id, guess.code)
        place = self._place(app, id_, target)
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
            VerificationNotFound: No such verification, or keys of the other kind began it.
            VerificationClosed: It was closed before.
        """
        record = await self._store.fetch(Place(app, id_))
        target = self._target(app, id_, record, test=test)
        record, replayed = await self._store.cancel(self._place(app, id_, target), operation)
        if not replayed:
            self._tell(events.Canceled(app.name, str(id_)))
        return replace(record.view(app, id_, target), replayed=replayed)

    async def fetch(self, app: AppSettings, id_: VerificationId, *, test: bool) -> Verification:
        """Read a verification with its deliveries.

        Raises:
            VerificationNotFound: No such verification, or keys of the other kind began it.
        """
        record = await self._store.fetch(Place(app, id_))
        return record.view(app, id_, self._target(app, id_, record, test=test))

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
        self,
        app: AppSettings,
        id_: VerificationId,
        record: Record,
        target: Target,
        operation: Operation,
        after: int | None = None,
    ) -> Verification:
        """Count another send and make it; after a send that failed, only through a provider not used yet."""
        fixed = self._fixed.code(app, target)
        phone = parse(target.to, known=[target.to] if fixed else ())
        order = self._courier.order(app, phone, target, record.used)
        if after and not (order := [provider for provider in order if provider not in record.used]):
            return record.view(app, id_, target)
        place = self._place(app, id_, target)
        async with self._guard.permit(self._leave(app, phone, target)) as permit:
            leave = await self._granted(permit, app, phone, record.purpose, target)
            binding = Binding(app.name, id_, target.to, record.purpose, target.transaction)
            code, hashed = await self._new_code(binding, record.key_id, record.length, fixed)
            own = Events(app.name, id_)
            rows = [] if fixed else budgets.of_send(app, self._installation_sends, own, record.sends + 1)
            opening = Opening(record.purpose, record.key_id, record.length, hashed, b"")
            lease_ms = self._courier.lease_ms(app)
            with self._guard.explaining(app, phone):
                sent = await self._store.resend(place, operation, opening, rows, lease_ms, after)
            if sent is None:
                return record.view(app, id_, target)
            if sent.made_before:
                return _answered(app, id_, record, target, send=sent.number)
            record = record.sent_again(app, sent.number)
            fresh = Fresh(code, hashed, sent.limit, leave)
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
        fresh.leave.begin(f"{place.events.short}{record.sends}")
        if self._fixed.code(app, target):
            deliveries = [unsent(record.now_ms)]
        else:
            deliveries = await self._courier.deliver(app, id_, record, phone, target, fresh.code, order)
        problem = verdict(deliveries, str(id_) if starting else None)
        record = record.delivered(deliveries)
        failed = starting and problem is not None
        written, _ = await asyncio.gather(
            self._written(
                place,
                lambda: self._store.record(place, operation, record, deliveries, fresh.hash, failed=failed),
            ),
            self._written(place, lambda: fresh.leave.settle(deliveries)),
        )
        if problem:
            raise problem
        limit = tightest(fresh.limit, fresh.leave.limit)
        return (written or record).view(app, id_, target, limit)

    async def _written(self, place: Place, write: Callable[[], Awaitable[T]]) -> T | None:
        """Write down what went out, if that can be: it went out, and the caller must hear so."""
        try:
            return await write()
        except StoreUnavailable:
            self._tell(events.Unrecorded(place.app.name, str(place.id)))
            return None

    async def _leave(
        self, app: AppSettings, phone: Phone, target: Target, start: Wish | None = None
    ) -> Reservation:
        """Ask the guard for a send; for a start, with the client that wants it."""
        if not self._fixed.code(app, target):
            self._guard.admit(app, phone)
        count = self._courier.preview(app, phone, target)
        if target.test:
            return Reservation()
        subjects, providers = self._guard.subjects, self._courier.providers(app, phone)
        send = Send(
            app,
            phone,
            self._number(phone.e164),
            self._guard.prices.dearest(providers, phone.region) * count,
            subjects.address(app, start.address) if start else "",
            subjects.session(app, start.session) if start else "",
            starts=start is not None,
        )
        return await self._guard.reserve(send, self._courier.lease_ms(app))

    async def _granted(
        self,
        permit: Permit,
        app: AppSettings,
        phone: Phone,
        purpose: str,
        target: Target,
        start: Wish | None = None,
    ) -> Reservation:
        """Leave for a send, once the operator's own endpoint gives it too; a replay has asked it before."""
        leave = await permit.granted()
        if not target.test:
            client = (start.address, start.session) if start else ()
            await self._guard.ask(Question(app, phone, purpose, *client))
        return leave

    def _give_back(self, place: Place, target: Target, counted: Counted) -> None:
        """Give back what an approval gives back outside the number's shard."""
        if not target.test:
            send = Send(place.app, parse(target.to), place.number, address=counted.client)
            self._guard.approved(send, place.events.short, counted.created_ms)

    async def _new_code(
        self, binding: Binding, key_id: str, length: int, fixed: str | None
    ) -> tuple[str, bytes]:
        self._pool.admit()
        code = fixed or self._draw(length)
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
        shard, _ = located(self._keyring, wish.phone.e164)
        session = name(index("session", app.name, wish.session))[:8] if wish.session else None
        place = self._place(app, VerificationId.of(shard, entropy), wish.target)
        return place, Events(app.name, place.id, session)

    def _place(self, app: AppSettings, id_: VerificationId, target: Target) -> Place:
        """Where a verification is; a test number is counted anew with each, so that it is never closed."""
        number = str(id_) if self._fixed.code(app, target) else target.to
        return Place(app, id_, self._number(number))

    def _number(self, number: str) -> str:
        return located(self._keyring, number)[1]

    def _target(self, app: AppSettings, id_: VerificationId, kept: Record | Counted, *, test: bool) -> Target:
        """What a verification is for; live keys do not know those of test keys, nor these those."""
        target = self._unseal(Place(app, id_), kept.key_id, kept.sealed)
        if target.test != test:
            raise VerificationNotFound
        return target

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


def located(keyring: Keyring, number: str) -> tuple[int, str]:
    """The shard of a number in E.164, and what it is called there."""
    index = keyring.index("number", number)
    return index[0] >> 2, name(index)


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
