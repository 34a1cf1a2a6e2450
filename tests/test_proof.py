from __future__ import annotations

import base64
import json

import jwt
import pytest

from otp_service.proof import Signer
from otp_service.verification import Transaction

ISSUER = "https://otp.example.com"
APPROVED_AT = 4_000_000_000  # in 2096, so that PyJWT's own clock finds it neither expired ...
NOT_YET = {"verify_iat": False}  # ... nor issued too early
P1, P2 = ("p1", bytes(range(32))), ("p2", bytes(range(32, 64)))
APPROVAL = ("web", "+37256789045", "vrf_aaaa", "login", APPROVED_AT, None)


def verified(proof, jwks, *, audience="web", issuer=ISSUER):
    """What another back end does, offline, with nothing but the JWK Set."""
    keys = jwt.PyJWKSet.from_json(json.dumps(jwks))
    key = keys[jwt.get_unverified_header(proof)["kid"]]
    return jwt.decode(proof, key, algorithms=["EdDSA"], audience=audience, issuer=issuer, options=NOT_YET)


def altered(proof, **claims):
    header, payload, signature = proof.split(".")
    body = json.loads(base64.urlsafe_b64decode(payload + "==")) | claims
    forged = base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()
    return f"{header}.{forged}.{signature}"


def test_another_back_end_reads_the_approval_from_the_proof():
    signer = Signer([P1], ISSUER)
    assert verified(signer.sign(*APPROVAL), signer.jwks()) == {
        "iss": ISSUER,
        "aud": "web",
        "sub": "+37256789045",
        "jti": "vrf_aaaa",
        "purpose": "login",
        "amr": ["otp", "sms"],
        "iat": APPROVED_AT,
        "exp": APPROVED_AT + 300,
    }


def test_a_proof_of_a_payment_names_payee_and_amount():
    signer = Signer([P1], ISSUER)
    proof = signer.sign(*APPROVAL[:-1], Transaction("ACME", "12.00 EUR"))
    assert verified(proof, signer.jwks())["transaction"] == {"payee": "ACME", "amount": "12.00 EUR"}


def test_the_same_approval_gives_the_same_proof():
    assert Signer([P1], ISSUER).sign(*APPROVAL) == Signer([P1], ISSUER).sign(*APPROVAL)


# Naive: jwt.decode(proof, options={"verify_signature": False}).
@pytest.mark.parametrize("claim", ["sub", "aud", "jti", "purpose", "iss", "exp"])
def test_an_altered_proof_is_refused(claim):
    signer = Signer([P1], ISSUER)
    value = APPROVED_AT + 9999 if claim == "exp" else "web" if claim == "aud" else "+37200000000"
    proof = altered(signer.sign("shop", *APPROVAL[1:]), **{claim: value})
    with pytest.raises(jwt.InvalidSignatureError):
        verified(proof, signer.jwks(), audience=["web", "shop"])


# Naive: a proof without aud.
def test_a_proof_for_one_app_is_none_for_another():
    signer = Signer([P1], ISSUER)
    with pytest.raises(jwt.InvalidAudienceError):
        verified(signer.sign(*APPROVAL), signer.jwks(), audience="shop")


# Naive: a proof without exp.
def test_a_proof_ends():
    signer = Signer([P1], ISSUER)
    with pytest.raises(jwt.ExpiredSignatureError):
        verified(signer.sign(*APPROVAL[:4], 1_000_000_000, None), signer.jwks())


# Naive: HS256, under which whoever can verify can also sign.
def test_what_verifies_cannot_sign():
    signer = Signer([P1], ISSUER)
    public = base64.urlsafe_b64decode(signer.jwks()["keys"][0]["x"] + "=")
    forged = jwt.encode({"sub": "+37256789045"}, public, algorithm="HS256", headers={"kid": "p1"})
    with pytest.raises(jwt.InvalidAlgorithmError):
        verified(forged, signer.jwks())


def test_the_first_key_signs():
    assert jwt.get_unverified_header(Signer([P2, P1], ISSUER).sign(*APPROVAL))["kid"] == "p2"


# Naive: publishes the signing key only.
def test_a_proof_outlives_the_rotation_of_its_key():
    proof = Signer([P1], ISSUER).sign(*APPROVAL)
    assert verified(proof, Signer([P2, P1], ISSUER).jwks())["sub"] == "+37256789045"


def test_a_key_can_be_published_before_it_signs():
    before_it_signs = Signer([P1, P2], ISSUER).jwks()
    assert verified(Signer([P2, P1], ISSUER).sign(*APPROVAL), before_it_signs)["jti"] == "vrf_aaaa"


def test_a_key_that_was_dropped_proves_nothing():
    proof = Signer([P1], ISSUER).sign(*APPROVAL)
    with pytest.raises(KeyError):
        verified(proof, Signer([P2], ISSUER).jwks())


def test_the_public_key_is_the_one_of_rfc_8037():
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")  # appendix A.1
    assert Signer([("p1", seed)], ISSUER).jwks()["keys"] == [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "p1",
            "use": "sig",
            "alg": "EdDSA",
        }
    ]


# Naive: the JWK of the private key, whose d is the seed.
def test_a_seed_shows_neither_in_the_key_set_nor_in_a_repr():
    signer = Signer([P1], ISSUER)
    shown = json.dumps(signer.jwks()) + repr(signer) + repr(vars(signer))
    assert base64.urlsafe_b64encode(P1[1]).rstrip(b"=").decode() not in shown
    assert P1[1].hex() not in shown
