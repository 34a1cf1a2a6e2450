"""One Idempotency-Key, one effect, one answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from otp_service.errors import StoreUnavailable
from otp_service.events import Canceled
from tests.faults_http import FaultServer, Reply, closed_port
from tests.lab import NUMBER, Lab, bearer, idempotent, lab, other_code
from tests.test_delivery import SMSPM_OK, accepts_once, routed

if TYPE_CHECKING:
    from otp_service.store.place import Place
    from otp_service.store.records import Record
    from tests.servers import Server

DOWN: dict[str, Any] = {
    "providers": {
        "down": {"type": "smspm", "base_url": "http://127.0.0.1:1", "options": {"hash": "h", "token": "t"}}
    },
    "routes": {"default": {"providers": ["down"]}},
}


async def test_a_repeated_start_gives_the_stored_answer(web: Lab) -> None:
    first, second = await web.start(key="k"), await web.start(key="k")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (
        None,
        "true",
    )
    assert len(web.inbox) == 1


async def test_an_answer_is_marked_as_replayed_only_when_it_is(web: Lab) -> None:
    first = await web.start(key="s")
    id_ = first.json()["id"]
    web.pass_time(30)
    answers = [first, await web.resend(id_, key="r"), await web.check(id_, web.code(), key="c")]
    assert ["Idempotency-Replayed" in answer.headers for answer in answers] == [False] * 3


@pytest.mark.naive("no_claim")
async def test_twenty_simultaneous_equal_starts_send_one_message(web: Lab) -> None:
    answers = await asyncio.gather(*(web.start(key="k") for _ in range(20)))
    assert len(web.inbox) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["id"] for answer in answers if answer.status_code == 201} == {
        (await web.start(key="k")).json()["id"]
    }


async def test_the_first_request_at_work_is_409_with_retry_after(web: Lab) -> None:
    answers = await asyncio.gather(*(web.start(key="k") for _ in range(20)))
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert all(answer.json()["code"] == "idempotency_in_progress" for answer in waiting)
    assert all(int(answer.headers["Retry-After"]) == answer.json()["retry_after"] for answer in waiting)


@pytest.mark.naive("no_claim")
async def test_one_key_with_fifty_codes_buys_one_evaluation(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    guesses = [other_code(web.code(), i) for i in range(1, 51)]
    answers = await asyncio.gather(*(web.check(id_, guess, key="k") for guess in guesses))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.json().get("code") for answer in answers} == {None, "idempotency_mismatch"}
    assert (await web.fetch(id_)).json()["checks_left"] == 4


async def test_a_repeated_check_gets_the_winners_answer(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    answers = await asyncio.gather(*(web.check(id_, web.code(), key=f"k{i}") for i in range(8)))
    [winner] = [i for i, answer in enumerate(answers) if answer.status_code == 200]
    again = await web.check(id_, web.code(), key=f"k{winner}")
    assert again.content == answers[winner].content
    assert again.headers["Idempotency-Replayed"] == "true"
    loser = await web.check(id_, web.code(), key=f"k{(winner + 1) % 8}")
    assert (loser.status_code, loser.json()["code"]) == (410, "verification_closed")


async def test_a_repeated_wrong_check_is_counted_once(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    wrong = other_code(web.code())
    first, second = await web.check(id_, wrong, key="k"), await web.check(id_, wrong, key="k")
    assert first.content == second.content
    assert (await web.fetch(id_)).json()["checks_left"] == 4


@pytest.mark.parametrize("verb", ["resend", "cancel"])
async def test_a_repeated_verb_gives_the_stored_answer(web: Lab, verb: str) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    path = f"/v1/verifications/{id_}/{verb}"
    first, second = [await web.http.post(path, headers=idempotent("k")) for _ in range(2)]
    assert (second.status_code, second.content) == (200, first.content)
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_another_body_is_a_mismatch(web: Lab) -> None:
    await web.start(key="k")
    answer = await web.start("+37256789046", key="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


async def test_another_path_is_a_mismatch(web: Lab) -> None:
    id_ = (await web.start(key="k")).json()["id"]
    answer = await web.cancel(id_, key="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


async def test_the_scope_is_the_app_and_not_the_api_key(web: Lab) -> None:
    first = await web.start(key="k")
    same = await web.post("start", {"to": NUMBER}, headers=bearer("web2") | idempotent("k"))
    other = await web.post("start", {"to": NUMBER}, headers=bearer("other1") | idempotent("k"))
    assert same.content == first.content
    assert other.json()["id"] != first.json()["id"]


async def test_after_an_hour_a_key_is_new(web: Lab, redis: Server) -> None:
    first = (await web.start(key="k")).json()["id"]
    [claim] = [key for key in redis.names() if key.endswith(b":i")]
    assert 3_500_000 < int(redis.run("PTTL", claim)) <= 3_600_000
    web.pass_time(3600)
    assert (await web.start(key="k")).json()["id"] != first


async def test_a_refusal_that_can_be_mended_lets_the_key_go(web: Lab) -> None:
    assert (await web.start("+372", key="k")).status_code == 422
    assert (await web.start(key="k")).status_code == 201


async def test_a_throttled_request_lets_the_key_go(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    assert (await web.resend(id_, key="k")).status_code == 429
    web.pass_time(30)
    assert (await web.resend(id_, key="k")).status_code == 200


async def test_a_403_is_kept(web: Lab) -> None:
    first, second = await web.start("+33612345678", key="k"), await web.start("+33612345678", key="k")
    assert (first.status_code, second.status_code) == (403, 403)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json() | {"request_id": ""} == first.json() | {"request_id": ""}


@pytest.mark.parametrize("changes", [DOWN])
async def test_a_502_is_kept_with_the_id_of_its_verification(live: Lab) -> None:
    first, second = await live.start(key="k"), await live.start(key="k")
    assert (first.status_code, first.json()["code"]) == (502, "delivery_failed")
    assert first.json()["verification_id"] == second.json()["verification_id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (await live.fetch(first.json()["verification_id"])).json()["status"] == "failed"


def forgetful(lab_: Lab) -> None:
    """The process dies before the answer is kept."""

    async def keep(*_: Any) -> None:
        raise StoreUnavailable("gone", retry_after=1)

    lab_.service.claims.keep = keep  # type: ignore[method-assign]


async def test_a_start_whose_answer_was_not_kept_is_not_sent_again(web: Lab) -> None:
    forgetful(web)
    first, second = await web.start(key="k"), await web.start(key="k")
    assert (second.status_code, second.json()) == (201, first.json())
    assert (second.headers["Idempotency-Replayed"], len(web.inbox)) == ("true", 1)


@pytest.mark.parametrize("changes", [DOWN])
async def test_a_failed_start_whose_answer_was_not_kept_fails_again(live: Lab) -> None:
    forgetful(live)
    first, second = await live.start(key="k"), await live.start(key="k")
    assert (second.status_code, second.headers["Idempotency-Replayed"]) == (502, "true")
    assert second.json()["verification_id"] == first.json()["verification_id"]


async def test_a_resend_whose_answer_was_not_kept_is_not_sent_again(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    forgetful(web)
    first, second = await web.resend(id_, key="k"), await web.resend(id_, key="k")
    assert (second.status_code, second.json()) == (200, first.json())
    assert (second.headers["Idempotency-Replayed"], len(web.inbox)) == ("true", 2)


async def test_a_failed_resend_whose_answer_was_not_kept_fails_again(redis: Server) -> None:
    with closed_port() as down:
        async with FaultServer(accepts_once, SMSPM_OK) as first, routed(redis, first.url, down) as live:
            id_ = (await live.start()).json()["id"]
            live.pass_time(30)
            forgetful(live)
            answers = [await live.resend(id_, key="k") for _ in range(2)]
            assert answers[1].headers["Idempotency-Replayed"] == "true"
            assert [(answer.status_code, "verification_id" in answer.json()) for answer in answers] == [
                (502, False)
            ] * 2
            assert len(first.requests) == 2


async def test_a_resend_that_was_made_answers_so_even_when_all_is_over(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    forgetful(web)
    await web.resend(id_, key="k")
    await web.cancel(id_)
    again = await web.resend(id_, key="k")
    assert (again.status_code, again.json()["status"]) == (200, "canceled")
    assert (again.headers["Idempotency-Replayed"], len(web.inbox)) == ("true", 2)


async def test_a_410_is_kept(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    await web.cancel(id_)
    first, second = await web.check(id_, "123456", key="k"), await web.check(id_, "123456", key="k")
    assert (first.status_code, second.status_code, second.headers["Idempotency-Replayed"]) == (
        410,
        410,
        "true",
    )


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, "a\tb"])
async def test_a_key_that_is_not_visible_ascii_is_422(web: Lab, key: str) -> None:
    answer = await web.post("start", {"to": NUMBER}, headers=[("Idempotency-Key", key.encode())])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_body_and_answer_at_rest_give_up_neither_code_nor_number(web: Lab, redis: Server) -> None:
    id_ = (await web.start(key="k")).json()["id"]
    await web.check(id_, web.code(), key="c")
    dump = redis.dump()
    assert web.code().encode() not in dump
    assert NUMBER[1:].encode() not in dump
    assert b'"to"' not in dump


async def test_a_claim_that_another_holds_outlives_a_release(web: Lab) -> None:
    claims = web.service.claims
    since, _ = await claims.claim("c", "digest", "run 1")
    await claims.claim("c", "digest", "run 2")
    for _ in range(2):  # the second because a reply was lost
        await claims.release("c", "digest", since, "run 1")
    await claims.keep("c", "digest", since, "k1", b"sealed")
    assert await claims.claim("c", "digest", "run 3") == (since, ("k1", b"sealed"))


async def test_a_claim_that_all_let_go_is_free_for_another_request(web: Lab) -> None:
    claims = web.service.claims
    since, _ = await claims.claim("c", "digest", "run")
    await claims.release("c", "digest", since, "run")
    assert (await claims.claim("c", "another", "run"))[1] is None


async def test_a_late_release_does_not_touch_a_newer_claim(web: Lab) -> None:
    claims = web.service.claims
    since, _ = await claims.claim("c", "digest", "run")
    await claims.release("c", "digest", since, "run")
    web.pass_time(1)
    newer, _ = await claims.claim("c", "digest", "run")
    await claims.release("c", "digest", since, "run")
    await claims.keep("c", "digest", newer, "k1", b"sealed")
    assert (await claims.claim("c", "digest", "run"))[1] == ("k1", b"sealed")


async def test_after_undeliverable_the_key_takes_a_mended_request(redis: Server) -> None:
    refused = Reply(status=400, body=b'{"code":21614,"message":"no mobile number","status":400}')
    async with FaultServer(reply=refused) as server:
        options = {"account_sid": "AC" + "0" * 32, "auth_token": "t"}
        section = {"type": "twilio", "base_url": server.url, "sender": "Acme", "options": options}
        async with lab(
            redis.url, key="live1", providers={"first": section}, routes={"default": {"providers": ["first"]}}
        ) as live:
            assert (await live.start(key="k")).status_code == 422
            again = await live.start(key="k", purpose="login")
            assert (again.status_code, again.json()["code"]) == (422, "undeliverable")
            assert len(server.requests) == 2


async def test_a_repeated_cancel_says_so_even_when_its_answer_was_not_kept(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    forgetful(web)
    first, second = await web.cancel(id_, key="k"), await web.cancel(id_, key="k")
    assert (second.status_code, second.json()["status"]) == (200, first.json()["status"])
    assert second.headers["Idempotency-Replayed"] == "true"
    assert [event for event in web.told if isinstance(event, Canceled)] == [Canceled("web", id_)]


async def test_a_test_key_and_a_live_key_share_no_answer(redis: Server) -> None:
    async with lab(redis.url) as web:
        test = await web.start(key="k")
        live = await web.post("start", {"to": NUMBER}, headers=bearer("live1", "live") | idempotent("k"))
        assert test.json()["id"] != live.json()["id"]


async def test_a_retry_that_looked_before_the_send_was_recorded_hears_what_it_came_to(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    forgetful(web)
    fetch, looked, sent = web.service.store.fetch, asyncio.Event(), asyncio.Event()

    async def slowly(place: Place) -> Record:
        record = await fetch(place)
        if not looked.is_set():
            looked.set()
            await sent.wait()
        return record

    web.service.store.fetch = slowly  # type: ignore[method-assign]
    retry = asyncio.create_task(web.resend(id_, key="k"))
    await looked.wait()
    first = await web.resend(id_, key="k")
    sent.set()
    again = await retry
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["deliveries"] == first.json()["deliveries"]
    assert (len(web.inbox), again.headers["Idempotency-Replayed"]) == (2, "true")
