"""Telnyx Messages, https://developers.telnyx.com/api-reference/messages/send-a-message.

A message has no validity, and whether Telnyx keeps its text is a setting of the messaging profile.
"""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, SecretStr, field_validator

from otp_service.delivery.answers import accepted, document, refused
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
    from collections.abc import Callable, Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

BASE_URL: Final = "https://api.telnyx.com"

# https://developers.telnyx.com/docs/messaging/messages/error-codes, of answers and receipts alike;
# 1xxxx and 2xxxx are in https://developers.telnyx.com/development/api-fundamentals/api-errors.
CODES: Final[dict[str, Outcome]] = {
    "40001": Outcome.UNDELIVERABLE,  # landline or not routable
    "40300": Outcome.UNDELIVERABLE,  # the recipient opted out (STOP)
    "40020": Outcome.BLOCKED,  # artificially inflated traffic: 2FA blocked for 24 hours
    "10002": Outcome.UNAVAILABLE,  # a phone number is invalid, perhaps ours
    "10009": Outcome.UNAVAILABLE,  # wrong credentials
    "10010": Outcome.UNAVAILABLE,  # not authorized
    "10011": Outcome.UNAVAILABLE,  # too many requests
    "10015": Outcome.UNAVAILABLE,  # bad request
    "10016": Outcome.UNAVAILABLE,  # a phone number is not E.164
    "10039": Outcome.UNAVAILABLE,  # account level: verified destinations only
    "20002": Outcome.UNAVAILABLE,  # API key revoked
    "20012": Outcome.UNAVAILABLE,  # account inactive
    "20013": Outcome.UNAVAILABLE,  # account blocked
    "20014": Outcome.UNAVAILABLE,  # account unverified
    "20100": Outcome.UNAVAILABLE,  # insufficient funds
    "40002": Outcome.UNAVAILABLE,  # filtered as spam, for now
    "40003": Outcome.UNAVAILABLE,  # sender blocked as spam
    "40004": Outcome.UNAVAILABLE,  # rejected by the carrier, for no known reason
    "40005": Outcome.UNAVAILABLE,  # expired under way
    "40006": Outcome.UNAVAILABLE,  # carrier's server down
    "40008": Outcome.UNAVAILABLE,  # not accepted by the carrier
    "40009": Outcome.UNAVAILABLE,  # invalid body
    "40010": Outcome.UNAVAILABLE,  # not registered for 10DLC
    "40011": Outcome.UNAVAILABLE,  # carrier's rate limit
    "40012": Outcome.UNAVAILABLE,  # 'to' invalid, says one carrier
    "40013": Outcome.UNAVAILABLE,  # 'from' invalid, says the carrier
    "40014": Outcome.UNAVAILABLE,  # expired in the queue
    "40015": Outcome.UNAVAILABLE,  # Telnyx's own spam filter
    "40016": Outcome.UNAVAILABLE,  # T-Mobile's limit for the campaign
    "40017": Outcome.UNAVAILABLE,  # AT&T's spam filter
    "40018": Outcome.UNAVAILABLE,  # AT&T's limit for the campaign
    "40019": Outcome.UNAVAILABLE,  # AT&T: wrong 10DLC tag
    "40100": Outcome.UNAVAILABLE,  # 'from' not enabled for messaging
    "40301": Outcome.UNAVAILABLE,  # no such message between these types of number
    "40302": Outcome.UNAVAILABLE,  # too many segments
    "40304": Outcome.UNAVAILABLE,  # text and media do not fit together
    "40305": Outcome.UNAVAILABLE,  # 'from' not of the messaging profile
    "40306": Outcome.UNAVAILABLE,  # alphanumeric sender not configured
    "40307": Outcome.UNAVAILABLE,  # alphanumeric sender not the profile's
    "40308": Outcome.UNAVAILABLE,  # 'from' cannot send MMS
    "40309": Outcome.UNAVAILABLE,  # country not enabled
    "40310": Outcome.UNAVAILABLE,  # 'to' is invalid, which can be a number that another provider knows
    "40312": Outcome.UNAVAILABLE,  # messaging profile disabled
    "40314": Outcome.UNAVAILABLE,  # messaging disabled for the account
    "40315": Outcome.UNAVAILABLE,  # 'from' has a poor record
    "40316": Outcome.UNAVAILABLE,  # no content
    "40317": Outcome.UNAVAILABLE,  # media too many or too large
    "40318": Outcome.UNAVAILABLE,  # queue full
    "40319": Outcome.UNAVAILABLE,  # types of the two numbers do not fit together
    "40320": Outcome.UNAVAILABLE,  # 'from' not usable yet
    "40321": Outcome.UNAVAILABLE,  # number pool has no usable number
    "40322": Outcome.UNAVAILABLE,  # content blocked
    "40323": Outcome.UNAVAILABLE,  # messaging could not be enabled on 'from'
    "40325": Outcome.UNAVAILABLE,  # alphanumeric sender malformed
    "40329": Outcome.UNAVAILABLE,  # toll-free number not verified
    "40330": Outcome.UNAVAILABLE,  # toll-free number not provisioned
    "40331": Outcome.UNAVAILABLE,  # messaging profile allows no country
    "40333": Outcome.UNAVAILABLE,  # messaging profile's spend limit
}

LASTING: Final = frozenset({"10009", "20002", "20012", "20013", "20014", "20100", "40312", "40314", "40333"})
"""Credentials, credit and the account's standing: the same for every message, for minutes to come."""

UNCERTAIN: Final = frozenset({"10007", "10008", "10036"})
"""Unexpected error, time-out, and a request with this idempotency key still under way."""

