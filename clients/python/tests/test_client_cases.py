"""Every case of clients/cases.json, through both clients, with the shortest and the longest jitter."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import otp_client

CASES = json.loads((Path(__file__).parents[2] / "cases.json").read_text(encoding="utf-8"))
KINDS = {
    "api": otp_client.APIError,
    "blocked": otp_client.Blocked,
    "closed": otp_client.Closed,
    "conflict": otp_client.Conflict,
    "connection": otp_client.ConnectionFailed,
    "delivery_failed": otp_client.DeliveryFailed,
    "forbidden": otp_client.Forbidden,
    "invalid_argument": ValueError,
    "invalid_request": otp_client.InvalidRequest,
    "not_found": otp_client.NotFound,
    "throttled": otp_client.Throttled,
    "timeout": otp_client.TimedOut,
    "unauthenticated": otp_client.Unauthenticated,
    "unavailable": otp_client.Unavailable,
    "undeliverable": otp_client.Undeliverable,
    "unexpected_answer": otp_client.UnexpectedAnswer,
}


@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_case(case: dict[str, Any], jitter: float, serve: Any, api_key: str) -> None:
    answers = [exchange["answer"] for exchange in case["exchanges"]]
    client, service = serve(*answers, rng=lambda: jitter, **case.get("options", {}))

    outcome = await _outcome(client, **case["call"])

    for exchange, request in zip(case["exchanges"], service.requests, strict=True):
        _assert_asked(exchange["request"], request, api_key)
    assert len(set(service.keys)) <= 1
    bounds = case.get("waits_ms", [])
    assert [wait * 1000 for wait in service.waits] == [(low, high)[int(jitter)] for low, high in bounds]
    _assert_came_to(case, outcome)


async def _outcome(client: Any, verb: str, arguments: dict[str, Any]) -> Any:
    leading = [arguments[name] for name in ("to", "id", "code") if name in arguments]
    rest = {name: value for name, value in arguments.items() if name not in {"to", "id", "code"}}
    try:
        return await getattr(client, verb)(*leading, **rest)
    except (otp_client.OtpError, ValueError) as error:
        return error


def _assert_asked(expected: dict[str, Any], request: Any, api_key: str) -> None:
    assert request.method == expected["method"]
    assert request.url.raw_path.decode() == expected["path"]
    assert request.headers["Authorization"] == f"Bearer {api_key}"
    assert expected.get("headers", {}).items() <= {k.title(): v for k, v in request.headers.items()}.items()
    if request.method == "GET":
        assert request.content == b""
        assert "Idempotency-Key" not in request.headers
    else:
        assert json.loads(request.content) == expected["body"]
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["Idempotency-Key"]


def _assert_came_to(case: dict[str, Any], outcome: Any) -> None:
    if "error" in case:
        assert type(outcome) is KINDS[case["error"]["kind"]]
        expected = {name: value for name, value in case["error"].items() if name != "kind"}
    else:
        assert isinstance(outcome, otp_client.Verification | otp_client.Check), outcome
        expected = case["result"]
    assert {name: _plain(getattr(outcome, name)) for name in expected} == expected


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.utcoffset() is not None
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
