from __future__ import annotations

import asyncio
import base64
import importlib
import json
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from otp_service.delivery.callbacks import MAX_AGE
from otp_service.delivery.provider import Answer, ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.telnyx import CODES, LASTING, Telnyx
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer, Reply
from tests.prism import mocked
from tests.provider_cases import callback, cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_service.delivery.provider import Callback

CASES = cases("telnyx")
OPTIONS = CASES["section"]["options"]
URL = "https://otp.example.com/v1/receipts/telnyx/t0k3n"
PICTURE = "https://acme.example.com/logo.png"
KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
"""RFC 8032, 7.1, TEST 1; its public half is in the section."""
NOW = 1_760_536_359
BODY = json.dumps(CASES["receipts"][5]["json"]).encode()
DELIVERED = [Receipt(ReceiptState.DELIVERED, token="t0k3n")]


def telnyx(now: float = NOW, **options: str | None) -> Telnyx:
    held = {key: value for key, value in (OPTIONS | options).items() if value is not None}
    return Telnyx("telnyx", ProviderSettings(type="telnyx", options=held), Transport(), lambda: now)


def signed(body: bytes = BODY, at: float = NOW, key: Ed25519PrivateKey = KEY) -> Callback:
    signature = base64.b64encode(key.sign(f"{at}|".encode() + body)).decode()
    return callback(URL, body, telnyx_timestamp=str(at), telnyx_signature_ed25519=signature)


def with_headers(found: Callback, **headers: str) -> Callback:
    changed = {f"telnyx-{name.replace('_', '-')}": value for name, value in headers.items()}
    return replace(found, headers={**found.headers, **changed})


# --- sending


async def body(region: str = "EE", *, media: tuple[str, ...] = (), **section: Any) -> dict[str, Any]:
    async with FaultServer() as server, Transport() as transport:
        sent = message(region=region, receipt_url=URL, media=media)
        await provider("telnyx", transport, server.url, **section).send(sent)
    found: dict[str, Any] = json.loads(server.requests[0].body)
    return found


async def test_attempt_is_the_idempotency_key() -> None:
    async with FaultServer() as server, Transport() as transport:
        sender = provider("telnyx", transport, server.url)
        await sender.send(message(attempt="v1s0t0"))
        await sender.send(message(attempt="v1s0t0"))
        await sender.send(message(attempt="v1s0t1"))
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys == ["v1s0t0", "v1s0t0", "v1s0t1"]
    assert server.requests[0].body == server.requests[1].body


async def test_pictures_make_it_an_mms() -> None:
    sent = await body(media=(PICTURE,))
    assert (sent["type"], sent["media_urls"]) == ("MMS", [PICTURE])


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("Acme", {"from": "Acme", "messaging_profile_id": "p1"}),
        ("+18445550001", {"from": "+18445550001"}),
        ("55500", {"from": "55500"}),
        (None, {"messaging_profile_id": "p1"}),
    ],
    ids=["a name", "a number", "a short code", "the number pool"],
)
async def test_profile_goes_with_what_is_no_number(sender: str | None, expected: dict[str, str]) -> None:
    sent = await body(sender=sender, options=OPTIONS | {"messaging_profile_id": "p1"})
    assert {key: sent[key] for key in ("from", "messaging_profile_id") if key in sent} == expected


async def test_profiles_own_webhooks_are_not_told_the_code() -> None:
    assert (await body())["use_profile_webhooks"] is False


async def test_asks_for_no_receipt_that_it_could_not_verify() -> None:
    assert "webhook_url" not in await body(options={"api_key": "KEY1"})


async def test_credentials_credit_and_standing_are_refused_for_long() -> None:
    async with Transport() as transport:
        for code in CODES:
            async with FaultServer(
                reply=Reply(400, json.dumps({"errors": [{"code": code}]}).encode())
            ) as server:
                answer = await provider("telnyx", transport, server.url).send(message())
            assert answer.lasting is (code in LASTING)


@pytest.mark.parametrize("key", ["", "no base64", "c2hvcnQ=", base64.b64encode(bytes(33)).decode()])
def test_public_key_that_is_none_is_named_but_not_shown(key: str) -> None:
    section = ProviderSettings(type="telnyx", options=OPTIONS | {"public_key": key})
    assert faults("mine", section) == ["providers.mine.public_key: must be the base64 of 32 bytes"]


