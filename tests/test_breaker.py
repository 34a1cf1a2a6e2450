"""Circuit breakers: when one opens, for whom, who may probe, and what a start notices of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from otp_service.delivery.breaker import LASTING_MS, OPEN_MS, Breakers
from otp_service.delivery.circuit import IN_ROW, LEAST_CALLS
from otp_service.delivery.learning import Learning
from otp_service.delivery.provider import Answer, Outcome
from otp_service.events import BreakerClosed, BreakerOpened
from otp_service.store.experience import LEASE_MS, Experience
from tests import faults_http
from tests.faults_http import FaultServer, Reply
from tests.lab import Lab, bearer, code_in, lab
from tests.test_delivery import SMSPM_OK, TWILIO_OK, smspm, twilio
from tests.test_metrics import counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from otp_service.events import Event
    from tests.servers import Server

TAKEN = Answer(Outcome.ACCEPTED)
REFUSED = Answer(Outcome.UNAVAILABLE, "21408")
NO_WIRE = Answer(Outcome.UNAVAILABLE, "connect_failed")
LIFTED = {
    "sends_per_number": (),
    "failed_checks_per_number": (),
    "starts_per_address": (),
    "sends_per_block": (),
    "unconverted_per_region": None,
    "live_verifications": None,
    "requests_per_key": "9999999/1s",
}


class Bench:
    """Breakers, and hands on their clock."""

    def __init__(self) -> None:
        self.now = 0
        self.told: list[Event] = []
        self.breakers = Breakers(lambda: self.now, self.told.append)

    def hear(self, answer: Answer, *regions: str, times: int = 1) -> None:
        """Answers of one provider, one after another; a try that is not allowed is not made."""
        for _ in range(times):
            for region in regions or ("EE",):
                if turn := self.breakers.turn("a", region):
                    turn.heard(answer)

    def open(self, region: str = "EE") -> bool:
        return self.breakers.turn("a", region) is None


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Opening


def test_five_failures_in_a_row_open(bench: Bench) -> None:
    bench.hear(REFUSED, times=IN_ROW - 1)
    assert not bench.open()
    bench.hear(REFUSED)
    assert bench.open()


def test_a_success_in_between_starts_the_row_anew(bench: Bench) -> None:
    for _ in range(2):
        bench.hear(REFUSED, times=IN_ROW - 1)
        bench.hear(TAKEN)
    assert not bench.open()


@pytest.mark.parametrize("outcome", [Outcome.UNDELIVERABLE, Outcome.BLOCKED])
def test_a_sound_answer_about_a_bad_number_is_a_success(bench: Bench, outcome: Outcome) -> None:
    bench.hear(Answer(outcome), times=2 * LEAST_CALLS)
    assert not bench.open()


def test_an_unknown_fate_is_a_failure(bench: Bench) -> None:
    bench.hear(Answer(Outcome.UNKNOWN, "timeout"), times=IN_ROW)
    assert bench.open()


def test_half_of_twenty_opens(bench: Bench) -> None:
    for _ in range(LEAST_CALLS // 2 - 1):
        bench.hear(TAKEN)
        bench.hear(REFUSED)
    bench.hear(TAKEN)
    assert not bench.open()
    bench.hear(REFUSED)
    assert bench.open()


def test_less_than_half_of_many_does_not_open(bench: Bench) -> None:
    for _ in range(3 * LEAST_CALLS):
        bench.hear(TAKEN, times=2)
        bench.hear(REFUSED)
    assert not bench.open()


def test_calls_of_more_than_half_a_minute_ago_are_forgotten(bench: Bench) -> None:
    for _ in range(LEAST_CALLS // 2 - 1):
        bench.hear(TAKEN)
        bench.hear(REFUSED)
    bench.now += 30_000
    bench.hear(TAKEN)
    bench.hear(REFUSED)
    assert not bench.open()


# For whom


def test_a_country_that_is_refused_is_open_alone(bench: Bench) -> None:
    bench.hear(REFUSED, "EE", times=2 * LEAST_CALLS)
    assert bench.open("EE")
    assert not bench.open("US")


def test_refusals_in_two_countries_open_the_provider_for_all(bench: Bench) -> None:
    bench.hear(REFUSED, "EE", "US", times=3)
    assert bench.open("DE")


def test_a_wire_that_fails_in_one_country_opens_the_provider_for_all(bench: Bench) -> None:
    bench.hear(NO_WIRE, "EE", times=IN_ROW)
    assert bench.open("US")


def test_another_provider_is_not_concerned(bench: Bench) -> None:
    bench.hear(NO_WIRE, times=IN_ROW)
    assert bench.breakers.turn("b", "EE")


def test_refused_credentials_open_for_all_at_once_and_for_five_minutes(bench: Bench) -> None:
    bench.hear(Answer(Outcome.UNAVAILABLE, "20003", lasting=True))
    assert bench.open("US")
    assert bench.breakers.states()["a"] == LASTING_MS


def test_an_answer_from_before_the_opening_does_not_close(bench: Bench) -> None:
    late = bench.breakers.turn("a", "EE")
    bench.hear(NO_WIRE, times=IN_ROW)
    assert late
    late.heard(TAKEN)
    assert bench.open()


def test_the_last_resort_is_the_one_open_longest_and_its_success_closes(bench: Bench) -> None:
    for provider in ("a", "b"):
        for _ in range(IN_ROW):
            turn = bench.breakers.turn(provider, "EE")
            assert turn
            turn.heard(NO_WIRE)
        bench.now += 1000
    turn = bench.breakers.last_resort(["b", "a"], "EE")
    assert turn.provider == "a"
    turn.heard(TAKEN)
    assert bench.breakers.turn("a", "EE")


def test_opening_and_closing_are_told_once(bench: Bench) -> None:
    bench.hear(REFUSED, times=2 * IN_ROW)
    for _ in range(2):
        bench.breakers.last_resort(["a"], "EE").heard(REFUSED)
    bench.breakers.last_resort(["a"], "EE").heard(TAKEN)
    assert bench.told == [BreakerOpened("a", "EE", 30, "21408"), BreakerClosed("a", "EE")]


# All processes


def processes(web: Lab, count: int) -> list[Learning]:
    """What several processes learn over one Redis, on the clock of a lab."""
    return [
        Learning(
            Experience(web.service.scripts),
            lambda: web.moved[0],
            lambda _: None,
            lambda *_: None,
            str(number),
        )
        for number in range(count)
    ]


def fail(process: Learning, answer: Answer = NO_WIRE, times: int = IN_ROW) -> None:
    for _ in range(times):
        if turn := process.breakers.turn("a", "EE"):
            turn.heard(answer)


async def exchange(*learning: Learning) -> None:
    await asyncio.gather(*(each.exchange() for each in learning))


async def ask(all_: Sequence[Learning], times: int = 1) -> list[Any]:
    """Let each process want a turn, then exchange, then take as many as there are."""
    for each in all_:
        each.breakers.turn("a", "EE")
    await exchange(*all_)
    turns = [each.breakers.turn("a", "EE") for each in all_ for _ in range(times)]
    return [turn for turn in turns if turn]


@pytest.mark.every_server
async def test_what_one_process_opens_is_open_in_all(web: Lab) -> None:
    first, second = processes(web, 2)
    fail(first)
    await exchange(first)
    await exchange(second)
    assert second.breakers.turn("a", "EE") is None


@pytest.mark.every_server
async def test_before_half_a_minute_nobody_may_probe(web: Lab) -> None:
    all_ = processes(web, 3)
    fail(all_[0])
    await exchange(*all_)
    web.pass_time(OPEN_MS / 1000 - 1)
    assert await ask(all_) == []


@pytest.mark.every_server
async def test_of_many_processes_and_starts_exactly_one_may_probe(web: Lab) -> None:
    all_ = processes(web, 8)
    fail(all_[0])
    await exchange(all_[0])
    await exchange(*all_)
    web.pass_time(OPEN_MS / 1000 + 1)
    assert len(await ask(all_, times=10)) == 1
    assert await ask(all_, times=10) == []


@pytest.mark.every_server
async def test_a_probe_that_succeeds_closes_for_all(web: Lab) -> None:
    all_ = processes(web, 3)
    fail(all_[0])
    await exchange(all_[0])
    await exchange(*all_)
    web.pass_time(OPEN_MS / 1000 + 1)
    [probe] = await ask(all_)
    probe.heard(TAKEN)
    await exchange(*all_)
    await exchange(*all_)
    assert all(each.breakers.turn("a", "EE") for each in all_)


@pytest.mark.every_server
async def test_a_probe_that_fails_keeps_it_open_for_another_half_minute(web: Lab) -> None:
    all_ = processes(web, 3)
    fail(all_[0])
    await exchange(all_[0])
    await exchange(*all_)
    web.pass_time(OPEN_MS / 1000 + 1)
    [probe] = await ask(all_)
    probe.heard(NO_WIRE)
    await exchange(*all_)
    web.pass_time(OPEN_MS / 1000 - 1)
    assert await ask(all_) == []
    web.pass_time(2)
    assert len(await ask(all_)) == 1


@pytest.mark.every_server
async def test_a_process_that_dies_with_its_probe_gives_it_back_by_the_lease(web: Lab) -> None:
    all_ = processes(web, 2)
    fail(all_[0])
    await exchange(all_[0])
    await exchange(*all_)
    web.pass_time(OPEN_MS / 1000 + 1)
    assert len(await ask(all_)) == 1
    web.pass_time(LEASE_MS / 1000)
    assert len(await ask(all_)) == 1


@pytest.mark.every_server
async def test_refused_credentials_stay_open_for_five_minutes_in_all(web: Lab) -> None:
    first, second = processes(web, 2)
    fail(first, Answer(Outcome.UNAVAILABLE, "http_401", lasting=True), times=1)
    await exchange(first)
    await exchange(second)
    web.pass_time(LASTING_MS / 1000 - 2)
    assert await ask([second]) == []
    web.pass_time(3)
    assert len(await ask([second])) == 1


async def test_what_redis_did_not_hear_is_told_when_it_is_back(web: Lab, redis: Server) -> None:
    first, second = processes(web, 2)
    fail(first)
    redis.run("CONFIG", "SET", "maxmemory", 1)
    redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await exchange(first)
    redis.run("CONFIG", "SET", "maxmemory", 0)
    await exchange(first)
    await exchange(second)
    assert first.breakers.turn("a", "EE") is None
    assert second.breakers.turn("a", "EE") is None


# Starts


@asynccontextmanager
async def routed(redis: Server, first: str, second: str, **more: Any) -> AsyncIterator[Lab]:
    """A route of two, smspm then twilio, without budgets."""
    changes: dict[str, Any] = {
        "apps": {"web": {"limits": LIFTED}},
        "limits": {"sends_per_number": ()},
        "providers": {"first": smspm(first, timeout_seconds=0.1), "second": twilio(second)},
        "routes": {"default": {"providers": ["first", "second"]}},
    }
    async with lab(redis.url, key="live1", **changes, **more) as made:
        yield made


def numbers(count: int) -> Iterator[str]:
    return (f"+3725{6000000 + number}" for number in range(count))


def codes(server: FaultServer) -> dict[str, str]:
    """What each number was sent."""
    found = {}
    for request in server.requests:
        form = parse_qs(request.body.decode())
        if "Body" in form:
            found[form["To"][0]] = code_in(form["Body"][0])
        else:
            message = json.loads(request.body)
            found["+" + str(message["toNumber"]).lstrip("+")] = code_in(message["text"])
    return found


async def in_batches(live: Lab, count: int, seconds: float, size: int = 20) -> list[tuple[str, Any]]:
    """Starts to as many numbers, some at once; time passes between, and processes exchange."""
    answered = []
    wanted = list(numbers(count))
    for at in range(0, count, size):
        batch = wanted[at : at + size]
        answered += list(zip(batch, await asyncio.gather(*(live.start(to) for to in batch)), strict=True))
        live.pass_time(seconds * size / count)
        await live.service.learning.exchange()
    return answered


async def test_a_provider_that_records_and_never_answers_is_left_alone_and_every_code_works(
    redis: Server,
) -> None:
    async with (
        FaultServer(faults_http.hang_after_request) as silent,
        FaultServer(reply=TWILIO_OK) as good,
        routed(redis, silent.url, good.url) as live,
    ):
        answered = await in_batches(live, 500, seconds=120)
        assert {answer.status_code for _, answer in answered} == {201}
        last = [answer.json()["deliveries"] for _, answer in answered[-100:]]
        assert Counter(each["provider"] for tries in last for each in tries)["first"] < 20
        first, second = codes(silent), codes(good)
        assert len(first) >= IN_ROW
        assert first == {to: second[to] for to in first}
        sent = second | first  # whichever copy arrives
        checks = [await live.check(answer.json()["id"], sent[to]) for to, answer in answered]
        assert [check.json()["approved"] for check in checks] == [True] * 500


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
async def test_while_a_provider_is_down_for_a_minute_the_others_take_all_and_one_probe_brings_it_back(
    redis: Server, count: int
) -> None:
    down = [True]

    async def switched(client: faults_http.Connection) -> None:
        while True:
            await client.request()
            if down[0]:
                return client.reset()
            await client.answer()

    async with (
        FaultServer(switched, SMSPM_OK) as first,
        FaultServer(reply=TWILIO_OK) as second,
        routed(redis, first.url, second.url) as live,
    ):
        answered = await in_batches(live, count, seconds=60)
        taken = [answer.json()["deliveries"][-1] for _, answer in answered]
        assert {answer.status_code for _, answer in answered} == {201}
        assert {(each["provider"], each["outcome"]) for each in taken} == {("second", "accepted")}

        down[0], before = False, len(first.requests)
        live.pass_time(31)
        wanting = await live.start()
        await live.service.learning.exchange()
        after = [await live.start() for _ in range(5)]
        assert wanting.json()["deliveries"][0]["provider"] == "second"
        assert [answer.json()["deliveries"][0]["provider"] for answer in after] == ["first"] * 5
        assert len(first.requests) == before + 5


async def test_two_services_share_their_breakers(redis: Server) -> None:
    async with (
        FaultServer(faults_http.reset_after_request) as bad,
        FaultServer(reply=TWILIO_OK) as good,
        routed(redis, bad.url, good.url) as one,
        routed(redis, bad.url, good.url) as other,
    ):
        for to in numbers(IN_ROW):
            await one.start(to)
        await one.service.learning.exchange()
        await other.service.learning.exchange()
        [delivery] = (await other.start()).json()["deliveries"]
        assert (delivery["provider"], len(bad.requests)) == ("second", IN_ROW)


async def test_with_all_breakers_open_somebody_is_tried_and_can_come_back(redis: Server) -> None:
    sound = [False]

    async def refuses(client: faults_http.Connection) -> None:
        await client.request()
        if sound[0]:
            return await client.answer()
        client.reset()
        return None

    async with FaultServer(refuses, SMSPM_OK) as first, FaultServer(refuses, TWILIO_OK) as second:
        async with routed(redis, first.url, second.url) as live:
            for to in numbers(IN_ROW):
                await live.start(to)
            tries = (await live.start()).json()["deliveries"]
            sound[0] = True
            back = (await live.start()).json()["deliveries"]
        assert [each["provider"] for each in tries] == ["first"]
        assert [(each["provider"], each["outcome"]) for each in back] == [("first", "accepted")]


async def test_a_provider_that_refuses_leaves_the_last_word_to_one_that_is_shut_out(redis: Server) -> None:
    refusal = Reply(status=400, body=b'{"code":21408,"message":"no","status":400}')
    async with (
        FaultServer(faults_http.reset_after_request) as first,
        FaultServer(reply=refusal) as second,
        routed(redis, first.url, second.url) as live,
    ):
        for _ in range(IN_ROW):
            turn = live.service.learning.breakers.turn("first", "EE")
            assert turn
            turn.heard(NO_WIRE)
        tries = (await live.start()).json()["deliveries"]
        assert [each["provider"] for each in tries] == ["second", "first"]


async def test_a_try_cut_short_by_the_deadline_says_nothing_of_the_provider(redis: Server) -> None:
    async with FaultServer(faults_http.hang_after_request) as slow:
        route = {"default": {"providers": ["first"], "deadline_seconds": 1}}
        providers = {"first": smspm(slow.url, timeout_seconds=3)}
        limits: dict[str, Any] = {"apps": {"web": {"limits": LIFTED}}}
        async with lab(redis.url, key="live1", providers=providers, routes=route, **limits) as live:
            await asyncio.gather(*(live.start(to) for to in numbers(2 * IN_ROW)))
            assert set(live.service.learning.breakers.states().values()) == {None}


async def test_a_start_asks_redis_nothing_about_breakers(redis: Server) -> None:
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(FaultServer(reply=SMSPM_OK))
        live = await stack.enter_async_context(routed(redis, good.url, good.url))
        await live.start()
        asked = counted(live, "otp_redis_script_seconds_count", verb="exchange")
        opened = counted(live, "otp_redis_script_seconds_count", verb="open")
        await live.start()
        assert counted(live, "otp_redis_script_seconds_count", verb="exchange") == asked
        assert counted(live, "otp_redis_script_seconds_count", verb="open") == opened + 1


async def test_what_test_keys_send_moves_no_breaker(redis: Server) -> None:
    async with FaultServer(reply=SMSPM_OK) as good, routed(redis, good.url, good.url) as live:
        await live.http.post(
            "/v1/verifications/start", json={"to": next(numbers(1))}, headers=bearer("web1", "test")
        )
        assert live.service.learning.breakers.states() == {}
