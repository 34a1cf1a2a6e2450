"""Ledgers: reserved, settled or released once, whatever happens to a reply or to the process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as LostError

from otp_service.guard.subjects import CONVERSION
from otp_service.store import keys
from otp_service.store.client import connect
from otp_service.store.ledgers import Ledger, Ledgers, Weighed
from otp_service.store.scripts import Scripts
from otp_service.verification import RateLimit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import Server

pytestmark = pytest.mark.every_server

HOUR = 3_600_000
DAY = 24 * HOUR
LEASE = 10_000


@dataclass
class Book:
    """Ledgers on a server, whose clock a test moves, and whose replies it loses."""

    ledgers: Ledgers
    server: Server
    moved: list[int] = field(default_factory=lambda: [0])
    lose: int = 0
    members: int = 0

    async def reserve(self, *where: Ledger, member: str = "") -> list[str]:
        """Rules that refused."""
        self.members += 1
        weighed = await self.ledgers.reserve(where, member or f"m{self.members}", LEASE)
        if weighed.refusals:
            await self.ledgers.release(weighed.held, member or f"m{self.members}")
        return [finding.rule for finding in weighed.refusals]

    async def send(self, *where: Ledger, event: str = "", spent: int = 1) -> list[str]:
        refused = await self.reserve(*where)
        if not refused:
            await self.settle(*where, event=event, spent=spent)
        return refused

    async def settle(self, *where: Ledger, member: str = "", event: str = "", spent: int = 1) -> int:
        name = member or f"m{self.members}"
        till = 2**52
        reached = await self.ledgers.settle(where, name, till, event or f"{name:0>10}1", {"spend_cap": spent})
        return len(reached)

    def pass_time(self, ms: int) -> None:
        self.moved[0] += ms


@pytest.fixture
async def book(redis: Server) -> AsyncIterator[Book]:
    async with open_book(redis) as made:
        yield made


@asynccontextmanager
async def open_book(redis: Server) -> AsyncIterator[Book]:
    client = connect(redis.url)
    scripts = Scripts(client, connections=32, skew=lambda: made.moved[0])
    made = Book(Ledgers(scripts), redis)
    call = scripts._call

    async def lossy(*arguments: Any) -> Any:
        answer = await call(*arguments)
        if made.lose:
            made.lose -= 1
            raise LostError("the reply is lost")
        return answer

    scripts._call = lossy  # type: ignore[method-assign, assignment]
    try:
        await made.ledgers.reserve(ALL, "boot", LEASE, look=True)
        yield made
    finally:
        await client.aclose()


def windows(*limits: tuple[int, int], tag: str = "address", rule: str = "starts_per_address") -> Ledger:
    found = list(limits) or [(3, HOUR)]
    figures = {"windows": found, "memory": max(length for _, length in found), "mode": "enforce"}
    return Ledger("windows", tag, rule, figures)


def region(limit: int | None = 3, tag: str = "region", **figures: Any) -> Ledger:
    found = CONVERSION | {"limit": limit, "amount": 1, "lifetime": 600_000, "mode": "enforce"}
    return Ledger("region", tag, "unconverted_per_region", found | {"warning": "region_conversion"} | figures)


def block(number: str = "a", *, limit: int = 1000, **figures: Any) -> Ledger:
    found = CONVERSION | {
        "windows": [(limit, HOUR)],
        "memory": HOUR,
        "number": number,
        "lifetime": 600_000,
        "verified_days": 90,
        "mode": "enforce",
        "warning": "block_conversion",
        "starts": True,
    }
    return Ledger("block", "block", "sends_per_block", found | figures)


def money(cap: int = 100, amount: int = 10, tag: str = "money") -> Ledger:
    figures = {
        "amount": amount,
        "cap": cap,
        "line": cap * 80 // 100,
        "limit": cap * 80 // 100,
        "mode": "enforce",
    }
    return Ledger("money", tag, "spend_cap", figures)


ALL = (
    windows(),
    windows((3, HOUR), tag="session", rule="starts_per_session"),
    block(limit=3),
    region(),
    money(),
)


async def test_a_window_takes_its_limit_and_slides(book: Book) -> None:
    assert [await book.send(windows((2, HOUR), (3, DAY))) for _ in range(3)] == [
        [],
        [],
        ["starts_per_address"],
    ]
    book.pass_time(HOUR)
    assert [await book.send(windows((2, HOUR), (3, DAY))) for _ in range(2)] == [[], ["starts_per_address"]]
    book.pass_time(DAY)
    assert await book.send(windows((2, HOUR), (3, DAY))) == []


async def test_a_refusal_says_how_long_it_lasts(book: Book) -> None:
    for _ in range(3):
        await book.send(windows((3, HOUR)))
        book.pass_time(60_000)
    weighed = await book.ledgers.reserve([windows((3, HOUR))], "late", LEASE)
    [finding] = weighed.refusals
    assert (finding.figure, finding.limit, finding.window_ms) == (3, 3, HOUR)
    assert HOUR - 180_000 - 1000 < finding.wait_ms <= HOUR - 180_000


@pytest.mark.parametrize("ledger", ALL, ids=lambda ledger: ledger.rule)
async def test_concurrent_reservations_never_overshoot(book: Book, ledger: Ledger) -> None:
    answers = await asyncio.gather(*(book.reserve(ledger, member=f"c{i}") for i in range(50)))
    assert answers.count([]) == (8 if ledger.kind == "money" else 3)


@pytest.mark.parametrize("ledger", ALL, ids=lambda ledger: ledger.rule)
async def test_a_reservation_whose_process_died_is_given_back(book: Book, ledger: Ledger) -> None:
    while not await book.reserve(ledger):
        pass
    book.pass_time(LEASE)
    assert await book.reserve(ledger) == []


async def test_a_refused_send_leaves_every_counter_as_it_was(book: Book) -> None:
    for _ in range(3):
        await book.send(*ALL)
    before = book.server.dump()
    for _ in range(5):
        refused = await book.reserve(*ALL)
        assert set(refused) >= {"starts_per_address"}
    assert book.server.dump() == before


async def test_a_released_send_leaves_every_counter_as_it_was(book: Book) -> None:
    await book.send(*ALL)
    before = book.server.dump()
    await book.reserve(*ALL, member="m")
    await book.ledgers.release(ALL, "m")
    await book.ledgers.release(ALL, "m")
    assert book.server.dump() == before


@pytest.mark.parametrize("ledger", ALL, ids=lambda ledger: ledger.rule)
async def test_lost_replies_never_count_twice(book: Book, ledger: Ledger) -> None:
    for _ in range(3):
        book.lose = 1
        assert await book.reserve(ledger) == []
        book.lose = 1
        await book.settle(ledger, spent=20)
        await book.settle(ledger, spent=20)
    if ledger.kind == "money":
        assert await book.reserve(ledger) == []  # 60 of 80 are spent
        await book.settle(ledger, spent=20)
    assert await book.reserve(ledger) == [ledger.rule]


async def test_a_send_that_took_longer_than_its_lease_counts(book: Book) -> None:
    await book.reserve(*ALL, member="slow")
    book.pass_time(LEASE)
    await book.reserve(*ALL, member="other")  # takes off what has lapsed
    await book.ledgers.release(ALL, "other")
    till = (await book.ledgers.reserve([windows()], "x", LEASE, look=True)).now_ms
    await book.ledgers.settle(ALL, "slow", till, "slow......1", {"spend_cap": 80})
    assert await book.reserve(money()) == ["spend_cap"]
    for _ in range(2):
        assert await book.send(*ALL[:-1]) == []
    assert await book.reserve(*ALL[:-1]) != []


@pytest.mark.parametrize("ledger", [region(), money()], ids=["region", "money"])
async def test_a_lease_that_runs_out_while_nobody_looks_is_given_back(book: Book, ledger: Ledger) -> None:
    await book.ledgers.reserve([ledger], "long", LEASE)
    await book.ledgers.reserve([ledger], "killed", 1)
    await asyncio.sleep(0.01)  # by the server's own clock, which makes its keys go
    await book.ledgers.release([ledger], "long")
    assert await book.reserve(ledger) == []
    [found] = await book.ledgers.figures([ledger])
    assert found.reserved == ledger.figures["amount"]


@pytest.mark.parametrize("ledger", [region(), money()], ids=["region", "money"])
async def test_what_is_counted_as_reserved_and_by_nobody_is_nothing(book: Book, ledger: Ledger) -> None:
    await book.reserve(ledger)
    book.server.run("DEL", keys.ledger(ledger.tag, "p"))
    assert await book.reserve(ledger) == []
    [found] = await book.ledgers.figures([ledger])
    assert found.reserved == ledger.figures["amount"]


async def test_looking_reserves_nothing(book: Book) -> None:
    await book.ledgers.reserve(ALL, "look", LEASE, look=True)
    assert book.server.names() == []


async def test_a_region_takes_sends_less_approvals_or_as_many_as_are_approved(book: Book) -> None:
    for i in range(3):
        assert await book.send(region(), event=f"v{i:0>9}1") == []
    assert await book.reserve(region()) == ["unconverted_per_region"]
    now = (await book.ledgers.reserve([region()], "look", LEASE, look=True)).now_ms
    for i in range(3):
        book.lose = 1
        await book.ledgers.credit([region()], f"v{i:0>9}", now)
    assert [await book.send(region()) for _ in range(4)] == [[], [], [], ["unconverted_per_region"]]
    for i in range(10):
        await book.ledgers.credit([region()], f"w{i:0>9}", now)
    assert await book.send(region()) == []  # 13 are approved


async def test_a_days_counts_leave_by_half_hours(book: Book) -> None:
    for _ in range(3):
        await book.send(region(), money())
        book.pass_time(8 * HOUR)
    waits = []
    while (weighed := await book.ledgers.reserve([region()], "w", LEASE)).refusals:
        [finding] = weighed.refusals
        waits.append(finding.wait_ms)
        book.pass_time(finding.wait_ms)
    assert len(waits) <= 1
    assert 0 < sum(waits) <= HOUR // 2
    book.pass_time(3 * DAY)
    assert [await book.send(region(tag="region")) for _ in range(4)] == [
        [],
        [],
        [],
        ["unconverted_per_region"],
    ]


async def test_an_approval_gives_back_all_sends_of_its_verification(book: Book) -> None:
    for send in (1, 2, 3):
        assert await book.send(windows(), block(limit=3), event=f"v{0:0>9}{send}") == []
    assert set(await book.reserve(windows(), block(limit=3))) == {"starts_per_address", "sends_per_block"}
    await book.ledgers.credit([windows(), block(limit=3)], f"v{0:0>9}", 0)
    for _ in range(3):
        assert await book.send(windows(), block(limit=3)) == []


async def test_the_last_fifth_of_money_is_kept_and_its_line_is_told_once(book: Book) -> None:
    reached = []
    for _ in range(8):
        assert await book.reserve(money()) == []
        reached.append(await book.settle(money(), spent=10))
    assert reached == [0] * 7 + [1]
    assert await book.reserve(money()) == ["spend_cap"]
    whole = Ledger("money", "money", "spend_cap", {**money().figures, "limit": 100})
    for _ in range(2):
        assert await book.reserve(whole) == []
        assert await book.settle(whole, spent=10) == 0
    assert await book.reserve(whole) == ["spend_cap"]


async def pumped(book: Book, verifications: int, approved: int) -> None:
    """So many verifications of a block, all of them over."""
    for i in range(verifications):
        await book.send(block(f"n{i}"), event=f"p{i:0>9}1")
    now = (await book.ledgers.reserve([block()], "look", LEASE, look=True)).now_ms
    for i in range(approved):
        await book.ledgers.credit([block(f"n{i}")], f"p{i:0>9}", now)
    book.pass_time(HOUR)


@pytest.mark.parametrize(
    ("verifications", "approved", "refused"), [(20, 3, True), (20, 4, False), (19, 0, False)]
)
async def test_a_block_below_a_fifth_is_closed_for_twelve_hours(
    book: Book, verifications: int, approved: int, *, refused: bool
) -> None:
    await pumped(book, verifications, approved)
    for wait in (0, 11 * HOUR + 3_500_000):
        book.pass_time(wait)
        assert await book.reserve(block()) == (["pumping_suspected"] if refused else [])
    book.pass_time(200_000)
    assert await book.reserve(block()) == []


async def test_verifications_that_may_still_come_back_do_not_count(book: Book) -> None:
    for i in range(30):
        assert await book.send(block(), event=f"p{i:0>9}1") == []
    book.pass_time(599_000)
    assert await book.reserve(block()) == []


async def test_a_low_conversion_is_noted_once(book: Book) -> None:
    await pumped(book, 20, 9)
    noted = [(await book.ledgers.reserve([block()], f"l{i}", LEASE)).noted for i in range(3)]
    assert [[(each.rule, each.figure) for each in one] for one in noted] == [
        [("block_conversion", 45)],
        [],
        [],
    ]


async def test_recording_lets_pass_and_says_what_it_would_have_done(book: Book) -> None:
    await pumped(book, 20, 0)
    for i in range(2):
        weighed = await book.ledgers.reserve([block("n99", mode="record")], f"r{i}", LEASE)
        assert [finding.rule for finding in weighed.recorded] == ["pumping_suspected"]
        assert weighed.held


async def test_a_block_that_was_lifted_is_open_at_once(book: Book) -> None:
    await pumped(book, 20, 0)
    assert await book.reserve(block()) == ["pumping_suspected"]
    assert await book.ledgers.lift(block())
    assert await book.reserve(block()) == []


async def test_a_number_is_known_as_verified_for_ninety_days(book: Book) -> None:
    await book.send(block("n1"), event=f"v{0:0>9}1")
    now = (await book.ledgers.reserve([block()], "look", LEASE, look=True)).now_ms
    await book.ledgers.credit([block("n1")], f"v{0:0>9}", now)
    trust = []
    for days in (0, 90, 1):
        book.pass_time(days * DAY)
        trust.append(
            [(await book.ledgers.reserve([block(n)], "t", LEASE, look=True)).trust for n in ("n1", "n2")]
        )
    assert trust == [[2, 1], [2, 0], [0, 0]]


async def test_every_key_of_a_ledger_goes_by_itself(book: Book) -> None:
    await book.send(*ALL)
    await book.reserve(*ALL)
    await book.ledgers.credit(ALL[:-1], "v", 0)
    assert all(book.server.run("PTTL", name) > 0 for name in book.server.names())


@pytest.fixture(params=[False, True], ids=["together", "apart"])
def each(book: Book, request: pytest.FixtureRequest) -> Book:
    """A book whose ledgers are asked in one call, where that can be, and one that asks each by itself."""
    book.ledgers._scripts.clustered |= request.param
    return book


async def test_what_was_refused_is_held_in_no_ledger_of_its_call(each: Book) -> None:
    narrow, wide = windows((1, HOUR)), region()
    first = await each.ledgers.reserve([narrow, wide], "m1", LEASE)
    second = await each.ledgers.reserve([narrow, wide], "m2", LEASE)
    assert (first.held, [finding.rule for finding in first.refusals]) == ([narrow, wide], [])
    held = [wide] if each.ledgers._scripts.clustered else []
    assert (second.held, [finding.rule for finding in second.refusals]) == (held, ["starts_per_address"])


async def test_to_look_is_to_hold_nothing(each: Book) -> None:
    ledgers = [windows((1, HOUR)), region(limit=1)]
    for _ in range(2):
        weighed = await each.ledgers.reserve(ledgers, "m", LEASE, look=True)
        assert (weighed.held, weighed.refusals) == ([], [])


async def test_of_no_ledgers_nothing_is_known(each: Book) -> None:
    weighed = await each.ledgers.reserve([], "m", LEASE)
    assert weighed == Weighed(now_ms=0, held=[], refusals=[], recorded=[], noted=[], tightest=None, trust=0)
    assert await each.ledgers.settle([], "m", 0, "event", {}) == []
    assert await each.ledgers.figures([]) == []


@pytest.mark.parametrize("first", [0, 1])
async def test_the_limit_of_which_least_is_left_is_told(each: Book, first: int) -> None:
    ledgers = [windows((5, HOUR)), windows((2, HOUR), tag="session", rule="starts_per_session")]
    weighed = await each.ledgers.reserve([ledgers[first], ledgers[1 - first], money()], "m", LEASE)
    assert weighed.tightest == RateLimit("starts_per_session", 2, 3600, 1, 3600)
    assert weighed.now_ms > 1_700_000_000_000


async def test_a_number_that_was_verified_is_trusted_and_the_next_is_not(book: Book) -> None:
    weighed = [await book.ledgers.reserve([block("a")], f"m{i}", LEASE) for i in range(2)]
    await book.settle(block("a"), member="m1", event="verified001")
    await book.ledgers.credit([block("a")], "verified00", weighed[0].now_ms)
    trusts = [(await book.ledgers.reserve([block(name)], f"n{name}", LEASE)).trust for name in "ab"]
    assert trusts == [2, 1]
