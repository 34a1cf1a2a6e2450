"""What a number may cost: sends, live verifications, failed checks; where an app sends at all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otp_service.events import NumberClosed
from otp_service.settings import Window
from tests.lab import NUMBER, Lab, bearer, other_code

if TYPE_CHECKING:
    from tests.servers import Server

pytestmark = pytest.mark.every_server

SPELLINGS = json.loads((Path(__file__).parent / "data" / "spellings.json").read_text())
NO_LIVE_LIMIT: dict[str, Any] = {
    "apps": {name: {"limits": {"live_verifications": 100}} for name in ("web", "other")}
}


async def refused(web: Lab, **body: Any) -> tuple[int, str, int]:
    answer = await web.start(**body)
    return answer.status_code, answer.json().get("reason", ""), int(answer.headers.get("Retry-After", 0))


@pytest.mark.parametrize("changes", [NO_LIVE_LIMIT])
async def test_five_sends_an_hour_to_one_number(web: Lab) -> None:
    for _ in range(5):
        assert (await web.start()).status_code == 201
        web.pass_time(60)
    assert await refused(web) == (429, "sends_per_number", 3300)
    web.pass_time(3300)
    assert (await web.start()).status_code == 201


@pytest.mark.parametrize("changes", [NO_LIVE_LIMIT])
async def test_ten_sends_a_day_to_one_number(web: Lab) -> None:
    for _ in range(10):
        assert (await web.start()).status_code == 201
        web.pass_time(3000)
    assert await refused(web) == (429, "sends_per_number", 86_400 - 30_000)


@pytest.mark.parametrize("changes", [NO_LIVE_LIMIT])
async def test_all_apps_share_the_installations_windows(web: Lab) -> None:
    answers = []
    for _ in range(6):
        answers += [
            await web.post("start", {"to": NUMBER}, headers=bearer(key)) for key in ("web1", "other1")
        ]
    assert [answer.status_code for answer in answers] == [201] * 10 + [429] * 2
    assert (await web.start("+37256789046")).status_code == 201


async def test_an_approval_gives_its_send_back(web: Lab) -> None:
    for _ in range(12):
        id_ = (await web.start()).json()["id"]
        assert (await web.check(id_, web.code())).json()["approved"] is True
        web.pass_time(1)


@pytest.mark.parametrize("changes", [{"apps": {"web": {"limits": {"sends_per_number": (Window(3, 3600),)}}}}])
async def test_a_resend_is_one_more_send_to_the_number(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    for cool_down in (30, 60):
        web.pass_time(cool_down)
        assert (await web.resend(id_)).status_code == 200
    assert await refused(web) == (429, "sends_per_number", 3510)


async def test_three_live_verifications_and_none_closes_another(web: Lab) -> None:
    first = await web.start()
    for _ in range(2):
        web.pass_time(60)
        assert (await web.start()).status_code == 201
    assert await refused(web) == (429, "live_verifications", 480)
    assert (await web.check(first.json()["id"], web.code(0))).json()["approved"] is True
    assert (await web.start()).status_code == 201


async def test_live_verifications_of_one_session_count_as_one(web: Lab) -> None:
    answers = [await web.start(client={"session": "s1"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201] * 4
    assert (await web.start()).status_code == 201
    assert await refused(web, client={"session": "s2"}) == (429, "sends_per_number", 3600)


@pytest.mark.parametrize("verb", ["cancel", "spend"])
async def test_a_closed_verification_is_not_live(web: Lab, verb: str) -> None:
    ids = [(await web.start()).json()["id"] for _ in range(3)]
    assert (await refused(web))[1] == "live_verifications"
    if verb == "cancel":
        await web.cancel(ids[0])
    else:
        for i in range(5):
            await web.check(ids[0], other_code(web.code(0), i + 1))
    assert (await web.start()).status_code == 201


async def test_ten_failed_checks_stop_new_starts_and_no_live_verification(web: Lab) -> None:
    ids = [(await web.start()).json()["id"] for _ in range(3)]
    for i in range(10):
        assert (await web.check(ids[i // 5], other_code(web.code(i // 5), 1 + i % 5))).status_code == 200
    assert await refused(web) == (429, "failed_checks_per_number", 3600)
    assert (await web.check(ids[2], web.code(2))).json()["approved"] is True


NO_BUDGET_BUT_ROW: dict[str, Any] = {
    "apps": {
        "web": {
            "limits": {
                "failed_checks_per_number": (Window(1000, 3600),),
                "sends_per_number": (),
                "live_verifications": None,
            }
        }
    },
    "limits": {"sends_per_number": ()},
}


@pytest.mark.parametrize(
    "changes",
    [
        {
            "apps": {
                "web": {"limits": {"failed_checks_per_number": ["1000/1h"], "sends_per_number": ["1000/1h"]}}
            },
            "limits": {"sends_per_number": ["1000/1h"]},
        }
    ],
)
async def test_a_hundred_failed_checks_in_a_row_close_the_number_for_a_day(web: Lab) -> None:
    for _ in range(20):
        id_ = (await web.start()).json()["id"]
        for i in range(5):
            await web.check(id_, other_code(web.code(), i + 1))
    assert await refused(web) == (429, "failed_checks_per_number", 86_400)
    policy = (await web.start()).headers["RateLimit-Policy"]
    assert policy == '"failed_checks_per_number";q=100;w=86400'
    assert [event for event in web.told if isinstance(event, NumberClosed)] == [NumberClosed("web", id_)]
    web.pass_time(86_400)
    assert (await web.start()).status_code == 201


async def test_failed_checks_in_a_row_are_remembered_for_ninety_days(web: Lab, redis: Server) -> None:
    id_ = (await web.start()).json()["id"]
    await web.check(id_, other_code(web.code()))
    [failures] = [name for name in redis.names() if b":r:" in name]
    assert 0 <= 90 * 86_400_000 - int(redis.run("PTTL", failures)) < 60_000


async def test_a_refused_start_costs_nothing(web: Lab) -> None:
    for _ in range(3):
        await web.start()
    for _ in range(20):
        assert (await refused(web))[1] == "live_verifications"
    web.pass_time(600)
    assert [(await web.start()).status_code for _ in range(2)] == [201, 201]
    assert len(web.inbox) == 5


async def test_simultaneous_starts_never_overshoot(web: Lab) -> None:
    answers = await asyncio.gather(*(web.start() for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 17
    assert len(web.inbox) == 3


@pytest.mark.naive("raw_numbers")
@pytest.mark.parametrize("changes", [NO_LIVE_LIMIT])
async def test_forty_spellings_are_one_number_and_one_budget(web: Lab) -> None:
    spellings = SPELLINGS["one"]["spellings"]
    assert len(spellings) >= 40
    answers = [await web.start(to, region=region) for to, region in spellings]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429] * (len(spellings) - 5)
    assert {message.to for message in web.inbox} == {SPELLINGS["one"]["e164"]}


@pytest.mark.naive("any_line")
async def test_nobody_dials_premium_satellite_or_a_country_not_listed(web: Lab) -> None:
    refusals = {
        "+3729001234": "number_type",  # premium
        "+19002345678": "number_type",  # premium
        "+443012345678": "number_type",  # UAN
        "+447640123456": "number_type",  # pager
        "+493012345678": "number_type",  # fixed
        "+881612345678": "number_type",  # satellite
        "+882161234567": "number_type",  # satellite
        "+870773123456": "number_type",  # satellite
        "+979123456789": "number_type",  # international premium
        "+33612345678": "country_not_allowed",
        "+14165550123": "country_not_allowed",  # Canada shares its calling code with the United States
    }
    answers = [await web.start(number) for number in refusals]
    assert [answer.json().get("reason") for answer in answers] == list(refusals.values())
    assert {answer.status_code for answer in answers} == {403}
    assert web.inbox == []


async def test_extensions_and_letters_are_refused(web: Lab) -> None:
    answers = [
        await web.start(to, region="EE") for to in ("+37256789045;ext=1", "+3725678904x5", "+372FLOWERS")
    ]
    assert [answer.json()["code"] for answer in answers] == ["invalid_number"] * 3


@pytest.mark.parametrize("changes", [NO_BUDGET_BUT_ROW])
async def test_an_approval_does_not_lift_the_closing(web: Lab) -> None:
    older = (await web.start()).json()["id"]
    code = web.code()
    for _ in range(20):
        id_ = (await web.start()).json()["id"]
        for i in range(5):
            await web.check(id_, other_code(web.code(), i + 1))
    assert (await web.check(older, code)).json()["approved"] is True
    assert (await refused(web))[1] == "failed_checks_per_number"


async def test_a_resend_while_the_last_check_is_compared_is_refused(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    for i in range(4):
        await web.check(id_, other_code(web.code(), i + 1))
    settle = web.service.store.settle
    answers = []

    async def meanwhile(*arguments: Any, **options: Any) -> Any:
        answers.append(await web.resend(id_))
        return await settle(*arguments, **options)

    web.service.store.settle = meanwhile  # type: ignore[method-assign]
    await web.check(id_, web.code())
    assert [(answer.status_code, answer.json()["verification_status"]) for answer in answers] == [
        (410, "pending")
    ]


@pytest.mark.naive("test_keys_spend_live_budgets")
async def test_what_test_keys_do_counts_nothing_against_people(web: Lab) -> None:
    for _ in range(2):
        id_ = (await web.start()).json()["id"]
        for shift in range(1, 6):
            await web.check(id_, other_code(web.code(), shift))
    for _ in range(3):
        assert (await web.start()).status_code in {201, 429}
    answer = await web.post("start", {"to": NUMBER}, headers=bearer("live1", "live"))
    assert answer.status_code == 201


@pytest.mark.parametrize("changes", [{"apps": {"web": {"cooldown_seconds": [0], "max_sends": 10}}}])
async def test_resends_at_the_same_time_are_each_counted(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    answers = await asyncio.gather(*(web.resend(id_) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 4
    assert len(web.inbox) == 5
