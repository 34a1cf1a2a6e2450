"""Delivery as an app sees it: failover in the request, and again when a receipt says that it failed."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from otp_service.delivery.provider import Receipt
from otp_service.delivery.receipts import ReceiptUrls
from otp_service.events import Received, Tried
from otp_service.keyring import Keyring
from otp_service.settings import Window
from otp_service.verification import Outcome, ReceiptState, Try, VerificationId
from otp_service.worker import LEASE_MS
from tests import faults_http, naive
from tests.faults_http import FaultServer, Reply, closed_port
from tests.lab import NUMBER, Lab, bearer, code_in, lab, other_code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Ground
    from tests.servers import Server

SMSPM_OK = Reply(body=b'{"messages":[{"id":"m-1","toNumber":"37256789045","status":"Added to queue"}]}')
TWILIO_OK = Reply(status=201, body=b'{"sid":"SM' + b"0" * 32 + b'","status":"queued","num_segments":"1"}')


def smspm(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "smspm", "base_url": url, "options": {"hash": "h4sh", "token": "t0ken"}, **more}


def twilio(url: str) -> dict[str, Any]:
    options = {"account_sid": "AC" + "0" * 32, "auth_token": "auth-token"}
    return {"type": "twilio", "base_url": url, "sender": "Acme", "options": options}


@asynccontextmanager
async def routed(redis: Server, first: str, second: str, **more: Any) -> AsyncIterator[Lab]:
    """A route of two: smspm, then twilio."""
    providers = {"first": smspm(first, timeout_seconds=0.5), "second": twilio(second)}
    route = {"default": {"providers": ["first", "second"]}}
    async with lab(redis.url, key="live1", providers=providers, routes=route, **more) as made:
        yield made


def said(server: FaultServer) -> str:
    """The text that a provider was last given."""
    body = server.requests[-1].body
    form = parse_qs(body.decode()).get("Body")
    return form[0] if form else str(json.loads(body)["text"])


@pytest.mark.parametrize(
    ("fault", "reply", "outcome"),
    [
        (faults_http.close_after_accept, SMSPM_OK, "unknown"),
        (faults_http.hang_after_accept, SMSPM_OK, "unknown"),
        (faults_http.hang_after_request, SMSPM_OK, "unknown"),
        (faults_http.drip, SMSPM_OK, "unknown"),
        (faults_http.not_http, SMSPM_OK, "unknown"),
        (faults_http.well, Reply(body=b"<html>"), "unknown"),
        (faults_http.well, Reply(status=500), "unknown"),
        (faults_http.well, Reply(body=b'{"messages":[]}'), "unknown"),
        (faults_http.well, Reply(body=b'{"error":"Token is required"}'), "unavailable"),
        (faults_http.well, Reply(status=401, body=b'{"error":"Invalid token"}'), "unavailable"),
    ],
)
async def test_when_the_first_provider_does_not_deliver_the_second_does(
    redis: Server, fault: Any, reply: Reply, outcome: str
) -> None:
    async with (
        FaultServer(fault, reply) as bad,
        FaultServer(reply=TWILIO_OK) as good,
        routed(redis, bad.url, good.url) as live,
    ):
        answer = await live.start()
        assert answer.status_code == 201
        outcomes = [delivery["outcome"] for delivery in answer.json()["deliveries"]]
        assert outcomes == [outcome, "accepted"]
        checked = await live.check(answer.json()["id"], code_in(said(good)))
        assert checked.json()["approved"] is True


async def test_a_provider_that_is_down_costs_no_time(redis: Server) -> None:
    with closed_port() as down:
        async with FaultServer(reply=TWILIO_OK) as good, routed(redis, down, good.url) as live:
            deliveries = (await live.start()).json()["deliveries"]
            assert [delivery["outcome"] for delivery in deliveries] == ["unavailable", "accepted"]
            assert deliveries[0]["reason"] == "connect_failed"


async def test_accepted_and_then_silent_the_first_messages_code_is_good(redis: Server) -> None:
    async with (
        FaultServer(faults_http.hang_after_request) as silent,
        FaultServer(reply=TWILIO_OK) as good,
        routed(redis, silent.url, good.url) as live,
    ):
        id_ = (await live.start()).json()["id"]
        assert code_in(said(silent)) == code_in(said(good))
        assert (await live.check(id_, code_in(said(silent)))).json()["approved"] is True


async def test_all_silent_is_201_because_a_message_may_have_gone(redis: Server) -> None:
    async with FaultServer(faults_http.hang_after_request) as silent:
        options = {"routes": {"default": {"providers": ["first"]}}}
        providers = {"first": smspm(silent.url, timeout_seconds=0.3)}
        async with lab(redis.url, key="live1", providers=providers, **options) as live:
            answer = await live.start()
            assert answer.status_code == 201
            assert (await live.check(answer.json()["id"], code_in(said(silent)))).json()["approved"] is True


async def test_nobody_takes_it_502_and_the_number_is_not_charged(redis: Server) -> None:
    with closed_port() as down:
        async with routed(redis, down, down) as live:
            answers = [await live.start() for _ in range(7)]
            assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
                (502, "delivery_failed")
            }
            shown = (await live.fetch(answers[0].json()["verification_id"])).json()
            assert (shown["status"], len(shown["deliveries"])) == ("failed", 2)


async def test_undeliverable_reaches_no_second_provider(redis: Server) -> None:
    refused = Reply(status=400, body=b'{"code":21614,"message":"no mobile number","status":400}')
    async with FaultServer(reply=refused) as first, FaultServer(reply=SMSPM_OK) as second:
        providers = {"first": twilio(first.url), "second": smspm(second.url)}
        route = {"default": {"providers": ["first", "second"]}}
        async with lab(redis.url, key="live1", providers=providers, routes=route) as live:
            answer = await live.start(key="k")
            assert (answer.status_code, answer.json()["code"]) == (422, "undeliverable")
            assert second.requests == []
            assert (await live.fetch(answer.json()["verification_id"])).json()["status"] == "failed"


async def test_blocked_reaches_no_second_provider(redis: Server) -> None:
    fraud = Reply(status=403, body=b'{"code":60410,"message":"blocked","status":403}')
    async with FaultServer(reply=fraud) as first, FaultServer(reply=SMSPM_OK) as second:
        providers = {"first": twilio(first.url), "second": smspm(second.url)}
        route = {"default": {"providers": ["first", "second"]}}
        async with lab(redis.url, key="live1", providers=providers, routes=route) as live:
            answer = await live.start()
            assert (answer.status_code, answer.json()["reason"]) == (403, "refused_by_provider")
            assert second.requests == []


async def test_the_deadline_is_for_all_tries_together(redis: Server) -> None:
    async with FaultServer(faults_http.hang_after_request) as slow, FaultServer(reply=TWILIO_OK) as late:
        providers = {"first": smspm(slow.url, timeout_seconds=3), "second": twilio(late.url)}
        route = {"default": {"providers": ["first", "second"], "deadline_seconds": 1}}
        async with lab(redis.url, key="live1", providers=providers, routes=route) as live:
            answer = await live.start()
            [delivery] = answer.json()["deliveries"]
            assert (answer.status_code, delivery["outcome"], late.requests) == (201, "unknown", [])
            assert 900 <= delivery["latency_ms"] <= 1500


async def test_a_rule_of_the_route_chooses_by_country(redis: Server) -> None:
    async with FaultServer(reply=SMSPM_OK) as first, FaultServer(reply=TWILIO_OK) as second:
        rules = {
            "default": {"providers": ["first"], "rules": [{"countries": ["EE"], "providers": ["second"]}]}
        }
        async with lab(
            redis.url,
            key="live1",
            providers={"first": smspm(first.url), "second": twilio(second.url)},
            routes=rules,
        ) as live:
            assert (await live.start()).json()["deliveries"][0]["provider"] == "second"
            assert (await live.start("+4915123456789")).json()["deliveries"][0]["provider"] == "first"


async def test_a_resend_takes_the_provider_that_was_not_used(redis: Server) -> None:
    async with (
        FaultServer(reply=SMSPM_OK) as first,
        FaultServer(reply=TWILIO_OK) as second,
        routed(redis, first.url, second.url) as live,
    ):
        id_ = (await live.start()).json()["id"]
        live.pass_time(30)
        deliveries = (await live.resend(id_)).json()["deliveries"]
        assert [delivery["provider"] for delivery in deliveries] == ["first", "second"]


async def accepts_once(client: faults_http.Connection) -> None:
    """The first request of all; later ones are refused."""
    while True:
        await client.request()
        client.reply = SMSPM_OK if len(client._server.requests) == 1 else Reply(status=401)
        await client.answer()


async def test_a_failed_resend_leaves_the_verification_pending(redis: Server) -> None:
    async with FaultServer(accepts_once, SMSPM_OK) as first:
        with closed_port() as down:
            async with routed(redis, first.url, down) as live:
                id_ = (await live.start()).json()["id"]
                live.pass_time(30)
                answer = await live.resend(id_)
                assert (answer.status_code, "verification_id" in answer.json()) == (502, False)
                assert (await live.check(id_, code_in(first.requests[0].body.decode()))).json()[
                    "approved"
                ] is True


async def test_a_test_key_reaches_no_provider(redis: Server) -> None:
    async with (
        FaultServer(reply=SMSPM_OK) as first,
        FaultServer(reply=TWILIO_OK) as second,
        routed(redis, first.url, second.url) as live,
    ):
        started = await live.post("start", {"to": NUMBER}, headers=bearer("web1"))
        live.pass_time(30)
        await live.post(f"{started.json()['id']}/resend", headers=bearer("web1"))
        assert (first.requests, second.requests, len(live.inbox)) == ([], [], 2)


class Receipts:
    """A live verification whose message went through smspm, and what its provider may report."""

    def __init__(self, live: Lab, id_: str, first: FaultServer, second: FaultServer) -> None:
        self.live, self.id, self.first, self.second = live, id_, first, second

    @property
    def path(self) -> str:
        return urlsplit(json.loads(self.first.requests[0].body)["report"]).path

    async def report(self, status: str, path: str | None = None) -> int:
        answer = await self.live.http.post(
            path or self.path, json={"messageId": "m-1", "status": status}, headers={"Authorization": ""}
        )
        await self.live.service.worker.work()
        return answer.status_code

    async def shown(self) -> list[str | None]:
        body = (await self.live.fetch(self.id)).json()
        assert body["status"] == "pending"
        return [delivery["receipt"] for delivery in body["deliveries"]]


@pytest.fixture
async def sent(redis: Server, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receipts]:
    if ground.variant:
        naive.install(ground.variant, monkeypatch)
    async with (
        FaultServer(reply=SMSPM_OK) as first,
        FaultServer(reply=TWILIO_OK) as second,
        routed(redis, first.url, second.url) as live,
    ):
        yield Receipts(live, (await live.start()).json()["id"], first, second)


async def test_a_receipt_shows_on_its_delivery(sent: Receipts) -> None:
    assert await sent.report("delivered") == 204
    assert await sent.shown() == ["delivered"]


async def test_a_failed_receipt_sends_a_new_code_through_the_next_provider(sent: Receipts) -> None:
    assert await sent.report("undelivered") == 204
    assert await sent.shown() == ["failed", None]
    first, second = code_in(said(sent.first)), code_in(said(sent.second))
    assert first != second
    assert (await sent.live.check(sent.id, second)).json()["approved"] is True


async def test_a_receipt_is_told_with_what_it_said_and_did(sent: Receipts) -> None:
    await sent.report("undelivered")
    assert [event for event in sent.live.told if isinstance(event, Received)] == [
        Received(sent.id, "first", "failed", "undelivered", "due")
    ]


@pytest.mark.parametrize(
    ("outcome", "due"),
    [(Outcome.UNAVAILABLE, True), (Outcome.UNDELIVERABLE, False), (Outcome.BLOCKED, False)],
)
async def test_only_a_failure_that_another_provider_can_mend_makes_a_send_due(
    sent: Receipts,
    outcome: Outcome,
    due: bool,  # noqa: FBT001 - a parameter
) -> None:
    about = Try(VerificationId.parse(sent.id) or VerificationId(bytes(16)), 1, 1)
    reported = [Receipt(ReceiptState.SENT), *[Receipt(ReceiptState.FAILED, outcome)] * 2]
    receive = sent.live.service.verifier.receive
    assert [await receive("first", about, receipt) for receipt in reported] == [False, due, False]


async def test_a_failed_message_never_goes_to_its_provider_again(redis: Server) -> None:
    with closed_port() as down:
        async with FaultServer(reply=SMSPM_OK) as first, routed(redis, first.url, down) as live:
            sent = Receipts(live, (await live.start()).json()["id"], first, first)
            await sent.report("undelivered")
            assert (len(first.requests), await sent.shown()) == (1, ["failed", None])


async def test_each_verification_of_a_number_is_sent_again(redis: Server) -> None:
    async with (
        FaultServer(reply=SMSPM_OK) as first,
        FaultServer(reply=TWILIO_OK) as second,
        routed(redis, first.url, second.url) as live,
    ):
        for _ in range(2):
            await live.start()
        for request in first.requests:
            path = urlsplit(json.loads(request.body)["report"]).path
            await live.http.post(path, json={"status": "undelivered"}, headers={"Authorization": ""})
        await live.service.worker.work()
        assert len(second.requests) == 2


async def test_a_second_send_is_remembered_longer_than_a_worker_may_take(
    sent: Receipts, redis: Server
) -> None:
    await sent.report("undelivered")
    [operation] = [key for key in redis.names() if b":o:" in key]
    assert int(redis.run("PTTL", operation)) > LEASE_MS


async def test_the_code_of_the_message_that_failed_still_counts(sent: Receipts) -> None:
    await sent.report("undelivered")
    assert (await sent.live.check(sent.id, code_in(said(sent.first)))).json()["approved"] is True


@pytest.mark.naive("receipts_repeat")
async def test_a_replayed_receipt_changes_nothing(sent: Receipts) -> None:
    await sent.report("delivered")
    assert await sent.report("undelivered") == 204
    assert await sent.report("delivered") == 204
    assert (await sent.shown(), sent.second.requests) == (["delivered"], [])


async def test_a_repeated_failure_sends_once(sent: Receipts) -> None:
    for _ in range(3):
        await sent.report("undelivered")
    assert len(sent.second.requests) == 1


async def test_a_late_receipt_sends_nothing(sent: Receipts) -> None:
    await sent.live.check(sent.id, code_in(said(sent.first)))
    assert await sent.report("undelivered") == 204
    assert sent.second.requests == []


async def test_a_receipt_of_an_older_send_sends_nothing(sent: Receipts) -> None:
    sent.live.pass_time(30)
    await sent.live.resend(sent.id)
    await sent.report("undelivered")
    assert (len(sent.first.requests), len(sent.second.requests)) == (1, 1)


@pytest.mark.naive("any_token")
async def test_a_receipt_address_cannot_be_made_up(sent: Receipts) -> None:
    *_, name, token = sent.path.split("/")
    theirs = ReceiptUrls("", Keyring([("k", b"k" * 32)], b"x" * 32))
    id_ = VerificationId.parse(sent.id)
    assert id_
    for path in (
        f"/v1/receipts/{name}/{token[:-1]}{'a' if token[-1] != 'a' else 'b'}",
        f"/v1/receipts/{name}/{token}a",
        f"/v1/receipts/{name}/{token.upper()}",
        theirs.url(name, theirs.token(name, Try(id_, 1, 1))) or "",
    ):
        assert await sent.report("undelivered", path) == 404
    assert (await sent.shown(), sent.second.requests) == ([None], [])


async def test_another_providers_address_is_not_taken(sent: Receipts) -> None:
    token = sent.path.rpartition("/")[2]
    assert await sent.report("undelivered", f"/v1/receipts/second/{token}") == 404
    assert await sent.report("undelivered", f"/v1/receipts/console/{token}") == 404


@pytest.mark.naive("any_signature")
async def test_a_signed_providers_receipt_without_its_signature_changes_nothing(
    redis: Server, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ground.variant:
        naive.install(ground.variant, monkeypatch)
    async with FaultServer(reply=TWILIO_OK) as first, FaultServer(reply=SMSPM_OK) as second:
        providers = {"first": twilio(first.url), "second": smspm(second.url)}
        async with lab(
            redis.url,
            key="live1",
            providers=providers,
            routes={"default": {"providers": ["first", "second"]}},
        ) as live:
            await live.start()
            path = urlsplit(parse_qs(first.requests[0].body.decode())["StatusCallback"][0]).path
            answer = await live.http.post(
                path,
                data={"MessageStatus": "failed", "ErrorCode": "30003"},
                headers={"X-Twilio-Signature": "AAAA", "Authorization": ""},
            )
            await live.service.worker.work()
            assert answer.status_code == 403
            assert second.requests == []


async def test_a_signed_receipt_is_taken(redis: Server) -> None:
    validator = pytest.importorskip("twilio.request_validator").RequestValidator("auth-token")
    async with FaultServer(reply=TWILIO_OK) as first, FaultServer(reply=SMSPM_OK) as second:
        providers = {"first": twilio(first.url), "second": smspm(second.url)}
        async with lab(
            redis.url,
            key="live1",
            providers=providers,
            routes={"default": {"providers": ["first", "second"]}},
        ) as live:
            await live.start()
            url = parse_qs(first.requests[0].body.decode())["StatusCallback"][0]
            form = {"MessageStatus": "failed", "ErrorCode": "30003", "MessageSid": "SM1"}
            signature = validator.compute_signature(url, form)
            answer = await live.http.post(
                urlsplit(url).path, data=form, headers={"X-Twilio-Signature": signature, "Authorization": ""}
            )
            await live.service.worker.work()
            assert (answer.status_code, len(second.requests)) == (204, 1)


async def test_failed_receipts_cause_two_sends_at_most(redis: Server) -> None:
    names = ["p1", "p2", "p3", "p4"]
    async with FaultServer(reply=SMSPM_OK) as server:
        providers = {name: smspm(server.url) for name in names}
        async with lab(
            redis.url, key="live1", providers=providers, routes={"default": {"providers": names}}
        ) as live:
            await live.start()
            for _ in range(4):
                path = urlsplit(json.loads(server.requests[-1].body)["report"]).path
                await live.http.post(path, json={"status": "undelivered"}, headers={"Authorization": ""})
                await live.service.worker.work()
            assert len(server.requests) == 3


async def test_the_worker_of_the_process_sends_by_itself(redis: Server) -> None:
    async with (
        FaultServer(reply=SMSPM_OK) as first,
        FaultServer(reply=TWILIO_OK) as second,
        routed(redis, first.url, second.url, work=True) as live,
    ):
        await live.start()
        path = urlsplit(json.loads(first.requests[0].body)["report"]).path
        await live.http.post(path, json={"status": "undelivered"}, headers={"Authorization": ""})
        await asyncio.wait_for(second.asked.wait(), 5)


async def test_a_genuine_receipt_changes_nothing_at_the_address_of_another_message(redis: Server) -> None:
    taken = {"messages": [{"messageId": "m-1", "status": {"groupName": "PENDING", "id": 26}}]}
    async with FaultServer(reply=Reply(body=json.dumps(taken).encode())) as server:
        options = {"host": "abc123.api.infobip.com", "api_key": "k3y"}
        providers = {"only": {"type": "infobip", "base_url": server.url, "options": options}}
        route = {"default": {"providers": ["only"]}}
        async with lab(redis.url, key="live1", providers=providers, routes=route) as live:
            ids = [(await live.start(to)).json()["id"] for to in (NUMBER, "+37256789046")]
            sent = [json.loads(request.body)["messages"][0] for request in server.requests]
            tokens = [each["webhooks"]["callbackData"] for each in sent]
            result = {"callbackData": tokens[0], "status": {"groupName": "DELIVERED", "id": 5}}

            async def reported(address: str) -> list[str | None]:
                path = f"/v1/receipts/only{address}"
                await live.http.post(path, json={"results": [result]}, headers={"Authorization": ""})
                shown = [(await live.fetch(id_)).json()["deliveries"] for id_ in ids]
                return [delivery["receipt"] for (delivery,) in shown]

            assert await reported(f"/{tokens[1]}") == [None, None]
            assert await reported("") == ["delivered", None]


async def test_no_other_provider_no_second_send(redis: Server) -> None:
    async with FaultServer(reply=SMSPM_OK) as only:
        options = {"providers": {"only": smspm(only.url)}, "routes": {"default": {"providers": ["only"]}}}
        async with lab(redis.url, key="live1", **options) as live:
            sent = Receipts(live, (await live.start()).json()["id"], only, only)
            await sent.report("undelivered")
            assert (len(only.requests), await sent.shown()) == (1, ["failed"])


async def test_approved_before_the_worker_came_nothing_is_sent(sent: Receipts) -> None:
    await sent.live.http.post(sent.path, json={"status": "undelivered"}, headers={"Authorization": ""})
    await sent.live.check(sent.id, code_in(said(sent.first)))
    await sent.live.service.worker.work()
    assert sent.second.requests == []


async def test_asked_again_before_the_worker_came_one_message_is_enough(redis: Server) -> None:
    async with FaultServer(reply=SMSPM_OK) as server:
        providers = {name: smspm(server.url) for name in ("p1", "p2", "p3")}
        async with lab(
            redis.url, key="live1", providers=providers, routes={"default": {"providers": ["p1", "p2", "p3"]}}
        ) as live:
            sent = Receipts(live, (await live.start()).json()["id"], server, server)
            live.pass_time(30)
            await live.http.post(sent.path, json={"status": "undelivered"}, headers={"Authorization": ""})
            await live.resend(sent.id)
            await live.service.worker.work()
            assert len(server.requests) == 2


async def test_a_second_send_stays_within_the_numbers_budget(redis: Server) -> None:
    async with FaultServer(reply=SMSPM_OK) as server:
        providers = {name: smspm(server.url) for name in ("p1", "p2")}
        async with lab(
            redis.url,
            key="live1",
            providers=providers,
            routes={"default": {"providers": ["p1", "p2"]}},
            apps={"web": {"limits": {"sends_per_number": [Window(1, 3600)]}}},
        ) as live:
            sent = Receipts(live, (await live.start()).json()["id"], server, server)
            await sent.report("undelivered")
            assert len(server.requests) == 1


async def test_two_workers_send_once_for_one_failure(sent: Receipts) -> None:
    await sent.live.http.post(sent.path, json={"status": "undelivered"}, headers={"Authorization": ""})
    await asyncio.gather(*(sent.live.service.worker.work() for _ in range(4)))
    assert len(sent.second.requests) == 1


async def test_a_worker_that_died_gives_its_timer_back(sent: Receipts) -> None:
    await sent.live.http.post(sent.path, json={"status": "undelivered"}, headers={"Authorization": ""})
    timers = sent.live.service.timers
    shard = (VerificationId.parse(sent.id) or VerificationId(bytes(16))).shard
    assert len(await timers.due(shard, 10, 30_000)) == 1  # taken by one that dies now
    await sent.live.service.worker.work()
    assert sent.second.requests == []
    sent.live.pass_time(30)
    await sent.live.service.worker.work()
    assert len(sent.second.requests) == 1


async def test_nothing_that_a_provider_says_is_in_the_answer(redis: Server) -> None:
    words = Reply(status=401, body=b'{"error":"Invalid token t0ken for +37256789045"}')
    async with FaultServer(reply=words) as first, routed(redis, first.url, first.url) as live:
        answer = await live.start()
        assert answer.status_code == 502
        assert "t0ken" not in answer.text
        shown = await live.fetch(answer.json()["verification_id"])
        assert "t0ken" not in shown.text
        tried = [event for event in live.told if type(event).__name__ == "Tried"]
        assert "56789045" not in repr(tried)


@pytest.fixture
async def three(redis: Server) -> AsyncIterator[tuple[Lab, list[FaultServer]]]:
    """A route of three: the first takes the message and says nothing, the others accept."""
    async with (
        FaultServer(faults_http.hang_after_request) as silent,
        FaultServer(reply=SMSPM_OK) as second,
        FaultServer(reply=SMSPM_OK) as third,
    ):
        made = [silent, second, third]
        providers = {f"p{i}": smspm(server.url, timeout_seconds=0.3) for i, server in enumerate(made)}
        route = {"default": {"providers": list(providers)}}
        async with lab(redis.url, key="live1", providers=providers, routes=route) as live:
            yield live, made


async def report(live: Lab, server: FaultServer, status: str) -> None:
    path = urlsplit(json.loads(server.requests[0].body)["report"]).path
    await live.http.post(path, json={"status": status}, headers={"Authorization": ""})
    await live.service.worker.work()


async def test_a_failed_try_causes_no_send_while_another_may_arrive(three: Any) -> None:
    live, (silent, second, third) = three
    await live.start()
    await report(live, silent, "undelivered")
    assert third.requests == []
    await report(live, second, "undelivered")
    assert len(third.requests) == 1


async def test_a_receipt_that_is_faster_than_the_answer_is_not_lost(redis: Server) -> None:
    reported: list[Any] = []

    async def reports_first(client: faults_http.Connection) -> None:
        request = await client.request()
        path = urlsplit(json.loads(request.body)["report"]).path
        reported.append(
            await live.http.post(path, json={"status": "undelivered"}, headers={"Authorization": ""})
        )
        await client.answer()

    async with (
        FaultServer(reports_first, SMSPM_OK) as first,
        FaultServer(reply=TWILIO_OK) as second,
        routed(redis, first.url, second.url) as live,
    ):
        await live.start()
        await live.service.worker.work()
        assert (reported[0].status_code, len(second.requests)) == (204, 1)


async def test_the_answer_says_how_it_stands_once_the_message_is_taken(redis: Server) -> None:
    async def slow(client: faults_http.Connection) -> None:
        await client.request()
        if live.moved[0]:
            await live.check(id_, other_code(code_in(said(first))))
            await live.cancel(id_)
        live.pass_time(30)
        await client.answer()

    async with FaultServer(slow, SMSPM_OK) as first, routed(redis, first.url, first.url) as live:
        started = (await live.start()).json()
        id_ = started["id"]
        resent = (await live.resend(id_)).json()
        assert (started["expires_in"], resent["status"], resent["checks_left"]) == (570, "canceled", 4)


async def test_a_message_that_was_taken_is_201_even_if_its_record_is_gone(redis: Server) -> None:
    async def loses(client: faults_http.Connection) -> None:
        await client.request()
        redis.flush()
        await client.answer()

    async with FaultServer(loses, SMSPM_OK) as first, routed(redis, first.url, first.url) as live:
        assert (await live.start()).status_code == 201


async def test_resends_that_nobody_takes_leave_the_code_that_arrived(redis: Server) -> None:
    with closed_port() as down:
        async with FaultServer(accepts_once, SMSPM_OK) as first, routed(redis, first.url, down) as live:
            id_ = (await live.start()).json()["id"]
            for cool_down in (30, 60):
                live.pass_time(cool_down)
                assert (await live.resend(id_)).status_code == 502
            assert (await live.check(id_, code_in(first.requests[0].body.decode()))).json()[
                "approved"
            ] is True


async def test_a_resend_that_nobody_takes_is_not_charged_to_the_number(redis: Server) -> None:
    limits = {"web": {"limits": {"sends_per_number": [Window(2, 3600)]}}}
    with closed_port() as down:
        async with (
            FaultServer(accepts_once, SMSPM_OK) as first,
            routed(redis, first.url, down, apps=limits) as live,
        ):
            id_ = (await live.start()).json()["id"]
            for cool_down in (30, 60, 120):
                live.pass_time(cool_down)
                assert (await live.resend(id_)).status_code == 502


async def test_a_full_pool_puts_a_second_send_off(sent: Receipts) -> None:
    await sent.live.http.post(sent.path, json={"status": "undelivered"}, headers={"Authorization": ""})
    pool = sent.live.service.pool
    free, pool._free = pool._free, 0
    await sent.live.service.worker.work()
    pool._free = free
    sent.live.pass_time(30)
    await sent.live.service.worker.work()
    assert len(sent.second.requests) == 1


async def test_one_timer_that_cannot_be_done_does_not_stop_the_worker(sent: Receipts) -> None:
    looked = []

    async def work() -> None:
        looked.append(1)
        if len(looked) == 1:
            sent.live.service.worker.wake()
            raise ZeroDivisionError
        raise asyncio.CancelledError

    worker = sent.live.service.worker
    worker.work = work  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await worker.run()
    assert len(looked) == 2


@pytest.mark.parametrize("token", ["a" * 51 + "%C5%BF", "%00", "a" * 52, "A" * 52, "=" * 52, "a" * 5000])
async def test_an_odd_token_is_404(sent: Receipts, token: str) -> None:
    assert await sent.report("undelivered", f"/v1/receipts/first/{token}") == 404


async def test_the_log_holds_neither_code_nor_number_that_a_provider_repeats(redis: Server) -> None:
    words = b'{"error":"bad text 424242 is your Acme code, to 372 5678 9045 or +37256789045"}'
    async with FaultServer(reply=Reply(body=words)) as first, routed(redis, first.url, first.url) as live:
        await live.start()
        [tried, *_] = [event for event in live.told if isinstance(event, Tried)]
        assert tried.text == "bad text *** is your Acme code, to *** or ***"
