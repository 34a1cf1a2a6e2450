from __future__ import annotations

import ast
import dataclasses
import inspect
import pickle
import random
import re
import socket
import traceback
import uuid
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

import otp_client
from otp_client._call import Endpoint, path_of, post
from otp_client._results import read_check, read_verification
from otp_client._retries import CAP_SECONDS, Retries

URL = "https://otp.example.com"
DOWN = {"error": "connect"}


async def test_each_call_draws_a_new_uuid4_and_keeps_it_through_its_retries(serve: Any, pending: Any) -> None:
    client, service = serve(DOWN, DOWN, pending, DOWN, pending)
    await client.start("+37256789045")
    await client.start("+37256789045")
    first, *_ = service.keys
    *_, last = service.keys
    assert service.keys == [first] * 3 + [last] * 2
    assert first != last
    assert {uuid.UUID(first).version, uuid.UUID(last).version} == {4}


async def test_a_retry_sends_the_same_bytes(serve: Any, pending: Any) -> None:
    client, service = serve(DOWN, pending)
    await client.start("+37256789045", metadata={"b": "1", "a": "ä"})
    first, second = service.requests
    assert first.content == second.content


@pytest.mark.parametrize(
    ("of_client", "of_call", "seconds"),
    [({}, {}, 12.0), ({"timeout": 5.0}, {}, 5.0), ({}, {"timeout": 1.5}, 1.5)],
)
async def test_the_timeout_is_the_calls_else_the_clients(
    of_client: Any, of_call: Any, seconds: float, serve: Any, pending: Any
) -> None:
    client, service = serve(pending, **of_client)
    await client.fetch("vrf_7", **of_call)
    assert set(service.requests[0].extensions["timeout"].values()) == {seconds}


def test_the_jitter_is_full_and_capped() -> None:
    down = otp_client.ConnectionFailed()
    rng = random.Random(7)  # noqa: S311 - jitter
    for done in range(40):
        draws = [Retries(100, rng.random).wait(done, down) or 0.0 for _ in range(200)]
        longest = min(CAP_SECONDS, 0.5 * 2**done)
        assert 0 <= min(draws) < longest * 0.1
        assert longest * 0.9 < max(draws) <= longest


def test_with_closes_the_http_client_that_it_made(api_key: str) -> None:
    with otp_client.Client(URL, api_key) as client:
        assert not client._http.is_closed
    assert client._http.is_closed


def test_with_leaves_a_given_http_client_open(api_key: str) -> None:
    with httpx.Client() as http:
        with otp_client.Client(URL, api_key, http_client=http):
            pass
        assert not http.is_closed


async def test_async_with_closes_the_http_client_that_it_made(api_key: str) -> None:
    async with otp_client.AsyncClient(URL, api_key) as client:
        assert not client._http.is_closed
    assert client._http.is_closed


async def test_async_with_leaves_a_given_http_client_open(api_key: str) -> None:
    async with httpx.AsyncClient() as http:
        async with otp_client.AsyncClient(URL, api_key, http_client=http):
            pass
        assert not http.is_closed


def test_a_given_http_clients_own_auth_and_redirects_do_not_apply(api_key: str, pending: Any) -> None:
    seen = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(307, headers={"Location": "https://elsewhere.example/"})

    http = httpx.Client(transport=httpx.MockTransport(redirect), auth=("user", "pass"), follow_redirects=True)
    with http, pytest.raises(otp_client.UnexpectedAnswer):
        otp_client.Client(URL, api_key, http_client=http).fetch("vrf_7")
    assert seen == [f"Bearer {api_key}"]


