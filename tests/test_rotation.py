"""The key ring rotates: append, move first, drop; an unknown key is 503 and never a wrong code."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.lab import SEED, Lab, code_in, lab, other_code

if TYPE_CHECKING:
    from tests.servers import Server

OLD, NEW = f"k1:{SEED}", "k2:" + base64.b64encode(b"2" * 32).decode()


async def test_a_code_of_the_old_key_is_good_while_the_key_is_in_the_ring(redis: Server) -> None:
    async with lab(redis.url, keyring=[OLD]) as web:
        id_, code = (await web.start()).json()["id"], web.code()
    async with lab(redis.url, keyring=[NEW, OLD]) as web:
        assert (await web.check(id_, other_code(code))).json()["approved"] is False
        assert (await web.check(id_, code)).json()["approved"] is True


async def test_a_resend_hashes_with_the_key_of_the_first_code(redis: Server) -> None:
    async with lab(redis.url, keyring=[OLD]) as web:
        id_, first = (await web.start()).json()["id"], web.code()
    async with lab(redis.url, keyring=[NEW, OLD]) as web:
        web.pass_time(30)
        await web.resend(id_)
        assert web.code() != first
        assert (await web.check(id_, first)).json()["approved"] is True


@pytest.mark.parametrize("verb", ["check", "resend", "cancel", "fetch"])
async def test_an_unknown_key_is_503_and_costs_no_check(redis: Server, verb: str) -> None:
    async with lab(redis.url, keyring=[OLD]) as web:
        id_, code = (await web.start()).json()["id"], web.code()
    async with lab(redis.url, keyring=[NEW]) as web:
        web.pass_time(30)
        call: dict[str, Any] = {"check": lambda: web.check(id_, code)}
        answer = await call.get(verb, lambda: getattr(web, verb)(id_))()
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.headers["Retry-After"] == str(answer.json()["retry_after"])
    async with lab(redis.url, keyring=[NEW, OLD]) as web:
        assert (await web.fetch(id_)).json()["checks_left"] == 5


async def test_an_answer_kept_under_a_dropped_key_is_503(redis: Server) -> None:
    async with lab(redis.url, keyring=[OLD]) as web:
        await web.start(key="k")
    async with lab(redis.url, keyring=[NEW]) as web:
        assert (await web.start(key="k")).status_code == 503
        assert web.inbox == []


async def test_a_start_that_goes_on_after_a_rotation_uses_the_new_key(redis: Server) -> None:
    async with lab(redis.url, keyring=[OLD]) as web:

        async def dies(*_: Any, **__: Any) -> Any:
            raise SystemError("killed")

        web.service.verifier._courier._chain.deliver = dies  # type: ignore[method-assign]
        assert (await web.start(key="k")).status_code == 500
    async with lab(redis.url, keyring=[NEW, OLD]) as web:
        web.pass_time(10)
        id_ = (await web.start(key="k")).json()["id"]
    async with lab(redis.url, keyring=[NEW]) as after:
        assert (await after.check(id_, web.code())).json()["approved"] is True


async def test_a_start_that_goes_on_takes_codes_of_the_length_that_is_in_force_now(redis: Server) -> None:
    async with lab(redis.url) as web:

        async def dies(*_: Any, **__: Any) -> Any:
            raise SystemError("killed")

        web.service.verifier._courier._chain.deliver = dies  # type: ignore[method-assign]
        assert (await web.start(key="k")).status_code == 500
    async with lab(redis.url, apps={"web": {"code_length": 8}}) as web:
        web.pass_time(10)
        id_ = (await web.start(key="k")).json()["id"]
        assert (await web.check(id_, web.code())).json()["approved"] is True


async def test_a_proof_of_the_old_key_verifies_while_it_is_published(redis: Server) -> None:
    newer = "p2:" + base64.b64encode(b"3" * 32).decode()
    async with lab(redis.url) as web:
        id_ = (await web.start()).json()["id"]
        proof = (await web.check(id_, web.code())).json()["proof"]
    async with lab(redis.url, proof_keys=[newer, f"p1:{SEED}"]) as web:
        keys = jwt.PyJWKSet.from_dict((await web.http.get("/.well-known/jwks.json")).json())
        kid = jwt.get_unverified_header(proof)["kid"]
        assert jwt.decode(proof, keys[kid].key, ["EdDSA"], audience="web")["jti"] == id_
        assert [key.key_id for key in keys.keys] == ["p2", "p1"]


ROLL_OUTS = [
    ([OLD], [OLD]),
    ([OLD, NEW], [OLD]),  # append
    ([OLD, NEW], [OLD, NEW]),
    ([NEW, OLD], [OLD, NEW]),  # move first
    ([NEW, OLD], [NEW, OLD]),
    ([NEW], [NEW, OLD]),  # drop, after the longest lifetime
    ([NEW], [NEW]),
]


async def test_a_rotation_under_traffic_fails_no_check(redis: Server) -> None:
    """Two processes, rolled out one after the other; what one starts the other checks, over every step."""
    waiting: list[tuple[str, str]] = []
    numbers = iter(range(1_000_000, 9_999_999))
    moved = 0.0
    for step, rings in enumerate(ROLL_OUTS):
        if step == 5:
            moved += 600
            waiting.clear()
        async with lab(redis.url, keyring=rings[0]) as one, lab(redis.url, keyring=rings[1]) as two:
            for process in (one, two):
                process.pass_time(moved)
            for process, other in ((one, two), (two, one)):
                answers = await asyncio.gather(*(check_both(other, *each) for each in waiting))
                assert answers == [(False, True)] * len(waiting)
                waiting = []
                started = await asyncio.gather(*(process.start(f"+3725{next(numbers)}") for _ in range(10)))
                assert {answer.status_code for answer in started} == {201}
                codes = {message.to: code_in(message.text) for message in process.inbox}
                waiting = [(answer.json()["id"], codes[answer.json()["to"]]) for answer in started]


async def check_both(process: Lab, id_: str, code: str) -> tuple[bool, bool]:
    """A wrong guess, then the right one."""
    wrong = (await process.check(id_, other_code(code))).json()
    right = (await process.check(id_, code)).json()
    return wrong.get("approved"), right.get("approved")
