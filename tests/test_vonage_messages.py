from __future__ import annotations

import base64
import hashlib
import importlib
import inspect
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from otp_service.delivery.provider import Answer, ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.vonage_messages import VonageMessages
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer
from tests.prism import mocked
from tests.provider_cases import callback, cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_service.delivery.provider import Callback

CASES = cases("vonage_messages")
URL = "https://otp.example.com/v1/receipts/vonage_messages/t0k3n"
NOW = 1_700_000_000
SECRET = "a signature secret of thirty-two b"
APPLICATION = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
ACCOUNT = CASES["section"]["options"]
REFERENCE = CASES["accepted"][0]["reference"]
BODY = json.dumps(CASES["receipts"][1]["json"]).encode()
REPLIES: list[httpx.Response] = []
MOCKED = Transport(httpx.MockTransport(lambda _: REPLIES.pop()))  # one for all: its certificates take 20 ms


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, passphrase: bytes | None = None) -> str:
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, encryption).decode()


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LOGIN = {"application_id": APPLICATION, "private_key": pem(KEY)}
SIGNED = LOGIN | {"signature_secret": SECRET}


def vonage(now: float = NOW, options: dict[str, str] = SIGNED) -> VonageMessages:
    section = ProviderSettings(type="vonage_messages", options=options)
    return VonageMessages("vonage_messages", section, MOCKED, now=lambda: now)


def claims(body: bytes = BODY, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(body).hexdigest()
    fields = {
        "iat": NOW,
        "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
        "iss": "Vonage",
        "payload_hash": digest,
        "api_key": "abcd1234",
        "application_id": APPLICATION,
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def bearing(token: str, body: bytes = BODY) -> Callback:
    return callback(URL, body, authorization=f"Bearer {token}")


def signed(body: bytes = BODY, secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> Callback:
    return bearing(jwt.encode(claims(body, **changes), secret, algorithm=algorithm), body)


# --- sending


async def request(options: dict[str, str] = SIGNED, **changes: Any) -> tuple[dict[str, Any], str]:
    section = changes.pop("section", {})
    async with FaultServer() as server, Transport() as transport:
        sender = provider("vonage_messages", transport, server.url, options=options, **section)
        await sender.send(message(**changes))
    (request,) = server.requests
    return json.loads(request.body), request.headers["authorization"]


@pytest.mark.parametrize(("seconds", "ttl"), [(600, 600), (1, 20)])
async def test_late_message_is_dropped_when_the_code_has_expired(seconds: int, ttl: int) -> None:
    sent, _ = await request(expires_in=seconds)
    assert sent["ttl"] == ttl


async def test_sender_has_no_plus_either() -> None:
    sent, _ = await request(section={"sender": "+15017122661"})
    assert sent["from"] == "15017122661"


async def test_without_a_sender_it_is_for_vonage_to_say_so() -> None:
    sent, _ = await request(section={"sender": None})
    assert "from" not in sent


async def test_asks_for_the_receipt_of_this_message_in_the_shape_that_it_reads() -> None:
    sent, _ = await request(receipt_url=URL, token="t0k3n")
    assert (sent["webhook_url"], sent["webhook_version"], sent["client_ref"]) == (URL, "v1", "t0k3n")


@pytest.mark.parametrize("options", [LOGIN, ACCOUNT], ids=["no secret", "no application"])
async def test_asks_for_no_receipt_that_it_could_not_verify(options: dict[str, str]) -> None:
    sent, _ = await request(options, receipt_url=URL)
    assert not {"webhook_url", "webhook_version", "client_ref"} & sent.keys()


async def test_application_proves_itself_with_a_short_token_of_its_own() -> None:
    before = int(time.time())
    _, authorization = await request(LOGIN)
    scheme, token = authorization.split(" ")
    found = jwt.decode(token, KEY.public_key(), algorithms=["RS256"])
    assert scheme == "Bearer"
    assert before <= found["iat"] <= time.time()
    assert found == {
        "application_id": APPLICATION,
        "iat": found["iat"],
        "exp": found["iat"] + 900,
        "jti": "a1b2c3",
    }


async def test_suspended_account_is_refused_for_longer() -> None:
    for case in CASES["refused"]:
        REPLIES[:] = [httpx.Response(case["status"], json=case["body"])]
        answer = await provider("vonage_messages", MOCKED).send(message())
        lasting = case["status"] in {401, 402} or case["reason"] in {"1060", "1070", "account-suspended"}
        assert answer.lasting is lasting, case


# --- options


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "type: needs either application_id and private_key, or api_key and api_secret"),
        (ACCOUNT | LOGIN, "type: needs either application_id and private_key, or api_key and api_secret"),
        ({"api_key": "k"}, "type: needs either application_id and private_key, or api_key and api_secret"),
        (
            ACCOUNT | {"signature_secret": SECRET},
            "type: signature_secret needs application_id and private_key",
        ),
        (
            LOGIN | {"private_key": "k3y"},
            "private_key: must be an RSA private key in PEM, without a passphrase",
        ),
        (
            LOGIN | {"private_key": pem(KEY, b"a passphrase")},
            "private_key: must be an RSA private key in PEM, without a passphrase",
        ),
        (
            LOGIN | {"private_key": pem(ed25519.Ed25519PrivateKey.generate())},
            "private_key: must be an RSA private key in PEM, without a passphrase",
        ),
    ],
    ids=["nothing", "both", "half", "a secret without a webhook", "no key", "a passphrase", "another key"],
)
def test_fault_says_what_is_needed(options: dict[str, str], fault: str) -> None:
    section = ProviderSettings(type="vonage_messages", options=options)
    assert faults("mine", section) == [f"providers.mine.{fault}"]


