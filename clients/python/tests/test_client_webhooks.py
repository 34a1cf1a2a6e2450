from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from otp_client import InvalidWebhook, WebhookEvent, unwrap

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_614_265_330
BODY = json.dumps(
    {
        "type": "verification.approved",
        "timestamp": "2021-02-25T15:02:10Z",
        "data": {"id": "vrf_7"},
    }
).encode()


def signature(body: bytes = BODY, timestamp: str = str(NOW), id_: str = "msg_7") -> str:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(signed: str | None = None, timestamp: str = str(NOW), id_: str = "msg_7") -> dict[str, str]:
    signed = signature(timestamp=timestamp) if signed is None else signed
    return {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": signed}


def read(body: bytes = BODY, given: Any = None, now: float = NOW) -> WebhookEvent:
    return unwrap(body, headers() if given is None else given, SECRET, now=lambda: now)


def test_a_signed_event_is_read() -> None:
    assert read() == WebhookEvent(
        id="msg_7",
        type="verification.approved",
        timestamp=datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC),
        data={"id": "vrf_7"},
    )


def test_the_published_vector_has_a_good_signature_and_is_no_event_of_ours() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, libraries/python/tests
    signed = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(InvalidWebhook, match="not an event"):
        read(b'{"test": 2432232314}', headers(signed, id_="msg_p5jXN8AQM9LWM0D4loKWxJek"))


def test_what_the_specifications_library_signs_is_read() -> None:
    library = pytest.importorskip("standardwebhooks", reason="standardwebhooks is not installed")
    signed = library.Webhook(SECRET).sign("msg_7", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    assert read(given=headers(signed)).type == "verification.approved"


def test_headers_are_found_in_any_case() -> None:
    assert read(given={name.title(): value for name, value in headers().items()})


def test_one_good_signature_of_several_will_do() -> None:
    assert read(given=headers(f"v1,AAAA v1a,xyz {signature()}"))


@pytest.mark.parametrize("now", [NOW - 300, NOW + 300])
def test_five_minutes_either_way_are_taken(now: float) -> None:
    assert read(now=now)


@pytest.mark.parametrize("now", [NOW - 301, NOW + 301])
def test_more_are_not(now: float) -> None:
    with pytest.raises(InvalidWebhook, match="too far from now"):
        read(now=now)


@pytest.mark.parametrize(
    "given",
    [
        {},
        headers(""),
        headers("v1"),
        headers("v1,"),
        headers("v1,é"),
        headers(signature().removeprefix("v1,")),
        headers(signature().replace("v1,", "v2,")),
        headers(id_="msg_8"),
        headers() | {"webhook-timestamp": str(NOW + 1)},
    ],
)
def test_without_a_good_signature_nothing_is_read(given: dict[str, str]) -> None:
    with pytest.raises(InvalidWebhook, match="signature"):
        read(given=given)


def test_an_altered_body_is_refused() -> None:
    with pytest.raises(InvalidWebhook, match="signature"):
        read(BODY + b" ")


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "9" * 16, f"{NOW}.5"])
def test_a_signed_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    with pytest.raises(InvalidWebhook, match="too far from now"):
        read(given=headers(timestamp=timestamp))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b"\xff", b'{"type":"x","timestamp":5,"data":{}}', b"[" * 9999]
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidWebhook, match="not an event"):
        read(body, headers(signature(body)))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "whsec_abc", "whsec_ä"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="secret must be") as caught:
        unwrap(BODY, headers(), secret, now=lambda: NOW)
    assert not secret or secret not in str(caught.value).replace("whsec_ and", "")


def test_an_events_repr_hides_its_data() -> None:
    assert "vrf_7" not in repr(read())
