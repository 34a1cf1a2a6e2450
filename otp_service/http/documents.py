"""What goes in and out, as OpenAPI shows it; the bodies are also what requests are checked against."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from otp_service.http.body import Body
from otp_service.http.problems import MEDIA_TYPE

Purpose = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40)]
MetadataValue = Annotated[str, StringConstraints(max_length=200)]


def _address(text: str) -> str:
    """An IPv4 or IPv6 address, in its one spelling."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


class TransactionIn(Body):
    """Payee and amount that the code is bound to (PSD2 dynamic linking)."""

    payee: Text = Field(examples=["ACME"])
    amount: Text = Field(examples=["12.00 EUR"])


class ClientIn(Body):
    """The end user, for abuse limits; never the calling server."""

    ip: Annotated[str, AfterValidator(_address)] | None = Field(None, examples=["203.0.113.9"], repr=False)
    session: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(None, repr=False)


class StartIn(Body):
    """Whom to send a code, and what for."""

    to: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="E.164, or a national number with `region`.", examples=["+37256789045"], repr=False
    )
    region: Annotated[str, StringConstraints(max_length=2)] | None = Field(
        None, description="ISO 3166 alpha-2."
    )
    channel: Annotated[str, StringConstraints(max_length=16)] = Field("sms", examples=["sms"])
    purpose: Purpose = "verify"
    locale: Annotated[str, StringConstraints(min_length=1, max_length=35)] | None = None
    autofill: Annotated[dict[str, Text], Field(max_length=1)] | None = Field(
        None,
        description='`{"web": host}` or `{"android": app hash}`.',
        examples=[{"web": "login.example.com"}],
    )
    transaction: TransactionIn | None = None
    client: ClientIn | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=10)] = Field(
        default_factory=dict, repr=False
    )


class CheckIn(Body):
    """A guess at the code, with the purpose and transaction that it is for."""

    code: Annotated[str, StringConstraints(max_length=64)] = Field(examples=["123456"], repr=False)
    purpose: Purpose = "verify"
    transaction: TransactionIn | None = None


class NothingIn(Body):
    """An empty object, or no body at all."""


class DeliveryOut(BaseModel):
    """One provider's answer to one send."""

    provider: str
    outcome: Literal["accepted", "undeliverable", "blocked", "unavailable", "unknown"]
    reason: str = Field(description="The provider's own code, or what happened to the call.")
    segments: int
    latency_ms: int
    at: str
    receipt: Literal["sent", "delivered", "failed"] | None


class VerificationOut(BaseModel):
    """One proof that a person holds a number."""

    id: str = Field(examples=["vrf_m4ukmfjz4cy7b3iqgqhkzr2jqa"])
    status: Literal["pending", "approved", "canceled", "expired", "max_attempts_reached", "failed"]
    to: str
    channel: Literal["sms"]
    purpose: str
    created_at: str
    expires_at: str
    expires_in: int
    checks_left: int
    sends_left: int
    next_send_in: int
    deliveries: list[DeliveryOut]
    metadata: dict[str, str]


class CheckOut(BaseModel):
    """What one guess came to; a wrong code is a result, not an error."""

    id: str
    status: Literal["pending", "approved", "max_attempts_reached"]
    approved: bool
    checks_left: int
    proof: str | None = Field(None, description="EdDSA JWT, only when approved; verify it with the JWKS.")


class FaultOut(BaseModel):
    """One fault of a body."""

    pointer: str
    detail: str


class ProblemOut(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FaultOut] | None = None
    retry_after: int | None = None
    reason: str | None = None
    verification_id: str | None = None
    verification_status: str | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a call can answer with, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return {status: {"description": MEANINGS[status], "content": content} for status in statuses}


def takes(model: type[Body], *, required: bool = True) -> dict[str, Any]:
    """The body that a call takes, for OpenAPI; it is read by our own reader."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    key = {
        "name": "Idempotency-Key", "in": "header", "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "description": "The same key, path and body give the same answer for an hour.",
    }  # fmt: skip
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}},
        "parameters": [key],
    }


MEANINGS: Final = {
    400: "The body is not JSON that has one reading.",
    401: "No valid API key.",
    403: "The key lacks the scope, or a rule refused to send.",
    404: "Unknown id, or another app's.",
    409: "The first request with this Idempotency-Key is still at work.",
    410: "The verification is no longer pending.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The body, the number or the code is not what this call takes.",
    429: "A budget or the cool-down says not yet; Retry-After says when.",
    502: "No provider took the message.",
    503: "Redis is out of reach, or the service is at its limit; nothing was sent.",
}

SCHEMAS: Final[tuple[type[BaseModel], ...]] = (StartIn, CheckIn, NothingIn, ProblemOut)
"""Models that no route declares by itself."""
