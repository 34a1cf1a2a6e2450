from __future__ import annotations

import hmac
import importlib
import inspect
import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from otp_service.delivery.callbacks import MAX_FIELDS
from otp_service.delivery.provider import Answer, ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.vonage import CODES, Vonage
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer
from tests.prism import mocked
from tests.provider_cases import callback, cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_service.delivery.provider import Callback

CASES = cases("vonage")
OPTIONS = CASES["section"]["options"]
URL = "https://otp.example.com/v1/receipts/vonage/t0k3n"
SECRET = OPTIONS["signature_secret"]
DELIVERED: dict[str, str] = CASES["receipts"][0]["fields"]
NOW = int(DELIVERED["timestamp"])
REPLIES: list[httpx.Response] = []
MOCKED = Transport(httpx.MockTransport(lambda _: REPLIES.pop()))  # one for all: its certificates take 20 ms
FORM = "application/x-www-form-urlencoded; charset=UTF-8"


def vonage(now: float = NOW, **options: str | None) -> Vonage:
    held = {key: value for key, value in (OPTIONS | options).items() if value is not None}
    return Vonage("vonage", ProviderSettings(type="vonage", options=held), MOCKED, now=lambda: now)


def sign(fields: dict[str, Any], secret: str = SECRET, method: str = "sha256") -> str:
    cleaned = {name: str(value).replace("&", "_").replace("=", "_") for name, value in fields.items()}
    text = "".join(f"&{name}={value}" for name, value in sorted(cleaned.items()))
    return hmac.digest(secret.encode(), text.encode(), method).hex()


def posted(fields: dict[str, Any]) -> Callback:
    return callback(URL, urlencode(fields).encode(), content_type=FORM)


def signed(fields: dict[str, Any], secret: str = SECRET, method: str = "sha256") -> Callback:
    return posted(fields | {"sig": sign(fields, secret, method)})


# --- sending


async def form(text: str = "1234", **changes: Any) -> dict[str, str]:
    section = changes.pop("section", {})
    async with FaultServer() as server, Transport() as transport:
        await provider("vonage", transport, server.url, **section).send(message(text=text, **changes))
    (request,) = server.requests
    assert "?" not in request.target
    return dict(parse_qsl(request.body.decode()))


@pytest.mark.parametrize(
    ("text", "kind"), [("Ihr Code für €: 1234", "text"), ("Код 1234", "unicode"), ("1234 🔑", "unicode")]
)
async def test_text_outside_gsm7_is_sent_as_unicode(text: str, kind: str) -> None:
    sent = await form(text)
    assert (sent["text"], sent["type"]) == (text, kind)


@pytest.mark.parametrize(("seconds", "ttl"), [(600, "600000"), (20, "20000"), (1, "20000")])
async def test_late_message_is_dropped_when_the_code_has_expired(seconds: int, ttl: str) -> None:
    assert (await form(expires_in=seconds))["ttl"] == ttl


async def test_sender_has_no_plus_either() -> None:
    assert (await form(section={"sender": "+15017122661"}))["from"] == "15017122661"


async def test_without_a_sender_it_is_for_vonage_to_say_so() -> None:
    assert "from" not in await form(section={"sender": None})


async def test_url_too_long_for_vonage_becomes_the_one_for_all_with_the_token_beside_it() -> None:
    token = "t" * 52
    whole = f"https://otp.of-a-long-name.example.com/v1/receipts/vonage/{token}"
    sent = await form(receipt_url=whole, token=token)
    assert sent["callback"] == "https://otp.of-a-long-name.example.com/v1/receipts/vonage"
    assert sent["client-ref"] == token


async def test_url_of_a_hundred_characters_is_the_messages_own_and_named_in_what_is_signed() -> None:
    whole = f"https://{'h' * 20}/v1/receipts/vonage/{'t' * 52}"
    assert len(whole) == 100
    sent = await form(receipt_url=whole, token="t" * 52)
    assert (sent["callback"], sent.get("client-ref")) == (whole, "t" * 52)


async def test_asks_for_no_receipt_that_it_could_not_verify() -> None:
    options = {"api_key": "abcd1234", "api_secret": "s3cret"}
    assert "callback" not in await form(receipt_url=URL, section={"options": options})