def test_shows_no_part_of_its_keys() -> None:
    shown = repr(VonageMessages.Options.model_validate(SIGNED))
    assert "PRIVATE KEY" not in shown
    assert SECRET not in shown


@pytest.mark.parametrize(("options", "signs"), [(SIGNED, True), (LOGIN, False), (ACCOUNT, False)])
def test_route_is_for_who_holds_a_signing_secret(options: dict[str, str], signs: bool) -> None:  # noqa: FBT001 - a case
    assert vonage(options=options).signs_receipts is signs


# --- receipts


@pytest.mark.parametrize("number", range(len(CASES["receipts"])))
def test_receipt_says_what_the_table_says(number: int) -> None:
    case = CASES["receipts"][number]
    assert list(vonage().receipts(signed(json.dumps(case["json"]).encode()))) == receipts(case), case[
        "source"
    ]


@pytest.mark.parametrize("status", ["delivered", "rejected"])
def test_receipt_names_its_message_in_what_is_signed(status: str) -> None:
    body = json.dumps(json.loads(BODY) | {"status": status, "client_ref": "t0k3n"}).encode()
    (receipt,) = vonage().receipts(signed(body))
    assert receipt.token == "t0k3n"


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null", b'{"status": []}', b"[" * 100_000])
def test_signed_body_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert list(vonage().receipts(signed(body))) == []


@pytest.mark.parametrize(("age", "read"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_old_receipt_says_nothing(age: int, read: bool) -> None:  # noqa: FBT001 - a case
    assert bool(vonage(now=NOW + age).receipts(signed())) is read


@pytest.mark.parametrize("issued", [None, "soon", str(NOW), [NOW], True, float("nan"), float("inf")])
def test_receipt_without_a_time_says_nothing(issued: Any) -> None:
    token = jwt.PyJWS().encode(json.dumps(claims(iat=issued)).encode(), SECRET, algorithm="HS256")
    assert list(vonage().receipts(bearing(token))) == []


def test_scheme_and_hash_may_be_in_any_case() -> None:
    token = jwt.encode(claims(payload_hash=claims()["payload_hash"].upper()), SECRET, algorithm="HS256")
    found = callback(URL, BODY, authorization=f"bearer {token}")
    assert list(vonage().receipts(found)) == [Receipt(ReceiptState.DELIVERED)]


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


FAILED = BODY.replace(b"delivered", b"rejected")
GENUINE = signed().headers["authorization"].removeprefix("Bearer ")
FORGERIES = {
    "has no token": callback(URL, FAILED),
    "has an empty token": bearing("", FAILED),
    "has another scheme": callback(URL, BODY, authorization=f"Basic {GENUINE}"),
    "is a token without a scheme": callback(URL, BODY, authorization=GENUINE),
    "has another body": bearing(GENUINE, FAILED),
    "has a body spelled otherwise": bearing(GENUINE, BODY + b" "),
    "has no hash": signed(FAILED, payload_hash=None),
    "has the hash of nothing": signed(FAILED, payload_hash=""),
    "has a hash that is no text": signed(FAILED, payload_hash=["a"]),
    "is another account's": signed(FAILED, secret="another secret of thirty-two byte"),
    "is signed with another hash": signed(FAILED, secret=SECRET * 2, algorithm="HS512"),
    "is not signed": bearing(jwt.encode(claims(FAILED), "", algorithm="none"), FAILED),
    "lost its signature": bearing(GENUINE.rpartition(".")[0] + "."),
    "names no algorithm": bearing(f"e30.{part(json.dumps(claims(FAILED)).encode())}.{part(b's')}", FAILED),
    "is signed by the application": bearing(jwt.encode(claims(FAILED), KEY, algorithm="RS256"), FAILED),
    "has no claims": bearing(jwt.PyJWS().encode(b"[]", SECRET, algorithm="HS256")),
    "has a header too deep": bearing(f"{part(b'[' * 40_000)}.e30.{part(b's')}"),
    "is no ASCII": bearing("é\udcff"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        vonage().receipts(FORGERIES[forgery])


def test_without_a_signing_secret_every_receipt_is_forged() -> None:
    with pytest.raises(ForgedReceipt):
        vonage(options=LOGIN).receipts(signed())


def test_hash_is_compared_in_constant_time() -> None:
    code = inspect.getsource(VonageMessages.receipts)
    assert "hmac.compare_digest" in code
    assert "==" not in code


# --- what others wrote


def sdk() -> Any:
    try:
        return importlib.import_module("vonage_jwt")  # in the extra `ci` only
    except ImportError:
        missing("the Vonage SDK (vonage-jwt)")


def test_vendors_client_makes_the_same_token() -> None:
    theirs = sdk().JwtClient(APPLICATION, pem(KEY)).generate_application_jwt({"iat": NOW, "jti": "a1b2c3"})
    _, ours = vonage()._authorization("a1b2c3").split(" ")

    def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        shown = jwt.decode_complete(
            token, KEY.public_key(), algorithms=["RS256"], options={"verify_exp": False}
        )
        return shown["header"], shown["payload"]

    assert read(ours) == read(theirs.decode())


@pytest.mark.parametrize("secret", [SECRET, "another secret of thirty-two byte"])
def test_vendors_verifier_agrees(secret: str) -> None:
    found = signed(secret=secret)
    genuine = sdk().verify_signature(found.headers["authorization"].removeprefix("Bearer "), SECRET)
    assert genuine is (secret == SECRET)
    if genuine:
        assert list(vonage().receipts(found)) == [Receipt(ReceiptState.DELIVERED)]
    else:
        with pytest.raises(ForgedReceipt):
            vonage().receipts(found)


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    with mocked("vonage_messages_v1.json") as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("options", [SIGNED, ACCOUNT], ids=["application", "account"])
async def test_request_is_what_the_vendors_document_allows(prism: str, options: dict[str, str]) -> None:
    async with Transport() as transport:
        sender = provider("vonage_messages", transport, prism, options=options, timeout_seconds=10)
        answer = await sender.send(message(receipt_url=URL))
    assert answer == Answer(Outcome.ACCEPTED, reference=REFERENCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "status"),
    [({"ttl": "soon"}, 422), ({"to": "37"}, 422), ({"webhook_version": "v2"}, 422), ({"from": None}, 422)],
)
async def test_vendors_document_does_refuse(prism: str, changes: dict[str, str | None], status: int) -> None:
    body = {name: value for name, value in (CASES["request"]["json"] | changes).items() if value is not None}
    async with Transport() as transport:
        endpoint = transport.endpoint(f"{prism}/v1/messages", timeout=10)
        answer = await endpoint.post(json=body, auth=("a", "b"))
        stranger = await endpoint.post(json=body)
    assert isinstance(answer, httpx.Response)
    assert isinstance(stranger, httpx.Response)
    assert (answer.status_code, stranger.status_code) == (status, 401)
