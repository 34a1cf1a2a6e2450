"""Vonage SMS API, https://developer.vonage.com/en/api/sms.

It answers 200 to everything: what became of the message is in one entry for each segment.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from otp_service.delivery.answers import accepted, document, judged, refused
from otp_service.delivery.callbacks import MAX_FIELDS, form, is_recent, receipt
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
from otp_service.segments import segments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

BASE_URL: Final = "https://rest.nexmo.com"

SENT: Final = "0"
CODES: Final[dict[str, Outcome]] = {
    "33": Outcome.UNDELIVERABLE,  # number deactivated
    "5": Outcome.UNKNOWN,  # internal error
    "1": Outcome.UNAVAILABLE,  # throttled
    "2": Outcome.UNAVAILABLE,  # parameter missing
    "3": Outcome.UNAVAILABLE,  # parameter invalid
    "4": Outcome.UNAVAILABLE,  # wrong credentials
    "6": Outcome.UNAVAILABLE,  # a prefix that it cannot route
    "7": Outcome.UNAVAILABLE,  # a number that Vonage bars, which binds nobody else
    "8": Outcome.UNAVAILABLE,  # account suspended
    "9": Outcome.UNAVAILABLE,  # no credit
    "10": Outcome.UNAVAILABLE,  # too many connections
    "11": Outcome.UNAVAILABLE,  # account not enabled for HTTP
    "12": Outcome.UNAVAILABLE,  # text too long
    "14": Outcome.UNAVAILABLE,  # wrong signature
    "15": Outcome.UNAVAILABLE,  # sender not allowed
    "22": Outcome.UNAVAILABLE,  # network code invalid
    "23": Outcome.UNAVAILABLE,  # callback URL invalid
    "29": Outcome.UNAVAILABLE,  # demo account: recipient not whitelisted
    "32": Outcome.UNAVAILABLE,  # account wants signed requests, without the secret
}
"""https://developer.vonage.com/en/api-errors/sms"""

LASTING: Final = frozenset({"4", "8", "9", "14", "32"})
"""Credentials, credit and the account's standing: the same for every message, for minutes to come."""

STATUSES: Final[dict[str, ReceiptState]] = {
    "accepted": ReceiptState.SENT,  # the carrier has it
    "buffered": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "expired": ReceiptState.FAILED,
    "failed": ReceiptState.FAILED,
    "rejected": ReceiptState.FAILED,
}
"""``unknown`` says nothing new, nor does any other word."""

FAILURES: Final[dict[str, Outcome]] = {
    "3": Outcome.UNDELIVERABLE,  # absent for good: the number is no longer in use
    "9": Outcome.UNDELIVERABLE,  # the recipient opted out
}
"""``err-code`` of https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts. The others (filter,
route, handset) are of this carrier or this moment, so `unavailable`."""

LEAST_TTL: Final = 20_000
"""Milliseconds; less is refused. The document says ``minimum`` of ``ttl``."""
LONGEST_CALLBACK: Final = 100
"""Characters; with a longer URL the message itself is refused (status 23)."""


class VonageOptions(ProviderOptions):
    """The account's credentials, and what its receipts are signed with."""

    api_key: str = Field(min_length=1)
    api_secret: SecretStr = Field(min_length=1)
    signature_secret: SecretStr | None = Field(default=None, min_length=1)
    signature_method: Literal["md5", "sha1", "sha256", "sha512"] = "sha256"
    """The hash under the HMAC, as chosen in the account's settings; there is no plain MD5 here."""


