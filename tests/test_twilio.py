from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import inspect
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from otp_service.delivery.callbacks import MAX_FIELDS
from otp_service.delivery.provider import Answer, ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers.twilio import Twilio
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer
from tests.prism import mocked
from tests.provider_cases import callback, cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_service.delivery.provider import Callback

HERE = Path(__file__).parent
CASES = cases("twilio")
URL = "https://otp.example.com/v1/receipts/twilio/t0k3n"
TOKEN, SHARED = "12345", "5hared"
SERVICE = "MG" + "a" * 32
DELIVERED = {"AccountSid": "AC" + "a" * 32, "MessageSid": "SM" + "a" * 32, "MessageStatus": "delivered"}


def twilio(kind: type[Twilio] = Twilio, /, **options: str | None) -> Twilio:
    given = CASES["section"]["options"] | options
    held = {key: value for key, value in given.items() if value is not None}
    return kind("twilio", ProviderSettings(type="twilio", options=held), Transport())


def sign(form: dict[str, str], url: str = URL, token: str = TOKEN, algorithm: str = "sha1") -> str:
    text = url + "".join(name + value for name, value in sorted(form.items()))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), algorithm)).decode()


def signed(form: dict[str, str], url: str = URL, token: str = TOKEN) -> Callback:
    return callback(url, urlencode(form).encode(), x_twilio_signature=sign(form, url, token))


def settings_header(signature: str, settings: str) -> dict[str, str]:
    return {"x-twilio-signature": signature, "x-twilio-webhooks-signature-settings": settings}


# --- sending


async def form(region: str = "EE", url: str | None = None, **section: Any) -> tuple[dict[str, str], str]:
    async with FaultServer() as server, Transport() as transport:
        await provider("twilio", transport, server.url, **section).send(
            message(region=region, receipt_url=url)
        )
    (request,) = server.requests
    return dict(parse_qsl(request.body.decode())), request.headers["authorization"]


async def test_messaging_service_chooses_the_sender() -> None:
    options = CASES["section"]["options"] | {"messaging_service_sid": SERVICE}
    sent, _ = await form("US", sender="Acme", options=options)
    assert (sent.get("MessagingServiceSid"), sent.get("From")) == (SERVICE, None)


async def test_regions_own_sender_goes_before_the_messaging_service() -> None:
    options = CASES["section"]["options"] | {"messaging_service_sid": SERVICE}
    sent, _ = await form("US", senders={"US": "+15017122661"}, options=options)
    assert (sent.get("MessagingServiceSid"), sent.get("From")) == (None, "+15017122661")


async def test_late_message_is_dropped_when_the_code_has_expired() -> None:
    sent, _ = await form()
    assert sent["ValidityPeriod"] == "600"


async def test_api_key_is_what_it_sends_with() -> None:
    options = {
        "account_sid": "AC" + "a" * 32,
        "api_key_sid": "SK" + "b" * 32,
        "api_key_secret": "k3y",
    }
    _, authorization = await form(options=options)
    assert base64.b64decode(authorization.removeprefix("Basic ")) == f"SK{'b' * 32}:k3y".encode()


async def test_asks_for_no_receipt_that_it_could_not_verify() -> None:
    options = {"account_sid": "AC" + "a" * 32, "api_key_sid": "SK1", "api_key_secret": "k3y"}
    sent, _ = await form(url=URL, options=options)
    assert "StatusCallback" not in sent


# --- receipts


@pytest.mark.parametrize(
    "case", CASES["receipts"], ids=lambda case: "-".join(list(case["form"].values())[7:])
)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    assert list(twilio().receipts(signed(case["form"]))) == receipts(case)


@pytest.mark.parametrize("vector", CASES["signatures"], ids=lambda vector: urlsplit(vector["url"]).hostname)
def test_published_signature_is_genuine(vector: dict[str, Any]) -> None:
    found = callback(
        vector["url"], urlencode(vector["form"]).encode(), x_twilio_signature=vector["signature"]
    )
    assert list(twilio(auth_token=vector["token"]).receipts(found)) == []
    with pytest.raises(ForgedReceipt):
        twilio(auth_token=vector["token"] + "6").receipts(found)


@pytest.mark.parametrize(
    ("given", "signed_for"),
    [
        (URL, "https://otp.example.com:443/v1/receipts/twilio/t0k3n"),
        ("https://otp.example.com:443/v1/receipts/twilio/t0k3n", URL),
        ("http://otp.example.com/t", "http://otp.example.com:80/t"),
        ("https://[::1]:8443/t?a=1", "https://[::1]:8443/t?a=1"),
        ("https://[::1]:8443/t?a=1", "https://[::1]/t?a=1"),
    ],
)
def test_port_may_be_signed_or_not(given: str, signed_for: str) -> None:
    found = replace(signed(DELIVERED, signed_for), url=given)
    assert list(twilio().receipts(found)) == [Receipt(ReceiptState.DELIVERED)]


