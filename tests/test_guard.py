"""What a start may cost besides its number: client addresses, sessions, blocks, regions; all or nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from otp_service import events
from otp_service.dispatch import Wish
from otp_service.guard.clients import bucket
from otp_service.guard.subjects import Send
from otp_service.phone import parse
from otp_service.verification import Target
from tests.lab import NUMBER, Lab, other_code
from tests.waits import Waits

if TYPE_CHECKING:
    from httpx import Response

    from tests.servers import Server

BLOCK = 3_456_000


def number(index: int, block: int = BLOCK) -> str:
    """One of a block's thousand numbers."""
    return f"+3725{block + index:07d}"


def limits(**changed: Any) -> dict[str, Any]:
    return {"apps": {"web": {"limits": changed | {"requests_per_key": "100000/1s"}}}}


@pytest.fixture
def changes() -> dict[str, Any]:
    """The edge lets all of these requests in."""
    return limits()


def counters(redis: Server) -> dict[bytes, Any]:
    """All that is counted, by key; what processes know of providers is no counter."""
    read = {
        b"hash": lambda key: redis.run("HGETALL", key),
        b"zset": lambda key: redis.run("ZRANGE", key, 0, -1, "WITHSCORES"),
        b"string": lambda key: redis.run("GET", key),
    }
    return {key: read[redis.run("TYPE", key)](key) for key in redis.names() if b"experience" not in key}


async def reasons(live: Lab, *numbers: str, **body: Any) -> list[str]:
    """Why each start was refused; "" for one that was not."""
    answers = [await live.start(each, **body) for each in numbers]
    return [answer.json().get("reason", "") for answer in answers]


def address(index: int) -> dict[str, str]:
    return {"ip": f"198.51.{index // 250}.{1 + index % 250}"}


@pytest.mark.every_server
async def test_of_500_starts_into_one_block_from_500_addresses_ten_are_sent_in_the_hour(live: Lab) -> None:
    sent = 0
    for minute in range(50):
        answers = await asyncio.gather(
            *(live.start(number(10 * minute + i), client=address(10 * minute + i)) for i in range(10))
        )
        sent += sum(answer.status_code == 201 for answer in answers)
        live.pass_time(60)
    assert sent == len(live.inbox) == 10
    assert {answer.json()["reason"] for answer in answers} == {"sends_per_block"}
    live.pass_time(600)
    assert await reasons(live, number(600)) == [""]


@pytest.mark.every_server
async def test_ten_starts_in_ten_minutes_from_one_address(live: Lab) -> None:
    where = {"ip": "203.0.113.9"}
    answers = [await live.start(number(i, 3_000_000 + 1000 * i), client=where) for i in range(11)]
    assert [answer.status_code for answer in answers] == [201] * 10 + [429]
    refusal = answers[-1]
    assert refusal.json()["reason"] == "starts_per_address"
    assert refusal.json()["retry_after"] == int(refusal.headers["Retry-After"]) == 600
    assert refusal.headers["RateLimit"] == '"starts_per_address";r=0;t=600'
    live.pass_time(600)
    assert await reasons(live, NUMBER, client=where) == [""]


@pytest.mark.every_server
@pytest.mark.naive("every_address_by_itself")
async def test_a_thousand_starts_inside_one_subnet_are_one_bucket(live: Lab) -> None:
    answers: list[Response] = []
    for first in range(0, 1000, 25):
        addresses = {i: {"ip": f"2001:db8:0:7:{i:x}::{i:x}"} for i in range(first, first + 25)}
        starts = (live.start(number(i, 3_000_000 + 1000 * i), client=ip) for i, ip in addresses.items())
        answers += await asyncio.gather(*starts)
    assert sum(answer.status_code == 201 for answer in answers) == 10
    assert await reasons(live, NUMBER, client={"ip": "2001:db8:0:8::1"}) == [""]


def test_all_addresses_of_a_subnet_and_all_spellings_of_one_are_one_bucket() -> None:
    assert len({bucket(f"2001:db8:0:7:{i:x}::1") for i in range(1000)}) == 1
    assert bucket("::ffff:203.0.113.9") == bucket("203.0.113.9") != bucket("203.0.113.10")


@pytest.mark.parametrize(
    "ip", ["10.1.2.3", "192.168.0.1", "127.0.0.1", "100.64.0.9", "fd00::1", "fe80::1", "::1"]
)
async def test_private_addresses_are_no_bucket_and_are_counted(live: Lab, ip: str) -> None:
    starts = [await live.start(number(i, 3_000_000 + 1000 * i), client={"ip": ip}) for i in range(12)]
    assert {answer.status_code for answer in starts} == {201}
    counted = live.service.metrics.registry.get_sample_value
    assert counted("otp_client_addresses_total", {"app": "web", "kind": "private"}) == 12


