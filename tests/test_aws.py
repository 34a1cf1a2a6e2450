from __future__ import annotations

import datetime as dt
import functools
import importlib
import json
import random
from dataclasses import replace
from typing import Any

import httpx
import pytest

from otp_service.delivery.provider import Callback, ForgedReceipt
from otp_service.delivery.providers.aws import CODES, EVENTS, LASTING, Aws
from otp_service.delivery.providers.sigv4 import SigV4
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import FaultServer
from tests.provider_cases import callback, cases, message, missing, provider, receipts

CASES = cases("aws")
TRANSPORT = Transport()  # one for all: its certificates take 20 ms
OPTIONS = CASES["section"]["options"]
URL = "https://otp.example.com/v1/receipts/aws"
POOL = "arn:aws:sms-voice:eu-west-1:111122223333:pool/pool-1"
NOW = 1_440_938_160.0
"""2015-08-30T12:36:00Z, of AWS's test suite."""


def aws(**options: str | None) -> Aws:
    held = {key: value for key, value in (OPTIONS | options).items() if value}
    return Aws("aws", ProviderSettings(type="aws", options=held), TRANSPORT)


def counterpart(name: str) -> Any:
    try:
        return importlib.import_module(name)  # in the extra `ci` only
    except ImportError:
        missing("botocore")


# --- sending


async def sent(region: str = "EE", **section: Any) -> tuple[dict[str, Any], dict[str, str]]:
    options = OPTIONS | section.pop("options", {})
    async with FaultServer() as server, Transport() as transport:
        made = provider("aws", transport, server.url, options=options, **section)
        await made.send(message(region=region, token="t0k3n"))
    (request,) = server.requests
    return json.loads(request.body), dict(request.headers)


async def test_context_names_the_message_because_all_events_come_to_one_address() -> None:
    body, _ = await sent()
    assert body["Context"] == {"token": "t0k3n"}


async def test_names_no_message_whose_receipt_it_could_not_verify() -> None:
    body, _ = await sent(options={"receipt_key": None})
    assert "Context" not in body


async def test_configuration_set_is_named() -> None:
    body, _ = await sent(options={"configuration_set": "otp"})
    assert body["ConfigurationSetName"] == "otp"


async def test_pool_chooses_the_sender() -> None:
    body, _ = await sent("US", sender="Acme", options={"origination_identity": POOL})
    assert body["OriginationIdentity"] == POOL


async def test_regions_own_sender_goes_before_the_pool() -> None:
    section = {"senders": {"US": "+15017122661"}, "options": {"origination_identity": POOL}}
    body, _ = await sent("US", **section)
    assert body["OriginationIdentity"] == "+15017122661"


async def test_sender_is_left_to_aws_where_none_is_given() -> None:
    body, _ = await sent(sender=None)
    assert "OriginationIdentity" not in body


async def test_shortest_lifetime_is_what_aws_takes() -> None:
    async with FaultServer() as server, Transport() as transport:
        await provider("aws", transport, server.url).send(message(expires_in=1))
    assert json.loads(server.requests[0].body)["TimeToLive"] == 5


async def test_credentials_and_money_are_refused_for_longer() -> None:
    replies: list[httpx.Response] = []
    mocked = provider("aws", Transport(httpx.MockTransport(lambda _: replies.pop())))
    for case in CASES["refused"]:
        replies[:] = [httpx.Response(case["status"], json=case["body"])]
        answer = await mocked.send(message())
        said = {case["body"].get("Reason"), case["body"].get("__type", "").rpartition("#")[2]}
        assert answer.lasting is bool(said & LASTING), case


# --- signing


def sign(body: bytes, url: str = "https://example.amazonaws.com/", **headers: str) -> httpx.Headers:
    request = httpx.Request("POST", url, content=body, headers=headers)
    signer = SigV4(
        "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, "us-east-1", "service", lambda: NOW
    )
    return next(signer.auth_flow(request)).headers


@pytest.mark.parametrize("vector", CASES["signatures"], ids=lambda vector: vector["source"].split(", ")[1])
def test_published_signature_is_ours(vector: dict[str, Any]) -> None:
    assert sign(vector["body"].encode(), **vector["headers"])["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={vector['signed_headers']}, Signature={vector['signature']}"
    )


def test_botocore_signs_the_same() -> None:
    auth, awsrequest, credentials = (
        counterpart(f"botocore.{name}") for name in ("auth", "awsrequest", "credentials")
    )
    draw = random.Random(1)  # noqa: S311 - texts for a test
    for _ in range(300):
        key = draw.choice(["k", "wJalr+/=", "é"]), draw.choice([None, "t0k3n", "a/b+c=="])
        region, service = draw.choice(["eu-west-1", "us-gov-west-1"]), draw.choice(["sms-voice", "sns"])
        url = draw.choice(
            ["https://sms-voice.eu-west-1.amazonaws.com/", "http://127.0.0.1:8080/", "https://h"]
        )
        headers = {"x-amz-target": draw.choice(["A.B", "a  b ", "x"])}
        if draw.random() < 0.8:
            headers["content-type"] = draw.choice(["application/x-amz-json-1.0", "text/plain; charset=utf-8"])
        body = draw.randbytes(draw.randrange(200))
        theirs = awsrequest.AWSRequest("POST", url, headers=dict(headers), data=body)
        auth.SigV4Auth(credentials.Credentials("AKID", *key), service, region).add_auth(theirs)
        moment = dt.datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%S%z").timestamp()
        signer = SigV4("AKID", *key, region, service, functools.partial(float, moment))
        request = httpx.Request("POST", url, content=body, headers=headers)
        ours = next(signer.auth_flow(request)).headers
        names = ("authorization", "x-amz-date", "x-amz-security-token")
        assert {name: ours.get(name) for name in names} == {name: theirs.headers.get(name) for name in names}


