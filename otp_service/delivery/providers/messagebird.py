"""MessageBird, ``rest.messagebird.com``: for accounts from before Bird's new platform.

Request and signature as in its SDKs (``messagebird`` 2.2.0); no page with the codes of its errors was found.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

import jwt
from pydantic import Field, SecretStr

from otp_service.delivery.answers import accepted, document, judged, refused
from otp_service.delivery.callbacks import receipt
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

BASE_URL: Final = "https://rest.messagebird.com"

CODES: Final[dict[int, Outcome]] = {
    2: Outcome.UNAVAILABLE,  # wrong access key
    9: Outcome.UNAVAILABLE,  # parameter missing
    10: Outcome.UNAVAILABLE,  # parameter invalid, which can be a number that another provider knows
    20: Outcome.UNAVAILABLE,  # not found
    21: Outcome.UNAVAILABLE,  # bad request
    25: Outcome.UNAVAILABLE,  # not enough balance
    98: Outcome.UNAVAILABLE,  # no such API
    99: Outcome.UNKNOWN,  # internal error
}
LASTING: Final = frozenset({2, 25})
"""Credentials and credit."""

STATES: Final[dict[str, ReceiptState]] = {
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "expired": ReceiptState.FAILED,
    "delivery_failed": ReceiptState.FAILED,
}
"""Of answers and receipts; scheduled and buffered say nothing new."""

TAKEN: Final = frozenset({"scheduled", "buffered", "sent", "delivered"})
ALGORITHMS: Final = ("HS256", "HS384", "HS512")
LEEWAY_SECONDS: Final = 30
"""Allowed between their clock and ours; a signature is good for a minute."""


class MessagebirdOptions(ProviderOptions):
    """An access key, and the signing key of the dashboard's developer settings."""

    access_key: SecretStr = Field(min_length=1)
    signing_key: SecretStr | None = Field(default=None, min_length=1)


class Messagebird:
    """Sends through MessageBird.

    Args:
        name: The section's name.
        section: ``MessagebirdOptions`` beside the common fields.
        transport: Where the calls go out.
        now: The clock that receipts are aged with, in seconds since 1970.
    """

    Options: ClassVar[type[ProviderOptions]] = MessagebirdOptions
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
        options = MessagebirdOptions.model_validate(section.options)
        self._authorization = f"AccessKey {options.access_key.get_secret_value()}"
        self._signing_key = options.signing_key.get_secret_value() if options.signing_key else ""
        self.signs_receipts = bool(self._signing_key)
        self._messages = transport.reach(section, BASE_URL, "/messages")

    async def send(self, message: Message) -> Answer:
        """POST one message. There is no idempotency key."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        body: dict[str, Any] = {
            "recipients": [message.to.removeprefix("+")],
            "body": message.text,
            "datacoding": "auto",
            "validity": message.expires_in,
        }
        if sender:
            body["originator"] = sender.removeprefix("+")
        if message.receipt_url and self.signs_receipts:
            # Without a reference there is no report (support.messagebird.com, article 360001869258).
            body |= {"reference": message.attempt, "reportUrl": message.receipt_url}
        answer = await self._messages.post(json=body, headers={"authorization": self._authorization})
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a GET: ``?id&reference&recipient&status&statusDatetime&statusErrorCode``.

        Raises:
            ForgedReceipt: The signing key did not sign this URL and body.
        """
        claims = self._claims(callback)
        try:
            fresh = claims["nbf"] - LEEWAY_SECONDS <= self._now() <= claims["exp"] + LEEWAY_SECONDS
        except TypeError:
            return ()
        fields = dict(parse_qsl(urlsplit(callback.url).query))
        state = STATES.get(fields.get("status", ""))
        if state is None or not fresh:
            return ()
        return (receipt(state, Outcome.UNAVAILABLE, fields.get("statusErrorCode") or fields["status"]),)

    def _claims(self, callback: Callback) -> dict[str, Any]:
        """What is signed, as the SDK's ``RequestValidator`` reads it, but for its times."""
        if not self._signing_key:
            raise ForgedReceipt
        try:
            claims: dict[str, Any] = jwt.decode(
                callback.headers.get("messagebird-signature-jwt", "").encode(errors="replace"),
                self._signing_key,
                algorithms=ALGORITHMS,
                issuer="MessageBird",
                options={
                    "require": ["iss", "nbf", "exp", "url_hash"],
                    "verify_nbf": False,
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            raise ForgedReceipt from None
        # The hash of a body is there exactly when a body is.
        signed = f"{claims['url_hash']} {claims.get('payload_hash', '')}"
        genuine = f"{_sha256(callback.url.encode())} {_sha256(callback.body) if callback.body else ''}"
        if not hmac.compare_digest(signed.encode(errors="replace"), genuine.encode()):
            raise ForgedReceipt
        return claims


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if not response.is_success:
        error = _first(body.get("errors"))
        code, text = error.get("code"), error.get("description", "")
        if not isinstance(code, int) or code not in CODES:
            return refused(response, "" if code is None else code, text)
        return judged(CODES[code], code, text, lasting=code in LASTING)
    recipients = body.get("recipients")
    recipient = _first(recipients.get("items") if isinstance(recipients, dict) else None)
    status = str(recipient.get("status"))
    if STATES.get(status) is ReceiptState.FAILED:
        return judged(Outcome.UNAVAILABLE, status)
    if status not in TAKEN:
        return refused(response)
    return accepted(response, body.get("id"), recipient.get("messagePartCount"))


def _first(entries: object) -> dict[str, Any]:
    entry = entries[0] if isinstance(entries, list) and entries else None
    return entry if isinstance(entry, dict) else {}
