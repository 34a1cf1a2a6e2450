"""Twilio Messages, https://www.twilio.com/docs/messaging/api/message-resource."""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING, ClassVar, Final, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, model_validator

from otp_service.delivery.answers import accepted, document, judged, refused
from otp_service.delivery.callbacks import form, receipt
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
    from collections.abc import Iterator, Sequence

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

BASE_URL: Final = "https://api.twilio.com"

# https://www.twilio.com/docs/api/errors, of answers and receipts alike. The code decides, not the status.
CODES: Final[dict[int, Outcome]] = {
    21211: Outcome.UNDELIVERABLE,  # 'To' is not a phone number
    21610: Outcome.UNDELIVERABLE,  # the recipient opted out (STOP)
    21614: Outcome.UNDELIVERABLE,  # 'To' is not a mobile number
    30005: Outcome.UNDELIVERABLE,  # unknown handset
    30006: Outcome.UNDELIVERABLE,  # landline or unreachable carrier
    30450: Outcome.BLOCKED,  # SMS pumping protection
    60410: Outcome.BLOCKED,  # Fraud Guard
    10001: Outcome.UNAVAILABLE,  # account not active
    20003: Outcome.UNAVAILABLE,  # wrong credentials
    20005: Outcome.UNAVAILABLE,  # account not active
    20429: Outcome.UNAVAILABLE,  # too many requests, "never processed"
    21212: Outcome.UNAVAILABLE,  # 'From' is invalid
    21408: Outcome.UNAVAILABLE,  # region not enabled
    21602: Outcome.UNAVAILABLE,  # no body
    21603: Outcome.UNAVAILABLE,  # no 'From'
    21604: Outcome.UNAVAILABLE,  # no 'To'
    21606: Outcome.UNAVAILABLE,  # 'From' cannot send there
    21607: Outcome.UNAVAILABLE,  # trial account: sandbox sender only
    21608: Outcome.UNAVAILABLE,  # trial account: recipient not verified
    21609: Outcome.UNAVAILABLE,  # invalid StatusCallback
    21611: Outcome.UNAVAILABLE,  # the queue of 'From' is full
    21612: Outcome.UNAVAILABLE,  # no route from 'From' to 'To'
    21617: Outcome.UNAVAILABLE,  # body too long
    21620: Outcome.UNAVAILABLE,  # invalid media URL
    21657: Outcome.UNAVAILABLE,  # sender ID invalid
    21659: Outcome.UNAVAILABLE,  # 'From' is not a Twilio number
    21660: Outcome.UNAVAILABLE,  # 'From' belongs to another account
    21701: Outcome.UNAVAILABLE,  # messaging service does not exist
    21702: Outcome.UNAVAILABLE,  # messaging service not available
    21703: Outcome.UNAVAILABLE,  # messaging service has no sender for it
    21704: Outcome.UNAVAILABLE,  # messaging service has no senders
    21705: Outcome.UNAVAILABLE,  # messaging service invalid
    21708: Outcome.UNAVAILABLE,  # alphanumeric sender missing
    21709: Outcome.UNAVAILABLE,  # alphanumeric sender not authorized
    30001: Outcome.UNAVAILABLE,  # queue overflow
    30002: Outcome.UNAVAILABLE,  # account suspended
    30003: Outcome.UNAVAILABLE,  # handset unreachable, perhaps only now
    30004: Outcome.UNAVAILABLE,  # message blocked
    30007: Outcome.UNAVAILABLE,  # filtered as spam, by Twilio or the carrier
    30008: Outcome.UNAVAILABLE,  # unknown error
    30010: Outcome.UNAVAILABLE,  # price above MaxPrice
    30017: Outcome.UNAVAILABLE,  # carrier congested
    30018: Outcome.UNAVAILABLE,  # sender ID not registered
    30022: Outcome.UNAVAILABLE,  # US A2P rate limit
    30023: Outcome.UNAVAILABLE,  # US A2P daily cap
    30024: Outcome.UNAVAILABLE,  # numeric sender not provisioned
    30032: Outcome.UNAVAILABLE,  # toll-free number not verified
    30034: Outcome.UNAVAILABLE,  # US A2P number not registered
    30410: Outcome.UNAVAILABLE,  # time-out of Twilio's own provider
}

LASTING: Final = frozenset({10001, 20003, 20005, 30002})
"""Credentials and the account's standing: the same for every message, for minutes to come."""

STATUSES: Final[dict[str, ReceiptState]] = {
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.FAILED,
    "failed": ReceiptState.FAILED,
    "canceled": ReceiptState.FAILED,
}
"""accepted, scheduled, queued and sending say nothing new, nor does any word that is not here."""

