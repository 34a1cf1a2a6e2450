# ruff: noqa: N818 - a name says what happened, as httpx's and the contract's do
"""What a call can raise.

OtpError
├── APIError               the service said no; one whose code this version does not know is just this
│   ├── InvalidRequest     400, 413, 415, 422  what was sent is not what the call takes
│   ├── Unauthenticated    401  no key, an unknown or a revoked one
│   ├── Forbidden          403  the key lacks the scope
│   ├── Blocked            403  a rule refused to send
│   ├── NotFound           404  no such verification, or another app's
│   ├── Conflict           409, 422  the idempotency key is at work, or served another request
│   ├── Closed             410  the verification is no longer pending
│   ├── Undeliverable      422  nobody can reach this number
│   ├── Throttled          429  not yet
│   ├── DeliveryFailed     502  no provider took the message
│   └── Unavailable        503  nothing was sent, nothing counted
├── ConnectionFailed       no answer; whether the service acted is unknown
│   └── TimedOut
├── UnexpectedAnswer       an answer, but not the service's
├── InvalidProof           not a proof of the service, or not for this
└── InvalidWebhook         not an event of the service, or not now
"""

from __future__ import annotations

from dataclasses import dataclass


class OtpError(Exception):
    """Whatever is raised about the service, the way to it, or what claims to come from it.

    Attributes:
        code: The contract's stable word for what went wrong; None unless the service answered.
        status: HTTP status of the answer; None without one.
        request_id: What finds the request in the service's log.
        retry_after: Whole seconds until another try can succeed.
    """

    code: str | None = None
    status: int | None = None
    request_id: str | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in the body: a JSON pointer to the field, and what is wrong with it."""

    pointer: str
    detail: str


class APIError(OtpError):
    """The service refused, in the words of its contract.

    Attributes:
        detail: What happened and what to do next, for people.
        reason: The rule or budget that refused.
        errors: Faults in the body.
        verification_status: Why the verification is no longer pending.
        verification_id: The verification that was opened before this went wrong.
    """

    code: str
    status: int

    def __init__(  # noqa: PLR0913 - the members of a problem document
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        request_id: str | None = None,
        retry_after: int | None = None,
        reason: str | None = None,
        errors: tuple[FieldError, ...] = (),
        verification_status: str | None = None,
        verification_id: str | None = None,
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after
        self.reason = reason
        self.errors = errors
        self.verification_status = verification_status
        self.verification_id = verification_id

    def __str__(self) -> str:
        what = f"{self.status} {self.code}" + (f" ({self.reason})" if self.reason else "")
        pointers = "".join(f"; {fault.pointer}: {fault.detail}" for fault in self.errors)
        request = f" [request {self.request_id}]" if self.request_id else ""
        return f"{what}: {self.detail}{pointers}{request}"


class InvalidRequest(APIError):
    """What was sent is not what the call takes; ``errors`` points at each fault."""


class Unauthenticated(APIError):
    """No key, an unknown key or a revoked key."""


class Forbidden(APIError):
    """The key lacks the scope that this call needs."""


class Blocked(APIError):
    """A rule or a provider refused to send, ``reason`` says which; nothing was charged."""


class NotFound(APIError):
    """An unknown id, or another app's."""


class Conflict(APIError):
    """The idempotency key belongs to a request still at work, or to a different one."""


class Closed(APIError):
    """The verification is no longer pending; ``verification_status`` says why."""


class Undeliverable(APIError):
    """A provider says that nobody can reach this number."""


class Throttled(APIError):
    """Too soon or too often, ``reason`` says which; ``retry_after`` is the wait to show the person."""


class DeliveryFailed(APIError):
    """No provider took the message; start again for another try."""


class Unavailable(APIError):
    """The service cannot decide right now; nothing was sent and nothing counted."""


class ConnectionFailed(OtpError):
    """No answer; repeating the call with the same ``idempotency_key`` is safe and finds the first one's."""


class TimedOut(ConnectionFailed):
    """No answer in time."""


class UnexpectedAnswer(OtpError):
    """An answer that is not the service's: mostly a proxy's page or a wrong ``base_url``."""

    status: int

    def __init__(self, status: int, *, request_id: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"HTTP {self.status} that OTP Service did not write; is base_url right, or a proxy in between?"


class InvalidProof(OtpError):
    """What was given is no proof of the service, or not of what it should prove."""


class InvalidWebhook(OtpError):
    """A webhook request that the service did not sign, or not now."""


BY_CODE: dict[str, type[APIError]] = {
    "malformed_json": InvalidRequest,
    "payload_too_large": InvalidRequest,
    "unsupported_media_type": InvalidRequest,
    "invalid_request": InvalidRequest,
    "invalid_number": InvalidRequest,
    "invalid_code_format": InvalidRequest,
    "unsupported_channel": InvalidRequest,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "blocked": Blocked,
    "verification_not_found": NotFound,
    "idempotency_in_progress": Conflict,
    "idempotency_mismatch": Conflict,
    "verification_closed": Closed,
    "undeliverable": Undeliverable,
    "throttled": Throttled,
    "delivery_failed": DeliveryFailed,
    "store_unavailable": Unavailable,
    "overloaded": Unavailable,
}
