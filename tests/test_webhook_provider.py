from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook as Counterpart
from standardwebhooks import WebhookVerificationError

from otp_service.delivery.callbacks import MAX_AGE
from otp_service.delivery.provider import ForgedReceipt, Receipt, ReceiptState
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.webhook import Webhook
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer, Reply
from tests.provider_cases import callback, cases, message, provider, receipts

if TYPE_CHECKING:
    from otp_service.delivery.provider import Callback
    from tests.faults_http import Request

CASES = cases("webhook")
SECRET = CASES["section"]["options"]["secret"]
OTHER = "whsec_" + "A" * 32
URL = "https://otp.example.com/v1/receipts/webhook/t0k3n"
NOW = 1_800_000_000
DELIVERED = b'{"state": "delivered"}'


def webhook(transport: Transport | None = None, now: float = NOW, **section: Any) -> Webhook:
    fields = CASES["section"] | section
    settings = ProviderSettings(type="webhook", **fields)
    return Webhook("webhook", settings, transport or Transport(), now=lambda: now)


def sign(body: bytes, secret: str = SECRET, at: int = NOW, name: str = "msg_1") -> str:
    return Counterpart(secret).sign(name, datetime.fromtimestamp(at, UTC), body.decode())


def signed(body: bytes = DELIVERED, signature: str | None = None, at: int = NOW, **changes: str) -> Callback:
    given = {
        "webhook_id": "msg_1",
        "webhook_timestamp": str(at),
        "webhook_signature": sign(body, at=at) if signature is None else signature,
    }
    return callback(URL, body, **given | changes)


# --- sending


async def request(**fields: Any) -> Request:
    async with FaultServer() as server, Transport() as transport:
        await provider("webhook", transport, server.url).send(message(**fields))
    return server.requests[0]


async def test_standardwebhooks_verifies_our_request() -> None:
    sent = await request(text="Tere, õ! 🙂")
    assert Counterpart(SECRET).verify(sent.body, sent.headers)["text"] == "Tere, õ! 🙂"


async def test_standardwebhooks_refuses_our_request_under_another_secret() -> None:
    sent = await request()
    with pytest.raises(WebhookVerificationError):
        Counterpart(OTHER).verify(sent.body, sent.headers)


async def test_idempotency_key_is_the_attempt() -> None:
    assert (await request(attempt="a7")).headers["webhook-id"] == "a7"


async def test_timestamp_is_the_clocks_in_whole_seconds() -> None:
    async with FaultServer() as server, Transport() as transport:
        await webhook(transport, now=NOW + 0.9, base_url=server.url).send(message())
    assert server.requests[0].headers["webhook-timestamp"] == str(NOW)


async def test_pictures_go_as_a_list_of_addresses() -> None:
    sent = await request(media=("https://example.com/a.png", "https://example.com/b.png"))
    assert json.loads(sent.body)["media"] == ["https://example.com/a.png", "https://example.com/b.png"]


async def test_endpoint_is_the_url_unless_a_test_points_elsewhere() -> None:
    async with FaultServer() as server, Transport() as transport:
        options = {"url": f"{server.url}/send/sms", "secret": SECRET}
        await webhook(transport, options=options).send(message())
    assert server.requests[0].target == "/send/sms"


async def test_sender_is_null_where_none_is_given() -> None:
    async with FaultServer() as server, Transport() as transport:
        await webhook(transport, base_url=server.url, sender=None).send(message())
    assert json.loads(server.requests[0].body)["sender"] is None


@pytest.mark.parametrize(
    "code", ["no route to 37256000000", "+37256000000", "0123456789 refused", 37256000000]
)
async def test_endpoint_that_puts_number_or_code_into_its_word_is_not_repeated(code: object) -> None:
    reply = Reply(400, json.dumps({"error": {"code": code}}).encode())
    async with FaultServer(reply=reply) as server, Transport() as transport:
        answer = await provider("webhook", transport, server.url).send(message())
    assert not [secret for secret in ("56000000", "0123456789") if secret in repr(answer)]


