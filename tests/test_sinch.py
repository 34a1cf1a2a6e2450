from __future__ import annotations

import base64
import hmac
import importlib
import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otp_service.delivery.answers import MAX_TEXT
from otp_service.delivery.callbacks import MAX_AGE
from otp_service.delivery.provider import Answer, ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.sinch import Sinch
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer, Reply
from tests.prism import mocked
from tests.provider_cases import callback, cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_service.delivery.provider import Callback

CASES = cases("sinch")
OPTIONS = CASES["section"]["options"]
URL = "https://otp.example.com/v1/receipts/sinch/t0k3n"
SECRET = OPTIONS["webhook_secret"]
NOW = 1_736_760_161
"""When the published report was signed."""
DELIVERED = {"status": "Delivered", "code": 0, "client_reference": "t0k3n"}
IDLE = Transport()  # one for all that send nothing: its certificates take 20 ms


def sinch(now: float = NOW, **options: str | None) -> Sinch:
    held = {key: value for key, value in (OPTIONS | options).items() if value is not None}
    return Sinch("sinch", ProviderSettings(type="sinch", options=held), IDLE, now=lambda: now)


def signed(report: object, secret: str = SECRET, nonce: str = "01JH", timestamp: object = NOW) -> Callback:
    body = report if isinstance(report, bytes) else json.dumps(report).encode()
    mac = hmac.digest(secret.encode(), body + f".{nonce}.{timestamp}".encode(), "sha256")
    return callback(
        URL,
        body,
        x_sinch_webhook_signature=base64.b64encode(mac).decode(),
        x_sinch_webhook_signature_algorithm="HmacSHA256",
        x_sinch_webhook_signature_nonce=nonce,
        x_sinch_webhook_signature_timestamp=str(timestamp),
    )


def with_header(found: Callback, part: str, value: str | None) -> Callback:
    name = f"x-sinch-webhook-signature{part}"
    changed = {**found.headers, name: value}
    return replace(found, headers={key: held for key, held in changed.items() if held is not None})


# --- sending


async def sent(url: str | None = URL, **section: Any) -> dict[str, Any]:
    async with FaultServer() as server, Transport() as transport:
        await provider("sinch", transport, server.url, **section).send(message(receipt_url=url))
    body: dict[str, Any] = json.loads(server.requests[0].body)
    return body


@pytest.mark.parametrize("region", ["us", "eu", "au", "br", "ca"])
async def test_calls_the_host_of_the_plans_region(region: str) -> None:
    called: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        called.append(request.url)
        return httpx.Response(401)

    async with Transport(httpx.MockTransport(answer)) as transport:
        await provider("sinch", transport, options=OPTIONS | {"region": region}).send(message())
    assert called == [f"https://{region}.sms.api.sinch.com/xms/v1/jd63jf88477ll/batches"]


async def answered(status: int, body: bytes) -> Answer:
    async with FaultServer(reply=Reply(status, body)) as server, Transport() as transport:
        return await provider("sinch", transport, server.url).send(message())


async def test_late_message_is_dropped_when_the_code_has_expired() -> None:
    async with FaultServer() as server, Transport() as transport:
        section = ProviderSettings(type="sinch", base_url=server.url, options=OPTIONS)
        await Sinch("sinch", section, transport, now=lambda: NOW + 0.25).send(message(expires_in=90))
    assert json.loads(server.requests[0].body)["expire_at"] == "2025-01-13T09:24:11.250Z"


async def test_plans_default_originator_is_used_where_no_sender_is_given() -> None:
    assert "from" not in await sent(sender=None)


@pytest.mark.parametrize(
    ("url", "options"),
    [(None, OPTIONS), (URL, {key: value for key, value in OPTIONS.items() if key != "webhook_secret"})],
    ids=["no public URL", "no secret"],
)
async def test_asks_for_no_receipt_that_it_could_not_take(url: str | None, options: dict[str, str]) -> None:
    body = await sent(url, options=options)
    assert not {"delivery_report", "callback_url", "client_reference"} & body.keys()


@pytest.mark.parametrize(
    ("status", "code", "lasting"),
    [
        (401, None, True),
        (402, None, True),
        (403, "blocked_account", True),
        (403, "illegal_number_type", False),
        (400, "syntax_invalid_parameter_format", False),
    ],
)
async def test_lasting_is_what_concerns_the_account(status: int, code: str | None, lasting: bool) -> None:  # noqa: FBT001 - a case
    answer = await answered(status, json.dumps({"code": code}).encode() if code else b"")
    assert (answer.outcome, answer.lasting) == (Outcome.UNAVAILABLE, lasting)


async def test_vendors_words_reach_the_log_only_in_part() -> None:
    answer = await answered(400, json.dumps({"code": "c", "text": "x" * 500}).encode())
    assert answer.text == "x" * MAX_TEXT


def test_region_is_one_of_sinchs() -> None:
    (fault,) = faults("mine", ProviderSettings(type="sinch", options=OPTIONS | {"region": "moon"}))
    assert fault == "providers.mine.region: must be 'us', 'eu', 'au', 'br' or 'ca'"


# --- receipts


@pytest.mark.parametrize(
    "case", CASES["receipts"], ids=[f"{c['json']['status']}-{c['json']['code']}" for c in CASES["receipts"]]
)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    named = [replace(receipt, token="t0k3n") for receipt in receipts(case)]
    assert list(sinch().receipts(signed(case["json"]))) == named


def test_published_signature_is_genuine() -> None:
    (vector,) = CASES["signatures"]
    reference = json.loads(vector["body"])["client_reference"]
    found = replace(callback(URL, vector["body"].encode()), headers=vector["headers"])
    delivered = [Receipt(ReceiptState.DELIVERED, token=reference)]
    assert list(sinch(webhook_secret=vector["secret"]).receipts(found)) == delivered
    with pytest.raises(ForgedReceipt):
        sinch(webhook_secret=vector["secret"] + "!").receipts(found)


