"""The operator's own endpoint: what it is asked, what its answer does, and what no answer does."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook as Counterpart

from otp_service import events
from otp_service.guard.subjects import Send
from otp_service.phone import parse
from otp_service.settings import Settings, SettingsError, settle
from tests import faults_http
from tests.faults_http import FaultServer, Reply, closed_port
from tests.lab import NUMBER, Lab, lab, tables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.servers import Server

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
CLIENT = {"ip": "203.0.113.9", "session": "s1"}
ALLOW = Reply(body=b'{"decision": "allow"}')
DENY = Reply(body=b'{"decision": "deny", "reason": "sim_swap"}')


@asynccontextmanager
async def asking(
    redis: Server, url: str, *, key: str = "live1", fail: str = "open", **changes: Any
) -> AsyncIterator[Lab]:
    signals = {"url": url, "secret": SECRET, "timeout_ms": 100, "fail": fail}
    async with lab(redis.url, key=key, **{"guard": {"signals": signals}} | changes) as made:
        yield made


def told(live: Lab, kind: type[events.Event]) -> list[Any]:
    return [event for event in live.told if isinstance(event, kind)]


async def test_it_is_asked_for_a_start_what_the_contract_says(redis: Server) -> None:
    async with FaultServer(reply=ALLOW) as hook, asking(redis, hook.url) as live:
        answer = await live.start(client=CLIENT, purpose="login")
    assert answer.status_code == 201
    assert json.loads(hook.requests[0].body) == {
        "app": "web",
        "to": NUMBER,
        "region": "EE",
        "line_type": "mobile",
        "purpose": "login",
        "client": CLIENT,
    }


async def test_standardwebhooks_verifies_the_question(redis: Server) -> None:
    async with FaultServer(reply=ALLOW) as hook, asking(redis, hook.url) as live:
        await live.start()
    asked = hook.requests[0]
    assert Counterpart(SECRET).verify(asked.body, asked.headers)["to"] == NUMBER


async def test_a_resend_is_asked_about_without_a_client(redis: Server) -> None:
    async with FaultServer(reply=ALLOW) as hook, asking(redis, hook.url) as live:
        id_ = (await live.start(client=CLIENT, purpose="login")).json()["id"]
        live.pass_time(60)
        assert (await live.resend(id_)).status_code == 200
    again = json.loads(hook.requests[1].body)
    assert (again["purpose"], again["client"]) == ("login", {"ip": None, "session": None})


async def test_a_denial_is_403_denied_and_nothing_is_sent(redis: Server) -> None:
    async with FaultServer(reply=DENY) as hook, asking(redis, hook.url) as live:
        answer = await live.start()
        assert (answer.status_code, answer.json()["reason"]) == (403, "denied")
        assert live.inbox == []


async def test_its_reason_is_for_the_operator_alone(redis: Server) -> None:
    async with FaultServer(reply=DENY) as hook, asking(redis, hook.url) as live:
        answer = await live.start()
    assert "sim_swap" not in answer.text
    refusal = told(live, events.SendRefused)[0]
    assert (refusal.rule, refusal.figure, refusal.enforced) == ("signals", "sim_swap", True)


@pytest.mark.parametrize("reason", ["+37256789045", "no\nnew line", None, 7, ["x"], "x" * 41])
async def test_a_reason_that_is_no_word_stays_out_of_the_log(redis: Server, reason: Any) -> None:
    reply = Reply(body=json.dumps({"decision": "deny", "reason": reason}).encode())
    async with FaultServer(reply=reply) as hook, asking(redis, hook.url) as live:
        assert (await live.start()).status_code == 403
    assert told(live, events.SendRefused)[0].figure == "unnamed"


@pytest.mark.every_server
async def test_a_denied_start_leaves_every_counter_as_it_was(redis: Server) -> None:
    reply = replace(DENY)
    async with FaultServer(reply=reply) as hook, asking(redis, hook.url) as live:
        for _ in range(3):
            assert (await live.start(client=CLIENT)).status_code == 403
        await live.service.guard.idle()
        reply.body = ALLOW.body
        for index in range(5):
            assert (await live.start(f"+3725678904{index}", client=CLIENT)).status_code == 201
        assert (await live.start("+37256789049", client=CLIENT)).json()["reason"] == "starts_per_session"


async def test_who_is_over_budget_is_not_asked_about(redis: Server) -> None:
    async with FaultServer(reply=ALLOW) as hook, asking(redis, hook.url) as live:
        for index in range(7):
            await live.start(f"+3725678904{index}", client=CLIENT)
    assert len(hook.requests) == 5


async def test_a_number_over_its_own_budget_is_not_asked_about(redis: Server) -> None:
    async with FaultServer(reply=ALLOW) as hook, asking(redis, hook.url) as live:
        answers = [await live.start() for _ in range(9)]
        await live.service.guard.idle()
        assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 6
    assert len(hook.requests) == 3


async def test_a_resend_that_is_refused_is_not_asked_about(redis: Server) -> None:
    async with FaultServer(reply=ALLOW) as hook, asking(redis, hook.url) as live:
        id_ = (await live.start()).json()["id"]
        for index in range(3):
            assert (await live.resend(id_, key=f"early{index}")).status_code == 429
        await live.cancel(id_)
        live.pass_time(30)
        for index in range(3):
            assert (await live.resend(id_, key=f"late{index}")).status_code == 410
    assert len(hook.requests) == 1


async def test_a_denied_resend_leaves_the_verification_as_it_was(redis: Server) -> None:
    reply = replace(ALLOW)
    async with FaultServer(reply=reply) as hook, asking(redis, hook.url) as live:
        id_ = (await live.start()).json()["id"]
        live.pass_time(30)
        reply.body = DENY.body
        assert (await live.resend(id_)).json()["reason"] == "denied"
        assert (await live.fetch(id_)).json()["sends_left"] == 4
        reply.body = ALLOW.body
        assert (await live.resend(id_)).status_code == 200


async def test_a_replay_is_not_asked_about_again(redis: Server) -> None:
    async with FaultServer(reply=ALLOW) as hook, asking(redis, hook.url) as live:
        for _ in range(5):
            assert (await live.start(key="k")).status_code == 201
        await live.service.guard.idle()
        assert (await live.start(purpose="other", key="k")).json()["code"] == "idempotency_mismatch"
        await live.service.guard.idle()
    assert len(hook.requests) == 1


NO_DECISION: list[tuple[Callable[..., Any], Reply]] = [
    (faults_http.well, Reply(status=500)),
    (faults_http.well, Reply(status=302, headers={"location": "/elsewhere"})),
    (faults_http.well, Reply(status=403, body=DENY.body)),
    (faults_http.well, Reply(body=b"allow")),
    (faults_http.well, Reply(body=b"[]")),
    (faults_http.well, Reply(body=b'{"decision": ["allow"]}')),
    (faults_http.well, Reply(body=b'{"decision": "maybe"}')),
    (faults_http.hang_after_request, ALLOW),
    (faults_http.drip, ALLOW),
    (faults_http.reset_after_request, ALLOW),
    (faults_http.not_http, ALLOW),
    (faults_http.endless_body, ALLOW),
]


@pytest.mark.parametrize(("fault", "reply"), NO_DECISION)
async def test_without_a_decision_it_fails_open(
    redis: Server, fault: Callable[..., Any], reply: Reply
) -> None:
    async with FaultServer(fault, reply) as hook, asking(redis, hook.url) as live:
        assert (await live.start()).status_code == 201
        assert len(hook.requests) == 1
    assert [event.fail for event in told(live, events.SignalsSilent)] == ["open"]


@pytest.mark.parametrize(("fault", "reply"), NO_DECISION)
async def test_without_a_decision_it_fails_closed(
    redis: Server, fault: Callable[..., Any], reply: Reply
) -> None:
    async with FaultServer(fault, reply) as hook, asking(redis, hook.url, fail="closed") as live:
        answer = await live.start()
        assert (answer.status_code, answer.json()["code"], live.inbox) == (503, "overloaded", [])
        assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_one_that_is_down_is_no_decision(redis: Server, fail: str) -> None:
    with closed_port() as url:
        async with asking(redis, url, fail=fail) as live:
            assert (await live.start()).status_code == {"open": 201, "closed": 503}[fail]
    assert told(live, events.SignalsSilent)[0].reason == "connect_failed"


async def test_after_a_503_the_same_key_can_be_used_again(redis: Server) -> None:
    reply = Reply(status=500, body=ALLOW.body)
    async with FaultServer(reply=reply) as hook, asking(redis, hook.url, fail="closed") as live:
        assert (await live.start(key="k")).status_code == 503
        reply.status = 200
        assert (await live.start(key="k")).status_code == 201


async def test_test_keys_are_not_asked_about(redis: Server) -> None:
    async with FaultServer(reply=DENY) as hook, asking(redis, hook.url, key="web1") as web:
        assert (await web.start()).status_code == 201
    assert hook.requests == []


async def test_an_app_may_have_an_endpoint_of_its_own(redis: Server) -> None:
    async with FaultServer(reply=DENY) as usual, FaultServer(reply=ALLOW) as own:
        apps = {"web": {"signals": {"url": own.url, "secret": SECRET}}}
        async with asking(redis, usual.url, apps=apps) as live:
            assert (await live.start()).status_code == 201
    assert (len(usual.requests), len(own.requests)) == (0, 1)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"url": "http://signals.example.com"}, "guard.signals.url"),
        ({"secret": "s"}, "guard.signals.secret"),
        ({"timeout_ms": 5000}, "guard.signals.timeout_ms"),
        ({"fail": "shut"}, "guard.signals.fail"),
    ],
)
def test_faults_of_its_settings_are_named(change: dict[str, Any], fault: str) -> None:
    section = {"url": "https://signals.example.com", "secret": SECRET} | change
    with pytest.raises(SettingsError, match=fault):
        settle({"guard": {"signals": section}}, {})


def test_its_secret_is_in_no_repr() -> None:
    section = {"url": "https://signals.example.com", "secret": SECRET}
    settings = Settings.model_validate(tables("redis://127.0.0.1/0", guard={"signals": section}))
    assert SECRET not in repr(settings)


async def test_whoever_hangs_up_meanwhile_holds_nothing_back(redis: Server) -> None:
    async with FaultServer(faults_http.hang_after_request) as hook, asking(redis, hook.url) as live:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(live.start(client=CLIENT), 0.05)
        await live.service.guard.idle()
        guard, app = live.service.guard, live.service.settings.apps["web"]
        figures = await guard.figures(guard.subjects.of(Send(app, parse(NUMBER), "n" * 26)))
        assert [(list(each.windows), each.sent, each.reserved) for each in figures] == [
            ([0], 0, 0),
            ([], 0, 0),
        ]
    assert len(hook.requests) == 1
