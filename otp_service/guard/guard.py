"""May we pay for this send? Asked of everything that is counted about one, but its number."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otp_service import events
from otp_service.errors import Blocked, Problem, Throttled
from otp_service.guard import admission
from otp_service.guard.reservation import Permit, Reservation
from otp_service.guard.spend import MICRO
from otp_service.guard.subjects import INSTALLATION, PUMPING, SPEND_CAP, TRUSTS, VERIFIED, trusted
from otp_service.store.answers import seconds
from otp_service.verification import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from otp_service.events import Listener
    from otp_service.guard.locks import Locks
    from otp_service.guard.signals import Question, Signals
    from otp_service.guard.spend import Prices
    from otp_service.guard.subjects import Send, Subjects
    from otp_service.phone import Phone
    from otp_service.settings import AppSettings
    from otp_service.store.ledgers import Figures, Finding, Ledger, Ledgers, Weighed
    from otp_service.verification import Delivery

_NEVER: Final = VERIFIED + 1


class Guard:
    """Reserves sends where they are counted, settles them, and gives back.

    Args:
        subjects: What is counted.
        ledgers: Where.
        prices: What a send costs.
        locks: What operators have locked.
        signals: What the operator's own endpoints say.
        tell: Hears of every refusal, and of what would have been one.
        random: Returns that many random bytes.
        deny: Prefixes that are never sent to.
    """

    def __init__(
        self,
        subjects: Subjects,
        ledgers: Ledgers,
        prices: Prices,
        locks: Locks,
        signals: Signals,
        tell: Listener,
        random: Callable[[int], bytes],
        deny: tuple[str, ...] = (),
    ) -> None:
        self.subjects = subjects
        self.prices = prices
        self._ledgers = ledgers
        self._locks = locks
        self._signals = signals
        self._tell = tell
        self._random = random
        self._deny = deny
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, app: AppSettings, phone: Phone) -> None:
        """Let pass what the configuration lets pass, and no operator has locked.

        Raises:
            Blocked: ``denied``, ``number_type`` or ``country_not_allowed``.
        """
        if lock := self._locks.of(phone):
            self._tell(_refused(app, phone, "locked", lock.reason, "", enforced=True))
            raise admission.denied()
        try:
            admission.admit(app, phone, self._deny)
        except Blocked as refusal:
            figure = phone.line_type.value if refusal.reason == "number_type" else phone.region
            self._tell(_refused(app, phone, refusal.reason or "", figure, "", enforced=True))
            raise

    @contextmanager
    def explaining(self, app: AppSettings, phone: Phone) -> Iterator[None]:
        """Tell the operator which budget of a number refuses a send."""
        try:
            yield
        except Throttled as refusal:
            quota = str(refusal.limit.quota) if refusal.limit else ""
            self._tell(_refused(app, phone, refusal.reason or "", quota, quota, enforced=True))
            raise

    def permit(self, asking: Coroutine[Any, Any, Reservation]) -> Permit:
        """Leave for one send, as soon as somebody has it."""
        return Permit(asking, self.later)

    def asks(self, app: AppSettings) -> bool:
        """Whether an app has an endpoint of its operator's own."""
        return self._signals.asks(app)

    async def ask(self, question: Question) -> None:
        """Ask the operator's own endpoint about a send that is reserved.

        Raises:
            Blocked: ``denied``.
            Overloaded: It gave no decision, and fails closed.
        """
        await self._signals.ask(question)

    async def reserve(self, send: Send, lease_ms: int) -> Reservation:
        """Reserve a send in all its ledgers, or in none.

        Args:
            send: What is to be sent.
            lease_ms: How long it may take once nothing is left to be asked; then it is given back by itself.

        Raises:
            Throttled, Blocked: By the rule that refuses for longest.
        """
        ledgers = self.subjects.of(send)
        if not ledgers:
            return Reservation()
        member = self._random(8).hex()
        lease_ms += self._signals.longest_ms(send.app)
        try:
            weighed = await self._weigh(ledgers, member, lease_ms)
        except BaseException:
            self.later(self._ledgers.release(ledgers, member))
            raise
        self._explain(send, weighed)
        if weighed.refusals:
            if weighed.held:
                self.later(self._ledgers.release(weighed.held, member))
            raise _problem(max(weighed.refusals, key=lambda finding: finding.wait_ms))
        return Reservation(self, send, weighed.held, member, weighed.now_ms + lease_ms, weighed.tightest)

    async def settle(
        self,
        send: Send,
        ledgers: Sequence[Ledger],
        member: str,
        till_ms: int,
        event: str,
        deliveries: Sequence[Delivery] | None,
    ) -> None:
        """Count a reserved send as made, for what it did cost; for what it may at most, if nobody knows."""
        cost = send.cost if deliveries is None else self.prices.of(deliveries, send.phone.region)
        reached = await self._ledgers.settle(ledgers, member, till_ms, event, {SPEND_CAP: cost})
        for ledger, figure in reached:
            app = "" if ledger.name == INSTALLATION else send.app.name
            if ledger.kind == "money":
                self._tell(events.SpendReached(app, _units(figure), _units(ledger.figures["cap"])))
            else:
                self._tell(events.AddressRoams(app, figure, ledger.figures["countries"]))

    async def release(self, ledgers: Sequence[Ledger], member: str) -> None:
        """Give back what was reserved."""
        await self._ledgers.release(ledgers, member)

    async def figures(self, ledgers: Sequence[Ledger]) -> list[Figures]:
        """What is counted in each ledger; nothing changes."""
        return await self._ledgers.figures(ledgers)

    async def lift(self, app: AppSettings, phone: Phone) -> bool:
        """Open a number's block if it was closed, with nothing held against it; whether anything was."""
        return await self._ledgers.lift(self.subjects.block(app, phone))

    def approved(self, send: Send, verification: str, began_ms: int) -> None:
        """Give back what an approval gives back; nobody waits for it.

        Args:
            send: The start, as it was counted.
            verification: Its short name.
            began_ms: When it was started.
        """
        if ledgers := self.subjects.of_approval(send):
            self.later(self._ledgers.credit(ledgers, verification, began_ms))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what nobody waits for; what Redis does not take is left to the leases."""

        async def quietly() -> None:
            with suppress(Problem):
                await work

        task = asyncio.create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _weigh(self, ledgers: Sequence[Ledger], member: str, lease_ms: int) -> Weighed:
        weighed = await self._ledgers.reserve(ledgers, member, lease_ms)
        if weighed.refusals and all(_passed(finding, weighed.trust) for finding in weighed.refusals):
            ledgers = [trusted(ledger, weighed.trust) for ledger in ledgers]
            passed = await self._ledgers.reserve(ledgers, member, lease_ms)
            return replace(passed, noted=[*weighed.noted, *passed.noted])  # an alarm is raised once
        return weighed

    def _explain(self, send: Send, weighed: Weighed) -> None:
        """Tell the operator by which figure and limit a send was refused, or would have been."""
        for finding in weighed.noted:
            number, region = send.phone.e164, send.phone.region
            self._tell(
                events.Pumped.of(send.app.name, finding.rule, number, region, finding.figure, finding.limit)
            )
        for finding in weighed.refusals:
            self._tell(_found(send, finding, enforced=True))
        for finding in weighed.recorded:
            if not _passed(finding, weighed.trust):
                self._tell(_found(send, finding, enforced=False))


def tightest(*limits: RateLimit | None) -> RateLimit | None:
    """The limit of which least is left."""
    return min((limit for limit in limits if limit), key=lambda limit: limit.left, default=None)


def _passed(finding: Finding, trust: int) -> bool:
    return trust >= TRUSTS.get(finding.rule, _NEVER)


def _problem(finding: Finding) -> Problem:
    wait = seconds(finding.wait_ms)
    if finding.rule == PUMPING:
        return Blocked("Too few codes sent to numbers near this one have come back.", reason=PUMPING)
    limit = finding.limit // MICRO if finding.rule == SPEND_CAP else finding.limit
    return Throttled(
        f"Not yet: try again in {wait} seconds.",
        reason=finding.rule,
        retry_after=wait,
        limit=RateLimit(finding.rule, limit, finding.window_ms // 1000, 0, wait),
    )


def _found(send: Send, finding: Finding, *, enforced: bool) -> events.Event:
    show = _units if finding.rule == SPEND_CAP else str
    figure, limit = show(finding.figure), show(finding.limit)
    return _refused(send.app, send.phone, finding.rule, figure, limit, enforced=enforced)


def _refused(
    app: AppSettings, phone: Phone, rule: str, figure: str, limit: str, *, enforced: bool
) -> events.Event:
    return events.SendRefused.of(app.name, phone.e164, rule, figure, limit, enforced=enforced)


def _units(amount: int) -> str:
    return f"{amount / MICRO:g}"
