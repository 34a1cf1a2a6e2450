from __future__ import annotations

import base64
import hmac
import importlib
import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from otp_service.delivery.callbacks import MAX_FIELDS
from otp_service.delivery.provider import Answer, ForgedReceipt, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers.plivo import LEAST_EXPIRY, Plivo
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer, Reply
from tests.provider_cases import callback, cases, message, missing, provider, receipts

if TYPE_CHECKING:
    from otp_service.delivery.provider import Callback

CASES = cases("plivo")
OPTIONS = CASES["section"]["options"]
URL = "https://otp.example.com/v1/receipts/plivo/t0k3n"
PICTURE = "https://acme.example.com/logo.png"
NONCE = "05429567804466091622"
FORM = CASES["receipts"][2]["form"]
DELIVERED = [Receipt(ReceiptState.DELIVERED)]


def plivo(**options: str) -> Plivo:
    return Plivo("plivo", ProviderSettings(type="plivo", options=OPTIONS | options), Transport())


def sign(text: str, token: str = OPTIONS["auth_token"]) -> str:
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha256")).decode()


def v2(url: str = URL, token: str = OPTIONS["auth_token"]) -> dict[str, str]:
    return {"x-plivo-signature-v2": sign(url + NONCE, token), "x-plivo-signature-v2-nonce": NONCE}


def v3(form: dict[str, str], url: str = URL) -> dict[str, str]:
    fields = "".join(name + value for name, value in sorted(form.items()))
    return {"x-plivo-signature-v3": sign(f"{url}?{fields}.{NONCE}"), "x-plivo-signature-v3-nonce": NONCE}


def posted(form: dict[str, str], headers: dict[str, str]) -> Callback:
    return replace(callback(URL, urlencode(form).encode()), headers=headers)


# --- sending


async def body(
    *, url: str | None = None, media: tuple[str, ...] = (), expires_in: int = 600, **section: Any
) -> dict[str, Any]:
    async with FaultServer() as server, Transport() as transport:
        sent = message(receipt_url=url, media=media, expires_in=expires_in)
        await provider("plivo", transport, server.url, **section).send(sent)
    found: dict[str, Any] = json.loads(server.requests[0].body)
    return found


async def test_plivo_keeps_neither_text_nor_number() -> None:
    assert (await body())["log"] == "false"


async def test_pictures_make_it_an_mms() -> None:
    sent = await body(media=(PICTURE,))
    assert (sent["type"], sent["media_urls"]) == ("mms", [PICTURE])


@pytest.mark.parametrize(("expires_in", "expiry"), [(600, 600), (6, 6), (5, 5), (1, LEAST_EXPIRY)])
async def test_late_message_is_dropped_when_the_code_has_expired(expires_in: int, expiry: int) -> None:
    assert (await body(expires_in=expires_in))["message_expiry"] == expiry


async def test_name_stays_as_it_is() -> None:
    assert (await body(sender="Acme"))["src"] == "Acme"


async def test_missing_sender_is_for_plivo_to_name() -> None:
    assert "src" not in await body(sender=None)


async def test_asks_for_no_receipt_without_a_public_url() -> None:
    assert not {"url", "method"} & set(await body())


@pytest.mark.parametrize(
    ("status", "error", "reason", "lasting"),
    [
        (401, "No", "wrong_credentials", True),
        (402, "No", "http_402", True),
        (400, "Insufficient Credit", "insufficient_credit", True),
        (403, "No", "geo_permission", False),
        (400, "No", "invalid_parameter", False),
    ],
)
async def test_credentials_and_credit_are_refused_for_long(
    status: int,
    error: str,
    reason: str,
    lasting: bool,  # noqa: FBT001 - a case
) -> None:
    reply = Reply(status, json.dumps({"api_id": "1", "error": error}).encode())
    async with FaultServer(reply=reply) as server, Transport() as transport:
        answer = await provider("plivo", transport, server.url).send(message())
    assert answer == Answer(Outcome.UNAVAILABLE, reason, lasting=lasting, text=error)


# --- receipts


@pytest.mark.parametrize(
    "case", CASES["receipts"], ids=lambda case: f"{case['form']['Status']}-{case['form']['ErrorCode']}"
)
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    assert list(plivo().receipts(posted(case["form"], v2()))) == receipts(case)


@pytest.mark.parametrize(
    "vector", CASES["signatures"], ids=lambda vector: vector["version"] + urlsplit(vector["url"]).path
)
def test_published_signature_is_genuine(vector: dict[str, Any]) -> None:
    name = f"x-plivo-signature-{vector['version']}"
    found = replace(
        callback(vector["url"], urlencode(vector["form"]).encode()),
        headers={name: vector["signature"], f"{name}-nonce": vector["nonce"]},
    )
    assert list(plivo(auth_token=vector["token"]).receipts(found)) == []
    with pytest.raises(ForgedReceipt):
        plivo(auth_token=vector["token"] + "s").receipts(found)


MA_V2 = {"x-plivo-signature-ma-v2": v2()["x-plivo-signature-v2"], "x-plivo-signature-v2-nonce": NONCE}
MA_V3 = {"x-plivo-signature-ma-v3": v3(FORM)["x-plivo-signature-v3"], "x-plivo-signature-v3-nonce": NONCE}
FOREIGN = v2(token="another")["x-plivo-signature-v2"]
GENUINE = {
    "version 2": v2(),
    "version 2, by the main account": MA_V2,
    "version 2, by the main account beside a subaccount of another token": MA_V2
    | {"x-plivo-signature-v2": FOREIGN},
    "version 2, one of two tokens": v2()
    | {"x-plivo-signature-v2": f"{FOREIGN}, {v2()['x-plivo-signature-v2']}"},
    "version 3": v3(FORM),
    "version 3, by the main account": MA_V3,
    "both": v2() | v3(FORM),
}


