"""One send: leave for it, its code, the message, and what is written down of it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from otp_service import codes, events
from otp_service.codes import Binding
from otp_service.delivery.courier import verdict
from otp_service.errors import StoreUnavailable
from otp_service.guard import budgets
from otp_service.guard.fixed_numbers import unsent
from otp_service.guard.guard import tightest
from otp_service.guard.reservation import Reservation
from otp_service.guard.signals import Question
from otp_service.guard.subjects import Send

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from otp_service.codes import HashPool
    from otp_service.delivery.courier import Courier
    from otp_service.events import Listener
    from otp_service.guard.fixed_numbers import FixedNumbers
    from otp_service.guard.guard import Guard
    from otp_service.guard.reservation import Permit
    from otp_service.guard.watch import Watch
    from otp_service.keyring import Keyring
    from otp_service.phone import Phone
    from otp_service.proof import Signer
    from otp_service.registry import Registry
    from otp_service.settings import AppSettings, Window
    from otp_service.store.answers import Operation
    from otp_service.store.budget import Budget
    from otp_service.store.place import Place
    from otp_service.store.records import Record
    from otp_service.store.store import Store
    from otp_service.verification import RateLimit, Target, Verification

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """A code that somebody wants sent.

    Args:
        phone: To whom.
        purpose: What the code will be good for.
        target: How the message reads, and what is kept with it.
        session: The caller's name for its client's session, or None.
        address: Its client's IP address, or None.
        starts: Whether it begins a verification; another send of one knows no client.
    """

    phone: Phone
    purpose: str
    target: Target
    session: str | None = field(default=None, repr=False)
    address: str | None = field(default=None, repr=False)
    starts: bool = True


@dataclass(frozen=True, slots=True)
class Fresh:
    """A code that was counted as sent and waits to be: in clear in this process alone."""

    code: str = field(repr=False)
    hash: bytes = field(repr=False)
    limit: RateLimit | None
    leave: Reservation


@dataclass(frozen=True, slots=True)
class Parts:
    """What sends and checks are made of.

    Args:
        store: Remembers and counts.
        registry: Names and seals.
        keyring: Binds codes to what they are for.
        pool: Hashes them.
        courier: Takes them to phones.
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
    registry: Registry
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


class Dispatch:
    """Makes sends: the first of a verification, and those after it.

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
        self._installation_sends = parts.installation_sends
        self._tell = parts.tell
        self._draw = parts.draw

    def ask(self, app: AppSettings, wish: Wish) -> Permit:
        """Ask for leave for a send; meanwhile its Idempotency-Key can be claimed."""
        return self._guard.permit(self._reserve(app, wish))

    async def code(self, place: Place, wish: Wish, key_id: str, length: int) -> tuple[str, bytes]:
        """A new code, and its hash.

        Raises:
            Overloaded: The hash queue is full.
        """
        self._pool.admit()
        code = self._fixed.code(place.app, wish.target) or self._draw(length)
        binding = Binding(place.app.name, place.id, wish.phone.e164, wish.purpose, wish.target.transaction)
        return code, await binding.hash(self._pool, self._keyring, key_id, code)

    def budgets(self, place: Place, wish: Wish) -> list[Budget]:
        """What a send of a number must stay within; test numbers have none."""
        if self._fixed.code(place.app, wish.target):
            return []
        rows = budgets.of_start if wish.starts else budgets.of_send
        return rows(place.app, self._installation_sends, place.events)

    async def ask_operator(self, app: AppSettings, wish: Wish, may: Callable[[], Awaitable[bool]]) -> None:
        """Ask the operator's own endpoint for leave too, where there is one.

        A look-up there costs money: so it is asked last, and not about what is refused anyway or was sent
        before.

        Args:
            app: Whose.
            wish: What is to be sent.
            may: Says whether its number's shard would count it.

        Raises:
            Blocked: ``denied``.
            Overloaded: It gave no decision, and fails closed.
        """
        if self._guard.asks(app) and not wish.target.test and await may():
            await self._guard.ask(Question(app, wish.phone, wish.purpose, wish.address, wish.session))

    async def send(
        self,
        place: Place,
        operation: Operation,
        record: Record,
        wish: Wish,
        fresh: Fresh,
        order: Sequence[str] | None = None,
    ) -> Verification:
        """Make a counted send, write down what the providers answered, and say what it means.

        Args:
            place: Where.
            operation: The one that counted it.
            record: As the store has just left it.
            wish: What is to be sent.
            fresh: The code.
            order: The providers; as the route has them when None.

        Raises:
            Undeliverable, Blocked, DeliveryFailed: Nobody took the message.
        """
        app, id_, target = place.app, place.id, wish.target
        fresh.leave.begin(f"{place.events.short}{record.sends}")
        if self._fixed.code(app, target):
            deliveries = [unsent(record.now_ms)]
        else:
            order = order or self._courier.order(app, wish.phone, target, record.used)
            deliveries = await self._courier.deliver(app, id_, record, wish.phone, target, fresh.code, order)
        problem = verdict(deliveries, str(id_) if wish.starts else None)
        record = record.delivered(deliveries)
        failed = wish.starts and problem is not None
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

    async def _reserve(self, app: AppSettings, wish: Wish) -> Reservation:
        """Ask the guard for a send, with the client that wants it."""
        phone, target = wish.phone, wish.target
        if not self._fixed.code(app, target):
            self._guard.admit(app, phone)
        count = self._courier.preview(app, phone, target)
        if target.test:
            return Reservation()
        subjects, providers = self._guard.subjects, self._courier.providers(app, phone)
        send = Send(
            app,
            phone,
            self._registry.number(phone.e164),
            self._guard.prices.dearest(providers, phone.region) * count,
            subjects.address(app, wish.address),
            subjects.session(app, wish.session),
            starts=wish.starts,
        )
        return await self._guard.reserve(send, self._courier.lease_ms(app))
