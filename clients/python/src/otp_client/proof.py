"""The proof of an approval, verified offline. Needs ``otp-client[proof]``.

The back end that called ``check`` has its answer and needs none of this: the proof is for others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt

from ._errors import InvalidProof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._verbs import Transaction

__all__ = ["Proof", "ProofVerifier"]

_REQUIRED = ["iss", "aud", "sub", "jti", "purpose", "exp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What the service has signed: who holds this number said so, for this purpose.

    Attributes:
        verification_id: Keep it until ``expires_at`` and take no second proof with it.
        number: E.164.
        purpose: The verification's.
        expires_at: Aware, UTC; five minutes from the approval.
    """

    verification_id: str
    number: str = field(repr=False)
    purpose: str
    expires_at: datetime


class ProofVerifier:
    """Verifies proofs with the service's public keys, and asks nobody.

    Args:
        keys: The JSON of ``/.well-known/jwks.json``; read it anew when a proof's key is not among them.
        issuer: The service's ``public_url``.
        audience: The app's name in the service's configuration.
        accept_test: Also take proofs that a test key got, which prove nothing.
        now: Seconds since the epoch.

    Raises:
        ValueError: ``keys`` holds none.
    """

    def __init__(
        self,
        keys: Mapping[str, Any],
        *,
        issuer: str,
        audience: str,
        accept_test: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        try:
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys}
        except jwt.PyJWTError as error:
            raise ValueError(f"keys must be a JWK Set with a key of the service ({error})") from None
        self._issuer = issuer
        self._audience = audience
        self._accept_test = accept_test
        self._now = now

    def verify(self, proof: str, *, purpose: str, transaction: Transaction | None = None) -> Proof:
        """What a proof says, once it has shown that the service signed it for this.

        Args:
            proof: ``Check.proof``.
            purpose: The one that was started for.
            transaction: Likewise.

        Raises:
            InvalidProof: Forged, expired, or of another app, purpose or transaction.
        """
        try:
            key = self._keys[jwt.get_unverified_header(proof)["kid"]]
            claims = self._claims(proof, key)
        except KeyError:
            raise InvalidProof("no key of the set has signed this") from None
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidProof(f"not a proof of this service for this app ({error})") from None
        if claims["exp"] <= self._now():
            raise InvalidProof("the proof has expired")
        if claims["purpose"] != purpose or claims.get("transaction") != transaction:
            raise InvalidProof("the proof is for another purpose or transaction")
        if claims.get("test") and not self._accept_test:
            raise InvalidProof("a test key got this proof")
        return Proof(
            verification_id=claims["jti"],
            number=claims["sub"],
            purpose=purpose,
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )

    def _claims(self, proof: str, key: jwt.PyJWK) -> dict[str, Any]:
        # Without iat: a clock one second behind the service's must not refuse a fresh proof.
        claims: dict[str, Any] = jwt.decode(
            proof,
            key,
            algorithms=["EdDSA"],
            issuer=self._issuer,
            audience=self._audience,
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "strict_aud": True},
        )
        if not isinstance(claims["exp"], int):
            raise jwt.InvalidTokenError("exp is not a whole number")
        return claims