HASHES: Final = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class TwilioOptions(ProviderOptions):
    """Credentials: the account's own token, or an API key to send with and what receipts are signed with."""

    account_sid: str = Field(pattern="^AC[0-9a-fA-F]{32}$")
    auth_token: SecretStr | None = Field(default=None, min_length=1)
    api_key_sid: str | None = Field(default=None, min_length=1)
    api_key_secret: SecretStr | None = Field(default=None, min_length=1)
    shared_key: SecretStr | None = Field(default=None, min_length=1)
    """Secret of the SharedKey that signs webhooks, where the account has one."""
    messaging_service_sid: str | None = Field(default=None, pattern="^MG[0-9a-fA-F]{32}$")

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("needs both of api_key_sid and api_key_secret, or neither")
        if self.auth_token is None and self.api_key_sid is None:
            raise ValueError("needs auth_token, or api_key_sid and api_key_secret")
        return self

    @property
    def login(self) -> httpx.BasicAuth:
        """What a request proves itself with: an API key if there is one, for it can be revoked alone."""
        if self.api_key_sid and self.api_key_secret:
            return httpx.BasicAuth(self.api_key_sid, self.api_key_secret.get_secret_value())
        return httpx.BasicAuth(
            self.account_sid, self.auth_token.get_secret_value() if self.auth_token else ""
        )

    @property
    def signing_secrets(self) -> tuple[bytes, ...]:
        """Whatever Twilio may have signed a receipt with."""
        return tuple(
            secret.get_secret_value().encode() for secret in (self.auth_token, self.shared_key) if secret
        )


class Twilio:
    """Sends through Twilio.

    Args:
        name: The section's name.
        section: ``TwilioOptions`` beside the common fields.
        transport: Where the calls go out.
    """

    Options: ClassVar[type[ProviderOptions]] = TwilioOptions
    takes_media: bool = True

    def __init__(self, name: str, section: ProviderSettings, transport: Transport) -> None:
        self.name = name
        self._section = section
        options = TwilioOptions.model_validate(section.options)
        self._service = options.messaging_service_sid
        self._login = options.login
        self._secrets = options.signing_secrets
        self.signs_receipts = bool(self._secrets)
        path = f"/2010-04-01/Accounts/{options.account_sid}/Messages.json"
        self._messages = transport.reach(section, BASE_URL, path)

    async def send(self, message: Message) -> Answer:
        """POST one message. There is no idempotency key."""
        sender = self._sender(message.region)
        if isinstance(sender, Answer):
            return sender
        fields: dict[str, str | list[str]] = {
            "To": message.to,
            "Body": message.text,
            "ValidityPeriod": str(message.expires_in),  # else Twilio keeps a late message for 10 hours
            **sender,
        }
        if message.media:
            fields["MediaUrl"] = list(message.media)
        if message.receipt_url and self.signs_receipts:
            fields["StatusCallback"] = message.receipt_url
        answer = await self._messages.post(data=fields, auth=self._login)
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a status callback.

        Raises:
            ForgedReceipt: No secret of ours signed this body for this URL.
        """
        fields = form(callback.body)
        if not self._signed(callback, fields):
            raise ForgedReceipt
        values = dict(fields)
        state = STATUSES.get(values.get("MessageStatus", ""))
        if state is None:
            return ()
        code = values.get("ErrorCode", "")
        return (receipt(state, _outcome(code), code or values["MessageStatus"]),)

    def _sender(self, region: str) -> dict[str, str] | Answer:
        """A number of the region itself, else the messaging service's choice, else the section's sender."""
        if self._service and region not in self._section.senders:
            return {"MessagingServiceSid": self._service}
        sender = sender_for(region, self._section)
        if isinstance(sender, Answer):
            return sender
        return {"From": sender} if sender else {}  # Twilio says best what is missing: 21603

    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        """As https://www.twilio.com/docs/usage/webhooks/webhooks-security and the SDK's own validator do."""
        algorithm = HASHES.get(_algorithm(callback.headers.get("x-twilio-webhooks-signature-settings", "")))
        if algorithm is None:
            return False
        given = callback.headers.get("x-twilio-signature", "").encode(errors="replace")
        # A field that comes twice counts once per value; names and values run on without a mark between them.
        signed_fields = "".join(name + value for name, value in sorted(set(fields)))
        return any(
            hmac.compare_digest(given, base64.b64encode(hmac.digest(secret, text.encode(), algorithm)))
            for secret in self._secrets
            for text in (url + signed_fields for url in _spellings(callback.url))
        )


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        return accepted(response, body.get("sid"), body.get("num_segments"))
    code, text = body.get("code"), body.get("message", "")
    if not isinstance(code, int):
        return refused(response, text=text)
    if code not in CODES:
        return refused(response, code, text)
    return judged(CODES[code], code, text, lasting=code in LASTING)


def _outcome(code: str) -> Outcome:
    """What a failed message's code says; `unavailable` when it says nothing that we know."""
    return (
        CODES.get(int(code), Outcome.UNAVAILABLE) if re.fullmatch("[0-9]{1,6}", code) else Outcome.UNAVAILABLE
    )


def _algorithm(settings: str) -> str:
    """Of ``key=<id>,algorithm=HMAC_SHA256``, since 2026; without it the signature is the older one."""
    named = dict(part.strip().split("=", 1) for part in settings.split(",") if "=" in part)
    return (named.get("algorithm") or "HMAC_SHA1").upper()


def _spellings(url: str) -> Iterator[str]:
    """The URL with its port and without: Twilio signs sometimes one, sometimes the other."""
    parts = urlsplit(url)
    host = re.sub(r":\d+$", "", parts.netloc)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    yield parts._replace(netloc=host).geturl()
    yield parts._replace(netloc=f"{host}:{port}").geturl()
