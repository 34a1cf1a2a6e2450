from __future__ import annotations

import base64
import importlib
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from otp_service.delivery.provider import Answer, Callback, ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.infobip import CODES, Infobip
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer, Reply
from tests.provider_cases import callback, cases, message, missing, provider, receipts

CASES = cases("infobip")
OPTIONS = CASES["section"]["options"]
LOGIN = {"webhook_user": "infobip", "webhook_password": "sesame"}
FIXED = "https://otp.example.com/v1/receipts/infobip"
DELIVERED = {"groupName": "DELIVERED", "id": 5}
IDLE = Transport()  # one for all that send nothing: its certificates take 20 ms


def infobip(**options: str) -> Infobip:
    return Infobip("infobip", ProviderSettings(type="infobip", options=OPTIONS | options), IDLE)


def report(*results: object) -> Callback:
    return callback(FIXED, json.dumps({"results": results}).encode())


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


# --- sending


async def sent(url: str | None = None, **section: Any) -> dict[str, Any]:
    async with FaultServer() as server, Transport() as transport:
        await provider("infobip", transport, server.url, **section).send(message(receipt_url=url))
    (entry,) = json.loads(server.requests[0].body)["messages"]
    found: dict[str, Any] = entry
    return found


async def answered(status: int, body: dict[str, Any]) -> Answer:
    async with (
        FaultServer(reply=Reply(status, json.dumps(body).encode())) as server,
        Transport() as transport,
    ):
        return await provider("infobip", transport, server.url).send(message())


def refused(code: int) -> dict[str, Any]:
    return {"messages": [{"messageId": "a1b2c3", "status": {"groupName": "REJECTED", "id": code}}]}


async def test_calls_the_accounts_own_host() -> None:
    called: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        called.append(request.url)
        return httpx.Response(401)

    async with Transport(httpx.MockTransport(answer)) as transport:
        await provider("infobip", transport).send(message())
    assert called == ["https://abc123.api.infobip.com/sms/3/messages"]


@pytest.mark.parametrize("host", ["https://abc123.api.infobip.com", "abc123", "a b.c", "abc.com/x", ""])
def test_host_is_a_bare_name(host: str) -> None:
    (fault,) = faults("mine", ProviderSettings(type="infobip", options=OPTIONS | {"host": host}))
    assert fault.startswith("providers.mine.host: must match pattern")


async def test_asks_for_no_receipt_without_a_public_url() -> None:
    assert "webhooks" not in await sent()


async def test_accounts_default_sender_is_used_where_none_is_given() -> None:
    assert "sender" not in await sent(sender=None)


async def test_number_as_a_sender_has_no_plus_sign() -> None:
    assert (await sent(sender="+15017122661"))["sender"] == "15017122661"


async def test_message_of_our_name_that_was_taken_before_is_accepted() -> None:
    assert await answered(200, refused(23)) == Answer(Outcome.ACCEPTED, reference="a1b2c3")


async def test_lasting_is_what_concerns_the_credit() -> None:
    assert {code for code in CODES if (await answered(200, refused(code))).lasting} == {12, 17}


async def test_wrong_key_is_lasting() -> None:
    assert (await answered(401, {"errorCode": "E401", "description": "?"})).lasting


async def test_refusal_inside_another_status_is_judged_by_the_status() -> None:
    assert (await answered(503, refused(52))).outcome is Outcome.UNKNOWN


# --- receipts


@pytest.mark.parametrize(
    "case",
    CASES["receipts"],
    ids=[case["json"]["results"][0]["status"]["name"] for case in CASES["receipts"]],
)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    found = infobip().receipts(callback(FIXED, json.dumps(case["json"]).encode()))
    assert list(found) == [replace(receipt, token="t0k3n") for receipt in receipts(case)]


def test_each_of_many_results_is_for_the_message_whose_token_it_carries() -> None:
    found = infobip().receipts(
        report(
            {"messageId": "1", "callbackData": "first", "status": DELIVERED},
            {"messageId": "2", "callbackData": "second", "status": {"groupName": "REJECTED", "id": 87}},
        )
    )
    assert list(found) == [
        Receipt(ReceiptState.DELIVERED, token="first"),
        Receipt(ReceiptState.FAILED, Outcome.BLOCKED, "87", token="second"),
    ]


@pytest.mark.parametrize(
    "result",
    [
        None,
        "result",
        [],
        {},
        {"messageId": "a1b2c3", "status": DELIVERED},
        {"callbackData": None, "status": DELIVERED},
        {"callbackData": ["t0k3n"], "status": DELIVERED},
        {"callbackData": "t0k3n"},
        {"callbackData": "t0k3n", "status": "DELIVERED"},
        {"callbackData": "t0k3n", "status": {"groupName": "DELIVERED", "id": "5"}},
        {"callbackData": "t0k3n", "status": {"groupName": ["DELIVERED"], "id": 5}},
    ],
)
def test_result_that_cannot_be_read_does_not_hide_the_next(result: object) -> None:
    found = infobip().receipts(report(result, {"callbackData": "t0k3n", "status": DELIVERED}))
    assert list(found) == [Receipt(ReceiptState.DELIVERED, token="t0k3n")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 50_000,
        b'{"results": null}',
        b'{"results": {"a": 1}}',
        b'{"results": "results"}',
    ],
)
def test_callback_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert list(infobip().receipts(callback(FIXED, body))) == []


def test_callback_with_the_login_is_taken() -> None:
    found = replace(
        report({"callbackData": "t0k3n", "status": DELIVERED}),
        headers={"authorization": basic("infobip:sesame")},
    )
    assert list(infobip(**LOGIN).receipts(found)) == [Receipt(ReceiptState.DELIVERED, token="t0k3n")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": basic("infobip:sesam")},
        {"authorization": basic("infobip:sesame")[:-2]},
        {"authorization": basic("infobip:")},
        {"authorization": basic("Infobip:sesame")},
        {"authorization": "Bearer " + basic("infobip:sesame").removeprefix("Basic ")},
        {"authorization": "é\udcff"},
    ],
)
def test_callback_without_the_login_is_forged(headers: dict[str, str]) -> None:
    found = replace(report({"callbackData": "t0k3n", "status": DELIVERED}), headers=headers)
    with pytest.raises(ForgedReceipt):
        infobip(**LOGIN).receipts(found)


def test_login_is_checked_before_the_body_is_read() -> None:
    with pytest.raises(ForgedReceipt):
        infobip(**LOGIN).receipts(callback(FIXED, b"{"))


@pytest.mark.parametrize("half", LOGIN)
def test_half_a_login_is_a_fault(half: str) -> None:
    (fault,) = faults("mine", ProviderSettings(type="infobip", options=OPTIONS | {half: LOGIN[half]}))
    assert fault.endswith("needs both of webhook_user and webhook_password, or neither")


# --- what the vendor wrote


@pytest.mark.slow
def test_vendors_model_holds_our_whole_request() -> None:
    try:
        models = importlib.import_module("infobip_api_client.models")  # in the extra `ci` only
    except ImportError:
        missing("the Infobip SDK")
    ours = CASES["request"]["json"]
    assert models.SmsRequest.from_dict(ours).to_dict() == ours  # what it does not know, it drops