def test_another_port_is_another_url() -> None:
    with pytest.raises(ForgedReceipt):
        twilio().receipts(replace(signed(DELIVERED, URL.replace(".com", ".com:8443")), url=URL))


@pytest.mark.parametrize(
    "settings", ["key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "algorithm=hmac_sha256"]
)
def test_shared_key_signs_with_sha256(settings: str) -> None:
    signature = sign(DELIVERED, token=SHARED, algorithm="sha256")
    found = replace(signed(DELIVERED), headers=settings_header(signature, settings))
    assert list(twilio(shared_key=SHARED).receipts(found)) == [Receipt(ReceiptState.DELIVERED)]
    with pytest.raises(ForgedReceipt):
        twilio().receipts(found)


def test_older_signature_holds_beside_a_shared_key() -> None:
    assert list(twilio(shared_key=SHARED).receipts(signed(DELIVERED))) == [Receipt(ReceiptState.DELIVERED)]


def test_field_that_comes_twice_is_signed_once_per_value() -> None:
    text = URL + "MediaUrl1" + "MediaUrl2" + "MessageStatussent"
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), text.encode(), "sha1")).decode()
    body = b"MediaUrl=2&MessageStatus=sent&MediaUrl=1&MediaUrl=2"
    found = callback(URL, body, x_twilio_signature=signature)
    assert list(twilio().receipts(found)) == [Receipt(ReceiptState.SENT)]


@pytest.mark.parametrize(
    ("options", "signs"),
    [
        ({}, True),
        ({"auth_token": None, "api_key_sid": "SK1", "api_key_secret": "k3y"}, False),
        ({"auth_token": None, "api_key_sid": "SK1", "api_key_secret": "k3y", "shared_key": SHARED}, True),
    ],
)
def test_route_is_for_who_holds_a_signing_secret(options: dict[str, str | None], signs: bool) -> None:  # noqa: FBT001 - a case
    assert twilio(**options).signs_receipts is signs


def test_without_a_signing_secret_every_receipt_is_forged() -> None:
    keyless = twilio(auth_token=None, api_key_sid="SK1", api_key_secret="k3y")
    with pytest.raises(ForgedReceipt):
        keyless.receipts(signed(DELIVERED, token=""))


# --- forgeries, each with the variant that falls for it


