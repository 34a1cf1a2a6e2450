"""The chain: one try for each provider, within one deadline, whatever a provider does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service.delivery.chain import Chain
from otp_service.delivery.provider import Answer, Callback, Message, Outcome, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Stub:
    """A provider that does as it is told."""

    signs_receipts = False

    def __init__(self, name: str, does: Callable[[], Answer]) -> None:
        self.name = name
        self.sent: list[Message] = []
        self._does = does

    async def send(self, message: Message) -> Answer:
        self.sent.append(message)
        return self._does()

    def receipts(self, _: Callback) -> Sequence[Receipt]:
        return ()


def compose(attempt: int, provider: str) -> Message:
    return Message("+37256789045", "EE", "123456", 600, f"{provider}{attempt}", None)


def broken() -> Answer:
    raise ZeroDivisionError("+37256789045")


async def delivered(*providers: Stub, clock: Callable[[], float]) -> list[tuple[str, str, int]]:
    chain = Chain({each.name: each for each in providers}, {each.name: 3 for each in providers}, clock)
    tries = await chain.deliver(
        [each.name for each in providers], compose, deadline=8, began_ms=1000, segments=1
    )
    return [(delivery.outcome.value, delivery.reason, delivery.at) for delivery, _ in tries]


async def test_an_exception_that_nobody_listed_may_have_gone_out() -> None:
    good = Stub("good", lambda: Answer(Outcome.ACCEPTED))
    answers = await delivered(Stub("bad", broken), good, clock=lambda: 0.0)
    assert answers == [("unknown", "ZeroDivisionError", 1000), ("accepted", "", 1000)]


async def test_past_the_deadline_nobody_else_is_tried() -> None:
    moments = iter([0.0, 0.0, 8.0, 8.0])
    late = Stub("late", lambda: Answer(Outcome.ACCEPTED))
    slow = Stub("slow", lambda: Answer(Outcome.UNAVAILABLE))
    assert await delivered(slow, late, clock=lambda: next(moments)) == [("unavailable", "", 1000)]
    assert late.sent == []


async def test_each_try_has_a_name_of_its_own() -> None:
    stubs = [Stub(name, lambda: Answer(Outcome.UNAVAILABLE)) for name in ("a", "b")]
    await delivered(*stubs, clock=lambda: 0.0)
    assert [stub.sent[0].attempt for stub in stubs] == ["a1", "b2"]
