"""The operator's own endpoint, signed as https://www.standardwebhooks.com says, both ways.

A message is a POST of ``{"id", "to", "region", "text", "expires_in", "sender", "receipt_url", "media"}``. The
endpoint answers ``{"id": "its name for the message"}`` with a 2xx, or with a 4xx
``{"error": {"code": "its word", "outcome": "undeliverable" | "blocked" | "unavailable"}}``. Later it may POST
``{"state": "sent" | "delivered" | "failed", "outcome", "reason"}`` to ``receipt_url``, signed with the same
secret.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Secret

from otp_service.delivery.answers import accepted, document, refused
from otp_service.delivery.callbacks import is_recent, receipt
from otp_service.delivery.provider import (
    Answer,
    Callback,
    Message,
    Outcome,
    ProviderOptions,
    Receipt,
    ReceiptState,
)
from otp_service.delivery.sender import sender_for
from otp_service.delivery.standard_webhooks import StandardWebhooks
from otp_service.settings.addresses import HttpsUrl
from otp_service.settings.values import WebhookSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

OUTCOMES: Final[dict[str, Outcome]] = {
    outcome.value: outcome for outcome in (Outcome.UNDELIVERABLE, Outcome.BLOCKED, Outcome.UNAVAILABLE)
}
"""What an endpoint may say of a message that it did not take, at once or in a receipt."""


class WebhookOptions(ProviderOptions):
    """Where the endpoint is, and the secret shared with it."""

    url: HttpsUrl
    secret: Secret[WebhookSecret]


class Webhook:
    """Sends through the operator's own endpoint.

    Args:
        name: The section's name.
        section: ``WebhookOptions`` beside the common fields.
        transport: Where the calls go out.
        now: Seconds since 1970.
    """

    Options: ClassVar[type[ProviderOptions]] = WebhookOptions
    signs_receipts: bool = True
    takes_media: bool = True

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
        options = WebhookOptions.model_validate(section.options)
        self._webhooks = StandardWebhooks(options.secret.get_secret_value())
        self._endpoint = transport.reach(section, options.url)

    async def send(self, message: Message) -> Answer:
        """POST one message; ``webhook-id`` is the idempotency key."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        fields = {
            "id": message.attempt,
            "to": message.to,
            "region": message.region,
            "text": message.text,
            "expires_in": message.expires_in,
            "sender": sender,
            "receipt_url": message.receipt_url,
            "media": message.media,
        }
        body = json.dumps(fields).encode()
        headers = self._webhooks.headers(message.attempt, int(self._now()), body)
        answer = await self._endpoint.post(
            content=body, headers={"content-type": "application/json", **headers}
        )
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a callback.

        Raises:
            ForgedReceipt: Our secret did not sign this body.
        """
        if not is_recent(self._webhooks.verified(callback.headers, callback.body), self._now()):
            return ()
        try:
            fields = json.loads(callback.body)
            state = ReceiptState(fields["state"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return ()
        outcome = OUTCOMES.get(str(fields.get("outcome")), Outcome.UNAVAILABLE)
        return (receipt(state, outcome, fields.get("reason") or state.value),)


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        return accepted(response, body.get("id"))
    error = body.get("error")
    if not isinstance(error, dict):
        return refused(response)
    answer = refused(response, error.get("code") or "")
    said = OUTCOMES.get(str(error.get("outcome")))
    return replace(answer, outcome=said) if said and response.is_client_error else answer
