"""Test numbers: a fixed code that nobody is sent, for test keys, until a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from otp_service.phone import parse
from tests.lab import NUMBER, bearer, other_code

if TYPE_CHECKING:
    from tests.lab import Lab

pytestmark = pytest.mark.every_server

PREMIUM = "+4490912345"
NOWHERE = "+33612345678"
CODE = "000000"
LAST_DAY = datetime.now(UTC).date() + timedelta(days=2)


def numbers(**entries: dict[str, Any]) -> dict[str, Any]:
    every = {each: {"code": CODE, "until": LAST_DAY} for each in (NUMBER, PREMIUM, "+3725600", NOWHERE)}
    return {"apps": {"web": {"test_numbers": every | entries}}}


@pytest.fixture
def changes() -> dict[str, Any]:
    return numbers()


async def started(web: Lab, to: str = NUMBER, **body: Any) -> str:
    answer = await web.start(to, **body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_its_code_is_fixed(web: Lab) -> None:
    checked = await web.check(await started(web), CODE)
    assert (checked.json()["status"], "proof" in checked.json()) == ("approved", True)


async def test_nothing_is_sent_and_the_delivery_says_so(web: Lab) -> None:
    made = (await web.start()).json()
    found = made["deliveries"]
    assert web.inbox == []
    assert [(each["provider"], each["outcome"], each["segments"]) for each in found] == [
        ("test_number", "accepted", 0)
    ]
    assert (await web.fetch(made["id"])).json()["deliveries"] == found


async def test_a_resend_keeps_the_code_and_sends_nothing(web: Lab) -> None:
    id_ = await started(web)
    web.pass_time(30)
    assert len((await web.resend(id_)).json()["deliveries"]) == 2
    assert (await web.check(id_, CODE)).json()["approved"] is True
    assert web.inbox == []


@pytest.mark.parametrize("to", [PREMIUM, "+3725600", NOWHERE])
async def test_it_comes_before_line_type_country_and_whether_it_can_exist(web: Lab, to: str) -> None:
    id_ = await started(web, to)
    web.pass_time(30)
    assert (await web.resend(id_)).status_code == 200
    assert (await web.check(id_, CODE)).json()["approved"] is True


@pytest.mark.parametrize("spelling", ["+372 5678-9045", "(+372) 56 78 90 45", "5678 9045"])
async def test_any_spelling_of_it_is_it(web: Lab, spelling: str) -> None:
    region = {} if "+" in spelling else {"region": "EE"}
    assert (await web.check(await started(web, spelling, **region), CODE)).json()["approved"] is True


async def test_it_has_no_budgets(web: Lab) -> None:
    for _ in range(30):
        id_ = await started(web)
    assert (await web.check(id_, CODE)).json()["approved"] is True


async def test_a_wrong_code_counts_and_five_close_it(web: Lab) -> None:
    id_ = await started(web)
    answers = [await web.check(id_, other_code(CODE, 1 + i)) for i in range(5)]
    assert [answer.json()["checks_left"] for answer in answers] == [4, 3, 2, 1, 0]
    assert (await web.check(id_, CODE)).json()["verification_status"] == "max_attempts_reached"


async def test_a_hundred_wrong_codes_in_a_row_close_nothing_for_the_next(web: Lab) -> None:
    for _ in range(21):
        id_ = await started(web)
        for i in range(5):
            await web.check(id_, other_code(CODE, 1 + i))
    assert (await web.check(await started(web), CODE)).json()["approved"] is True
    live = await web.post("start", {"to": NUMBER}, headers=bearer("live1", "live"))
    assert live.status_code == 201


@pytest.mark.naive("test_numbers_for_all")
async def test_a_live_key_ignores_it(live: Lab) -> None:
    id_ = await started(live)
    assert len(live.inbox) == 1
    assert (await live.check(id_, CODE)).json()["approved"] is (live.code() == CODE)
    assert (await live.start(NOWHERE)).json()["reason"] == "country_not_allowed"
    assert (await live.start("+3725600")).json()["code"] == "invalid_number"


@pytest.mark.naive("either_kind_of_key")
async def test_a_live_key_knows_nothing_of_what_test_keys_began(web: Lab) -> None:
    id_ = await started(web)
    keyed = bearer("live1", "live")
    assert (await web.post(f"{id_}/check", {"code": CODE}, headers=keyed)).status_code == 404
    assert (await web.http.get(f"/v1/verifications/{id_}", headers=keyed)).status_code == 404
    assert (await web.check(id_, CODE)).json()["approved"] is True


@pytest.mark.naive("either_kind_of_key")
async def test_a_test_key_cannot_have_a_live_verification_sent_again(live: Lab) -> None:
    id_ = await started(live)
    live.pass_time(60)
    for verb in ("resend", "cancel"):
        answer = await live.post(f"{id_}/{verb}", headers=bearer("web1"))
        assert (answer.status_code, answer.json().get("code")) == (404, "verification_not_found")
    assert len(live.inbox) == 1
    assert (await live.fetch(id_)).json()["status"] == "pending"


@pytest.mark.naive("counts_either_kind")
async def test_a_check_by_a_key_of_the_other_kind_costs_nothing_and_says_nothing(live: Lab) -> None:
    id_ = await started(live)
    for code in (live.code(), "1234567"):
        answer = await live.post(f"{id_}/check", {"code": code}, headers=bearer("web1"))
        assert (answer.status_code, answer.json().get("code")) == (404, "verification_not_found")
    assert (await live.fetch(id_)).json()["checks_left"] == 5


async def test_another_apps_test_key_ignores_it(web: Lab) -> None:
    await web.post("start", {"to": NUMBER}, headers=bearer("other1"))
    assert len(web.inbox) == 1


async def test_it_works_on_its_last_day_and_not_after(web: Lab) -> None:
    midnight = datetime.combine(LAST_DAY + timedelta(days=1), datetime.min.time(), UTC)
    web.pass_time((midnight - datetime.now(UTC)).total_seconds() - 60)
    await started(web)
    assert web.inbox == []
    web.pass_time(61)
    await started(web)
    assert len(web.inbox) == 1
    assert (await web.start("+3725600")).json()["code"] == "invalid_number"


async def test_a_transaction_binds_its_code_too(web: Lab) -> None:
    paid = {"payee": "ACME", "amount": "12.00 EUR"}
    id_ = await started(web, transaction=paid)
    assert (await web.check(id_, CODE)).json()["approved"] is False
    assert (await web.check(id_, CODE, transaction=paid)).json()["approved"] is True


@pytest.mark.parametrize("changes", [numbers(**{NUMBER: {"code": "12345678", "until": LAST_DAY}})])
async def test_its_code_may_be_of_another_length(web: Lab) -> None:
    id_ = await started(web)
    assert (await web.check(id_, "123456")).status_code == 422
    assert (await web.check(id_, "12345678")).json()["approved"] is True


async def test_a_key_starts_it_once(web: Lab) -> None:
    first, second = await web.start(key="k"), await web.start(key="k")
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


def test_numbers_that_are_not_known_must_exist() -> None:
    assert parse("+3725600", known=["+3725600"]).e164 == "+3725600"
    with pytest.raises(Exception, match="No such number"):
        parse("+3725601", known=["+3725600"])
