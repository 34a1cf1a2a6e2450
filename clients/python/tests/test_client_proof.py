"""Proofs of the service's own signer, verified offline."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from otp_client import InvalidProof
from otp_client.proof import Proof, ProofVerifier
from otp_service.proof import Signer
from otp_service.verification import Transaction

ISSUER = "https://otp.example.com"
NUMBER = "+37256789045"
NOW = 1_790_000_000
SIGNER = Signer([("p1", bytes(32))], ISSUER)
PAYMENT = {"payee": "ACME", "amount": "12.00 EUR"}


def signed(signer: Signer = SIGNER, **changes: Any) -> str:
    given: dict[str, Any] = {
        "app": "web",
        "number": NUMBER,
        "verification_id": "vrf_7",
        "purpose": "login",
        "approved_at": NOW,
        "transaction": None,
    }
    return signer.sign(**given | changes)


def verifier(keys: Any = None, *, now: float = NOW, **options: Any) -> ProofVerifier:
    given = {"issuer": ISSUER, "audience": "web"} | options
    return ProofVerifier(keys or SIGNER.jwks(), now=lambda: now, **given)


def test_a_proof_says_who_and_for_what() -> None:
    assert verifier().verify(signed(), purpose="login") == Proof(
        verification_id="vrf_7",
        number=NUMBER,
        purpose="login",
        expires_at=datetime.fromtimestamp(NOW + 300, UTC),
    )


def test_a_proof_of_a_payment_is_for_that_payment() -> None:
    proof = signed(transaction=Transaction(**PAYMENT))
    assert verifier().verify(proof, purpose="login", transaction=PAYMENT).number == NUMBER  # type: ignore[arg-type]


def test_a_key_that_signs_no_longer_still_verifies() -> None:
    rotated = Signer([("p2", b"2" * 32), ("p1", bytes(32))], ISSUER)
    assert verifier(rotated.jwks()).verify(signed(), purpose="login")


def test_a_proof_lives_until_the_second_it_names() -> None:
    assert verifier(now=NOW + 299.9).verify(signed(), purpose="login")
    with pytest.raises(InvalidProof, match="expired"):
        verifier(now=NOW + 300).verify(signed(), purpose="login")


def test_a_clock_behind_the_services_takes_a_fresh_proof() -> None:
    assert verifier(now=NOW - 30).verify(signed(), purpose="login")


@pytest.mark.parametrize(
    ("proof", "asked"),
    [
        (signed(purpose="signup"), {}),
        (signed(transaction=Transaction(**PAYMENT)), {}),
        (signed(), {"transaction": PAYMENT}),
        (signed(transaction=Transaction(**PAYMENT)), {"transaction": PAYMENT | {"amount": "1200.00 EUR"}}),
        (signed(app="other"), {}),
        (signed(Signer([("p1", bytes(32))], "https://other.example.com")), {}),
        (signed(Signer([("p1", b"x" * 32)], ISSUER)), {}),
        (signed(Signer([("p9", bytes(32))], ISSUER)), {}),
        (signed(test=True), {}),
        ("", {}),
        ("a.b.c", {}),
    ],
    ids=[
        "purpose",
        "a payment",
        "no payment",
        "amount",
        "app",
        "issuer",
        "key",
        "kid",
        "test",
        "empty",
        "junk",
    ],
)
def test_a_proof_of_something_else_is_refused(proof: str, asked: Any) -> None:
    with pytest.raises(InvalidProof):
        verifier().verify(proof, **{"purpose": "login"} | asked)


def test_a_test_keys_proof_is_taken_by_those_who_say_so() -> None:
    assert verifier(accept_test=True).verify(signed(test=True), purpose="login")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA"])
def test_a_forged_signature_is_refused(algorithm: str) -> None:
    header, claims, _ = signed().split(".")
    header = (
        base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "p1"}).encode()).decode().rstrip("=")
    )
    for signature in ("", "AAAA"):
        with pytest.raises(InvalidProof):
            verifier().verify(f"{header}.{claims}.{signature}", purpose="login")


@pytest.mark.parametrize("keys", [{"keys": []}, {"keys": [{"kty": "EC"}]}, {"a": 1}])
def test_a_set_without_keys_is_refused_at_once(keys: Any) -> None:
    with pytest.raises(ValueError, match="JWK Set"):
        verifier(keys)


def test_neither_error_nor_repr_holds_the_number() -> None:
    with pytest.raises(InvalidProof) as caught:
        verifier().verify(signed(app="other"), purpose="login")
    assert NUMBER not in repr(caught.value) + repr(verifier().verify(signed(), purpose="login"))
