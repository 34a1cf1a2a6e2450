"""A service to experiment on: real HTTP semantics, a real Redis, and hands on clock, codes and providers."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from otp_service.app import create_app
from otp_service.service import Seams, Service
from otp_service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from otp_service.events import Event

SECRET = "s" * 43
NUMBER = "+37256789045"
SEED = base64.b64encode(bytes(range(32))).decode()


def key_line(key_id: str, kind: str = "test", scopes: str = "verify,read") -> str:
    """A key as a configuration holds it; its secret is ``SECRET``."""
    return f"{key_id}:{hashlib.sha256(SECRET.encode()).hexdigest()}:{kind}:{scopes}"


def bearer(key_id: str, kind: str = "test") -> dict[str, str]:
    return {"Authorization": f"Bearer otp_{kind}_{key_id}_{SECRET}"}


def tables(redis_url: str, **changes: Any) -> dict[str, Any]:
    """A configuration with two apps, ``web`` and ``other``, and the cheapest hash."""
    app = {
        "brand": "Acme",
        "keys": [
            key_line("web1"),
            key_line("web2"),
            key_line("reader", scopes="read"),
            key_line("live1", "live"),
        ],
        "countries": ["EE", "US", "DE", "GB"],
        "autofill_hosts": ["login.example.com"],
    }
    found: dict[str, Any] = {
        "redis_url": redis_url,
        "public_url": "http://127.0.0.1:8080",
        "keyring": [f"k1:{SEED}"],
        "index_key": SEED,
        "proof_keys": [f"p1:{SEED}"],
        "hash_profile": "test",
        "hash_queue": 1000,
        "allow_unsafe_redis": True,
        "apps": {"web": app, "other": app | {"keys": [key_line("other1")]}},
        "routes": {"default": {"providers": ["console"]}},
        "providers": {"console": {}},
    }
    return merge(found, changes)


def merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merged deeply; anything else replaced."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


@dataclass
class Lab:
    """A running service and a client of its app ``web``."""

    service: Service
    http: httpx.AsyncClient
    moved: list[int] = field(default_factory=lambda: [0])
    told: list[Event] = field(default_factory=list)

    def pass_time(self, seconds: float) -> None:
        self.moved[0] += round(seconds * 1000)

    @property
    def inbox(self) -> list[Any]:
        return list(self.service.providers["console"].inbox)  # type: ignore[attr-defined]

    def code(self, index: int = -1) -> str:
        """The code in a message of the inbox."""
        return code_in(self.inbox[index].text)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        return await self.http.post(f"/v1/verifications/{path}", json=body or {}, headers=headers, **options)

    async def start(self, to: str = NUMBER, *, key: str | None = None, **body: Any) -> httpx.Response:
        return await self.post("start", {"to": to, **body}, headers=idempotent(key))

    async def check(self, id_: str, code: str, *, key: str | None = None, **body: Any) -> httpx.Response:
        return await self.post(f"{id_}/check", {"code": code, **body}, headers=idempotent(key))

    async def resend(self, id_: str, *, key: str | None = None) -> httpx.Response:
        return await self.post(f"{id_}/resend", headers=idempotent(key))

    async def cancel(self, id_: str, *, key: str | None = None) -> httpx.Response:
        return await self.post(f"{id_}/cancel", headers=idempotent(key))

    async def fetch(self, id_: str) -> httpx.Response:
        return await self.http.get(f"/v1/verifications/{id_}")


@asynccontextmanager
async def lab(
    redis_url: str,
    *,
    seams: dict[str, Any] | None = None,
    key: str = "web1",
    work: bool = False,
    **changes: Any,
) -> AsyncIterator[Lab]:
    """A service in this process, spoken to over ASGI."""
    moved: list[int] = [0]
    told: list[Event] = []
    settings = Settings.model_validate(tables(redis_url, **changes))
    hands = {"skew": lambda: moved[0], "listener": told.append} | (seams or {})
    app = create_app(settings, seams=Seams(**hands), work=work)
    caller = bearer(key, "live" if key == "live1" else "test")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://otp.test", headers=caller) as client,
    ):
        yield Lab(app.state.service, client, moved, told)


def idempotent(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def code_in(text: str) -> str:
    found = re.search(r"\b[0-9]{6,10}\b", text)
    assert found, text
    return found[0]


def other_code(code: str, shift: int = 1) -> str:
    """A wrong code of the same length."""
    return f"{(int(code) + shift) % 10 ** len(code):0{len(code)}d}"
