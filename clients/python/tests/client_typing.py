"""What a type checker must see; test_client_typing.py has mypy read it, nobody runs it."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

import otp_client


def blocking(client: otp_client.Client) -> None:
    started = client.start("+37256789045", transaction={"payee": "ACME", "amount": "12.00 EUR"})
    assert_type(started, otp_client.Verification)
    assert_type(started.expires_at, datetime)
    assert_type(started.deliveries, tuple[otp_client.Delivery, ...])
    assert_type(client.resend(started.id), otp_client.Verification)
    assert_type(client.check(started.id, "123456"), otp_client.Check)
    assert_type(client.cancel(started.id), otp_client.Verification)
    assert_type(client.fetch(started.id), otp_client.Verification)
    with client as same:
        assert_type(same, otp_client.Client)


async def awaiting(client: otp_client.AsyncClient) -> None:
    assert_type(await client.start("+37256789045", autofill={"web": "example.com"}), otp_client.Verification)
    assert_type(await client.check("vrf_7", "123456", purpose="login"), otp_client.Check)
    assert_type(await client.fetch("vrf_7"), otp_client.Verification)
    client.start("+37256789045")  # type: ignore[unused-coroutine]
    async with client as same:
        assert_type(same, otp_client.AsyncClient)


def failing(error: otp_client.APIError) -> None:
    assert_type(error.code, str)
    assert_type(error.status, int)
    assert_type(error.retry_after, int | None)
    assert_type(error.errors, tuple[otp_client.FieldError, ...])


def refused(client: otp_client.Client, verification: otp_client.Verification) -> None:
    client.start()  # type: ignore[call-arg]
    client.start(37256789045)  # type: ignore[arg-type]
    client.start("+37256789045", "EE")  # type: ignore[call-arg]
    client.start("+37256789045", transaction={"payee": "ACME"})  # type: ignore[arg-type]
    client.start("+37256789045", client={"address": "203.0.113.9"})  # type: ignore[arg-type]
    verification.metadata["order"] = "43"  # type: ignore[index]
    verification.status = "approved"  # type: ignore[misc]
    otp_client.Client("https://otp.example.com")  # type: ignore[call-arg]