async def test_temporary_key_goes_with_its_session_token() -> None:
    _, headers = await sent(options={"session_token": "t3mporary"})
    assert headers["x-amz-security-token"] == "t3mporary"
    assert (
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
        in (headers["authorization"])
    )


# --- receipts


def signed(event: Any, key: str = OPTIONS["receipt_key"]) -> Callback:
    return callback(URL, event if isinstance(event, bytes) else json.dumps(event).encode(), x_api_key=key)


@pytest.mark.parametrize("case", CASES["receipts"], ids=lambda case: case["type"])
def test_receipt_says_what_the_table_says(case: dict[str, Any]) -> None:
    expected = [replace(each, token="t0k3n") for each in receipts(case)]
    assert list(aws().receipts(signed(case["json"]))) == expected


DELIVERED = next(case["json"] for case in CASES["receipts"] if case["type"] == "TEXT_DELIVERED")


@pytest.mark.parametrize(
    "found",
    [
        callback(URL, json.dumps(DELIVERED).encode()),
        signed(DELIVERED, ""),
        signed(DELIVERED, OPTIONS["receipt_key"][:-1]),
        signed(DELIVERED, OPTIONS["receipt_key"] + "x"),
        signed(DELIVERED, "é\udcff"),
        callback(URL, json.dumps(DELIVERED).encode(), authorization=OPTIONS["receipt_key"]),
    ],
    ids=["no key", "an empty key", "most of the key", "more than the key", "no ASCII", "another header"],
)
def test_forgery_is_refused(found: Callback) -> None:
    with pytest.raises(ForgedReceipt):
        aws().receipts(found)


def test_route_is_for_who_holds_the_receipt_key() -> None:
    assert aws().signs_receipts
    assert not aws(receipt_key=None).signs_receipts


@pytest.mark.parametrize("key", ["", "x"])
def test_without_the_receipt_key_every_receipt_is_forged(key: str) -> None:
    with pytest.raises(ForgedReceipt):
        aws(receipt_key=None).receipts(signed(DELIVERED, key))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 50_000,
        b"[]",
        b"{}",
        b'{"detail": null}',
        b'{"detail": {"eventType": "TEXT_DELIVERED"}}',
        b'{"detail": {"eventType": ["TEXT_DELIVERED"], "context": {"token": "t"}}}',
    ],
)
def test_receipt_that_cannot_be_read_says_nothing(body: bytes) -> None:
    assert list(aws().receipts(signed(body))) == []


# --- the vendor's model


@functools.cache
def model(operation: str = "SendTextMessage") -> Any:
    session = counterpart("botocore.session").get_session()
    return session.get_service_model("pinpoint-sms-voice-v2").operation_model(operation)


def reasons() -> set[str]:
    return {
        reason
        for error in model().error_shapes
        if "Reason" in error.members
        for reason in error.members["Reason"].enum
    }


def test_model_has_every_reason_of_ours() -> None:
    assert set(CODES) <= reasons()
    assert {code for code in LASTING if code.isupper()} <= reasons()
    recorded = {case["body"].get("Reason") for case in CASES["refused"] if "Reason;" in case["source"]}
    assert recorded <= reasons()


def test_model_has_every_event_of_ours() -> None:
    events = model("CreateEventDestination").input_shape.members["MatchingEventTypes"].member.enum
    texts = {event for event in events if event.startswith("TEXT_")} - {"TEXT_ALL"}
    assert texts - set(EVENTS) == {"TEXT_QUEUED", "TEXT_PENDING", "TEXT_UNKNOWN"}
    assert set(EVENTS) <= texts


@pytest.mark.parametrize("options", [{}, {"origination_identity": POOL, "configuration_set": "otp"}])
async def test_model_allows_our_request(options: dict[str, str]) -> None:
    body, headers = await sent(options=options)
    shape = model().input_shape
    assert set(body) <= set(shape.members)
    report = counterpart("botocore.validate").ParamValidator().validate(body, shape)
    assert not report.has_errors(), report.generate_report()
    metadata = model().service_model.metadata
    assert headers["x-amz-target"] == f"{metadata['targetPrefix']}.{model().name}"
    assert headers["content-type"] == f"application/x-amz-json-{metadata['jsonVersion']}"


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1", "ap-southeast-2"])
def test_address_is_the_vendors(region: str) -> None:
    session = counterpart("botocore.session").get_session()
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    theirs = session.create_client("pinpoint-sms-voice-v2", region_name=region, **keys).meta.endpoint_url
    assert aws(region=region)._api._url == theirs


def test_vendors_parser_reads_our_cases() -> None:
    parser = counterpart("botocore.parsers").create_parser("json")
    for case in CASES["refused"] + CASES["accepted"]:
        answer = {"status_code": case["status"], "headers": {}, "body": json.dumps(case["body"]).encode()}
        read = parser.parse(answer, model().output_shape)
        kind = case["body"].get("__type", "").rpartition("#")[2]
        assert read.get("Error", {}).get("Code", "") == kind, case
        assert read.get("MessageId", "") == case.get("reference", ""), case
