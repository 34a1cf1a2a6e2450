from __future__ import annotations

import json

import pytest

from otp_service.delivery.provider import Answer, Outcome
from otp_service.delivery.transport import Transport
from tests.faults_http import FaultServer, Reply
from tests.provider_cases import callback, cases, message, provider, receipts

URL = "https://otp.example.com/v1/receipts/smspm/t0k3n"
CASES = cases("smspm")["receipts"]


async def sent(url: str | None = None, **section: object) -> dict[str, object]:
    async with FaultServer() as server, Transport() as transport:
        await provider("smspm", transport, server.url, **section).send(message(receipt_url=url))
    body: dict[str, object] = json.loads(server.requests[0].body)
    return body


async def test_neither_secret_nor_code_is_in_the_address() -> None:
    async with FaultServer() as server, Transport() as transport:
        await provider("smspm", transport, server.url).send(message())
    assert server.requests[0].target == "/"


async def test_asks_for_no_receipt_without_a_public_url() -> None:
    assert not {"report", "callbackUrl"} & set(await sent())


async def test_sender_is_the_vendors_default_where_none_is_given() -> None:
    assert (await sent(sender=None))["fromNumber"] == "smspm.com"


async def test_vendors_default_sender_is_a_name_and_so_none_for_america() -> None:
    async with FaultServer() as server, Transport() as transport:
        smspm = provider("smspm", transport, server.url, sender=None)
        assert await smspm.send(message(region="US")) == Answer(Outcome.UNAVAILABLE, "sender_not_allowed")
    assert server.requests == []


@pytest.mark.parametrize(("status", "lasting"), [(200, False), (400, False), (401, True), (402, True)])
async def test_refused_credentials_and_credit_are_lasting_whatever_the_words(
    status: int,
    lasting: bool,  # noqa: FBT001 - a case
) -> None:
    reply = Reply(status, b'{"error": "Invalid token"}')
    async with FaultServer(reply=reply) as server, Transport() as transport:
        answer = await provider("smspm", transport, server.url).send(message())
    assert (answer.outcome, answer.lasting) == (Outcome.UNAVAILABLE, lasting)


@pytest.mark.parametrize("case", CASES, ids=[case["json"]["status"] for case in CASES])
def test_receipt_says_what_the_table_says(case: dict[str, object]) -> None:
    smspm = provider("smspm", Transport())
    assert list(smspm.receipts(callback(URL, json.dumps(case["json"]).encode()))) == receipts(case)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b"null", b'{"status": null}', b"\xff", b"[" * 50_000, b'{"status": []}']
)
def test_receipt_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert list(provider("smspm", Transport()).receipts(callback(URL, body))) == []
