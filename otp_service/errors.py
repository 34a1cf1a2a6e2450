"""What can go wrong, each with its stable code and its HTTP status.

Problem
├── MalformedJson               400
├── Unauthenticated             401
├── Forbidden                   403
├── Blocked                     403  nothing was sent, nothing charged
├── NotFound, MethodNotAllowed  404, 405
├── VerificationNotFound        404
├── IdempotencyInProgress       409
├── VerificationClosed          410
├── PayloadTooLarge             413
├── UnsupportedMediaType        415
├── InvalidRequest              422
│   ├── InvalidNumber
│   ├── InvalidCodeFormat
│   └── UnsupportedChannel
├── IdempotencyMismatch         422
├── Undeliverable               422
├── Throttled                   429
├── InternalError               500
├── DeliveryFailed              502
├── StoreUnavailable            503  fails closed
│   └── UnknownKey
└── Overloaded                  503  nothing was counted
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from otp_service.verification import RateLimit, Status


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem, and so does the answer
    """Something a caller is told about, as RFC 9457 problem details.

    Args:
        detail: One or two sentences: what happened and what to do next. Never a code, a key or a number.
        retry_after: Whole seconds until another try can succeed.
        reason: The rule or budget that refused, one word of the contract.
        errors: Faults in the body, each ``{"pointer": "/to", "detail": "…"}``.
        verification_id: The verification that was opened before this went wrong.
        verification_status: Why the verification is no longer pending.
        limit: The budget that answered, for the RateLimit headers.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str,
        *,
        retry_after: int | None = None,
        reason: str | None = None,
        errors: tuple[dict[str, str], ...] = (),
        verification_id: str | None = None,
        verification_status: Status | None = None,
        limit: RateLimit | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.reason = reason
        self.errors = errors
        self.verification_id = verification_id
        self.verification_status = verification_status
        self.limit = limit
        self.replayed = False

    def members(self) -> dict[str, Any]:
        """The members of the problem document that this problem fills."""
        optional = {
            "errors": list(self.errors) or None,
            "retry_after": self.retry_after,
            "reason": self.reason,
            "verification_id": self.verification_id,
            "verification_status": self.verification_status,
        }
        always = {"title": self.title, "status": self.status, "detail": self.detail, "code": self.code}
        return always | {name: value for name, value in optional.items() if value is not None}


class MalformedJson(Problem):
    """The body is not JSON, or is JSON that two readers could read differently."""

    status, code, title = 400, "malformed_json", "Malformed JSON"


class Unauthenticated(Problem):
    """No key, an unknown key or a revoked key: one answer for all three."""

    status, code, title = 401, "unauthenticated", "Unauthenticated"


class Forbidden(Problem):
    """The key lacks the scope that this call needs."""

    status, code, title = 403, "forbidden", "Forbidden"


class Blocked(Problem):
    """A rule or a provider refused to send; nothing was charged."""

    status, code, title = 403, "blocked", "Blocked"


class NotFound(Problem):
    """Nothing lives at this address."""

    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(Problem):
    """Something lives here, but not under this method."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class VerificationNotFound(Problem):
    """An unknown id, another app's, or one that keys of the other kind began: one answer for all."""

    status, code, title = 404, "verification_not_found", "Verification not found"

    def __init__(self) -> None:
        super().__init__("There is no such verification. Ids are kept for a day.")


class IdempotencyInProgress(Problem):
    """The first request with this key is still at work."""

    status, code, title = 409, "idempotency_in_progress", "Request in progress"


class VerificationClosed(Problem):
    """The verification is no longer pending; its status says why."""

    status, code, title = 410, "verification_closed", "Verification closed"


class PayloadTooLarge(Problem):
    """The body is larger than this call takes."""

    status, code, title = 413, "payload_too_large", "Payload too large"


class UnsupportedMediaType(Problem):
    """The body's media type is not one that this call reads."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class InvalidRequest(Problem):
    """The body is JSON but not what this call takes; ``errors`` points at each fault."""

    status, code, title = 422, "invalid_request", "Invalid request"


class InvalidNumber(InvalidRequest):
    """What was given is not a phone number that a message can be sent to."""

    code, title = "invalid_number", "Invalid number"


class InvalidCodeFormat(InvalidRequest):
    """What was given cannot be a code of this verification; no check was spent."""

    code, title = "invalid_code_format", "Invalid code format"


class UnsupportedChannel(InvalidRequest):
    """The channel is not one that this service sends through."""

    code, title = "unsupported_channel", "Unsupported channel"


class IdempotencyMismatch(Problem):
    """The key was used before, with another path or body."""

    status, code, title = 422, "idempotency_mismatch", "Idempotency key reused"


class Undeliverable(Problem):
    """A provider says that nobody can reach this number."""

    status, code, title = 422, "undeliverable", "Undeliverable"


class Throttled(Problem):
    """A budget or the cool-down says not yet."""

    status, code, title = 429, "throttled", "Throttled"


class InternalError(Problem):
    """A fault of ours; the request id finds it in the log."""

    status, code, title = 500, "internal_error", "Internal error"


class DeliveryFailed(Problem):
    """No provider of the route took the message."""

    status, code, title = 502, "delivery_failed", "Delivery failed"


class StoreUnavailable(Problem):
    """Redis did not answer in time, so nothing was decided and nothing was sent."""

    status, code, title = 503, "store_unavailable", "Store unavailable"


class UnknownKey(StoreUnavailable):
    """Something in Redis was made with a key of the ring that this process does not have.

    It is 503 and never a wrong code: another process, or the next roll-out, has the key.
    """

    def __init__(self) -> None:
        super().__init__(
            "This was made with a key that is not in the key ring here. Roll out the whole ring.",
            retry_after=5,
        )


class Overloaded(Problem):
    """The hash pool is full; nothing was counted and nothing was sent."""

    status, code, title = 503, "overloaded", "Overloaded"