async def test_five_starts_in_ten_minutes_of_one_session(live: Lab) -> None:
    numbers = [number(i, 3_000_000 + 1000 * i) for i in range(6)]
    assert await reasons(live, *numbers, client={"session": "s"}) == [""] * 5 + ["starts_per_session"]
    assert await reasons(live, numbers[5], client={"session": "t"}) == [""]


@pytest.mark.every_server
async def test_an_approval_gives_its_start_and_its_sends_back(live: Lab) -> None:
    for i in range(15):
        id_ = (await live.start(number(i), client={"ip": "203.0.113.9"})).json()["id"]
        live.pass_time(30)
        assert (await live.resend(id_)).status_code == 200
        assert (await live.check(id_, live.code())).json()["approved"] is True
        await live.service.guard.idle()


@pytest.mark.every_server
@pytest.mark.naive("keeps_what_was_refused")
async def test_a_refused_start_leaves_every_counter_as_it_was(live: Lab, redis: Server) -> None:
    for i in range(3):
        await live.start(client=address(1) | {"session": f"s{i}"})
    before = counters(redis)
    for key in (None, "k1", "k2"):
        answer = await live.start(client=address(1) | {"session": f"s{key}"}, key=key)
        assert answer.json()["reason"] == "live_verifications"  # by the last of all scripts
    await live.service.guard.idle()
    assert counters(redis) == before


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [limits(unconverted_per_region=4)])
async def test_one_budget_that_refuses_gives_all_others_back(live: Lab, redis: Server) -> None:
    for i in range(4):
        await live.start(number(i), client=address(1) | {"session": "s"})
    before = counters(redis)
    for i in range(20):
        answer = await live.start(number(10 + i), client=address(1) | {"session": "s"})
        assert (answer.json()["reason"], answer.json()["retry_after"] > 80_000) == (
            "unconverted_per_region",
            True,
        )
    await live.service.guard.idle()
    assert counters(redis) == before


