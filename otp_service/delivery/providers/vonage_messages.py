"""Vonage Messages API, https://developer.vonage.com/en/api/messages."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, SecretStr, field_validator, model_validator

from otp_service.delivery.answers import accepted, document, judged, refused
from otp_service.delivery.callbacks import MAX_AGE, receipt
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

BASE_URL: Final = "https://api.nexmo.com"
"""The nearest region; ``api-eu.vonage.com``, ``api-us`` and ``api-ap`` keep the message in theirs."""

CODES: Final[dict[str, Outcome]] = {
    "1170": Outcome.UNDELIVERABLE,  # 'to' is not a phone number
    "1190": Outcome.UNDELIVERABLE,  # the number is no longer in use
    "1240": Outcome.UNDELIVERABLE,  # the recipient opted out (STOP)
    "1430": Outcome.UNDELIVERABLE,  # 'to' is not a recipient of SMS
    "1470": Outcome.BLOCKED,  # Fraud Defender: prefix
    "1472": Outcome.BLOCKED,  # Fraud Defender: burst of messages
    "1473": Outcome.BLOCKED,  # Fraud Defender: artificially inflated traffic
    "1030": Outcome.UNKNOWN,  # internal error
    "1320": Outcome.UNKNOWN,  # already sent, but under which name it does not say
    "1330": Outcome.UNKNOWN,  # an error that the carrier did not explain
    "1331": Outcome.UNKNOWN,  # the provider behind Vonage does not answer
    "1060": Outcome.UNAVAILABLE,  # account barred
    "1070": Outcome.UNAVAILABLE,  # no credit
    "account-suspended": Outcome.UNAVAILABLE,
}
"""Of answers and receipts, https://developer.vonage.com/en/api-errors and its page ``messages``. Some fifty
more are about the sender, the account, the carrier or the moment: `unavailable`, as is any unlisted code."""

LASTING: Final = frozenset({"1060", "1070", "account-suspended"})
"""Credit and the account's standing: the same for every message, for minutes to come. So are 401 and 402."""

STATUSES: Final[dict[str, ReceiptState]] = {
    "submitted": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "rejected": ReceiptState.FAILED,
    "undeliverable": ReceiptState.FAILED,
}
"""Any other word says nothing new."""

LEAST_TTL: Final = 20
"""Seconds, as of the SMS API underneath."""
TOKEN_LIFETIME: Final = 900
"""Seconds, as of the vendor's SDK: room for a clock that is wrong."""


class VonageMessagesOptions(ProviderOptions):
    """Credentials: an application's, whose webhooks are signed, or the account's, which has none."""

    application_id: str | None = Field(default=None, min_length=1)
    private_key: SecretStr | None = None
    """The application's RSA key in PEM, commonly given as ``file:/run/secrets/vonage.key``."""
    signature_secret: SecretStr | None = Field(default=None, min_length=1)
    """The account's, of the webhooks."""
    api_key: str | None = Field(default=None, min_length=1)
    api_secret: SecretStr | None = Field(default=None, min_length=1)

    @field_validator("private_key")
    @classmethod
    def _is_rsa(cls, text: SecretStr) -> SecretStr:
        try:
            _key(text)
        except (ValueError, TypeError):  # the latter when it has a passphrase
            raise ValueError("must be an RSA private key in PEM, without a passphrase") from None
        return text

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        application = (self.application_id, self.private_key)
        account = (self.api_key, self.api_secret)
        given = [pair for pair in (application, account) if any(pair)]
        if len(given) != 1 or not all(given[0]):
            raise ValueError("needs either application_id and private_key, or api_key and api_secret")
        # "Basic authentication does not support webhooks", getting-started/concepts/authentication.
        if self.signature_secret and not self.application_id:
            raise ValueError("signature_secret needs application_id and private_key")
        return self