class TakesTheMissing(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        return "x-twilio-signature" not in callback.headers or super()._signed(callback, fields)


class ParsesFirst(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        return dict(fields).get("MessageStatus") == "failed" or super()._signed(callback, fields)


class BelievesTheHost(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        parts = urlsplit(callback.url)
        told = parts._replace(netloc=callback.headers.get("host", parts.netloc)).geturl()
        return super()._signed(replace(callback, url=told), fields)


class BelievesTheAccount(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:  # noqa: ARG002 - that is it
        return dict(fields).get("AccountSid") == DELIVERED["AccountSid"]


class ComparesTheBeginning(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        genuine = base64.b64encode(
            hmac.digest(
                TOKEN.encode(), (callback.url + "".join(a + b for a, b in sorted(fields))).encode(), "sha1"
            )
        )
        return genuine.decode().startswith(callback.headers["x-twilio-signature"])


class LetsTheSenderChooseNone(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        chosen = callback.headers.get("x-twilio-webhooks-signature-settings", "")
        return "algorithm=NONE" in chosen or super()._signed(callback, fields)


class SignsTheFirstReadsTheLast(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        first = dict(reversed(fields))
        return super()._signed(callback, list(first.items()))


class ComparesWithEquals(Twilio):
    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        text = callback.url + "".join(name + value for name, value in sorted(fields))
        mac = hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()
        return base64.b64encode(mac).decode() == callback.headers.get("x-twilio-signature")


FAILED = DELIVERED | {"MessageStatus": "failed"}
GENUINE = signed(DELIVERED)
FORGERIES = {
    "has no signature": callback(URL, urlencode(FAILED).encode()),
    "was altered": replace(GENUINE, body=urlencode(FAILED).encode()),
    "is for another host": replace(
        signed(FAILED, URL.replace("otp.", "evil.")),
        url=URL,
        headers={**signed(FAILED, URL.replace("otp.", "evil.")).headers, "host": "evil.example.com"},
    ),
    "is another account's": signed(FAILED, token="another"),
    "has half a signature": replace(GENUINE, headers={"x-twilio-signature": sign(DELIVERED)[:4]}),
    "has an empty signature": replace(GENUINE, headers={"x-twilio-signature": ""}),
    "names no algorithm that we know": replace(
        GENUINE, headers=settings_header("", "key=1,algorithm=NONE"), body=urlencode(FAILED).encode()
    ),
    "has a field added": replace(GENUINE, body=GENUINE.body + b"&MessageStatus=failed"),
}
NAIVE = {
    "has no signature": TakesTheMissing,
    "was altered": ParsesFirst,
    "is for another host": BelievesTheHost,
    "is another account's": BelievesTheAccount,
    "has half a signature": ComparesTheBeginning,
    "has an empty signature": ComparesTheBeginning,
    "names no algorithm that we know": LetsTheSenderChooseNone,
    "has a field added": SignsTheFirstReadsTheLast,
}
"""Wrong variants, by the forgery that each takes for genuine."""


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        twilio().receipts(FORGERIES[forgery])


@pytest.mark.parametrize("forgery", FORGERIES)
def test_naive_variant_takes_the_forgery(forgery: str) -> None:
    assert twilio(NAIVE[forgery]).receipts(FORGERIES[forgery])


@pytest.mark.parametrize(
    "found",
    [
        replace(signed(DELIVERED), url=URL + "2"),
        replace(signed(DELIVERED), headers={"x-twilio-signature": "é\udcff"}),
        replace(signed(DELIVERED), body=b"\xff"),
        replace(signed(DELIVERED), body=b"a=%ff"),
        replace(signed(DELIVERED), body=b'{"MessageStatus": "failed"}'),
        replace(signed({}), body=b'{"MessageStatus": "failed"}'),
        signed({str(number): "" for number in range(MAX_FIELDS + 1)}),
    ],
    ids=[
        "other token",
        "no ASCII",
        "no text",
        "no UTF-8",
        "JSON",
        "JSON with the URL signed",
        "too many fields",
    ],
)
def test_oddity_is_refused(found: Callback) -> None:
    with pytest.raises(ForgedReceipt):
        twilio().receipts(found)


def test_signature_is_compared_in_constant_time() -> None:
    def constant(kind: type[Twilio]) -> bool:
        code = inspect.getsource(kind._signed)
        return "hmac.compare_digest" in code and "==" not in code

    assert constant(Twilio)
    assert not constant(ComparesWithEquals)


# --- what others wrote


def test_vendors_validator_agrees() -> None:
    try:
        sdk = importlib.import_module("twilio.request_validator")  # in the extra `ci` only
    except ImportError:
        missing("the Twilio SDK")
    ours, draw = twilio(shared_key=SHARED), random.Random(1)  # noqa: S311 - texts for a test
    for _ in range(300):
        form = {
            f"F{draw.randrange(50)}": "".join(draw.choices("aé&= +%\n€", k=draw.randrange(6)))
            for _ in range(5)
        }
        url = draw.choice([URL, URL + "?a=b&c=%20d", "http://h:8080/x", "https://h:443/", "https://h/x"])
        algorithm, token = draw.choice([("HMAC_SHA1", TOKEN), ("HMAC_SHA256", SHARED)])
        validator = sdk.RequestValidator(token)
        signature = validator.compute_signature(url, form, algorithm)
        genuine = replace(
            callback(url, urlencode(form).encode()),
            headers=settings_header(signature, f"key=k,algorithm={algorithm}"),
        )
        assert validator.validate(url, form, signature, algorithm)
        ours.receipts(genuine)
        with pytest.raises(ForgedReceipt):
            ours.receipts(replace(genuine, body=genuine.body + b"&z=1"))


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    with mocked("twilio_messages_v2010.json") as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("service", [None, SERVICE])
async def test_request_is_what_the_vendors_document_allows(prism: str, service: str | None) -> None:
    options = CASES["section"]["options"] | ({"messaging_service_sid": service} if service else {})
    async with Transport() as transport:
        sender = provider("twilio", transport, prism, options=options, timeout_seconds=10)
        answer = await sender.send(message(receipt_url=URL))
    assert answer == Answer(Outcome.ACCEPTED, reference="SM" + "a" * 32, segments=1)


@pytest.mark.slow
async def test_vendors_document_does_refuse(prism: str) -> None:
    target = prism + CASES["request"]["target"]
    async with Transport() as transport:
        endpoint = transport.endpoint(target, timeout=10)
        wrong = await endpoint.post(
            data=CASES["request"]["form"] | {"ValidityPeriod": "soon"}, auth=("a", "b")
        )
        stranger = await endpoint.post(data=CASES["request"]["form"])
    assert isinstance(wrong, httpx.Response)
    assert isinstance(stranger, httpx.Response)
    assert (wrong.status_code, stranger.status_code) == (422, 401)
