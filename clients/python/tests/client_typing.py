# pyright: strict
"""What a type checker must see of the package; test_client_typing.py has them read it, nobody runs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_type

import httpx  # noqa: TC002 - as a user writes it

import otp_client
from otp_client.proof import Proof, ProofVerifier


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
    client.close()


def checked(check: otp_client.Check, delivery: otp_client.Delivery) -> None:
    assert_type(check.approved, bool)
    assert_type(check.number, str | None)
    assert_type(check.proof, str | None)
    assert_type(delivery.receipt, str | None)


def made(http_client: httpx.Client, async_http_client: httpx.AsyncClient) -> None:
    otp_client.Client("https://otp.example.com", "key", timeout=5, max_retries=0, http_client=http_client)
    otp_client.AsyncClient("https://otp.example.com", "key", http_client=async_http_client)
    assert_type(otp_client.__version__, str)


def told(
    autofill: otp_client.Autofill, transaction: otp_client.Transaction, client: otp_client.EndUser
) -> otp_client.Verification:
    wish = otp_client.Client("https://otp.example.com", "key")
    return wish.start("+37256789045", autofill=autofill, transaction=transaction, client=client, timeout=1.5)


def listening(body: bytes, headers: Mapping[str, str]) -> None:
    event = otp_client.unwrap(body, headers, "whsec_…")
    assert_type(event, otp_client.WebhookEvent)
    assert_type(event.data, Mapping[str, Any])


def proving(keys: Mapping[str, Any], check: otp_client.Check) -> None:
    verifier = ProofVerifier(keys, issuer="https://otp.example.com", audience="web", accept_test=False)
    assert_type(verifier.verify(check.proof or "", purpose="login"), Proof)
    verifier.verify("e30.e30.c2ln")  # type: ignore[call-arg]


def raised(client: otp_client.Client) -> str | None:
    refusals: tuple[type[otp_client.APIError], ...] = (
        otp_client.Blocked,
        otp_client.Closed,
        otp_client.Conflict,
        otp_client.DeliveryFailed,
        otp_client.Forbidden,
        otp_client.InvalidRequest,
        otp_client.NotFound,
        otp_client.Throttled,
        otp_client.Unauthenticated,
        otp_client.Unavailable,
        otp_client.Undeliverable,
    )
    others = (otp_client.InvalidProof, otp_client.InvalidWebhook, otp_client.UnexpectedAnswer)
    try:
        client.fetch("vrf_7")
    except refusals as error:
        return error.reason
    except (otp_client.TimedOut, otp_client.ConnectionFailed) as error:
        return assert_type(error.code, str | None)
    except others as error:
        return error.request_id
    except otp_client.OtpError as error:
        return error.code
    return None


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
