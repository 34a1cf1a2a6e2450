"""The lifecycle of a verification, as its app sees it, on every kind of server."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from otp_service.events import Canceled, Checked, Started
from otp_service.store.keys import Shard
from otp_service.verification import VerificationId
from tests.lab import NUMBER, SECRET, Lab, bearer, other_code

if TYPE_CHECKING:
    from tests.servers import Server

pytestmark = pytest.mark.every_server

NO_LIMITS = {"sends_per_number": (), "failed_checks_per_number": (), "live_verifications": None}
NO_BUDGETS: dict[str, Any] = {
    "apps": {name: {"limits": NO_LIMITS} for name in ("web", "other")},
    "limits": {"sends_per_number": ()},
}


@pytest.fixture
async def started(web: Lab) -> dict[str, Any]:
    body: dict[str, Any] = (await web.start(purpose="login", metadata={"order": "42"})).json()
    return body


async def test_start_answers_with_the_verification_and_its_delivery(web: Lab) -> None:
    answer = await web.start(purpose="login", metadata={"order": "42"})
    body = answer.json()
    created = body["created_at"]
    [delivery] = body.pop("deliveries")
    assert answer.status_code == 201
    assert delivery | {"latency_ms": 0, "at": ""} == {
        "provider": "console", "outcome": "accepted", "reason": "", "segments": 1, "latency_ms": 0, "at": "",
        "receipt": None,
    }  # fmt: skip
    assert body | {"id": "", "created_at": "", "expires_at": ""} == {
        "id": "", "status": "pending", "to": NUMBER, "channel": "sms", "purpose": "login", "created_at": "",
        "expires_at": "", "expires_in": 600, "checks_left": 5, "sends_left": 4, "next_send_in": 30,
        "metadata": {"order": "42"},
    }  # fmt: skip
    assert len(body["id"]) == len("vrf_") + 26
    assert created.endswith("Z")
    assert len(created) == len("2026-11-20T10:00:00Z")


async def test_a_start_is_told_with_its_purpose_and_country(web: Lab, started: dict[str, Any]) -> None:
    assert [event for event in web.told if isinstance(event, Started)] == [
        Started("web", started["id"], "login", "EE")
    ]


async def test_the_right_code_is_approved_with_a_proof(web: Lab, started: dict[str, Any]) -> None:
    checked = (await web.check(started["id"], web.code(), purpose="login")).json()
    assert (checked["status"], checked["approved"], checked["checks_left"]) == ("approved", True, 4)
    keys = jwt.PyJWKSet.from_dict((await web.http.get("/.well-known/jwks.json")).json())
    claims = jwt.decode(
        checked["proof"], keys["p1"].key, ["EdDSA"], audience="web", issuer="http://127.0.0.1:8080"
    )
    assert (claims["sub"], claims["jti"], claims["purpose"]) == (NUMBER, started["id"], "login")


async def test_a_proof_names_the_transaction_and_its_whole_second(web: Lab) -> None:
    paid = {"payee": "ACME", "amount": "12.00 EUR"}
    id_ = (await web.start(transaction=paid)).json()["id"]
    proof = (await web.check(id_, web.code(), transaction=paid)).json()["proof"]
    claims = jwt.decode(proof, options={"verify_signature": False})
    assert (claims["transaction"], type(claims["iat"])) == (paid, int)


async def test_a_wrong_code_is_a_result_and_counted(web: Lab, started: dict[str, Any]) -> None:
    checked = await web.check(started["id"], other_code(web.code()), purpose="login")
    assert (checked.status_code, checked.json()) == (
        200, {"id": started["id"], "status": "pending", "approved": False, "checks_left": 4},
    )  # fmt: skip


async def test_each_check_is_told_with_its_result(web: Lab, started: dict[str, Any]) -> None:
    for code in (other_code(web.code()), web.code()):
        await web.check(started["id"], code, purpose="login")
    assert [event for event in web.told if isinstance(event, Checked)] == [
        Checked("web", started["id"], "wrong"),
        Checked("web", started["id"], "approved"),
    ]


async def test_the_guess_that_spends_the_last_check_closes_it(web: Lab, started: dict[str, Any]) -> None:
    answers = [(await web.check(started["id"], other_code(web.code(), i + 1))).json() for i in range(5)]
    assert [answer["checks_left"] for answer in answers] == [4, 3, 2, 1, 0]
    assert [answer["status"] for answer in answers] == ["pending"] * 4 + ["max_attempts_reached"]
    late = await web.check(started["id"], web.code(), purpose="login")
    assert (late.status_code, late.json()["code"], late.json()["verification_status"]) == (
        410, "verification_closed", "max_attempts_reached",
    )  # fmt: skip
    assert late.json()["detail"].startswith("The verification is max attempts reached")
    assert (await web.fetch(started["id"])).json()["checks_left"] == 0


@pytest.mark.naive("resend_resets_checks")
async def test_a_resend_does_not_reset_the_checks(web: Lab, started: dict[str, Any]) -> None:
    wrong = other_code(web.code())
    first = [await web.check(started["id"], wrong) for _ in range(4)]
    web.pass_time(30)
    assert (await web.resend(started["id"])).status_code == 200
    second = [await web.check(started["id"], wrong) for _ in range(4)]
    assert [answer.status_code for answer in first + second] == [200] * 5 + [410] * 3


async def test_the_newest_two_codes_are_live(web: Lab, started: dict[str, Any]) -> None:
    for _ in range(2):
        web.pass_time(120)
        assert (await web.resend(started["id"])).status_code == 200
    assert (await web.check(started["id"], web.code(0), purpose="login")).json()["approved"] is False
    assert (await web.check(started["id"], web.code(1), purpose="login")).json()["approved"] is True


@pytest.mark.naive("unbound_purpose", "unbound_transaction")
async def test_a_resent_code_is_bound_as_the_first_one(web: Lab) -> None:
    bound: dict[str, Any] = {"purpose": "payout", "transaction": {"payee": "ACME", "amount": "12.00 EUR"}}
    id_ = (await web.start(**bound)).json()["id"]
    web.pass_time(30)
    await web.resend(id_)
    for name in bound:
        claimed = {other: value for other, value in bound.items() if other != name}
        assert (await web.check(id_, web.code(), **claimed)).json()["approved"] is False
    assert (await web.check(id_, web.code(), **bound)).json()["approved"] is True


async def test_a_resend_waits_for_the_cool_down(web: Lab, started: dict[str, Any]) -> None:
    web.pass_time(10)
    early = await web.resend(started["id"])
    assert (early.status_code, early.json()["reason"], early.headers["Retry-After"]) == (
        429,
        "cooldown",
        "20",
    )
    web.pass_time(20)
    body = (await web.resend(started["id"])).json()
    assert (body["sends_left"], body["next_send_in"], len(body["deliveries"])) == (3, 60, 2)


@pytest.mark.parametrize("changes", [NO_BUDGETS])
async def test_five_sends_are_all(web: Lab, started: dict[str, Any]) -> None:
    for cool_down in (30, 60, 120, 300):
        web.pass_time(cool_down)
        last = await web.resend(started["id"])
    assert (last.status_code, last.json()["sends_left"]) == (200, 0)
    web.pass_time(80)
    refused = await web.resend(started["id"])
    assert (refused.status_code, refused.json()["reason"]) == (429, "sends_per_verification")


async def test_past_its_time_it_reads_expired_and_takes_nothing(web: Lab, started: dict[str, Any]) -> None:
    web.pass_time(600)
    assert (await web.fetch(started["id"])).json()["status"] == "expired"
    answers = [
        await web.check(started["id"], web.code(), purpose="login"),
        await web.resend(started["id"]),
        await web.cancel(started["id"]),
    ]
    assert [(answer.status_code, answer.json()["verification_status"]) for answer in answers] == [
        (410, "expired")
    ] * 3
    assert answers[1].json()["detail"].startswith("The verification is over.")


async def test_canceled_takes_nothing(web: Lab, started: dict[str, Any]) -> None:
    canceled = await web.cancel(started["id"])
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    assert canceled.json() == (await web.fetch(started["id"])).json()
    assert web.told[-1] == Canceled("web", started["id"])
    late = await web.check(started["id"], web.code(), purpose="login")
    assert (late.status_code, late.json()["verification_status"]) == (410, "canceled")


async def test_fetch_shows_it_for_a_day(web: Lab, started: dict[str, Any]) -> None:
    assert (await web.fetch(started["id"])).json() == started
    web.pass_time(86_399)
    assert (await web.fetch(started["id"])).status_code == 200
    web.pass_time(1)
    assert (await web.fetch(started["id"])).status_code == 404


@pytest.mark.naive("unbound_purpose", "bound_to_nothing")
async def test_another_purpose_is_a_wrong_code(web: Lab, started: dict[str, Any]) -> None:
    checked = (await web.check(started["id"], web.code(), purpose="payout")).json()
    assert (checked["approved"], checked["checks_left"]) == (False, 4)


@pytest.mark.naive("unbound_transaction")
@pytest.mark.parametrize(
    "claimed",
    [
        None,
        {"payee": "ACME", "amount": "1200 EUR"},
        {"payee": "EMCA", "amount": "12.00 EUR"},
        {"payee": "12.00 EUR", "amount": "ACME"},
    ],
)
async def test_another_transaction_is_a_wrong_code(web: Lab, claimed: dict[str, str] | None) -> None:
    paid = {"payee": "ACME", "amount": "12.00 EUR"}
    id_ = (await web.start(transaction=paid)).json()["id"]
    body = {"transaction": claimed} if claimed else {}
    checked = (await web.check(id_, web.code(), **body)).json()
    assert (checked["approved"], checked["checks_left"]) == (False, 4)
    assert (await web.check(id_, web.code(), transaction=paid)).json()["approved"] is True


@pytest.mark.naive("any_apps_id")
async def test_another_apps_id_answers_as_an_unknown_one(web: Lab, started: dict[str, Any]) -> None:
    unknown = started["id"][:-2] + ("ba" if started["id"][-2] == "a" else "aa")
    code = {"code": "123456"}
    for method, verb, body in [("GET", "", None), *(("POST", verb, body) for verb, body in
                               (("/check", code), ("/resend", None), ("/cancel", None)))]:  # fmt: skip
        answers = [
            await web.http.request(
                method, f"/v1/verifications/{id_}{verb}", json=body,
                headers=bearer("other1") | {"X-Request-Id": "same"},
            )
            for id_ in (started["id"], unknown)
        ]  # fmt: skip
        theirs, nobodys = answers
        assert (theirs.status_code, theirs.content) == (404, nobodys.content)
        assert theirs.headers == nobodys.headers


async def test_a_closed_verification_holds_no_hash(web: Lab, started: dict[str, Any], redis: Server) -> None:
    await web.check(started["id"], web.code(), purpose="login")
    assert not [key for key in redis.names() if b":c:" in key]


@pytest.mark.parametrize("changes", [NO_BUDGETS])
@pytest.mark.naive("bound_to_nothing")
async def test_a_code_never_opens_another_verification(web: Lab, redis: Server) -> None:
    """Every ordered pair of 16: two numbers, apps, purposes and transactions; the hash is carried over."""
    opened = [await _opened(web, i) for i in range(16)]
    for theirs, ours in itertools.permutations(opened, 2):
        redis.put(ours.codes, redis.get(theirs.codes))
        redis.run("HSET", ours.record, "n", "0")
        checked = await web.http.post(
            f"/v1/verifications/{ours.id}/check",
            json={"code": theirs.code} | ours.bound,
            headers=bearer(ours.key),
        )
        assert (checked.status_code, checked.json()["approved"]) == (200, False)


@dataclass(frozen=True)
class Opened:
    id: str
    key: str
    bound: dict[str, Any]
    code: str

    @property
    def codes(self) -> str:
        return self._shard.codes(self._id)

    @property
    def record(self) -> str:
        return self._shard.verification(self._id)

    @property
    def _id(self) -> VerificationId:
        found = VerificationId.parse(self.id)
        assert found
        return found

    @property
    def _shard(self) -> Shard:
        return Shard(self._id.shard)


async def _opened(web: Lab, i: int) -> Opened:
    number, key = ("+37256789045", "+37256789046")[i & 1], ("web1", "other1")[i >> 1 & 1]
    bound: dict[str, Any] = {"purpose": ("login", "payout")[i >> 2 & 1]}
    if i >> 3:
        bound["transaction"] = {"payee": "ACME", "amount": "12 EUR"}
    started = await web.post("start", {"to": number} | bound, headers=bearer(key))
    return Opened(started.json()["id"], key, bound, web.code())


async def test_simultaneous_right_checks_have_one_winner(web: Lab, started: dict[str, Any]) -> None:
    answers = await asyncio.gather(
        *(web.check(started["id"], web.code(), purpose="login") for _ in range(16))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [410] * 15


@pytest.mark.naive("plain_at_rest")
async def test_secrets_and_numbers_are_not_in_redis(web: Lab, started: dict[str, Any], redis: Server) -> None:
    await web.check(started["id"], other_code(web.code()))
    dump = redis.dump()
    assert web.code().encode() not in dump
    assert NUMBER[1:].encode() not in dump
    assert SECRET.encode() not in dump
