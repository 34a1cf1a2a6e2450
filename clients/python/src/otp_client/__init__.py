"""The Python client of OTP Service: prove that a person holds a phone number."""

from ._clients import AsyncClient, Client
from ._errors import (
    APIError,
    Blocked,
    Closed,
    Conflict,
    ConnectionFailed,
    DeliveryFailed,
    FieldError,
    Forbidden,
    InvalidProof,
    InvalidRequest,
    InvalidWebhook,
    NotFound,
    OtpError,
    Throttled,
    TimedOut,
    Unauthenticated,
    Unavailable,
    Undeliverable,
    UnexpectedAnswer,
)
from ._results import Check, Delivery, Verification
from ._verbs import Autofill, EndUser, Transaction
from ._version import __version__
from ._webhooks import WebhookEvent, unwrap

__all__ = [
    "APIError",
    "AsyncClient",
    "Autofill",
    "Blocked",
    "Check",
    "Client",
    "Closed",
    "Conflict",
    "ConnectionFailed",
    "Delivery",
    "DeliveryFailed",
    "EndUser",
    "FieldError",
    "Forbidden",
    "InvalidProof",
    "InvalidRequest",
    "InvalidWebhook",
    "NotFound",
    "OtpError",
    "Throttled",
    "TimedOut",
    "Transaction",
    "Unauthenticated",
    "Unavailable",
    "Undeliverable",
    "UnexpectedAnswer",
    "Verification",
    "WebhookEvent",
    "__version__",
    "unwrap",
]
