"""A seeded walk through all verbs, held against a model of the contract's figures."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.lab import Lab, lab, other_code

if TYPE_CHECKING:
    import httpx

    from tests.servers import Server

STEPS = 2500
LIFTED = {"web": {"limits": {"requests_per_key": "100000/1s"}}}
NUMBERS = [f"+3725678904{i}" for i in range(3)]
PASSES = (10, 30, 60, 120, 300, 600, 3600, 43_200)
"""Seconds. The walk itself takes less than the shortest, and real time only adds: so no border is missed."""

CHECKS, SENDS, LIVE_CODES, LIVE, LIFETIME, KEPT = 5, 5, 2, 3, 600, 86_400
COOLDOWNS = (30, 60, 120, 300, 300)
SENDS_PER_NUMBER = ((5, 3600), (10, 86_400))
FAILED_PER_NUMBER = ((10, 3600), (20, 86_400))


@dataclass
class Expected:
    """A verification as it should be."""

    id: str
    number: Number
    created: int
    codes: list[str]
    sends: list[int]
    checks: int = 0
    closed: str | None = None

    def status(self, now: int) -> str:
        return self.closed or ("expired" if now >= self.created + LIFETIME else "pending")

    def checks_left(self) -> int:
        return CHECKS - self.checks

    def next_send(self) -> int:
        return self.sends[-1] + COOLDOWNS[len(self.sends) - 1]


@dataclass(eq=False)
class Number:
    """What is counted about a number."""

    to: str
    sends: list[tuple[str, int]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    verifications: list[Expected] = field(default_factory=list)

    def full(self, now: int) -> set[str]:
        """Why another send must wait."""
        sent = [at for _, at in self.sends]
        return {"sends_per_number"} if _spent(sent, SENDS_PER_NUMBER, now) else set()

    def closed(self, now: int) -> set[str]:
        """Why another start must wait."""
        live = sum(one.status(now) == "pending" for one in self.verifications)
        found = self.full(now) | ({"live_verifications"} if live >= LIVE else set())
        return found | (
            {"failed_checks_per_number"} if _spent(self.failures, FAILED_PER_NUMBER, now) else set()
        )

    def give_back(self, id_: str) -> None:
        """An approval gives the newest send of its verification back."""
        mine = [send for send in self.sends if send[0] == id_]
        if mine:
            self.sends.remove(mine[-1])


def _spent(events: list[int], windows: tuple[tuple[int, int], ...], now: int) -> bool:
    return any(sum(at > now - length for at in events) >= limit for limit, length in windows)


class Walk:
    """Does one random thing after another to the service and to the model."""

    def __init__(self, web: Lab, seeded: random.Random) -> None:
        self.seen: set[tuple[Any, ...]] = set()
        self._web = web
        self._random = seeded
        self._now = 0
        self._numbers = [Number(to) for to in NUMBERS]
        self._all: list[Expected] = []

    async def step(self) -> None:
        if self._random.random() < 0.3:
            await self._random.choices([self.start, self.pass_time], weights=[4, 5])[0]()
        else:
            verbs = [self.resend, self.right, self.wrong, self.outdated, self.cancel, self.fetch]
            [verb] = self._random.choices(verbs, weights=[6, 1, 10, 1, 1, 2])
            recent = self._all[-4:] if self._random.random() < 0.9 else self._all
            await verb(self._random.choice(recent))

    async def pass_time(self) -> None:
        [seconds] = self._random.choices(PASSES, weights=range(len(PASSES), 0, -1))
        self._now += seconds
        self._web.pass_time(seconds)

    async def start(self) -> None:
        number = self._random.choice(self._numbers)
        refused = number.closed(self._now)
        answer = await self._web.start(number.to)
        self._see("start", answer)
        if refused:
            assert (answer.status_code, {answer.json()["reason"]} <= refused) == (429, True)
            return
        assert answer.status_code == 201, answer.text
        one = Expected(answer.json()["id"], number, self._now, [self._web.code()], [self._now])
        number.verifications.append(one)
        number.sends.append((one.id, self._now))
        self._all.append(one)
        self._same(one, answer)

    async def resend(self, one: Expected) -> None:
        answer = await self._web.resend(one.id)
        self._see("resend", answer)
        if self._over(one, answer):
            return
        if len(one.sends) >= SENDS:
            refused = {"sends_per_verification"}
        elif self._now < one.next_send():
            refused = {"cooldown"}
        else:
            refused = one.number.full(self._now)
        if refused:
            assert (answer.status_code, {answer.json()["reason"]}) == (429, refused)
            return
        one.sends.append(self._now)
        one.number.sends.append((one.id, self._now))
        one.codes.append(self._web.code())
        self._same(one, answer)

    async def right(self, one: Expected) -> None:
        """Any of the live codes."""
        answer = await self._web.check(one.id, self._random.choice(one.codes[-LIVE_CODES:]))
        self._see("right", answer)
        if self._over(one, answer):
            return
        one.checks += 1
        one.closed = "approved"
        one.number.give_back(one.id)
        self._told(one, answer, approved=True)

    async def wrong(self, one: Expected) -> None:
        await self._miss(one, other_code(one.codes[-1]))

    async def outdated(self, one: Expected) -> None:
        """A code that newer ones have replaced."""
        await self._miss(one, one.codes[0] if len(one.codes) > LIVE_CODES else other_code(one.codes[0]))

    async def _miss(self, one: Expected, code: str) -> None:
        answer = await self._web.check(one.id, code)
        self._see("wrong", answer)
        if self._over(one, answer):
            return
        one.checks += 1
        one.number.failures.append(self._now)
        if one.checks == CHECKS:
            one.closed = "max_attempts_reached"
        self._told(one, answer, approved=False)

    async def cancel(self, one: Expected) -> None:
        answer = await self._web.cancel(one.id)
        self._see("cancel", answer)
        if not self._over(one, answer):
            one.closed = "canceled"
            self._same(one, answer)

    async def fetch(self, one: Expected) -> None:
        answer = await self._web.fetch(one.id)
        self._see("fetch", answer)
        if self._now >= one.created + KEPT:
            assert answer.status_code == 404
        else:
            self._same(one, answer)

    def _over(self, one: Expected, answer: httpx.Response) -> bool:
        """Whether it takes nothing more, as the answer must say."""
        if self._now >= one.created + KEPT:
            assert answer.status_code == 404
            return True
        status = one.status(self._now)
        if status == "pending":
            return False
        assert (answer.status_code, answer.json()["verification_status"]) == (410, status)
        return True

    def _told(self, one: Expected, answer: httpx.Response, *, approved: bool) -> None:
        body = answer.json()
        body.pop("proof", None)
        assert (answer.status_code, body) == (
            200,
            {
                "id": one.id,
                "status": one.status(self._now),
                "approved": approved,
                "checks_left": one.checks_left(),
            },
        )

    def _same(self, one: Expected, answer: httpx.Response) -> None:
        body, status = answer.json(), one.status(self._now)
        assert answer.is_success
        assert (body["status"], body["checks_left"], body["sends_left"], len(body["deliveries"])) == (
            status,
            one.checks_left(),
            SENDS - len(one.sends),
            len(one.sends),
        )
        pending = status == "pending"
        for name, moment in (("expires_in", one.created + LIFETIME), ("next_send_in", one.next_send())):
            expected = max(0, moment - self._now) if pending else 0
            assert max(0, expected - PASSES[0]) <= body[name] <= expected

    def _see(self, verb: str, answer: httpx.Response) -> None:
        why = answer.json() if not answer.is_success else {}
        self.seen.add((verb, answer.status_code, why.get("reason") or why.get("verification_status")))


class Lifecycle(RuleBasedStateMachine):
    """The same verbs as hypothesis chooses them: what fails is shrunk to the fewest steps."""

    def __init__(self, redis: Server) -> None:
        super().__init__()
        redis.flush()
        codes = itertools.count(100_000)
        draw = {"draw": lambda _: str(next(codes))}
        self._runner = asyncio.Runner()
        self._lab = lab(redis.url, seams=draw, apps=LIFTED)
        self._walk = Walk(self._runner.run(self._lab.__aenter__()), random.Random(0))  # noqa: S311 - replaced
        self._runner.run(self._walk.start())

    @rule(seeded=st.randoms(use_true_random=False))
    def do(self, seeded: random.Random) -> None:
        self._walk._random = seeded
        self._runner.run(self._walk.step())

    @rule(seeded=st.randoms(use_true_random=False))
    def guess(self, seeded: random.Random) -> None:
        """Checks of the newest verification, which a walk over all verbs reaches less often."""
        self._walk._random = seeded
        verb = seeded.choice([self._walk.wrong, self._walk.right, self._walk.outdated])
        self._runner.run(verb(self._walk._all[-1]))

    def teardown(self) -> None:
        self._runner.run(self._lab.__aexit__(None, None, None))
        self._runner.close()


@pytest.mark.slow
def test_no_sequence_that_hypothesis_finds_breaks_the_model(redis: Server) -> None:
    run_state_machine_as_test(
        lambda: Lifecycle(redis),
        settings=settings(
            max_examples=25, stateful_step_count=60, deadline=None, derandomize=True, database=None
        ),
    )


@pytest.mark.slow
async def test_whatever_is_done_in_whatever_order_the_figures_are_those_of_the_contract(
    redis: Server,
) -> None:
    seeded = random.Random(20261120)  # noqa: S311 - repeatable on purpose
    draw = {"draw": lambda length: f"{seeded.randrange(10**length):0{length}d}"}
    async with lab(redis.url, seams=draw, apps=LIFTED) as web:
        walk = Walk(web, seeded)
        await walk.start()
        for _ in range(STEPS):
            await walk.step()
    assert walk.seen >= {
        ("start", 201, None),
        ("start", 429, "failed_checks_per_number"),
        ("start", 429, "live_verifications"),
        ("start", 429, "sends_per_number"),
        ("resend", 200, None),
        ("resend", 429, "cooldown"),
        ("resend", 429, "sends_per_number"),
        ("right", 200, None),
        *(("wrong", 410, closed) for closed in ("approved", "canceled", "expired", "max_attempts_reached")),
        ("cancel", 200, None),
        ("fetch", 200, None),
        ("fetch", 404, None),
    }
