from __future__ import annotations

import hashlib
import importlib
import json
import random
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
import pytest

from otp_service.delivery.provider import Callback, ForgedReceipt, Receipt, ReceiptState
from otp_service.delivery.providers.messagebird import LEEWAY_SECONDS, Messagebird
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer, Reply
from tests.provider_cases import cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from collections.abc import Mapping

CASES = cases("messagebird")
TRANSPORT = Transport()  # one for all: its certificates take 20 ms
KEY = CASES["section"]["options"]["signing_key"]
URL = "https://otp.example.com/v1/receipts/messagebird/t0k3n"
DELIVERED = CASES["receipts"][0]["query"]
NOW = 1_625_479_200
"""2021-07-05 12:00:00+02:00, of the vendor's vectors."""


def messagebird(now: float = NOW, **options: str | None) -> Messagebird:
    held = {key: value for key, value in (CASES["section"]["options"] | options).items() if value}
    section = ProviderSettings(type="messagebird", options=held)
    return Messagebird("messagebird", section, TRANSPORT, now=lambda: now)


def callback(url: str, token: str, body: bytes = b"") -> Callback:
    return Callback("GET", url, {"messagebird-signature-jwt": token}, body)


def token(url: str, body: bytes = b"", key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    signed = {
        "iss": "MessageBird",
        "nbf": NOW,
        "exp": NOW + 60,
        "jti": "1",
        "url_hash": hashlib.sha256(url.encode()).hexdigest(),
    }
    if body:
        signed["payload_hash"] = hashlib.sha256(body).hexdigest()
    held = {name: value for name, value in (signed | claims).items() if value is not None}
    return jwt.encode(held, key, algorithm)


def signed(query: Mapping[str, str] = DELIVERED, **claims: Any) -> Callback:
    url = f"{URL}?{urlencode(query)}"
    return callback(url, token(url, **claims))


async def sent(url: str | None = URL, **section: Any) -> dict[str, Any]:
    async with FaultServer() as server, Transport() as transport:
        await provider("messagebird", transport, server.url, **section).send(message(receipt_url=url))
    body: dict[str, Any] = json.loads(server.requests[0].body)
    return body


async def test_asks_for_no_receipt_that_it_could_not_verify() -> None:
    assert not {"reportUrl", "reference"} & set(await sent(options={"access_key": "k3y"}))


async def test_asks_for_no_receipt_without_a_public_url() -> None:
    assert not {"reportUrl", "reference"} & set(await sent(url=None))


async def test_number_as_an_originator_has_no_plus_sign() -> None:
    assert (await sent(sender="+15017122661"))["originator"] == "15017122661"


async def test_originator_is_left_to_the_vendor_where_none_is_given() -> None:
    assert "originator" not in await sent(sender=None)


@pytest.mark.parametrize(("code", "lasting"), [(2, True), (25, True), (10, False)])
async def test_credentials_and_credit_are_refused_for_longer(code: int, lasting: bool) -> None:  # noqa: FBT001 - a case
    (case,) = (case for case in CASES["refused"] if case["reason"] == str(code))
    async with (
        FaultServer(reply=Reply(case["status"], json.dumps(case["body"]).encode())) as server,
        Transport() as transport,
    ):
        answer = await provider("messagebird", transport, server.url).send(message())
    assert answer.lasting is lasting


@pytest.mark.parametrize("case", CASES["receipts"], ids=lambda case: case["query"]["status"])
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    assert list(messagebird().receipts(signed(case["query"]))) == receipts(case)


@pytest.mark.parametrize("vector", CASES["signatures"], ids=lambda vector: vector["source"].split(": ")[1])
def test_published_vector_is_judged_as_published(vector: dict[str, Any]) -> None:
    found = callback(vector["url"], vector["token"], vector["payload"].encode())
    ours = messagebird(signing_key=vector["secret"])
    if vector["valid"] or "nbf" in vector["reason"] or "exp" in vector["reason"]:  # stale, but not forged
        assert list(ours.receipts(found)) == []
        with pytest.raises(ForgedReceipt):
            messagebird(signing_key="f" * 64).receipts(found)
    else:
        with pytest.raises(ForgedReceipt):
            ours.receipts(found)


@pytest.mark.parametrize(
    ("seconds", "fresh"),
    [
        (-LEEWAY_SECONDS, True),
        (-LEEWAY_SECONDS - 1, False),
        (60 + LEEWAY_SECONDS, True),
        (61 + LEEWAY_SECONDS, False),
    ],
)
def test_stale_receipt_changes_nothing(seconds: int, fresh: bool) -> None:  # noqa: FBT001 - a case
    found = list(messagebird(NOW + seconds).receipts(signed()))
    assert found == ([Receipt(ReceiptState.DELIVERED)] if fresh else [])


def test_times_that_are_none_change_nothing() -> None:
    assert list(messagebird().receipts(signed(exp="never"))) == []


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_every_algorithm_of_the_vendor_is_taken(algorithm: str) -> None:
    found = signed(key="k" * 64, algorithm=algorithm)
    assert list(messagebird(signing_key="k" * 64).receipts(found)) == [Receipt(ReceiptState.DELIVERED)]


FORGERIES = {
    "no signature": Callback("GET", f"{URL}?{urlencode(DELIVERED)}", {}, b""),
    "an empty signature": callback(f"{URL}?{urlencode(DELIVERED)}", ""),
    "no JWT": callback(f"{URL}?{urlencode(DELIVERED)}", "é\udcff"),
    "another account's": signed(key="f" * 64),
    "another issuer's": signed(iss="Bird"),
    "no issuer": signed(iss=None),
    "no hash of the URL": signed(url_hash=None),
    "a hash that is no text": signed(url_hash=["a"]),
    "no time": signed(exp=None),
    "an altered status": callback(
        f"{URL}?{urlencode(DELIVERED | {'status': 'delivery_failed'})}",
        token(f"{URL}?{urlencode(DELIVERED)}"),
    ),
    "another message's URL": callback(
        f"{URL}2?{urlencode(DELIVERED)}", token(f"{URL}?{urlencode(DELIVERED)}")
    ),
    "another host's URL": callback(
        f"{URL}?{urlencode(DELIVERED)}", token(f"{URL.replace('otp.', 'evil.')}?{urlencode(DELIVERED)}")
    ),
    "a body added": callback(f"{URL}?{urlencode(DELIVERED)}", token(f"{URL}?{urlencode(DELIVERED)}"), b"{}"),
    "signed with none": callback(
        f"{URL}?{urlencode(DELIVERED)}", jwt.encode({"iss": "MessageBird"}, "", "none")
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        messagebird().receipts(FORGERIES[forgery])


def test_route_is_for_who_holds_the_signing_key() -> None:
    assert messagebird().signs_receipts
    assert not messagebird(signing_key=None).signs_receipts


def test_without_the_signing_key_every_receipt_is_forged() -> None:
    with pytest.raises(ForgedReceipt):
        messagebird(signing_key=None).receipts(signed(key="f" * 64))


def test_vendors_validator_agrees() -> None:
    try:
        sdk = importlib.import_module("messagebird.request_validator")  # in the extra `ci` only
        errors = importlib.import_module("messagebird.error")
    except ImportError:
        missing("the MessageBird SDK")
    now = time.time()  # the SDK can be told no other
    draw, validator = random.Random(1), sdk.RequestValidator(KEY)  # noqa: S311 - texts for a test
    verdicts = set()
    for _ in range(200):
        url = draw.choice([URL, URL + "?status=delivered&id=%20é", "http://h:8080/x?a=b+c"])
        body = draw.choice([b"", b"Hello, World!", bytes(draw.randbytes(9))])
        times: dict[str, Any] = {"nbf": int(now) - draw.choice([0, 5]), "exp": int(now) + 60}
        made = token(url, body, key=draw.choice([KEY, KEY, "f" * 64]), **times)
        found = callback(url, made, draw.choice([body, body, body + b"!", b""]))
        try:
            validator.validate_signature(made, url, found.body)
            genuine = True
        except errors.ValidationError:
            genuine = False
        if genuine:
            messagebird(now).receipts(found)
        else:
            with pytest.raises(ForgedReceipt):
                messagebird(now).receipts(found)
        verdicts.add(genuine)
    assert verdicts == {True, False}