# --- receipts


@pytest.mark.parametrize(
    "case", CASES["receipts"], ids=[json.dumps(case["json"]) for case in CASES["receipts"]]
)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    assert list(webhook().receipts(signed(json.dumps(case["json"]).encode()))) == receipts(case)


@pytest.mark.parametrize("vector", CASES["signatures"], ids=lambda vector: vector["webhook-id"])
def test_published_signature_is_genuine(vector: dict[str, str]) -> None:
    headers = {name: value for name, value in vector.items() if name.startswith("webhook-")}
    found = callback(URL, vector["body"].encode(), **headers)
    assert list(webhook(now=int(vector["webhook-timestamp"])).receipts(found)) == []


def test_one_of_several_signatures_is_enough() -> None:
    both = f"v1,bm9uc2Vuc2U= v1a,{'A' * 88} {sign(DELIVERED)}"
    assert list(webhook().receipts(signed(signature=both))) == [Receipt(ReceiptState.DELIVERED)]


@pytest.mark.parametrize(
    "forged",
    [
        callback(URL, DELIVERED),
        signed(signature=""),
        signed(signature=sign(DELIVERED, OTHER)),
        signed(signature=sign(DELIVERED).removeprefix("v1,")),
        signed(signature=sign(DELIVERED).replace("v1,", "v2,")),
        signed(signature="v1,õ"),
        signed(b'{"state": "failed"}', sign(DELIVERED)),
        signed(webhook_id="msg_2"),
        signed(webhook_timestamp=str(NOW + 1)),
    ],
    ids=["unsigned", "empty", "secret", "version", "other version", "letters", "body", "id", "timestamp"],
)
def test_receipt_that_our_secret_did_not_sign_is_forged(forged: Callback) -> None:
    with pytest.raises(ForgedReceipt):
        webhook().receipts(forged)


@pytest.mark.parametrize("age", [-MAX_AGE, 0, MAX_AGE])
def test_receipt_of_five_minutes_counts(age: int) -> None:
    assert list(webhook(now=NOW + age).receipts(signed())) == [Receipt(ReceiptState.DELIVERED)]


@pytest.mark.parametrize("age", [-MAX_AGE - 1, MAX_AGE + 1])
def test_receipt_that_is_older_or_of_the_future_says_nothing(age: int) -> None:
    assert list(webhook(now=NOW + age).receipts(signed())) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b"null", b'"state"', b'{"state": null}', b'{"state": []}', b"[" * 50_000],
)
def test_signed_receipt_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert list(webhook().receipts(signed(body))) == []


@pytest.mark.parametrize("timestamp", ["", "soon", "nan", "1e9", "9" * 400, "9" * 5000])
def test_signed_receipt_without_a_moment_says_nothing(timestamp: str) -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))  # the counterpart signs real times only
    mac = hmac.digest(key, f"msg_1.{timestamp}.".encode() + DELIVERED, "sha256")
    signature = f"v1,{base64.b64encode(mac).decode()}"
    found = signed(signature=signature, webhook_timestamp=timestamp)
    assert list(webhook().receipts(found)) == []


# --- settings


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"url": "http://sms.example.com"}, "url: must begin with https:// (http:// on loopback only)"),
        ({"secret": "whsec_c2hvcnQ="}, "secret: must be whsec_ and base64 of 24 to 64 bytes"),
        ({"secret": "A" * 32}, "secret: must be whsec_ and base64 of 24 to 64 bytes"),
    ],
)
def test_option_that_cannot_be_used_is_a_fault(options: dict[str, str], fault: str) -> None:
    section = ProviderSettings(type="webhook", options=CASES["section"]["options"] | options)
    assert faults("mine", section) == [f"providers.mine.{fault}"]
