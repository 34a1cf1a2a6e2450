"""Bird, the platform of 2026, https://bird.com/docs/api/reference/create-sms-message.

Field names as in its SDK (``messagebird-sdk`` 0.106.0); for older accounts see ``messagebird``. Receipts come
through a webhook endpoint of the workspace for ``sms.*`` events: ``<public_url>/v1/receipts/<name>``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field, Secret

from otp_service.delivery.answers import accepted, document, judged, refused
from otp_service.delivery.callbacks import is_recent, receipt
from otp_service.delivery.provider import (
    Answer,
    Callback,
    ForgedReceipt,
    Message,
    Outcome,
    ProviderOptions,
    Receipt,
    ReceiptState,
)
from otp_service.delivery.sender import sender_for
from otp_service.delivery.standard_webhooks import StandardWebhooks
from otp_service.settings.values import WebhookSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

# https://bird.com/docs/api/errors and /docs/api/idempotency.
CODES: Final[dict[str, Outcome]] = {
    "E01001": Outcome.UNAVAILABLE,  # ValidationError
    "E01002": Outcome.UNAVAILABLE,  # InvalidRequest
    "E01003": Outcome.UNAVAILABLE,  # too many requests
    "E01004": Outcome.UNKNOWN,  # a request with this key is in progress: what becomes of it is open
    "E01005": Outcome.UNAVAILABLE,  # this key belongs to another message
    "E01033": Outcome.UNAVAILABLE,  # 503, but "not executed"
}

# `last_error.code` of a message and `error.code` of an event.
FAILURES: Final[dict[str, Outcome]] = {
    "invalid_destination": Outcome.UNDELIVERABLE,
    "landline_unreachable": Outcome.UNDELIVERABLE,
    "recipient_opted_out": Outcome.UNDELIVERABLE,
    "blocked_by_fraud_protection": Outcome.BLOCKED,
    "unreachable": Outcome.UNAVAILABLE,
    "blocked_by_carrier": Outcome.UNAVAILABLE,
    "blocked_by_recipient": Outcome.UNAVAILABLE,
    "content_rejected": Outcome.UNAVAILABLE,
    "sender_unregistered": Outcome.UNAVAILABLE,
    "provider_unavailable": Outcome.UNAVAILABLE,
    "insufficient_balance": Outcome.UNAVAILABLE,
}

STATES: Final[dict[str, ReceiptState]] = {
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.FAILED,
    "failed": ReceiptState.FAILED,
    "rejected": ReceiptState.FAILED,
    "expired": ReceiptState.FAILED,
    "canceled": ReceiptState.FAILED,
}
"""Statuses, and events after ``sms.``; accepted and scheduled say nothing new."""

TAKEN: Final = frozenset({"accepted", "scheduled", "sent", "delivered"})
"""Statuses of a message that Bird has taken."""

ApiKey = Annotated[str, Field(pattern="^b[km]_[a-z]{2}[0-9]+_.")]
"""Its second part is the region, as the SDK reads it."""


class BirdOptions(ProviderOptions):
    """An API key of a workspace, and the secret of its webhook endpoint."""

    api_key: Secret[ApiKey]
    webhook_secret: Secret[WebhookSecret] | None = None


class Bird:
    """Sends through Bird.

    Args:
        name: The section's name.
        section: ``BirdOptions`` beside the common fields.
        transport: Where the calls go out.
        now: The clock that receipts are aged with, in seconds since 1970.
    """

    Options: ClassVar[type[ProviderOptions]] = BirdOptions
    takes_media: bool = False  # `media_urls` is announced, and refused

    def __init__(
        self,
        name: str,
        section: ProviderSettings,
        transport: Transport,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._section = section
        self._now = now
        options = BirdOptions.model_validate(section.options)
        api_key = options.api_key.get_secret_value()
        self._authorization = f"Bearer {api_key}"
        secret = options.webhook_secret
        self._webhooks = StandardWebhooks(secret.get_secret_value()) if secret else None
        self.signs_receipts = self._webhooks is not None
        base_url = f"https://{api_key.split('_')[1]}.platform.bird.com"
        self._messages = transport.reach(section, base_url, "/v1/sms/messages")

    async def send(self, message: Message) -> Answer:
        """POST one message. ``validity_period`` is a preview: Bird refuses it from who is not part of it."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        body: dict[str, Any] = {
            "to": message.to,
            "text": message.text,
            "category": "authentication",  # which is why Bird keeps "**REDACTED**" in place of the text
        }
        if sender:
            body["from"] = sender
        if message.token and self.signs_receipts:
            body["metadata"] = {"token": message.token}
        answer = await self._messages.post(
            json=body, headers={"authorization": self._authorization, "idempotency-key": message.attempt}
        )
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of an event.

        Raises:
            ForgedReceipt: The endpoint's secret did not sign this body.
        """
        if self._webhooks is None:
            raise ForgedReceipt
        if not is_recent(self._webhooks.verified(callback.headers, callback.body), self._now()):
            return ()
        try:
            event = json.loads(callback.body)
            kind, _, word = event["type"].partition(".")
            data = event["data"]
            token = str(data["metadata"]["token"])
            state = STATES[word]
            code = (data.get("error") or {}).get("code") or word
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return ()
        if kind != "sms":
            return ()
        return (receipt(state, FAILURES.get(str(code), Outcome.UNAVAILABLE), code, token),)


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        return _taken(response, body)
    error = body.get("error")
    if not isinstance(error, dict):
        return refused(response)
    code, text = str(error.get("code") or error.get("name") or ""), error.get("message", "")
    return judged(CODES[code], code, text) if code in CODES else refused(response, code, text)


def _taken(response: httpx.Response, body: dict[str, Any]) -> Answer:
    """A 2xx: it holds the message, which can have failed already."""
    status = str(body.get("status"))
    if STATES.get(status) is ReceiptState.FAILED:
        error = body.get("last_error")
        return _failure(error.get("code") or status if isinstance(error, dict) else status)
    if status not in TAKEN:
        return refused(response)
    segments = body.get("segments")
    return accepted(response, body.get("id"), segments.get("count") if isinstance(segments, dict) else None)


def _failure(code: object) -> Answer:
    outcome = FAILURES.get(str(code), Outcome.UNAVAILABLE)
    return judged(outcome, code, lasting=code == "insufficient_balance")