@pytest.mark.parametrize("code", CODES)
async def test_credentials_and_credit_are_refused_for_longer(code: str) -> None:
    REPLIES[:] = [httpx.Response(200, json={"messages": [{"status": code}]})]
    answer = await provider("vonage", MOCKED).send(message())
    assert answer.lasting is (code in {"4", "8", "9", "14", "32"})


def test_only_a_keyed_hash_is_a_signature_method() -> None:
    section = ProviderSettings(type="vonage", options=OPTIONS | {"signature_method": "md5hash"})
    (fault,) = faults("mine", section)
    assert fault == "providers.mine.signature_method: must be 'md5', 'sha1', 'sha256' or 'sha512'"


# --- receipts


@pytest.mark.parametrize(
    "case",
    CASES["receipts"],
    ids=lambda case: "-".join(case["fields"][key] for key in ("status", "err-code")),
)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    assert list(vonage().receipts(signed(case["fields"]))) == receipts(case)


@pytest.mark.parametrize("vector", CASES["signatures"], ids=lambda vector: vector["signature"][:8])
def test_published_signature_is_genuine(vector: dict[str, Any]) -> None:
    found = posted(vector["fields"] | {"sig": vector["signature"]})
    options = {"signature_secret": vector["secret"], "signature_method": vector["method"]}
    assert list(vonage(**options).receipts(found)) == []
    with pytest.raises(ForgedReceipt):
        vonage(**options | {"signature_secret": "another"}).receipts(found)


@pytest.mark.parametrize("method", ["md5", "sha1", "sha256", "sha512"])
def test_signature_is_of_the_method_configured(method: str) -> None:
    found = signed(DELIVERED, method=method)
    assert list(vonage(signature_method=method).receipts(found)) == [Receipt(ReceiptState.DELIVERED)]
    with pytest.raises(ForgedReceipt):
        vonage(signature_method="sha1" if method != "sha1" else "sha256").receipts(found)


def test_signature_in_capitals_is_the_same() -> None:
    found = posted(DELIVERED | {"sig": sign(DELIVERED).upper()})
    assert list(vonage().receipts(found)) == [Receipt(ReceiptState.DELIVERED)]