async def test_who_hangs_up_in_mid_start_has_reserved_nothing(live: Lab, redis: Server) -> None:
    reached = asyncio.Event()

    async def waits(*_: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    live.service.store.open = waits  # type: ignore[method-assign, assignment]
    calling = asyncio.create_task(live.start(client=address(1)))
    await reached.wait()
    calling.cancel()
    with suppress(asyncio.CancelledError):
        await calling
    await live.service.guard.idle()
    assert not [name for name in redis.names() if name.endswith((b":e", b":p"))]


async def test_who_hangs_up_after_the_message_went_has_it_counted(live: Lab) -> None:
    account, reached = live.service.guard.settle, asyncio.Event()

    async def waits(*_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    live.service.guard.settle = waits  # type: ignore[method-assign, assignment]
    calling = asyncio.create_task(live.start())
    await reached.wait()
    live.service.guard.settle = account  # type: ignore[method-assign]
    calling.cancel()
    with suppress(asyncio.CancelledError):
        await calling
    await live.service.guard.idle()
    app = live.service.settings.apps["web"]
    ledgers = live.service.guard.subjects.of(Send(app, parse(NUMBER), "n" * 26))
    found = await live.service.guard.figures(ledgers)
    assert [(each.sent, each.reserved) for each in found] == [(1, 0), (1, 0)]


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [limits(sends_per_block=["1/1h"])])
async def test_what_a_killed_process_had_reserved_is_given_back_after_its_lease(live: Lab) -> None:
    phone = parse(number(1))
    wish = Wish(phone, "login", Target(phone.e164))
    await live.service.verifier.ask(live.service.settings.apps["web"], wish).granted()  # and then it dies
    assert await reasons(live, number(2)) == ["sends_per_block"]
    live.pass_time(10)
    assert await reasons(live, number(2), number(3)) == ["", "sends_per_block"]


async def test_what_no_provider_took_is_given_back_and_what_may_have_gone_is_not(live: Lab) -> None:
    chain = live.service.verifier._courier._chain
    deliver = chain.deliver

    async def dies(*_: Any, **__: Any) -> Any:
        raise SystemError("nobody knows what the provider has")

    chain.deliver = dies  # type: ignore[method-assign]
    assert [(await live.start(number(i))).status_code for i in range(4)] == [500] * 4
    chain.deliver = deliver  # type: ignore[method-assign]
    await live.service.guard.idle()
    assert await reasons(live, *(number(10 + i) for i in range(7))) == [""] * 6 + ["sends_per_block"]


@pytest.mark.every_server
@pytest.mark.naive("one_after_another")
async def test_all_reservations_wait_on_redis_once_with_the_claim(live: Lab) -> None:
    """A start waits four times and a check three; each once less without an Idempotency-Key."""
    waits = Waits(live)
    for key, start, check in (("k", 4, 3), (None, 3, 2)):
        answer = await live.start(number(len(live.inbox)), key=key, client=address(1) | {"session": "s"})
        assert (answer.status_code, waits.take()) == (201, start)
        await live.check(answer.json()["id"], live.code(), key=key and "c")
        await live.service.guard.idle()
        assert waits.take() <= check + 1  # what an approval gives back is nobody's wait
    assert waits.together >= 2


async def test_the_keys_of_a_replayed_a_busy_and_a_mismatched_start_reserve_nothing(
    live: Lab, redis: Server
) -> None:
    await live.start(key="k", client=address(1))
    before = counters(redis)
    assert (await live.start(key="k", client=address(1))).headers["Idempotency-Replayed"] == "true"
    assert (await live.start(number(1), key="k", client=address(1))).status_code == 422
    await live.service.guard.idle()
    assert counters(redis) == before


async def test_test_keys_touch_no_ledger(web: Lab, redis: Server) -> None:
    for i in range(12):
        assert (await web.start(number(i), client=address(1))).status_code == 201
    assert not [name for name in redis.names() if name.endswith((b":e", b":p"))]


async def test_two_apps_share_no_ledger(live: Lab, redis: Server) -> None:
    subjects, apps = live.service.guard.subjects, live.service.settings.apps
    tags = {subjects.address(app, "203.0.113.9") for app in apps.values()}
    assert len(tags) == len(apps)
    assert len({subjects.block(app, parse(NUMBER)).tag for app in apps.values()}) == len(apps)


@pytest.mark.parametrize("changes", [{"guard": {"deny": ["+3725678"]}}])
@pytest.mark.naive("any_line")
async def test_a_denied_prefix_is_refused_before_anything_is_counted(live: Lab, redis: Server) -> None:
    assert await reasons(live, NUMBER, number(1)) == ["denied", ""]
    [told] = [event for event in live.told if isinstance(event, events.SendRefused)]
    assert (told.rule, told.prefix) == ("denied", "+37256789***")


async def test_every_refusal_is_explained_by_rule_figure_and_limit(live: Lab) -> None:
    for i in range(11):
        await live.start(number(i))
    [told] = [event for event in live.told if isinstance(event, events.SendRefused)]
    assert told == events.SendRefused("web", "sends_per_block", "10", "10", "+37253456***", enforced=True)
    counted = live.service.metrics.registry.get_sample_value
    labels = {"app": "web", "rule": "sends_per_block", "enforced": "true"}
    assert counted("otp_guard_refusals_total", labels) == 1


# Sends to a number are lifted, so that only failed checks and live verifications stand in the way.
FREE_SENDS: dict[str, Any] = {
    "limits": {"sends_per_number": ["100000/1h"]},
    "apps": {"web": {"limits": {"sends_per_number": ["100000/1h"], "requests_per_key": "100000/1s"}}},
}


async def guess(live: Lab, identity: int, checks: int = 5) -> int:
    """Wrong checks that were compared, of one verification with an identity of its own."""
    who, purpose = address(identity) | {"session": f"s{identity}"}, f"p{identity}"
    answer = await live.start(purpose=purpose, key=f"k{identity}", client=who)
    if answer.status_code != 201:
        return 0
    id_, code = answer.json()["id"], live.code()
    checked = [await live.check(id_, other_code(code, 1 + i), purpose=purpose) for i in range(checks)]
    return sum(each.status_code == 200 for each in checked)


@pytest.mark.every_server
@pytest.mark.naive("starts_whatever_failed")
@pytest.mark.parametrize("changes", [FREE_SENDS])
async def test_restart_and_guess_200_times_gets_at_most_34_guesses_in_a_day(live: Lab) -> None:
    guesses = 0
    for identity in range(200):
        guesses += await guess(live, identity)
        live.pass_time(430)  # 200 of these are a day
    assert 20 <= guesses <= 34


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [FREE_SENDS])
async def test_who_saves_live_verifications_for_the_end_gets_34_guesses(live: Lab) -> None:
    guesses = [await guess(live, i, checks) for i, checks in enumerate((5, 4))]
    live.pass_time(3600)
    guesses += [await guess(live, 10 + i) for i in range(2)]
    live.pass_time(3600)
    assert sum(guesses) == 19
    last = [(await live.start(client=address(20 + i) | {"session": f"l{i}"})).json()["id"] for i in range(3)]
    assert await reasons(live, NUMBER, client={"session": "l9"}) == ["live_verifications"]
    checked = [
        await live.check(id_, other_code(live.code(i - 3), 1 + n))
        for i, id_ in enumerate(last)
        for n in range(5)
    ]
    assert sum(guesses) + sum(each.status_code == 200 for each in checked) == 34
    assert await reasons(live, NUMBER) == ["failed_checks_per_number"]
