"""Sinch SMS (XMS batches), https://developers.sinch.com/docs/sms/api-reference/sms/batches."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, SecretStr

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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

ACCOUNT_BLOCKED: Final = "blocked_account"
"""The only code of https://developers.sinch.com/docs/sms/api-reference/status-codes that says more than its
HTTP status: nothing goes until somebody has talked to Sinch. An invalid number has no code of its own."""

# https://developers.sinch.com/docs/sms/api-reference/sms/delivery-reports, "Delivery report statuses".
STATUSES: Final[dict[str, ReceiptState]] = {
    "dispatched": ReceiptState.SENT,
    "unknown": ReceiptState.SENT,  # the operator has it and said no more
    "delivered": ReceiptState.DELIVERED,
    "aborted": ReceiptState.FAILED,
    "cancelled": ReceiptState.FAILED,
    "canceled": ReceiptState.FAILED,  # the older spelling
    "rejected": ReceiptState.FAILED,
    "deleted": ReceiptState.FAILED,
    "failed": ReceiptState.FAILED,
    "expired": ReceiptState.FAILED,
}
"""``Queued`` says nothing new. No failure tells for certain that nobody can reach the number: ``Deleted`` may
mean an opt-out, but may as well be one operator's idea of a wrong number."""


class SinchOptions(ProviderOptions):
    """A service plan, where it lives, and what signs its callbacks."""

    region: Literal["us", "eu", "au", "br", "ca"]
    """Where the plan was made: another region does not know it."""
    service_plan_id: str = Field(pattern="^[A-Za-z0-9_-]+$")
    api_token: SecretStr = Field(min_length=1)
    webhook_secret: SecretStr | None = Field(default=None, min_length=1)
    """Of the plan's signed callbacks, which the account has to switch on."""


class Sinch:
    """Sends through Sinch.

    Args:
        name: The section's name.
        section: ``SinchOptions`` beside the common fields.
        transport: Where the calls go out.
        now: Unix time in seconds.
    """

    Options: ClassVar[type[ProviderOptions]] = SinchOptions
    takes_media: bool = False

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
        options = SinchOptions.model_validate(section.options)
        self._headers = {"authorization": f"Bearer {options.api_token.get_secret_value()}"}
        self._secret = options.webhook_secret.get_secret_value().encode() if options.webhook_secret else b""
        self.signs_receipts = bool(self._secret)
        base_url = f"https://{options.region}.sms.api.sinch.com"
        self._batches = transport.reach(section, base_url, f"/xms/v1/{options.service_plan_id}/batches")

    async def send(self, message: Message) -> Answer:
        """POST a batch of one. There is no idempotency key."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        body: dict[str, Any] = {
            "to": [message.to],
            "type": "mt_text",
            "body": message.text,
            "expire_at": self._in(message.expires_in),  # else Sinch keeps a late message for 3 days
        }
        if sender:  # without one, the plan's default originator
            body["from"] = sender
        if message.receipt_url and self.signs_receipts:
            body |= {
                "delivery_report": "per_recipient_final",
                "callback_url": message.receipt_url,
                "client_reference": message.token,
            }
        answer = await self._batches.post(json=body, headers=self._headers)
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a ``recipient_delivery_report_sms``.

        Raises:
            ForgedReceipt: Our secret did not sign this body.
        """
        if not self._signed(callback.headers, callback.body):
            raise ForgedReceipt
        if not is_recent(callback.headers.get("x-sinch-webhook-signature-timestamp", ""), self._now()):
            return ()
        try:
            report = json.loads(callback.body)
            token = str(report["client_reference"])  # the signature does not cover the URL
            status = str(report["status"]).lower()
            state = STATUSES[status]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ()
        return (receipt(state, Outcome.UNAVAILABLE, report.get("code") or status, token),)

    def _in(self, seconds: int) -> str:
        """ISO 8601 as the documentation spells it, with milliseconds and Z."""
        then = datetime.fromtimestamp(self._now() + seconds, UTC)
        return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """As the vendor's SDK does; the algorithm is ours to know, not for the header to choose."""
        given, nonce, timestamp = (
            headers.get(f"x-sinch-webhook-signature{part}", "").encode(errors="replace")
            for part in ("", "-nonce", "-timestamp")
        )
        expected = hmac.digest(self._secret, b".".join((body, nonce, timestamp)), "sha256")
        return self.signs_receipts and hmac.compare_digest(given, base64.b64encode(expected))


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        return accepted(response, body.get("id"))
    code, text = body.get("code", ""), body.get("text", "")
    if code == ACCOUNT_BLOCKED:
        return judged(Outcome.UNAVAILABLE, code, text, lasting=True)
    return refused(response, code, text)