# --- receipts


@pytest.mark.parametrize(
    "case",
    CASES["receipts"],
    ids=lambda case: "-".join(
        [
            case["json"]["data"]["event_type"],
            case["json"]["data"]["payload"]["to"][0]["status"],
            *(error["code"] for error in case["json"]["data"]["payload"]["errors"]),
        ]
    ),
)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    named = [replace(receipt, token="t0k3n") for receipt in receipts(case)]
    assert list(telnyx().receipts(signed(json.dumps(case["json"]).encode()))) == named


def test_recorded_signature_is_genuine() -> None:
    (vector,) = CASES["signatures"]
    found = with_headers(
        callback(URL, vector["body"].encode()),
        timestamp=vector["timestamp"],
        signature_ed25519=vector["signature"],
    )
    assert list(telnyx().receipts(found)) == [Receipt(ReceiptState.DELIVERED)]


@pytest.mark.parametrize("meta", [None, [], {}, {"delivered_to": None}, {"delivered_to": ""}])
def test_receipt_that_does_not_say_where_it_went_is_for_whoever_it_came_to(meta: object) -> None:
    body = json.dumps(json.loads(BODY) | {"meta": meta}).encode()
    assert list(telnyx().receipts(signed(body))) == [Receipt(ReceiptState.DELIVERED)]


@pytest.mark.parametrize(("public_key", "signs"), [(OPTIONS["public_key"], True), (None, False)])
def test_route_is_for_who_holds_the_public_key(public_key: str | None, signs: bool) -> None:  # noqa: FBT001 - a case
    assert telnyx(public_key=public_key).signs_receipts is signs


def test_without_the_public_key_every_receipt_is_forged() -> None:
    with pytest.raises(ForgedReceipt):
        telnyx(public_key=None).receipts(signed())


@pytest.mark.parametrize(
    ("age", "said"), [(MAX_AGE, DELIVERED), (-MAX_AGE, DELIVERED), (MAX_AGE + 1, []), (-MAX_AGE - 1, [])]
)
def test_receipt_is_of_use_for_five_minutes(age: int, said: list[Receipt]) -> None:
    assert list(telnyx(NOW + age).receipts(signed())) == said


@pytest.mark.parametrize(
    "read",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 50_000,
        b"{}",
        b'{"data": []}',
        b'{"data": {"event_type": "message.finalized"}}',
        b'{"data": {"event_type": "message.finalized", "payload": {"to": []}}}',
        b'{"data": {"event_type": "message.finalized", "payload": {"to": [{"status": []}]}}}',
        b'{"data": {"event_type": {}, "payload": {"to": [{"status": "delivered"}]}}}',
    ],
)
def test_signed_body_that_cannot_be_read_says_nothing(read: bytes) -> None:
    assert list(telnyx().receipts(signed(read))) == []


@pytest.mark.parametrize("errors", [None, [], {}, "40300", [None], [{}], [{"code": []}]])
def test_failure_without_a_readable_code_is_named_by_its_status(errors: object) -> None:
    payload = {"to": [{"status": "sending_failed"}], "errors": errors}
    event = {"data": {"event_type": "message.finalized", "payload": payload}}
    assert list(telnyx().receipts(signed(json.dumps(event).encode()))) == [
        Receipt(ReceiptState.FAILED, Outcome.UNAVAILABLE, "sending_failed")
    ]


