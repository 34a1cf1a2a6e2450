from __future__ import annotations

import base64
import hmac
import importlib
import json
import random
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from otp_service.delivery.callbacks import MAX_AGE
from otp_service.delivery.provider import ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.bird import Bird
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer, Reply
from tests.provider_cases import callback, cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from otp_service.delivery.provider import Callback

CASES = cases("bird")
TRANSPORT = Transport()  # one for all: its certificates take 20 ms
SECRET = CASES["section"]["options"]["webhook_secret"]
ANOTHER = "whsec_" + base64.b64encode(b"f" * 24).decode()
URL = "https://otp.example.com/v1/receipts/bird"
DELIVERED = next(case["json"] for case in CASES["receipts"] if case["json"]["type"] == "sms.delivered")
NOW = 1_779_364_800


def section(**options: str | None) -> ProviderSettings:
    held = {key: value for key, value in (CASES["section"]["options"] | options).items() if value}
    return ProviderSettings(type="bird", options=held)


def bird(now: float = NOW, **options: str | None) -> Bird:
    return Bird("bird", section(**options), TRANSPORT, now=lambda: now)


def sign(body: bytes, secret: str = SECRET, moment: str = str(NOW), name: str = "msg_1") -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{name}.{moment}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(mac).decode()}"


def signed(event: Any = DELIVERED, secret: str = SECRET, moment: str = str(NOW)) -> Callback:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return callback(
        URL,
        body,
        webhook_id="msg_1",
        webhook_timestamp=moment,
        webhook_signature=sign(body, secret, moment),
    )


def headed(found: Callback, **headers: str) -> Callback:
    changed = {f"webhook-{name}": value for name, value in headers.items()}
    return replace(found, headers={**found.headers, **changed})


# --- sending


async def sent(**section: Any) -> dict[str, Any]:
    async with FaultServer() as server, Transport() as transport:
        await provider("bird", transport, server.url, **section).send(message(token="t0k3n"))
    body: dict[str, Any] = json.loads(server.requests[0].body)
    return body


async def test_metadata_names_the_message_because_all_receipts_come_to_one_address() -> None:
    assert (await sent())["metadata"] == {"token": "t0k3n"}


async def test_names_no_message_whose_receipt_it_could_not_verify() -> None:
    assert "metadata" not in await sent(options={"api_key": "bk_eu1_s3cret"})


async def test_sender_is_left_to_the_vendor_where_none_is_given() -> None:
    assert "from" not in await sent(sender=None)


async def test_lack_of_money_lasts() -> None:
    (case,) = (case for case in CASES["refused"] if case["reason"] == "insufficient_balance")
    reply = Reply(case["status"], json.dumps(case["body"]).encode())
    async with FaultServer(reply=reply) as server, Transport() as transport:
        assert (await provider("bird", transport, server.url).send(message())).lasting


@pytest.mark.parametrize("key", ["bk_eu1_s3cret", "bm_us1_s3cret"])
def test_region_is_in_the_key(key: str) -> None:
    made = bird(api_key=key)
    assert made._messages._url == f"https://{key.split('_')[1]}.platform.bird.com/v1/sms/messages"


@pytest.mark.parametrize(
    "options", [{"api_key": "s3cret"}, {"api_key": "bk_eu1_"}, {"webhook_secret": "whsec_?"}]
)
def test_setting_that_cannot_be_right_is_named_but_not_shown(options: dict[str, str]) -> None:
    ((name, value),) = options.items()
    (fault,) = faults("mine", section(**options))
    assert fault.startswith(f"providers.mine.{name}: must ")
    assert value not in fault


# --- receipts


def naming(case: dict[str, Any]) -> str:
    return f"{case['json']['type']}-{(case['json']['data'].get('error') or {}).get('code')}"


@pytest.mark.parametrize("case", CASES["receipts"], ids=naming)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    expected = [replace(each, token="t0k3n") for each in receipts(case)]
    assert list(bird().receipts(signed(case["json"]))) == expected


@pytest.mark.parametrize("vector", CASES["signatures"], ids=["standard webhooks"])
def test_published_signature_is_genuine(vector: dict[str, Any]) -> None:
    found = replace(callback(URL, vector["body"].encode()), headers=vector["headers"])
    now = float(vector["headers"]["webhook-timestamp"])
    assert list(bird(now, webhook_secret=vector["secret"]).receipts(found)) == []
    with pytest.raises(ForgedReceipt):
        bird(now, webhook_secret=ANOTHER).receipts(found)


@pytest.mark.parametrize(
    ("seconds", "fresh"),
    [(MAX_AGE, True), (-MAX_AGE, True), (301, False), (-301, False)],
)
def test_stale_receipt_changes_nothing(seconds: int, fresh: bool) -> None:  # noqa: FBT001 - a case
    found = list(bird(NOW + seconds).receipts(signed()))
    assert found == ([Receipt(ReceiptState.DELIVERED, token="t0k3n")] if fresh else [])


