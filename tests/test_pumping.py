"""Artificially inflated traffic: starts to numbers that somebody earns on; their codes never come back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from otp_service import events
from otp_service.phone import parse
from tests.lab import NUMBER, Lab
from tests.test_guard import address, limits, number, reasons

OPEN: dict[str, Any] = limits(sends_per_block=["100000/1h"], unconverted_per_region=100_000)
RECORD = OPEN | {"guard": {"mode": "record"}}
SAFE = limits() | {"guard": {"safe": ["+37253456"]}}


@pytest.fixture
def changes() -> dict[str, Any]:
    """The edge lets all of these requests in."""
    return limits()


async def approve(live: Lab, to: str) -> str:
    """A person who types the code; why not, if the start was refused."""
    answer = await live.start(to)
    if answer.status_code != 201:
        return str(answer.json()["reason"])
    [code] = [message.text for message in live.inbox if message.to == to][-1:]
    found = "".join(character for character in code if character.isdigit())[:6]
    checked = await live.check(answer.json()["id"], found)
    await live.service.guard.idle()
    return "" if checked.json()["approved"] else "wrong"


async def pump(live: Lab, verifications: int, approved: int = 0) -> None:
    """Starts into one block that are over an hour later."""
    for i in range(approved):
        assert await approve(live, number(900 + i)) == ""
    for i in range(verifications - approved):
        assert await reasons(live, number(i)) == [""]
    live.pass_time(3600)


@pytest.mark.slow
@pytest.mark.every_server
async def test_of_2000_starts_over_200_blocks_of_a_region_200_are_sent_in_the_day(live: Lab) -> None:
    legitimate = [number(i, 3_999_000) for i in range(25)]
    before = [await approve(live, to) for to in legitimate[:5]]
    sent = 0
    for hour in range(10):
        attack = (number(hour, 3_000_000 + 1000 * i) for i in range(200))
        answers = await asyncio.gather(
            *(live.start(to, client=address(200 * hour + i)) for i, to in enumerate(attack))
        )
        sent += sum(answer.status_code == 201 for answer in answers)
        live.pass_time(3600)
    assert sent <= 200 + len(before)
    assert {answer.json()["reason"] for answer in answers} == {"unconverted_per_region"}
    passed = [await approve(live, to) for to in legitimate[5:]]
    assert passed.count("") >= 19


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [limits(unconverted_per_region=20)])
async def test_a_region_refuses_what_is_spread_over_blocks_but_no_block_whose_codes_come_back(
    live: Lab,
) -> None:
    assert await approve(live, number(0, 3_999_000)) == ""
    answers = await asyncio.gather(*(live.start(number(0, 3_000_000 + 1000 * i)) for i in range(60)))
    assert sum(answer.status_code == 201 for answer in answers) <= 21
    assert await reasons(live, number(1, 3_100_000)) == ["unconverted_per_region"]
    passed = [await approve(live, number(1 + i, 3_999_000)) for i in range(20)]
    assert passed == [""] * 20


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [OPEN])
@pytest.mark.naive("never_closes")
async def test_a_block_below_a_fifth_is_refused_for_twelve_hours(live: Lab) -> None:
    await pump(live, 20, approved=3)
    answer = await live.start(number(500))
    assert answer.status_code == 403
    assert (answer.json()["code"], answer.json()["reason"]) == ("blocked", "pumping_suspected")
    live.pass_time(43_100)
    assert await reasons(live, number(501)) == ["pumping_suspected"]
    live.pass_time(100)
    assert await reasons(live, number(501)) == [""]
    told = [event for event in live.told if isinstance(event, events.Pumped)]
    assert ("block_closed", "+37253456***", 15, 20) in {
        (event.rule, event.prefix, event.percent, event.limit) for event in told
    }


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [OPEN])
async def test_a_number_verified_before_passes_a_closed_block_for_ninety_days(live: Lab) -> None:
    await pump(live, 20, approved=1)
    assert await reasons(live, number(500), number(900)) == ["pumping_suspected", ""]
    live.pass_time(86_400 * 91)
    assert await reasons(live, number(900)) == [""]


@pytest.mark.every_server
async def test_a_number_verified_before_passes_block_and_region(live: Lab) -> None:
    assert await approve(live, NUMBER) == ""
    block = int(NUMBER[5:]) - int(NUMBER[-3:])
    answers = await asyncio.gather(*(live.start(number(i, block)) for i in range(30)))
    assert sum(answer.status_code == 201 for answer in answers) == 10
    assert await reasons(live, number(40, block), NUMBER) == ["sends_per_block", ""]


@pytest.mark.every_server
@pytest.mark.parametrize("changes", [RECORD])
async def test_recording_sends_what_enforcing_refuses_and_counts_the_difference(live: Lab) -> None:
    await pump(live, 20)
    assert await reasons(live, *(number(500 + i) for i in range(5))) == [""] * 5
    told = [event for event in live.told if isinstance(event, events.SendRefused)]
    assert {(event.rule, event.figure, event.limit, event.enforced) for event in told} == {
        ("pumping_suspected", "0", "20", False)
    }
    counted = live.service.metrics.registry.get_sample_value
    labels = {"app": "web", "rule": "pumping_suspected", "enforced": "false"}
    assert counted("otp_guard_refusals_total", labels) == 5


@pytest.mark.parametrize("changes", [limits(unconverted_per_region=15) | {"guard": {"mode": "record"}}])
async def test_recording_lets_block_and_region_pass_and_no_address(live: Lab) -> None:
    client = {"ip": "203.0.113.9"}
    assert await reasons(live, *(number(i) for i in range(30))) == [""] * 30
    assert set(await reasons(live, *(number(i, 3_100_000) for i in range(12)), client=client)) == {
        "", "starts_per_address",
    }  # fmt: skip
    rules = {
        event.rule for event in live.told if isinstance(event, events.SendRefused) and not event.enforced
    }
    assert rules == {"sends_per_block", "unconverted_per_region"}


@pytest.mark.parametrize("changes", [{"guard": {"mode": "record"}}])
async def test_a_limit_that_only_records_is_in_no_header(live: Lab) -> None:
    answers = [await live.start(number(i)) for i in range(12)]
    assert {answer.headers["RateLimit"] for answer in answers} == {'"live_verifications";r=2;t=600'}


@pytest.mark.parametrize("changes", [SAFE])
async def test_a_safe_prefix_passes_these_rules_and_no_other(live: Lab) -> None:
    assert await reasons(live, *(number(i) for i in range(30))) == [""] * 30
    assert not [event for event in live.told if isinstance(event, events.SendRefused)]
    client = {"ip": "203.0.113.9"}
    assert (await reasons(live, *(number(i) for i in range(40, 51)), client=client))[
        -1
    ] == "starts_per_address"


@pytest.mark.parametrize("changes", [OPEN])
async def test_low_conversion_of_block_and_region_is_an_alarm_and_no_refusal(live: Lab) -> None:
    await pump(live, 20, approved=9)
    assert await reasons(live, number(500), number(501)) == ["", ""]
    told = [event for event in live.told if isinstance(event, events.Pumped)]
    assert [(event.rule, event.prefix, event.region, event.percent) for event in told] == [
        ("block_conversion", "+37253456***", "EE", 45),
        ("region_conversion", "", "EE", 45),
    ]


@pytest.mark.parametrize("changes", [OPEN])
async def test_a_calling_code_of_several_countries_has_an_alarm_of_its_own(live: Lab) -> None:
    for i in range(20):
        assert (await live.start(f"+1202555{1000 + 100 * (i // 10) + i:04d}")).status_code == 201
    live.pass_time(3600)
    await live.start("+12025559999")
    told = {event.rule for event in live.told if isinstance(event, events.Pumped)}
    assert {"region_conversion", "code_conversion"} <= told


@pytest.mark.parametrize("changes", [OPEN])
async def test_an_operator_can_lift_a_closed_block(live: Lab) -> None:
    await pump(live, 20)
    assert await reasons(live, number(500)) == ["pumping_suspected"]
    app = live.service.settings.apps["web"]
    assert await live.service.guard.lift(app, parse(number(500)))
    assert await reasons(live, number(500)) == [""]


@pytest.mark.parametrize("changes", [OPEN])
async def test_the_alarm_of_a_closed_block_is_told_when_a_number_that_passes_it_has_closed_it(
    live: Lab,
) -> None:
    await pump(live, 20, approved=1)
    assert await reasons(live, number(900)) == [""]
    assert "block_closed" in [event.rule for event in live.told if isinstance(event, events.Pumped)]
