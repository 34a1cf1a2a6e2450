from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otp_client import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_URL = "https://otp.example.com"
API_KEY = "otp_test_k1_correcthorsebatterystaple"
PENDING = {
    "id": "vrf_7",
    "status": "pending",
    "to": "+37256789045",
    "channel": "sms",
    "purpose": "verify",
    "created_at": "2026-11-20T10:00:00Z",
    "expires_at": "2026-11-20T10:10:00Z",
    "expires_in": 600,
}


@dataclass
class Service:
    """Plays back answers in order, and keeps what it was asked and how long the client slept."""

    answers: list[dict[str, Any]]
    requests: list[httpx.Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[len(self.requests)]
        self.requests.append(request)
        match answer.get("error"):
            case "connect":
                raise httpx.ConnectError("refused", request=request)
            case "timeout":
                raise httpx.ReadTimeout("silent", request=request)
        body = answer["body"]
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(answer["status"], headers=answer.get("headers"), text=content)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("Idempotency-Key") for request in self.requests]


class Awaitable:
    """A Client with AsyncClient's face, so that each fact is written once for both."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __getattr__(self, verb: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(self.client, verb)(*args, **kwargs)

        return call


@pytest.fixture
def api_key() -> str:
    return API_KEY


@pytest.fixture
def pending() -> dict[str, Any]:
    return {"status": 201, "body": PENDING}


@pytest.fixture(params=["Client", "AsyncClient"])
def serve(request: pytest.FixtureRequest) -> Callable[..., tuple[Any, Service]]:
    """Makes a service of answers, and a client of either kind that talks to it."""

    def make(*answers: dict[str, Any], base_url: str = BASE_URL, **options: Any) -> tuple[Any, Service]:
        service = Service(list(answers))
        transport = httpx.MockTransport(service.handle)
        if request.param == "Client":
            http = httpx.Client(transport=transport)
            client = Client(base_url, API_KEY, http_client=http, sleep=service.waits.append, **options)
            return Awaitable(client), service
        async_http = httpx.AsyncClient(transport=transport)
        return AsyncClient(base_url, API_KEY, http_client=async_http, sleep=service.sleep, **options), service

    return make