FIELDS = DELIVERED | {"to": "A&B=C é", "sig": sign(DELIVERED | {"to": "A&B=C é"})}
SHAPES = {
    "query": replace(callback(f"{URL}?{urlencode(FIELDS)}", b""), method="GET"),
    "form": posted(FIELDS),
    "JSON": callback(URL, json.dumps(FIELDS).encode(), content_type="application/json"),
    "JSON with a number": callback(
        URL, json.dumps(FIELDS | {"timestamp": NOW}).encode(), content_type="application/json;charset=utf-8"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_receipt_comes_in_the_shape_that_the_account_chose(shape: str) -> None:
    assert list(vonage().receipts(SHAPES[shape])) == [Receipt(ReceiptState.DELIVERED)]


@pytest.mark.parametrize(("age", "read"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_old_receipt_says_nothing(age: int, read: bool) -> None:  # noqa: FBT001 - a case
    assert bool(vonage(now=NOW + age).receipts(signed(DELIVERED))) is read


@pytest.mark.parametrize("timestamp", [None, "", "soon", "-1", "1e9", "1" * 13])
def test_receipt_without_a_time_says_nothing(timestamp: str | None) -> None:
    fields = {key: value for key, value in DELIVERED.items() if key != "timestamp"}
    given = fields if timestamp is None else fields | {"timestamp": timestamp}
    assert list(vonage().receipts(signed(given))) == []


@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_receipt_at_the_address_for_all_names_its_message(status: str) -> None:
    (receipt,) = vonage().receipts(signed(DELIVERED | {"status": status, "client-ref": "t0k3n"}))
    assert receipt.token == "t0k3n"


def test_route_is_for_who_holds_a_signing_secret() -> None:
    assert vonage().signs_receipts
    assert not vonage(signature_secret=None).signs_receipts


FAILED = DELIVERED | {"status": "failed"}
GENUINE = signed(DELIVERED)
MANY = {str(number): "" for number in range(MAX_FIELDS + 1)}
FORGERIES = {
    "has no signature": posted(FAILED),
    "has an empty signature": posted(FAILED | {"sig": ""}),
    "has half a signature": posted(DELIVERED | {"sig": sign(DELIVERED)[:32]}),
    "was altered": posted(FAILED | {"sig": sign(DELIVERED)}),
    "has a field added": replace(GENUINE, body=GENUINE.body + b"&status=failed"),
    "has two fields in one": posted(
        {key: value for key, value in DELIVERED.items() if key not in {"err-code", "message-timestamp"}}
        | {"err-code=0&message-timestamp": DELIVERED["message-timestamp"], "sig": sign(DELIVERED)}
    ),
    "is another account's": signed(FAILED, secret="another"),
    "is signed with the key of the API": signed(FAILED, secret=OPTIONS["api_secret"]),
    "is hashed without a key": signed(FAILED, secret=""),
    "is signed in its query only": replace(
        GENUINE, url=f"{URL}?{GENUINE.body.decode()}", body=b"status=failed"
    ),
    "is a form said to be JSON": replace(GENUINE, headers={"content-type": "application/json"}),
    "is JSON said to be a form": callback(URL, json.dumps(FIELDS).encode(), content_type=FORM),
    "is no object": callback(URL, b"[1]", content_type="application/json"),
    "is too deep": callback(URL, b"[" * 100_000, content_type="application/json"),
    "holds an object": callback(URL, b'{"status": {"a": 1}}', content_type="application/json"),
    "holds half a character": callback(URL, b'{"sig": "\\ud800"}', content_type="application/json"),
    "is no UTF-8": callback(URL, b"status=%ff", content_type=FORM),
    "is no ASCII": callback(URL, b"\xff", content_type=FORM),
    "has too many fields": signed(MANY),
    "has too many fields in JSON": callback(
        URL, json.dumps(MANY | {"sig": sign(MANY)}).encode(), content_type="application/json"
    ),
    "is empty": callback(URL, b""),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        vonage().receipts(FORGERIES[forgery])


def test_without_a_signing_secret_every_receipt_is_forged() -> None:
    with pytest.raises(ForgedReceipt):
        vonage(signature_secret=None).receipts(signed(DELIVERED, secret=""))


def test_signature_is_compared_in_constant_time() -> None:
    code = inspect.getsource(Vonage._signed)
    assert "hmac.compare_digest" in code
    assert "==" not in code


# --- what others wrote


def test_vendors_signer_agrees() -> None:
    try:
        sdk = importlib.import_module("vonage_http_client")  # in the extra `ci` only
    except ImportError:
        missing("the Vonage SDK (vonage-http-client)")
    draw = random.Random(1)  # noqa: S311 - texts for a test
    for _ in range(200):
        method, secret = draw.choice(["md5", "sha1", "sha256", "sha512"]), draw.choice([SECRET, "é&="])
        fields = {
            f"F{draw.randrange(50)}": "".join(draw.choices("aé&= +%\n€_", k=draw.randrange(6)))
            for _ in range(5)
        } | DELIVERED
        auth = sdk.Auth(api_key="abcd1234", signature_secret=secret, signature_method=method)
        ours = vonage(signature_secret=secret, signature_method=method)
        genuine = fields | {"sig": auth.sign_params(dict(fields))}
        assert list(ours.receipts(posted(genuine))) == [Receipt(ReceiptState.DELIVERED)]
        altered = genuine | {"status": "failed"}
        assert not auth.check_signature(dict(altered))
        with pytest.raises(ForgedReceipt):
            ours.receipts(posted(altered))


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    with mocked("vonage_sms_v1.json") as url:
        yield url


async def at_prism(prism: str, form: dict[str, str]) -> httpx.Response:
    async with Transport() as transport:
        answer = await transport.endpoint(f"{prism}/sms/json", timeout=10).post(data=form)
    assert isinstance(answer, httpx.Response)
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("text", ["Your code: 1234", "Код 1234"])
async def test_request_is_what_the_vendors_document_allows(prism: str, text: str) -> None:
    async with Transport() as transport:
        sender = provider("vonage", transport, prism, timeout_seconds=10)
        answer = await sender.send(message(text=text, receipt_url=URL))
    assert answer == Answer(Outcome.ACCEPTED, reference="0A0000000123ABCD1", segments=1)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [{"ttl": "19999"}, {"to": "+37"}, {"type": "flash"}, {"api_key": None}])
async def test_vendors_document_does_refuse(prism: str, wrong: dict[str, str | None]) -> None:
    form = {key: value for key, value in (CASES["request"]["form"] | wrong).items() if value is not None}
    assert (await at_prism(prism, form)).status_code == 422
