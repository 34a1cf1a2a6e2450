"""What the service tells an app's webhook, signed as Standard Webhooks says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ._errors import InvalidWebhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The specification has no figure; this is that of its own libraries, both ways.
TOLERANCE_SECONDS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookEvent:
    """Something that happened to a verification.

    Attributes:
        id: The same however often the event is delivered; drop an event whose id you know.
        type: What happened, such as ``verification.approved``; may grow.
        timestamp: When it happened, aware.
        data: What the event is about, by the members that its type has.
    """

    id: str
    type: str
    timestamp: datetime
    data: Mapping[str, Any] = field(hash=False, repr=False)


def unwrap(
    body: bytes, headers: Mapping[str, str], secret: str, *, now: Callable[[], float] = time.time
) -> WebhookEvent:
    """The event in a webhook request, once its signature has shown that the service sent it.

    Args:
        body: The raw body; one that was parsed and written again has another signature.
        headers: The request's, in any case.
        secret: ``whsec_…``, the app's ``webhook.secret`` in the service's configuration.
        now: Seconds since the epoch.

    Raises:
        InvalidWebhook: The service did not send this, not now, or not as an event. Answer 400.
        ValueError: The secret cannot be one.
    """
    given = {name.lower(): value for name, value in headers.items()}
    id_, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    signed = b".".join((id_.encode(), timestamp.encode(), body))
    expected = base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256))
    signatures = given.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(b"v1," + expected, each.encode()) for each in signatures):
        raise InvalidWebhook("the signature is missing or not the service's")
    if not re.fullmatch(r"[0-9]{1,15}", timestamp) or abs(now() - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidWebhook("the timestamp is too far from now")
    return _event(id_, body)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("secret must be whsec_ and base64")
    return key


def _event(id_: str, body: bytes) -> WebhookEvent:
    try:
        read = json.loads(body)
        timestamp = datetime.fromisoformat(read["timestamp"])
        return WebhookEvent(id=id_, type=read["type"], timestamp=timestamp, data=read["data"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise InvalidWebhook("the body is not an event") from None