_SENT, _DELIVERED, _FAILED = ReceiptState.SENT, ReceiptState.DELIVERED, ReceiptState.FAILED
STATUSES: Final[dict[tuple[str, str], ReceiptState]] = {
    ("message.sent", "sent"): _SENT,
    ("message.finalized", "sent"): _SENT,
    ("message.finalized", "delivery_unconfirmed"): _SENT,  # it may well be there
    ("message.finalized", "delivered"): _DELIVERED,
    ("message.finalized", "read"): _DELIVERED,
    ("message.finalized", "expired"): _FAILED,
    ("message.finalized", "sending_failed"): _FAILED,
    ("message.finalized", "delivery_failed"): _FAILED,
}
"""By event and status; queued and sending say nothing new, nor does anything that is not here."""

KEY_BYTES: Final = 32


class TelnyxOptions(ProviderOptions):
    """The API key; and what only some accounts need."""

    api_key: SecretStr = Field(min_length=1)
    public_key: str | None = None
    """What receipts are verified with, as the portal shows it: base64 of 32 bytes."""
    messaging_profile_id: str | None = Field(default=None, min_length=1)
    """Sends from names, and from the profile's number pool where there is no sender."""

    @field_validator("public_key")
    @classmethod
    def _is_a_key(cls, value: str | None) -> str | None:
        try:
            fits = value is None or len(base64.b64decode(value, validate=True)) == KEY_BYTES
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"must be the base64 of {KEY_BYTES} bytes")
        return value

    @property
    def key(self) -> Ed25519PublicKey | None:
        """What verifies a receipt."""
        if self.public_key is None:
            return None
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key))


class Telnyx:
    """Sends through Telnyx.

    Args:
        name: The section's name.
        section: ``TelnyxOptions`` beside the common fields.
        transport: Where the calls go out.
        now: Seconds since the epoch, by which a receipt is stale.
    """

    Options: ClassVar[type[ProviderOptions]] = TelnyxOptions
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
        options = TelnyxOptions.model_validate(section.options)
        self._authorization = f"Bearer {options.api_key.get_secret_value()}"
        self._profile = options.messaging_profile_id
        self._key = options.key
        self.signs_receipts = self._key is not None
        self._messages = transport.reach(section, BASE_URL, "/v2/messages")

    async def send(self, message: Message) -> Answer:
        """POST one message; Telnyx sends it once however often the attempt is repeated within 24 hours."""
        sender = self._sender(message.region)
        if isinstance(sender, Answer):
            return sender
        body: dict[str, Any] = {
            "to": message.to,
            "text": message.text,
            "type": "MMS" if message.media else "SMS",
            "use_profile_webhooks": False,  # they would be told the text, with the code
            **sender,
        }
        if message.media:
            body["media_urls"] = message.media
        if message.receipt_url and self.signs_receipts:
            body["webhook_url"] = message.receipt_url
        answer = await self._messages.post(
            json=body, headers={"authorization": self._authorization, "idempotency-key": message.attempt}
        )
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one event of a webhook.

        Raises:
            ForgedReceipt: The account's key did not sign this body at the time that it states.
        """
        if not is_recent(self._verified(callback), self._now()):
            return ()
        try:
            event = json.loads(callback.body)
            data = event["data"]
            status = data["payload"]["to"][0]["status"]  # our only recipient
            state = STATUSES[data["event_type"], status]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ()
        code, _ = _error(data["payload"])
        return (receipt(state, CODES.get(code, Outcome.UNAVAILABLE), code or status, _token(event)),)

    def _sender(self, region: str) -> dict[str, str] | Answer:
        """The profile goes with a name or with nothing; a number knows its own and may have another."""
        sender = sender_for(region, self._section)
        if isinstance(sender, Answer):
            return sender
        named = {"from": sender} if sender else {}
        if self._profile is None or (sender and re.fullmatch(r"\+?\d+", sender)):
            return named
        return named | {"messaging_profile_id": self._profile}

    def _verified(self, callback: Callback) -> str:
        """When the callback was signed, if it was."""
        signed_at = callback.headers.get("telnyx-timestamp", "")
        if not self._key:
            raise ForgedReceipt
        try:
            signature = base64.b64decode(callback.headers.get("telnyx-signature-ed25519", ""), validate=True)
            self._key.verify(signature, signed_at.encode(errors="replace") + b"|" + callback.body)
        except (ValueError, InvalidSignature):
            raise ForgedReceipt from None
        return signed_at


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        data = body.get("data")
        sent = data if isinstance(data, dict) else {}
        return accepted(response, sent.get("id"), sent.get("parts"))
    code, text = _error(body)
    answer = refused(response, code, text)
    if answer.outcome is Outcome.UNKNOWN or code in UNCERTAIN:
        return replace(answer, outcome=Outcome.UNKNOWN)
    return replace(answer, outcome=CODES.get(code, answer.outcome), lasting=answer.lasting or code in LASTING)


def _token(event: dict[str, Any]) -> str:
    """The end of the URL that the event went to: the signature covers only what the body repeats of it."""
    meta = event.get("meta")
    url = meta.get("delivered_to") if isinstance(meta, dict) else None
    return str(url or "").rstrip("/").rpartition("/")[2]


def _error(body: dict[str, Any]) -> tuple[str, str]:
    """Code and words of the first error that is in the table, else of the first."""
    errors = body.get("errors")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    known = [error for error in found if str(error.get("code")) in CODES]
    first = next(iter(known or found), {})
    return str(first.get("code") or ""), str(first.get("detail") or first.get("title") or "")