@pytest.fixture
def silent_url() -> Any:
    """A listener whose backlog takes the connection and whose owner never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_silence_is_a_timeout(silent_url: str, api_key: str) -> None:
    client = otp_client.Client(silent_url, api_key, timeout=0.05, max_retries=0)
    with client, pytest.raises(otp_client.TimedOut):
        client.fetch("vrf_7")


async def test_silence_is_a_timeout_for_those_who_await(silent_url: str, api_key: str) -> None:
    async with otp_client.AsyncClient(silent_url, api_key, timeout=0.05, max_retries=0) as client:
        with pytest.raises(otp_client.TimedOut):
            await client.fetch("vrf_7")


@pytest.fixture
def closed_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_closed_port_is_no_connection(closed_url: str, api_key: str) -> None:
    client = otp_client.Client(closed_url, api_key, max_retries=0)
    with client, pytest.raises(otp_client.ConnectionFailed) as caught:
        client.fetch("vrf_7")
    assert type(caught.value) is otp_client.ConnectionFailed


async def test_a_closed_port_is_no_connection_for_those_who_await(closed_url: str, api_key: str) -> None:
    async with otp_client.AsyncClient(closed_url, api_key, max_retries=0) as client:
        with pytest.raises(otp_client.ConnectionFailed) as caught:
            await client.fetch("vrf_7")
    assert type(caught.value) is otp_client.ConnectionFailed


@pytest.mark.parametrize("kind", [otp_client.Client, otp_client.AsyncClient])
def test_a_clients_repr_says_where_and_hides_the_key(kind: Any, api_key: str) -> None:
    assert repr(kind(URL, api_key)) == f"{kind.__name__}('https://otp.example.com')"


@pytest.mark.parametrize(
    "answer",
    [
        DOWN,
        {"error": "timeout"},
        {"status": 502, "body": "<html>4071938265</html>"},
        {"status": 200, "body": {"id": "4071938265"}},
        {"status": 422, "body": {"code": "invalid_code_format", "input": "4071938265"}},
    ],
)
async def test_an_error_and_its_traceback_hide_key_and_code(answer: Any, serve: Any, api_key: str) -> None:
    client, _ = serve(answer, max_retries=0)
    code = "4071938265"
    with pytest.raises(otp_client.OtpError) as caught:
        await client.check("vrf_7", code)
    shown = repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert code not in shown
    assert api_key not in shown


def test_an_endpoints_repr_hides_the_key(api_key: str) -> None:
    assert api_key not in repr(Endpoint(URL, api_key))


def test_a_calls_repr_hides_the_code() -> None:
    call = post(path_of("vrf_7", "/check"), {"code": "4071938265"}, read_check, None, None)
    assert "4071938265" not in repr(call)


def test_results_reprs_hide_number_metadata_and_proof(pending: Any) -> None:
    verification = read_verification({**pending["body"], "metadata": {"order": "secret"}})
    check = read_check(
        {"id": "vrf_7", "status": "approved", "approved": True, "checks_left": 4, "proof": "secret"}
    )
    assert "secret" not in repr(verification) + repr(check)
    assert "37256789045" not in repr(verification)


@pytest.mark.parametrize("key", ["", "otp_live_secret\n", "otp_live_secret ö", "otp live secret"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="api_key must be") as caught:
        otp_client.Client(URL, key)
    assert "secret" not in repr(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "otp.example.com",
        "otp_live_k1_secret",
        "ftp://otp.example.com",
        "https://",
        "https://secret@otp.example.com",
        "https://user:secret@otp.example.com",
        "https://:secret@otp.example.com",
        "https://otp.example.com?x=secret",
        "https://otp.example.com#secret",
        "https://otp.example.com/secret\n",
    ],
)
def test_a_base_url_that_cannot_be_one_is_refused_and_not_repeated(url: str, api_key: str) -> None:
    with pytest.raises(ValueError, match="base_url must be") as caught:
        otp_client.Client(url, api_key)
    assert "secret" not in repr(caught.value)


def test_a_check_is_true_only_when_approved() -> None:
    wrong = otp_client.Check(id="vrf_7", status="pending", approved=False, checks_left=3)
    assert not wrong
    assert dataclasses.replace(wrong, approved=True)


def test_results_are_frozen_and_hashable(pending: Any) -> None:
    verification = read_verification({**pending["body"], "metadata": {"order": "42"}})
    assert len({verification, dataclasses.replace(verification)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        verification.status = "approved"  # type: ignore[misc]


async def test_metadata_may_be_any_mapping(serve: Any, pending: Any) -> None:
    client, service = serve(pending)
    await client.start("+37256789045", metadata=MappingProxyType({"order": "42"}))
    assert service.requests[0].content == b'{"to":"+37256789045","metadata":{"order":"42"}}'


async def test_a_body_that_cannot_be_decompressed_is_no_answer(serve: Any) -> None:
    client, _ = serve({"status": 200, "headers": {"Content-Encoding": "gzip"}, "body": "{}"}, max_retries=0)
    with pytest.raises(otp_client.ConnectionFailed):
        await client.fetch("vrf_7")


async def test_json_too_deep_to_read_is_not_an_answer(serve: Any) -> None:
    client, _ = serve({"status": 200, "body": "[" * 100_000})
    with pytest.raises(otp_client.UnexpectedAnswer):
        await client.fetch("vrf_7")


def test_an_error_reads_as_one_line_for_the_log() -> None:
    error = otp_client.Throttled(
        429, "throttled", "Wait.", reason="cooldown", retry_after=30, request_id="req_7"
    )
    assert str(error) == "429 throttled (cooldown): Wait. [request req_7]"


@pytest.mark.parametrize(
    "error",
    [
        otp_client.Closed(
            410, "verification_closed", "Done.", verification_status="approved", request_id="req_7"
        ),
        otp_client.UnexpectedAnswer(502, request_id="req_7"),
        otp_client.TimedOut("no answer in time"),
    ],
)
def test_errors_survive_pickling(error: otp_client.OtpError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_the_public_names_are_these() -> None:
    public = [
        name
        for name, member in vars(otp_client).items()
        if not name.startswith("_") and not inspect.ismodule(member)
    ]
    assert sorted([*public, "__version__"]) == otp_client.__all__
    assert otp_client.__all__ == [
        "APIError",
        "AsyncClient",
        "Autofill",
        "Blocked",
        "Check",
        "Client",
        "Closed",
        "Conflict",
        "ConnectionFailed",
        "Delivery",
        "DeliveryFailed",
        "EndUser",
        "FieldError",
        "Forbidden",
        "InvalidProof",
        "InvalidRequest",
        "InvalidWebhook",
        "NotFound",
        "OtpError",
        "Throttled",
        "TimedOut",
        "Transaction",
        "Unauthenticated",
        "Unavailable",
        "Undeliverable",
        "UnexpectedAnswer",
        "Verification",
        "WebhookEvent",
        "__version__",
        "unwrap",
    ]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("celery", ["start_task"]),
        ("django", ["CodeForm", "PhoneForm", "VerificationMixin"]),
        ("fastapi", ["SessionVerification", "StepResponse", "session_verification"]),
        ("flask", ["VerificationBlueprint"]),
        ("proof", ["Proof", "ProofVerifier"]),
    ],
)
def test_the_public_names_of_a_module_are_these(module: str, names: list[str]) -> None:
    source = Path(otp_client.__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    listed = re.search(r"^__all__ = (\[.*?\])", source, re.MULTILINE | re.DOTALL)
    assert listed
    assert ast.literal_eval(listed[1]) == names  # without importing what the module is for
