"""The signed proof that a number was verified, and the public keys that any back end checks it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_service.verification import Transaction

LIFETIME = 300
"""Seconds from the approval: time to hand the proof on, too short to keep it."""


class Signer:
    """Signs with its first key and publishes all, so a proof outlives the rotation of its key.

    Args:
        keys: Key id and Ed25519 seed (32 bytes) of each, newest first; at least one.
        issuer: The ``iss`` of every proof: the service's public URL.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]], issuer: str) -> None:
        self._keys = {kid: Ed25519PrivateKey.from_private_bytes(seed) for kid, seed in keys}
        self._kid = keys[0][0]
        self._issuer = issuer

    def sign(
        self,
        app: str,
        number: str,
        verification_id: str,
        purpose: str,
        approved_at: int,
        transaction: Transaction | None,
        *,
        test: bool = False,
    ) -> str:
        """Sign the proof of an approval; the same approval gives the same proof.

        Args:
            app: The audience: a proof for one app is none for another.
            number: E.164.
            verification_id: The ``jti``, by which a back end takes a proof once only.
            purpose: What the verification was started for.
            approved_at: Whole seconds since the epoch.
            transaction: Payee and amount that the person saw, if any.
            test: Whether a test key asked for it; the proof then says ``"test": true`` and proves nothing.
        """
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": app,
            "sub": number,
            "jti": verification_id,
            "purpose": purpose,
            "amr": ["otp", "sms"],  # RFC 8176
            "iat": approved_at,
            "exp": approved_at + LIFETIME,
        }
        if transaction:
            claims["transaction"] = {"payee": transaction.payee, "amount": transaction.amount}
        if test:
            claims["test"] = True
        return jwt.encode(claims, self._keys[self._kid], algorithm="EdDSA", headers={"kid": self._kid})

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517; Ed25519 as in RFC 8037)."""
        return {"keys": [_jwk(kid, key) for kid, key in self._keys.items()]}


def _jwk(kid: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    public: dict[str, Any] = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return public | {"kid": kid, "use": "sig", "alg": "EdDSA"}