@pytest.mark.parametrize("moment", ["", "soon", "nan", "1e9", "-1", "9" * 400, "9" * 5000, "٣"])
def test_receipt_signed_at_no_known_time_says_nothing(moment: str) -> None:
    assert list(bird().receipts(signed(moment=moment))) == []


def test_one_of_several_signatures_is_enough() -> None:
    found = signed()
    both = f"v1a,bogus {sign(found.body, ANOTHER)} {found.headers['webhook-signature']}"
    assert list(bird().receipts(headed(found, signature=both)))


FORGERIES = {
    "no header": callback(URL, signed().body),
    "no signature": headed(signed(), signature=""),
    "another endpoint's": signed(secret=ANOTHER),
    "an altered body": replace(signed(), body=signed().body.replace(b"delivered", b"failed")),
    "an altered time": headed(signed(), timestamp=str(NOW + 1)),
    "an altered id": headed(signed(), id="msg_2"),
    "half a signature": headed(signed(), signature=sign(signed().body)[:10]),
    "another version": headed(signed(), signature=sign(signed().body).replace("v1,", "v2,")),
    "no version": headed(signed(), signature=sign(signed().body).removeprefix("v1,")),
    "no ASCII": headed(signed(), signature="v1,é\udcff", id="\udcff"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        bird().receipts(FORGERIES[forgery])


def test_route_is_for_who_holds_the_secret() -> None:
    assert bird().signs_receipts
    assert not bird(webhook_secret=None).signs_receipts


def test_without_the_secret_every_receipt_is_forged() -> None:
    with pytest.raises(ForgedReceipt):
        bird(webhook_secret=None).receipts(signed(secret=""))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 50_000,
        b"[]",
        b"{}",
        b'{"type": null, "data": {}}',
        b'{"type": "sms.failed", "data": {"metadata": {"token": "t"}, "error": "broken"}}',
        b'{"type": "sms.failed", "data": {"metadata": "token"}}',
    ],
)
def test_receipt_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert list(bird().receipts(signed(body))) == []


def test_word_of_any_kind_is_a_reason_of_at_most_32_letters() -> None:
    event = DELIVERED | {"type": "sms.failed", "data": DELIVERED["data"] | {"error": {"code": ["ü"] * 40}}}
    (receipt,) = bird().receipts(signed(event))
    assert (receipt.outcome, len(receipt.reason)) == (Outcome.UNAVAILABLE, 32)


# --- what others wrote


def test_libraries_signatures_are_genuine() -> None:
    try:
        library = importlib.import_module("standardwebhooks")  # in the extra `ci` only
    except ImportError:
        missing("the package standardwebhooks")
    webhook, ours, draw = library.Webhook(SECRET), bird(), random.Random(1)  # noqa: S311 - texts for a test
    for _ in range(200):
        text = json.dumps({"type": "".join(draw.choices("aé€.\n ", k=5))}, ensure_ascii=False)
        moment = NOW + draw.randrange(-300, 301)
        name = f"msg_{draw.randrange(10**9)}"
        signature = webhook.sign(name, datetime.fromtimestamp(moment, UTC), text)
        genuine = callback(
            URL,
            text.encode(),
            webhook_id=name,
            webhook_timestamp=str(moment),
            webhook_signature=signature,
        )
        ours.receipts(genuine)
        with pytest.raises(ForgedReceipt):
            ours.receipts(replace(genuine, body=genuine.body + b" "))


@pytest.mark.slow  # the SDK takes seconds to import
@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
def test_vendors_sdk_takes_what_we_take() -> None:
    try:
        sdk = importlib.import_module("bird")  # messagebird-sdk, in the extra `ci` only
    except ImportError:
        missing("the Bird SDK")
    now = str(int(time.time()))  # the SDK can be told no other
    webhooks, ours = sdk.Bird(webhook_secret=SECRET).webhooks, bird(float(now))
    for case in (case for case in CASES["receipts"] if "the models" in case["source"]):
        found = signed(case["json"], moment=now)
        assert webhooks.unwrap(found.body, dict(found.headers)).root.type == case["json"]["type"]
        ours.receipts(found)
    with pytest.raises(sdk.WebhookVerificationError):
        webhooks.unwrap(found.body + b" ", dict(found.headers))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
async def test_vendors_models_allow_our_request_and_its_answers() -> None:
    try:
        models = importlib.import_module("bird._generated")
    except ImportError:
        missing("the Bird SDK")
    known = {field.alias or name for name, field in models.SMSMessageSendRequest.model_fields.items()}
    body = await sent()
    models.SMSMessageSendRequest.model_validate(body)
    assert set(body) <= known
    for case in CASES["accepted"]:
        models.SMSMessage.model_validate(case["body"])
