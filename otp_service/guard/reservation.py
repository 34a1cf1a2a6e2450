"""One send, reserved where it is counted: settled when it was made, given back when it was not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from otp_service.verification import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from types import TracebackType
    from typing import Self

    from otp_service.guard.guard import Guard
    from otp_service.guard.subjects import Send
    from otp_service.store.ledgers import Ledger
    from otp_service.verification import Delivery, RateLimit


class Reservation:
    """Leave for one send. What test keys send is counted nowhere: its reservation is empty.

    Args:
        guard: Settles it and gives it back.
        send: What it is for.
        ledgers: Where it is reserved.
        member: What it is called there.
        till_ms: When its lease is over.
        limit: What is left where least is.
    """

    def __init__(
        self,
        guard: Guard | None = None,
        send: Send | None = None,
        ledgers: Sequence[Ledger] = (),
        member: str = "",
        till_ms: int = 0,
        limit: RateLimit | None = None,
    ) -> None:
        self._guard = guard
        self._send = send
        self._ledgers = ledgers
        self._member = member
        self._till_ms = till_ms
        self._event: str | None = None
        self.limit = limit

    @property
    def address(self) -> str:
        """The tag of its client's address."""
        return self._send.address if self._send else ""

    @property
    def held(self) -> bool:
        """Whether it is neither settled nor given back."""
        return bool(self._ledgers)

    def begin(self, event: str) -> None:
        """Note that the message is on its way: from here on it may have gone.

        Args:
            event: What an approval gives back: the verification's short name, and the send's number.
        """
        self._event = event

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        """Count the send as what came of it; one that certainly did not go is given back."""
        if all(delivery.outcome is Outcome.UNAVAILABLE for delivery in deliveries):
            self._event = None
        await self._end(deliveries)

    async def close(self) -> None:
        """Give back what was not sent; what may have been, and nobody knows, counts at its highest price."""
        await self._end(None)

    async def _end(self, deliveries: Sequence[Delivery] | None) -> None:
        if not self._ledgers or not self._guard or not self._send:
            return
        if self._event is None:
            await self._guard.release(self._ledgers, self._member)
        else:
            await self._guard.settle(
                self._send, self._ledgers, self._member, self._till_ms, self._event, deliveries
            )
        self._ledgers = ()  # not before: whoever hangs up meanwhile leaves this to the permit


class Permit:
    """A reservation that is on its way. What is neither settled nor given back when its block ends, is then.

    Args:
        asking: Reserves.
        later: Does what nobody waits for.
    """

    def __init__(
        self, asking: Coroutine[Any, Any, Reservation], later: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self._asking = asyncio.create_task(asking)
        self._later = later

    async def granted(self) -> Reservation:
        """The reservation.

        Raises:
            Throttled, Blocked: It was refused.
        """
        return await asyncio.shield(self._asking)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        open_ = not self._asking.done() or (self._asking.exception() is None and self._asking.result().held)
        if open_:
            self._later(self._close())

    async def _close(self) -> None:
        reservation = await self._asking
        await reservation.close()