FORGERIES = {
    "has no headers": callback(URL, BODY),
    "has no signature": callback(URL, BODY, telnyx_timestamp=str(NOW)),
    "has no time": replace(
        signed(), headers={key: value for key, value in signed().headers.items() if key != "telnyx-timestamp"}
    ),
    "has an empty signature": with_headers(signed(), signature_ed25519=""),
    "has half a signature": with_headers(
        signed(), signature_ed25519=signed().headers["telnyx-signature-ed25519"][:44]
    ),
    "has a signature that is no base64": with_headers(signed(), signature_ed25519="é\udcff"),
    "was altered": replace(signed(), body=BODY.replace(b"delivered", b"sent")),
    "has a later time": with_headers(signed(at=NOW - 3600), timestamp=str(NOW)),
    "moves the bar": with_headers(signed(b"1|" + BODY, NOW), timestamp=f"{NOW}|1"),
    "has a time that is none": with_headers(signed(), timestamp="now"),
    "is another account's": signed(key=Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "is stale and was altered": replace(signed(at=NOW - 3600), body=b"{}"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        telnyx().receipts(FORGERIES[forgery])


# --- what others wrote


@pytest.fixture(scope="module")
def sdk() -> Any:
    try:
        importlib.import_module("nacl.signing")  # of telnyx[webhooks], in the extra `ci` only
        return importlib.import_module("telnyx")
    except ImportError:
        missing("the Telnyx SDK")


@pytest.mark.slow  # its import takes 3 s
def test_vendors_verifier_agrees(sdk: Any) -> None:
    verification = importlib.import_module(f"{sdk.__name__}.lib.webhook_verification")
    now, draw = int(time.time()), random.Random(1)  # noqa: S311 - texts for a test; the SDK reads the clock
    ours = telnyx(now)
    for _ in range(100):
        genuine = signed("".join(draw.choices('a|é{"€\n', k=draw.randrange(9))).encode(), at=now)
        altered = replace(genuine, body=genuine.body + b" ")
        verification.verify_webhook_signature(genuine.body, genuine.headers, OPTIONS["public_key"])
        ours.receipts(genuine)
        with pytest.raises(verification.WebhookVerificationError):
            verification.verify_webhook_signature(altered.body, altered.headers, OPTIONS["public_key"])
        with pytest.raises(ForgedReceipt):
            ours.receipts(altered)


@pytest.mark.slow
@pytest.mark.parametrize("media", [(), (PICTURE,)])
async def test_vendors_client_sends_the_same(sdk: Any, media: tuple[str, ...]) -> None:
    reply = Reply(200, json.dumps(CASES["accepted"][0]["body"]).encode())
    ours = message(receipt_url=URL, media=media)
    async with FaultServer(reply=reply) as server, Transport() as transport:
        await provider("telnyx", transport, server.url).send(ours)
        client = sdk.AsyncTelnyx(api_key=OPTIONS["api_key"], base_url=f"{server.url}/v2", max_retries=0)
        await client.messages.send(
            to=ours.to,
            from_="+18445550001",
            text=ours.text,
            type="MMS" if media else "SMS",
            use_profile_webhooks=False,
            webhook_url=URL,
            idempotency_key=ours.attempt,
            **({"media_urls": list(media)} if media else {}),
        )
        await client.close()
    mine, theirs = server.requests
    headers = ("authorization", "idempotency-key", "content-type")
    assert (mine.method, mine.target, json.loads(mine.body)) == (
        theirs.method,
        theirs.target,
        json.loads(theirs.body),
    )
    assert [mine.headers[name] for name in headers] == [theirs.headers[name] for name in headers]


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    with mocked("telnyx_messages_v2.json") as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("media", [(), (PICTURE,)])
async def test_request_is_what_the_vendors_document_allows(prism: str, media: tuple[str, ...]) -> None:
    options = OPTIONS | {"messaging_profile_id": "4000eba1-a0c0-4563-9925-b25e842a7cb6"}
    async with Transport() as transport:
        sender = provider("telnyx", transport, prism, options=options, sender="Acme", timeout_seconds=10)
        answer = await sender.send(message(receipt_url=URL, media=media))
    assert answer == Answer(Outcome.ACCEPTED, reference="40385f64-5717-4562-b3fc-2c963f66afa6", segments=1)


@pytest.mark.slow
async def test_vendors_document_does_refuse(prism: str) -> None:
    bearer = {"authorization": "Bearer k"}
    async with Transport() as transport:
        endpoint = transport.endpoint(f"{prism}/v2/messages", timeout=10)
        wrong, stranger = await asyncio.gather(
            endpoint.post(json=CASES["request"]["json"] | {"type": "FAX"}, headers=bearer),
            endpoint.post(json=CASES["request"]["json"]),
        )
    assert isinstance(wrong, httpx.Response)
    assert isinstance(stranger, httpx.Response)
    assert (wrong.status_code, stranger.status_code) == (422, 401)