class Vonage:
    """Sends through Vonage's SMS API.

    Args:
        name: The section's name.
        section: ``VonageOptions`` beside the common fields.
        transport: Where the calls go out.
        now: The time in seconds since the epoch.
    """

    Options: ClassVar[type[ProviderOptions]] = VonageOptions
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
        self._options = VonageOptions.model_validate(section.options)
        self.signs_receipts = self._options.signature_secret is not None
        self._now = now
        self._sms = transport.reach(section, BASE_URL, "/sms/json")

    async def send(self, message: Message) -> Answer:
        """POST one message; the credentials go in the body, never in the URL. There is no idempotency key."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        fields = {
            "api_key": self._options.api_key,
            "api_secret": self._options.api_secret.get_secret_value(),
            "to": message.to.removeprefix("+"),
            "text": message.text,
            # Else what is not in GSM-7 arrives as question marks.
            "type": "text" if segments(message.text).encoding == "GSM-7" else "unicode",
            "ttl": str(max(message.expires_in * 1000, LEAST_TTL)),
        }
        if sender:
            fields["from"] = sender.removeprefix("+")
        if message.receipt_url and self.signs_receipts:
            fields |= _callback(message.receipt_url, message.token)
        answer = await self._sms.post(data=fields)
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a callback, whose signature is one of its parameters.

        Raises:
            ForgedReceipt: Our secret did not sign these parameters.
        """
        fields = _fields(callback)
        if not self._signed(fields):
            raise ForgedReceipt
        state = STATUSES.get(fields.get("status", ""))
        if state is None or not is_recent(fields.get("timestamp", ""), self._now()):
            return ()
        code = fields.get("err-code", "")
        outcome = FAILURES.get(code, Outcome.UNAVAILABLE)
        reason = code if code.strip("0") else fields["status"]
        return (receipt(state, outcome, reason, fields.get("client-ref", "")),)

    def _signed(self, fields: dict[str, str]) -> bool:
        """As https://developer.vonage.com/en/getting-started/concepts/signing-messages and the SDK do."""
        secret = self._options.signature_secret
        if secret is None:
            return False
        text = "".join(
            f"&{name}={re.sub('[&=]', '_', value)}" for name, value in sorted(fields.items()) if name != "sig"
        )
        genuine = hmac.digest(
            secret.get_secret_value().encode(), text.encode(errors="replace"), self._options.signature_method
        )
        given = fields.get("sig", "").lower()  # the document's example is in capitals
        return hmac.compare_digest(given.encode(errors="replace"), genuine.hex().encode())


def _callback(url: str, token: str) -> dict[str, str]:
    """Where to report, and what the signature, which does not cover the URL, binds a receipt to."""
    fits = len(url) <= LONGEST_CALLBACK
    return {"callback": url if fits else url.removesuffix(f"/{token}"), "client-ref": token}


def _read(response: httpx.Response) -> Answer:
    parts = _parts(document(response).get("messages"))
    statuses = {str(part.get("status", "")) for part in parts}
    if len(statuses) > 1:
        return judged(Outcome.UNKNOWN, "mixed")  # some segments may be on their way
    code = next(iter(statuses), "")
    if code == SENT and response.is_success:
        return accepted(response, parts[0].get("message-id"), len(parts))
    text = parts[0].get("error-text", "") if parts else ""
    if code in CODES and response.is_success:
        return judged(CODES[code], code, text, lasting=code in LASTING)
    return refused(response, code, text)


def _parts(messages: object) -> list[dict[str, Any]]:
    """The entries, one for each segment; what is no object is an entry without a status."""
    entries = messages if isinstance(messages, list) else []
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def _fields(callback: Callback) -> dict[str, str]:
    """The parameters: a query, a form or a JSON object, as the account's settings say.

    Only names are signed as they are, so one that holds ``&`` or ``=`` could stand for two parameters.
    """
    try:
        if callback.method == "GET":
            fields = dict(form(urlsplit(callback.url).query))
        elif "json" in callback.headers.get("content-type", ""):
            fields = json.loads(callback.body)
        else:
            fields = dict(form(callback.body))
    except (ValueError, RecursionError):
        raise ForgedReceipt from None
    if not isinstance(fields, dict) or len(fields) > MAX_FIELDS:
        raise ForgedReceipt
    if any(re.search("[&=]", name) or not isinstance(value, str | int) for name, value in fields.items()):
        raise ForgedReceipt
    return {name: str(value) for name, value in fields.items()}
