"""SMSPM, https://app.smspm.com/docs (v2.0 of 2025-10-21).

Its documentation and its blog differ. We send what both take and read both shapes of a success.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, SecretStr

from otp_service.delivery.answers import accepted, document, judged, refused
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

BASE_URL: Final = "https://api.smspm.com"
DEFAULT_SENDER: Final = "smspm.com"
"""What SMSPM puts where no sender is given: a name, so of no use where only numbers pass."""

# Errors are sentences, without codes. They can hold the number, so the reason is a word of ours.
REASONS: Final[dict[str, str]] = {
    "invalid phone": "invalid_phone",  # which can be a number that another provider knows
    "token is required": "token_required",
    "hash is required": "hash_required",
    "message text is required": "text_required",
    "at least one recipient number is required": "number_required",
}
OTHER_ERROR: Final = "error"
"""A refusal in words that are new to us is still a refusal."""

_FAILED: Final = (ReceiptState.FAILED, Outcome.UNAVAILABLE)
STATUSES: Final[dict[str, tuple[ReceiptState, Outcome | None]]] = {
    "delivered": (ReceiptState.DELIVERED, None),
    "undelivered": _FAILED,
    "rejected": _FAILED,
    "expired": _FAILED,
    "failed": _FAILED,  # only in the blog's PHP article
}
"""Of the blog; the documentation lists none. ``pending`` says nothing new, nor does any other word."""


class SmspmOptions(ProviderOptions):
    """The two halves of an account's credentials."""

    hash: SecretStr = Field(min_length=1)
    token: SecretStr = Field(min_length=1)


class Smspm:
    """Sends through SMSPM.

    Args:
        name: The section's name.
        section: ``hash`` and ``token`` beside the common fields.
        transport: Where the calls go out.
    """

    Options: ClassVar[type[ProviderOptions]] = SmspmOptions
    signs_receipts: bool = True
    """No signature: its proof is that only SMSPM was told the URL."""
    takes_media: bool = False

    def __init__(self, name: str, section: ProviderSettings, transport: Transport) -> None:
        self.name = name
        self._section = section
        self._options = SmspmOptions.model_validate(section.options)
        # A bare host, without a path: a slash more or less is the same request.
        self._api = transport.reach(section, BASE_URL)

    async def send(self, message: Message) -> Answer:
        """POST one message. The GET of the documentation would write secrets and code into proxies' logs."""
        sender = sender_for(message.region, self._section, DEFAULT_SENDER)
        if isinstance(sender, Answer):
            return sender
        body = {
            "hash": self._options.hash.get_secret_value(),
            "token": self._options.token.get_secret_value(),
            "toNumber": message.to.removeprefix("+"),
            "fromNumber": sender,
            "text": message.text,
        }
        if message.receipt_url:
            # Integrations in use say `report`, the vendor's blog `callbackUrl`, its documentation neither.
            body |= {"report": message.receipt_url, "callbackUrl": message.receipt_url}
        answer = await self._api.post(json=body)
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a callback: ``{"messageId", "status", "to", "timestamp"}``."""
        try:
            status = str(json.loads(callback.body)["status"]).lower()
            state, outcome = STATUSES[status]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ()
        return (Receipt(state, outcome, reason=status if outcome else ""),)


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    first = _first(body.get("messages"))
    # An error can come with any status, 200 included, and for one recipient inside a list of successes.
    error = body.get("error") or first.get("error")
    if error:
        return _refusal(response, str(error))
    if not response.is_success:
        return refused(response)
    if body.get("status") == "success":  # the shape of the vendor's blog, June 2025
        return accepted(response, body.get("messageId"))
    return accepted(response, first.get("id"))


def _refusal(response: httpx.Response, error: str) -> Answer:
    reason = next((ours for words, ours in REASONS.items() if words in error.lower()), OTHER_ERROR)
    if response.is_success:
        return judged(Outcome.UNAVAILABLE, reason, error)
    return refused(response, reason, error)


def _first(messages: object) -> dict[str, Any]:
    """The entry of our only recipient."""
    entry = messages[0] if isinstance(messages, list) and messages else None
    return entry if isinstance(entry, dict) else {}
