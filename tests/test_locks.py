"""What an operator does to a number: lock, unlock, ask why, have it forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from otp_service import desk, events
from otp_service.errors import InvalidNumber, StoreUnavailable
from otp_service.guard.subjects import Send
from otp_service.phone import parse
from otp_service.standing import why
from otp_service.store import keys
from otp_service.store.client import connect
from otp_service.store.locks import Lock, LockStore
from otp_service.store.numbers import Numbers
from otp_service.verification import VerificationId
from tests.lab import NUMBER, Lab, bearer, lab, other_code

if TYPE_CHECKING:
    from otp_service.standing import Line
    from tests.servers import Server

pytestmark = pytest.mark.every_server

HOUR = 3_600_000
NEXT = "+37256789046"
FAR = "+37251234567"


async def lock(live: Lab, text: str, lasts_ms: int | None = None, reason: str = "") -> str:
    said = await desk.lock(live.service, text, lasts_ms, reason)
    await live.service.watch.look()
    return said


async def unlock(live: Lab, text: str) -> list[str]:
    said = await desk.unlock(live.service, text)
    await live.service.watch.look()
    return said


async def start(live: Lab, to: str = NUMBER) -> str:
    """Why it was refused; "" if it was not."""
    answer = await live.start(to)
    return str(answer.json().get("reason", "" if answer.status_code == 201 else answer.text))


async def lines(live: Lab, to: str = NUMBER) -> dict[str, Line]:
    app = live.service.settings.apps["web"]
    return {line.rule: line async for line in why(live.service, app, to)}


# --- locks


async def test_a_locked_number_is_403_denied_and_no_other_is(live: Lab) -> None:
    await lock(live, NUMBER)
    answer = await live.start()
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (403, "blocked", "denied")
    assert live.inbox == []
    assert await start(live, NEXT) == ""


async def test_a_locked_prefix_is_every_number_that_begins_so(live: Lab) -> None:
    await lock(live, "+372 5678")
    assert [await start(live, each) for each in (NUMBER, NEXT, FAR)] == ["denied", "denied", ""]


async def test_a_locked_number_gets_no_resend_and_keeps_its_checks(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    await lock(live, NUMBER)
    live.pass_time(60)
    assert (await live.resend(id_)).json()["reason"] == "denied"
    assert (await live.check(id_, live.code())).json()["approved"] is True


async def test_a_lock_made_after_a_loss_of_writes_is_heard_of(live: Lab, redis: Server) -> None:
    await lock(live, "+37251")
    redis.run("DEL", keys.LOCKS)
    await lock(live, NUMBER)
    assert [await start(live, each) for each in (NUMBER, FAR)] == ["denied", ""]


async def test_a_lock_ends_by_itself(live: Lab) -> None:
    await lock(live, NUMBER, 12 * HOUR)
    live.pass_time(12 * 3600 - 60)
    assert await start(live) == "denied"
    live.pass_time(61)
    assert await start(live) == ""


async def test_a_lock_without_an_end_holds_until_it_is_lifted(live: Lab) -> None:
    await lock(live, "+37256")
    live.pass_time(400 * 86_400)
    assert await start(live) == "denied"
    await unlock(live, "+37256")
    assert await start(live) == ""


async def test_the_operator_is_told_of_a_refusal_with_the_reason(live: Lab) -> None:
    await lock(live, NUMBER, reason="ticket 17")
    await live.start()
    told = [event for event in live.told if isinstance(event, events.SendRefused)]
    assert [(event.rule, event.figure, event.prefix) for event in told] == [
        ("locked", "ticket 17", "+37256789***")
    ]


async def test_every_process_hears_of_it(live: Lab, redis: Server) -> None:
    async with lab(redis.url, key="live1") as other:
        await desk.lock(live.service, NUMBER, None, "")
        await other.service.watch.look()
        assert await start(other) == "denied"


async def test_a_process_that_starts_knows_it_from_its_first_request(live: Lab, redis: Server) -> None:
    await desk.lock(live.service, NUMBER, None, "")
    async with lab(redis.url, key="live1") as other:
        assert await start(other) == "denied"


async def test_a_locked_number_stands_in_redis_under_its_hmac_alone(live: Lab, redis: Server) -> None:
    await lock(live, NUMBER, reason="ticket 17")
    dump = redis.dump()
    assert b"ticket 17" in dump
    assert NUMBER[1:].encode() not in dump
    assert NUMBER[4:].encode() not in dump


async def test_locks_that_are_over_do_not_pile_up(live: Lab, redis: Server) -> None:
    for i in range(5):
        await lock(live, f"+3725{i}", HOUR)
    live.pass_time(3601)
    await lock(live, "+37259", HOUR)
    assert sorted(redis.run("HKEYS", "otp:{locks}")) == [b"+37259", b"v"]


async def test_reading_what_has_not_changed_reads_nothing(live: Lab) -> None:
    await lock(live, NUMBER)
    known = live.service.locks._version
    assert await live.service.locks._store.read(known) is None


@pytest.mark.parametrize("text", ["", "372", "+", "+372567890", "+3725678904x", "+49151234567", "+0"])
async def test_what_is_neither_number_nor_prefix_is_not_locked(live: Lab, text: str) -> None:
    with pytest.raises(InvalidNumber):
        await desk.lock(live.service, text, None, "")


# --- unlock


@pytest.mark.parametrize("text", [NUMBER, "+37256"])
async def test_unlock_lifts_the_lock(live: Lab, text: str) -> None:
    await lock(live, text)
    assert "lifted" in (await unlock(live, text))[0]
    assert await start(live) == ""
    assert "there was none" in (await unlock(live, text))[0]


async def test_unlock_of_a_number_says_which_lock_is_left(live: Lab) -> None:
    await lock(live, "+37256", 24 * HOUR)
    assert (await unlock(live, NUMBER))[-1].startswith("STILL LOCKED by +37256 until 20")


@pytest.mark.parametrize("changes", [{"apps": {"web": {"limits": {"live_verifications": 100}}}}])
async def test_unlock_of_a_number_clears_its_budgets(live: Lab) -> None:
    for _ in range(5):
        assert await start(live) == ""
    assert await start(live) == "sends_per_number"
    await unlock(live, NUMBER)
    assert await start(live) == ""


LONG_ROW: dict[str, Any] = {
    "apps": {
        "web": {
            "limits": {
                "failed_checks_per_number": ["1000/1d"],
                "sends_per_number": ["1000/1d"],
                "live_verifications": 100,
                "sends_per_block": ["1000/1h"],
            }
        }
    },
    "limits": {"sends_per_number": ["1000/1d"]},
}


@pytest.mark.parametrize("changes", [LONG_ROW])
async def test_unlock_opens_a_number_that_a_hundred_failed_checks_have_closed(live: Lab) -> None:
    for _ in range(20):
        id_ = (await live.start()).json()["id"]
        await asyncio.gather(*(live.check(id_, other_code(live.code(), 1 + i)) for i in range(5)))
    assert await start(live) == "failed_checks_per_number"
    row = (await lines(live))["failed_checks_in_a_row"]
    assert (row.limit, row.verdict.split()[0]) == ("100", "REFUSES")
    await unlock(live, NUMBER)
    assert await start(live) == ""


async def pumped(live: Lab) -> None:
    """Twenty verifications of one block that nobody finished, an hour ago."""
    for i in range(20):
        await start(live, f"+372567891{i:02d}")
    live.pass_time(3600)


@pytest.mark.parametrize("changes", [LONG_ROW])
@pytest.mark.parametrize("text", [NUMBER, "+37256789"])
async def test_unlock_opens_a_block_that_pumping_has_closed(live: Lab, text: str) -> None:
    await pumped(live)
    assert await start(live) == "pumping_suspected"
    assert "block +37256789***: cleared for web" in await unlock(live, text)
    assert await start(live) == ""


async def test_a_shorter_prefix_says_that_blocks_are_lifted_one_by_one(live: Lab) -> None:
    assert "one by one" in (await unlock(live, "+37256"))[1]


@pytest.mark.parametrize("changes", [{"apps": {"web": {"limits": {"live_verifications": 100}}}}])
async def test_whoever_uses_up_a_numbers_budgets_locks_nobody_out_for_long(live: Lab) -> None:
    mine = (await live.start(client={"session": "mine"})).json()["id"]
    code = live.code()
    while (reason := await start(live)) == "":
        pass
    assert reason == "sends_per_number"
    ids = [(await live.start(client={"session": f"s{i}"})).status_code for i in range(5)]
    assert ids == [429] * 5
    assert (await live.check(mine, code)).json()["approved"] is True  # the earlier code still works
    assert await start(live) == ""  # the approval gave its send back
    assert await start(live) == "sends_per_number"
    live.pass_time(3600)
    assert await start(live) == ""  # the window slides


@pytest.mark.parametrize("changes", [{"apps": {"web": {"limits": {"live_verifications": 100}}}}])
async def test_a_day_is_the_longest_that_an_attacker_can_keep_a_number_waiting(live: Lab) -> None:
    for _ in range(10):
        assert await start(live) == ""
        live.pass_time(1200)
    answer = await live.start()
    assert (answer.status_code, answer.json()["retry_after"] <= 86_400) == (429, True)
    live.pass_time(answer.json()["retry_after"])
    assert await start(live) == ""
    assert await start(live) == "sends_per_number"
    await unlock(live, NUMBER)
    assert await start(live) == ""


# --- why


async def test_why_names_every_rule_with_figure_and_limit(live: Lab) -> None:
    await live.start()
    found = await lines(live)
    assert {rule: (line.figure, line.limit) for rule, line in found.items()} == {
        "locked": ("no", ""),
        "denied": ("no", ""),
        "number_type": ("mobile", "fixed_or_mobile, mobile"),
        "country_not_allowed": ("EE", "DE, EE, GB, US"),
        "safe": ("no", ""),
        "signals": ("not asked", ""),
        "failed_checks_per_number": ("0", "20 in 1d"),
        "live_verifications": ("1", "3 in 10m"),
        "sends_per_number": ("1", "20 in 1d"),
        "failed_checks_in_a_row": ("0", "100"),
        "verified_before": ("no", ""),
        "sends_per_block": ("1", "10 in 1h"),
        "conversion of +37256789***": ("0 of 0 came back", "20 % of at least 20"),
        "unconverted_per_region EE": ("1", "200 in 1d"),
        "conversion of EE": ("0 of 0 came back", "warns below 50 %"),
    }
    assert {line.verdict for line in found.values()} == {"passes"}


PRICED: dict[str, Any] = {
    "apps": {"web": {"spend_cap": "1 EUR", "limits": LONG_ROW["apps"]["web"]["limits"]}},
    "spend_cap": "10 EUR",
    "limits": LONG_ROW["limits"],
    "providers": {"console": {"prices": {"*": "0.1 EUR"}}},
}


@pytest.mark.parametrize("changes", [PRICED])
async def test_why_shows_money(live: Lab) -> None:
    for _ in range(8):
        assert await start(live) == ""
    found = await lines(live)
    app, all_ = found["spend_cap of the app"], found["spend_cap of the installation"]
    assert (app.figure, app.limit, app.verdict) == ("0.8", "0.8 of 1 in 1d", "REFUSES")
    assert (all_.figure, all_.limit, all_.verdict) == ("0.8", "8 of 10 in 1d", "passes")


@pytest.mark.parametrize("changes", [LONG_ROW])
async def test_why_shows_a_block_that_is_closed_and_how_it_came(live: Lab) -> None:
    await pumped(live)
    before = (await lines(live))["conversion of +37256789***"]
    assert (before.figure, before.verdict) == ("0 of 20 came back, 0 %", "REFUSES")
    assert await start(live) == "pumping_suspected"
    after = (await lines(live))["conversion of +37256789***"]
    assert (after.figure, after.verdict) == ("closed: 0 of 20", "REFUSES for 43200 s")


@pytest.mark.parametrize(
    ("to", "rule"),
    [("+4490912345", ""), ("+33612345678", "country_not_allowed"), ("+448001111111", "number_type")],
)
async def test_why_says_what_the_configuration_refuses(live: Lab, to: str, rule: str) -> None:
    if not rule:
        with pytest.raises(InvalidNumber):
            await lines(live, to)
        return
    assert (await lines(live, to))[rule].verdict == "REFUSES"


async def test_why_shows_locks_and_prefixes(redis: Server) -> None:
    guard = {"deny": ["+3725678"], "safe": ["+3725"]}
    async with lab(redis.url, key="live1", guard=guard) as live:
        await lock(live, "+37256", reason="ticket 17")
        found = await lines(live)
    assert (found["locked"].figure, found["locked"].verdict) == (
        "+37256 until unlocked: ticket 17",
        "REFUSES",
    )
    assert (found["denied"].figure, found["safe"].figure) == ("+3725678", "+3725")


@pytest.mark.parametrize("changes", [LONG_ROW | {"guard": {"mode": "record"}}])
async def test_why_says_what_would_be_refused(live: Lab) -> None:
    await pumped(live)
    assert (await lines(live))["conversion of +37256789***"].verdict == "would refuse"


@pytest.mark.parametrize("changes", [LONG_ROW])
async def test_why_says_that_a_number_verified_before_passes(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    await live.check(id_, live.code())
    await live.service.guard.idle()
    live.pass_time(2 * 86_400)
    await pumped(live)
    found = await lines(live)
    assert found["conversion of +37256789***"].verdict == "passes: safe, or verified"
    assert await start(live) == ""


@pytest.mark.parametrize("changes", [{"apps": {"web": {"limits": {"sends_per_block": ["2/90s"]}}}}])
async def test_why_shows_windows_as_the_configuration_has_them(live: Lab) -> None:
    for each in (NUMBER, NEXT):
        await start(live, each)
    row = (await lines(live))["sends_per_block"]
    assert (row.figure, row.limit, row.verdict) == ("2", "2 in 90s", "REFUSES")


async def test_asking_why_changes_nothing(live: Lab, redis: Server) -> None:
    await live.start(client={"ip": "203.0.113.9"})
    await live.service.guard.idle()
    before = redis.dump()
    await lines(live)
    await lines(live, FAR)
    assert redis.dump() == before


async def test_why_and_the_rules_count_alike(live: Lab) -> None:
    for i in range(3):
        id_ = (await live.start(f"+3725678904{i}")).json()["id"]
    await live.check(id_, live.code())
    await live.service.guard.idle()
    guard, phone = live.service.guard, parse(NUMBER)
    send = Send(live.service.settings.apps["web"], phone, "n" * 26)
    block, region = await guard.figures(guard.subjects.of(send))
    assert (list(block.windows), block.sent, block.approved, block.over) == ([2], 3, 1, 1)
    assert (region.sent, region.approved, region.reserved) == (3, 1, 0)


# --- forget


async def test_forget_erases_every_verification_of_the_number_and_no_other(live: Lab) -> None:
    mine = [(await live.start()).json()["id"] for _ in range(2)]
    long_ = (await live.start(metadata={"order": "x" * 200})).json()["id"]
    theirs = [(await live.start(each)).json()["id"] for each in (NEXT, FAR)]
    said = await desk.forget(live.service, NUMBER)
    assert said[0] == "+372*****045: 3 verifications erased, and that it was verified"
    assert [(await live.fetch(id_)).status_code for id_ in (*mine, long_)] == [404] * 3
    assert [(await live.fetch(id_)).status_code for id_ in theirs] == [200] * 2


async def test_forget_leaves_no_key_of_its_verifications(live: Lab, redis: Server) -> None:
    id_ = (await live.start(metadata={"order": "x" * 200})).json()["id"].removeprefix("vrf_")
    await desk.forget(live.service, NUMBER)
    assert [name for name in redis.names() if id_.encode() in name] == []


async def test_forget_passes_over_what_is_no_record(live: Lab, redis: Server) -> None:
    id_ = (await live.start()).json()["id"].removeprefix("vrf_")
    record = next(name for name in redis.names() if name.endswith(b":v:" + id_.encode()))
    redis.put(record.replace(id_.encode(), b"nothing").decode(), b"")
    assert (await desk.forget(live.service, NUMBER))[0].split()[1] == "1"


async def test_forget_takes_those_of_every_app_and_of_test_keys(live: Lab) -> None:
    for key, kind in (("web1", "test"), ("other1", "test"), ("live1", "live")):
        await live.post("start", {"to": NUMBER}, headers=bearer(key, kind))
    assert (await desk.forget(live.service, NUMBER))[0].split()[1] == "3"


@pytest.mark.naive("forgets_budgets")
async def test_to_be_forgotten_is_no_way_round_a_limit(live: Lab) -> None:
    for _ in range(3):
        id_ = (await live.start()).json()["id"]
        for i in range(4):
            await live.check(id_, other_code(live.code(), 1 + i))
    await desk.forget(live.service, NUMBER)
    found = await lines(live)
    assert await start(live) == "failed_checks_per_number"
    assert (found["sends_per_number"].figure, found["failed_checks_in_a_row"].figure) == ("3", "12")


@pytest.mark.naive("forgets_budgets")
async def test_a_lock_outlives_forgetting(live: Lab) -> None:
    await lock(live, NUMBER)
    await desk.forget(live.service, NUMBER)
    assert await start(live) == "denied"


async def test_a_forgotten_number_is_trusted_no_more(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    await live.check(id_, live.code())
    await live.service.guard.idle()
    assert (await lines(live))["verified_before"].figure == "yes"
    await desk.forget(live.service, NUMBER)
    assert (await lines(live))["verified_before"].figure == "no"


async def test_records_under_a_key_that_is_gone_are_counted(live: Lab, redis: Server) -> None:
    await live.start()
    new = "k2:" + "A" * 43 + "="
    async with lab(redis.url, key="live1", keyring=[new]) as rotated:
        said = await desk.forget(rotated.service, NUMBER)
    assert said[-1].startswith("1 records of any number")


# --- what the store keeps of it


async def test_a_lock_is_kept_with_its_reason_whatever_that_is(live: Lab) -> None:
    store = LockStore(live.service.scripts)
    made = await store.lock("a number", HOUR, "a, b")
    assert await store.lock("another", None, "") == Lock(0, "")
    assert made == Lock(made.until_ms, "a, b")
    known = await store.read("")
    assert known
    assert known.locks == {"a number": made, "another": Lock(0, "")}


async def test_records_that_cannot_be_listed_are_said(live: Lab) -> None:
    numbers = Numbers(live.service.scripts, connect("redis://127.0.0.1:1"))
    with pytest.raises(StoreUnavailable, match=r"^Redis did not answer\.$") as refused:
        [kept async for kept in numbers.records(0)]
    assert refused.value.retry_after == 1


async def test_a_record_that_goes_while_it_is_listed_is_left_out(live: Lab) -> None:
    numbers, id_ = Numbers(live.service.scripts, live.service.client), VerificationId.of(3)
    assert await numbers._read(keys.Shard(3), id_) is None