class VonageMessages:
    """Sends SMS through Vonage's Messages API.

    Args:
        name: The section's name.
        section: ``VonageMessagesOptions`` beside the common fields.
        transport: Where the calls go out.
        now: The time in seconds since the epoch.
    """

    Options: ClassVar[type[ProviderOptions]] = VonageMessagesOptions
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
        self._options = VonageMessagesOptions.model_validate(section.options)
        self._key = _key(self._options.private_key) if self._options.private_key else None
        self.signs_receipts = self._options.signature_secret is not None
        self._now = now
        self._messages = transport.reach(section, BASE_URL, "/v1/messages")

    async def send(self, message: Message) -> Answer:
        """POST one message. There is no idempotency key; Vonage itself tells GSM-7 from UCS-2."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        body: dict[str, str | int] = {
            "channel": "sms",
            "message_type": "text",
            "to": message.to.removeprefix("+"),
            "text": message.text,
            "ttl": max(message.expires_in, LEAST_TTL),
        }
        if sender:
            body["from"] = sender.removeprefix("+")
        if message.receipt_url and self.signs_receipts:
            body |= {
                "webhook_url": message.receipt_url,
                "webhook_version": "v1",  # an account may be at v0.1
                "client_ref": message.token,  # comes back signed, which the URL is not
            }
        answer = await self._messages.post(
            json=body, headers={"authorization": self._authorization(message.attempt)}
        )
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a status webhook.

        Raises:
            ForgedReceipt: No token that our secret signed is for this body.
        """
        claims = self._claims(callback.headers.get("authorization", ""))
        digest = str(claims.get("payload_hash", "")).lower().encode(errors="replace")
        if not hmac.compare_digest(digest, hashlib.sha256(callback.body).hexdigest().encode()):
            raise ForgedReceipt
        issued = claims.get("iat")
        if not isinstance(issued, int | float) or not abs(self._now() - issued) <= MAX_AGE:  # a NaN is not
            return ()
        return _receipts(callback.body)

    def _authorization(self, attempt: str) -> str:
        if self._key is None:
            secret = self._options.api_secret.get_secret_value() if self._options.api_secret else ""
            return "Basic " + base64.b64encode(f"{self._options.api_key}:{secret}".encode()).decode()
        issued = int(self._now())
        claims = {
            "application_id": self._options.application_id,
            "iat": issued,
            "exp": issued + TOKEN_LIFETIME,
            "jti": attempt,
        }
        return "Bearer " + jwt.encode(claims, self._key, algorithm="RS256")

    def _claims(self, authorization: str) -> dict[str, Any]:
        """Those of a token that is signed with our secret; the time in them is for ``now`` to judge."""
        scheme, _, token = authorization.partition(" ")
        secret = self._options.signature_secret
        if secret is None or scheme.lower() != "bearer":
            raise ForgedReceipt
        try:
            claims = json.loads(
                jwt.PyJWS().decode(
                    token.encode(errors="replace"), secret.get_secret_value(), algorithms=["HS256"]
                )
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise ForgedReceipt from None
        if not isinstance(claims, dict):
            raise ForgedReceipt
        return claims


def _key(text: SecretStr) -> RSAPrivateKey:
    """The key in a PEM.

    Raises:
        ValueError: It is none, or not of RSA.
        TypeError: It has a passphrase.
    """
    key = load_pem_private_key(text.get_secret_value().encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not RSA")  # noqa: TRY004 - of the right type, with the wrong thing in it
    return key


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        return accepted(response, body.get("message_uuid"))
    # As in https://developer.vonage.com/api-errors/messages#1120
    code, text = str(body.get("type", "")).partition("#")[2], body.get("detail", "")
    if code in CODES and response.is_client_error:  # a 500 says 1000, "throttled", in the vendor's document
        return judged(CODES[code], code, text, lasting=code in LASTING)
    return refused(response, code, text)


def _receipts(body: bytes) -> Sequence[Receipt]:
    try:
        status = json.loads(body)
        state = STATUSES[status["status"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()
    error = status.get("error")
    code = str(error.get("title", "")) if isinstance(error, dict) else ""  # here the title is the code
    token = str(status.get("client_ref") or "")
    return (receipt(state, CODES.get(code, Outcome.UNAVAILABLE), code or status["status"], token),)