@pytest.mark.parametrize("signature", GENUINE)
def test_every_genuine_signature_is_taken(signature: str) -> None:
    assert list(plivo().receipts(posted(FORM, GENUINE[signature]))) == DELIVERED


def test_query_is_no_part_of_what_is_signed() -> None:
    found = replace(posted(FORM, v2()), url=f"{URL}?a=b")
    assert list(plivo().receipts(found)) == DELIVERED


def test_empty_form_says_nothing() -> None:
    assert list(plivo().receipts(replace(posted({}, v2()), body=b""))) == []


FAILED = FORM | {"Status": "failed"}
FORGERIES = {
    "has no signature": posted(FORM, {}),
    "has an empty signature": posted(FORM, v2() | {"x-plivo-signature-v2": ""}),
    "has half a signature": posted(FORM, v2() | {"x-plivo-signature-v2": v2()["x-plivo-signature-v2"][:20]}),
    "has a signature that is no ASCII": posted(FORM, v2() | {"x-plivo-signature-v2": "é\udcff"}),
    "has no nonce": posted(FORM, {"x-plivo-signature-v2": sign(URL)}),
    "has another nonce": posted(FORM, v2() | {"x-plivo-signature-v2-nonce": "1"}),
    "has a nonce that is no text": posted(FORM, v2() | {"x-plivo-signature-v2-nonce": "\udcff"}),
    "is another account's": posted(FORM, v2(token="another")),
    "is for another message": posted(FORM, v2(URL + "2")),
    "is for another host": posted(FORM, v2(URL.replace("otp.", "evil.")) | {"host": "evil.example.com"}),
    "was altered, and only version 3 can tell": posted(FAILED, v3(FORM)),
    "has a field added, and only version 3 can tell": posted(FORM | {"Z": "1"}, v3(FORM)),
    "passes version 2 off as version 3": posted(
        FORM, {"x-plivo-signature-v3": v2()["x-plivo-signature-v2"], "x-plivo-signature-v3-nonce": NONCE}
    ),
    "is no text": replace(posted(FORM, v2()), body=b"\xff"),
    "is no UTF-8": replace(posted(FORM, v2()), body=b"Status=%ff"),
    "has too many fields": posted({str(number): "" for number in range(MAX_FIELDS + 1)}, v2()),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(forgery: str) -> None:
    with pytest.raises(ForgedReceipt):
        plivo().receipts(FORGERIES[forgery])


# --- what others wrote


@pytest.fixture(scope="module")
def sdk() -> Any:
    try:
        return importlib.import_module("plivo")  # in the extra `ci` only
    except ImportError:
        missing("the Plivo SDK")


def test_vendors_validators_agree(sdk: Any) -> None:
    ours, token, draw = plivo(), OPTIONS["auth_token"], random.Random(1)  # noqa: S311 - texts for a test
    for _ in range(200):
        form = {
            f"F{draw.randrange(50)}": "".join(draw.choices("aé&= +%\n€", k=draw.randrange(6)))
            for _ in range(draw.randrange(1, 5))
        }
        url = draw.choice([URL, "http://otp.example.com:8080/x", "https://otp.example.com", URL + "/"])
        signed = v3(form, url)
        assert sdk.utils.validate_signature(url, NONCE, sign(url + NONCE), token)
        assert sdk.utils.validate_v3_signature(
            "POST", url, NONCE, token, signed["x-plivo-signature-v3"], dict(form)
        )
        for headers in (v2(url), signed):
            ours.receipts(replace(posted(form, headers), url=url))
        altered = form | {"Z": "1"}
        assert not sdk.utils.validate_v3_signature(
            "POST", url, NONCE, token, signed["x-plivo-signature-v3"], dict(altered)
        )
        with pytest.raises(ForgedReceipt):
            ours.receipts(replace(posted(altered, signed), url=url))


@pytest.mark.parametrize("media", [(), (PICTURE,)])
async def test_vendors_client_sends_the_same(sdk: Any, media: tuple[str, ...]) -> None:
    requests = importlib.import_module("requests")
    theirs = []

    class Recorder:
        def send(self, request: Any, **_: object) -> Any:  # what `requests` calls a transport adapter
            theirs.append(request)
            answer = requests.Response()
            answer.status_code, answer._content = 202, json.dumps(CASES["accepted"][0]["body"]).encode()
            return answer

        def close(self) -> None:
            pass

    sent = message(receipt_url=URL, media=media)
    with sdk.RestClient(OPTIONS["auth_id"], OPTIONS["auth_token"]) as client:
        client.session.mount("https://", Recorder())
        client.messages.create(
            src="18445550001",
            dst=sent.to.removeprefix("+"),
            text=sent.text,
            type_="mms" if media else "sms",
            url=URL,
            method="POST",
            log="false",
            message_expiry=sent.expires_in,
            **({"media_urls": list(media)} if media else {}),
        )
    ours: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        ours.append(request)
        return httpx.Response(202, json=CASES["accepted"][0]["body"])

    async with Transport(httpx.MockTransport(take)) as transport:
        await provider("plivo", transport).send(sent)
    assert (ours[0].method, str(ours[0].url)) == (theirs[0].method, theirs[0].url)
    assert json.loads(ours[0].content) | {"trackable": False} == json.loads(theirs[0].body)
    assert ours[0].headers["authorization"] == theirs[0].headers["Authorization"]