@pytest.mark.parametrize(
    "body",
    [b"\xff", b"{", b"[]", b"null", b'""', b"{}", b'{"status": "Failed"}', b'{"status": []}', b"[" * 50_000],
)
def test_receipt_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert list(sinch().receipts(signed(body))) == []


def test_other_callbacks_of_the_plan_say_nothing() -> None:
    summary = {"type": "delivery_report_sms", "statuses": [{"code": 0, "status": "Delivered", "count": 1}]}
    assert list(sinch().receipts(signed(summary))) == []
    assert list(sinch().receipts(signed({"type": "mo_text", "body": "STOP", "from": "37256000000"}))) == []


def test_report_that_names_no_message_says_nothing() -> None:
    nameless = {key: value for key, value in DELIVERED.items() if key != "client_reference"}
    assert list(sinch().receipts(signed(nameless))) == []


@pytest.mark.parametrize(
    ("age", "taken"),
    [
        (MAX_AGE, True),
        (MAX_AGE + 1, False),
        (-MAX_AGE, True),
        (-MAX_AGE - 1, False),
    ],
)
def test_stale_receipt_says_nothing(age: int, taken: bool) -> None:  # noqa: FBT001 - a case
    assert bool(sinch(NOW + age).receipts(signed(DELIVERED))) is taken


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1e9", f" {NOW}", "٣", "9" * 13])
def test_receipt_of_no_known_time_says_nothing(timestamp: str) -> None:
    assert list(sinch().receipts(signed(DELIVERED, timestamp=timestamp))) == []


GENUINE = signed(DELIVERED)
FORGERIES = {
    "no signature": with_header(GENUINE, "", None),
    "an empty signature": with_header(GENUINE, "", ""),
    "half a signature": with_header(GENUINE, "", GENUINE.headers["x-sinch-webhook-signature"][:20]),
    "a signature that is no ASCII": with_header(GENUINE, "", "é\udcff"),
    "another secret": signed(DELIVERED, secret="another"),
    "no secret": signed(DELIVERED, secret=""),
    "an altered body": replace(GENUINE, body=GENUINE.body.replace(b"Delivered", b"Failed")),
    "another nonce": with_header(GENUINE, "-nonce", "02"),
    "no nonce": with_header(GENUINE, "-nonce", None),
    "a fresher time": with_header(GENUINE, "-timestamp", str(NOW + 1)),
    "no time": with_header(GENUINE, "-timestamp", None),
    "no algorithm to speak of": with_header(with_header(GENUINE, "-algorithm", "none"), "", ""),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        sinch().receipts(FORGERIES[forgery])


def test_without_a_secret_there_is_no_route_and_every_receipt_is_forged() -> None:
    keyless = sinch(webhook_secret=None)
    assert not keyless.signs_receipts
    for found in (GENUINE, signed(DELIVERED, secret="")):
        with pytest.raises(ForgedReceipt):
            keyless.receipts(found)


def test_with_a_secret_there_is_a_route() -> None:
    assert sinch().signs_receipts


# --- what the vendor wrote


def sdk(module: str) -> Any:
    try:
        return importlib.import_module(f"sinch.domains.sms.{module}")  # in the extra `ci` only
    except ImportError:
        missing("the Sinch SDK")


def test_vendors_validator_agrees() -> None:
    theirs = sdk("sinch_events.v1").SmsSinchEvent(app_secret=SECRET)
    draw = random.Random(1)  # noqa: S311 - texts for a test
    for _ in range(300):
        body = "".join(draw.choices('{}".é€ \n', k=draw.randrange(30))).encode()
        genuine = signed(body, nonce="".join(draw.choices("01JH.", k=5)), timestamp=NOW + draw.randrange(99))
        altered = replace(genuine, body=body + draw.choice([b".", b" ", b"x"]))
        assert theirs.validate_authentication_header(dict(genuine.headers), body)
        assert not theirs.validate_authentication_header(dict(altered.headers), altered.body)
        sinch().receipts(genuine)
        with pytest.raises(ForgedReceipt):
            sinch().receipts(altered)


async def test_vendors_own_request_would_be_the_same() -> None:
    body = await sent()
    theirs = sdk("models.v1.shared").TextRequest(**body)
    assert json.loads(theirs.model_dump_json(by_alias=True, exclude_none=True)) == body | {
        "expire_at": theirs.expire_at.isoformat().replace("+00:00", "Z")
    }
    assert not theirs.model_extra


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    with mocked("sinch_sms_v1.yaml") as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("sender", ["Acme", "+15017122661", None])
async def test_request_is_what_the_vendors_document_allows(prism: str, sender: str | None) -> None:
    async with Transport() as transport:
        answer = await provider("sinch", transport, prism, sender=sender, timeout_seconds=10).send(
            message(receipt_url=URL)
        )
    assert answer == Answer(Outcome.ACCEPTED, reference="string")


@pytest.mark.slow
async def test_vendors_document_does_refuse(prism: str) -> None:
    target, body = prism + CASES["request"]["target"], await sent()
    async with Transport() as transport:
        endpoint = transport.endpoint(target, timeout=10)
        wrong = await endpoint.post(json=body | {"expire_at": "soon"}, headers=CASES["request"]["headers"])
        stranger = await endpoint.post(json=body)
    assert isinstance(wrong, httpx.Response)
    assert isinstance(stranger, httpx.Response)
    assert (wrong.status_code, stranger.status_code) == (400, 401)
