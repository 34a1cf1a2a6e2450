"""Plivo Messages, https://www.plivo.com/docs/messaging/api/message/send-a-message."""

from __future__ import annotations

import base64
import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr

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

BASE_URL: Final = "https://api.plivo.com"
LEAST_EXPIRY: Final = 5
"""Seconds: Plivo takes 5 to 10799."""

# Errors are sentences, without codes. They can hold the number, so the reason is a word of ours.
REASONS: Final[dict[int, str]] = {
    HTTPStatus.BAD_REQUEST: "invalid_parameter",
    HTTPStatus.UNAUTHORIZED: "wrong_credentials",
    HTTPStatus.FORBIDDEN: "geo_permission",  # on this path: country not enabled, says the vendor's SDK
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.UNPROCESSABLE_ENTITY: "unprocessable",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many_requests",
}
NO_CREDIT: Final = "insufficient credit"
"""Plivo takes the message that finds the account empty, fails it later (900), and says this for two minutes:
https://support.plivo.com/support/solutions/articles/17000088423."""

# https://www.plivo.com/docs/messaging/troubleshooting/error-codes, of receipts only.
CODES: Final[dict[str, Outcome]] = {
    "50": Outcome.UNDELIVERABLE,  # invalid destination: no number, no mobile, or a landline
    "70": Outcome.UNDELIVERABLE,  # destination permanently unavailable
    "200": Outcome.UNDELIVERABLE,  # the recipient opted out (STOP)
    "10": Outcome.UNAVAILABLE,  # invalid message, says the carrier
    "20": Outcome.UNAVAILABLE,  # carrier's network
    "30": Outcome.UNAVAILABLE,  # filtered as spam
    "40": Outcome.UNAVAILABLE,  # invalid source
    "60": Outcome.UNAVAILABLE,  # loop detected
    "80": Outcome.UNAVAILABLE,  # destination temporarily unavailable
    "90": Outcome.UNAVAILABLE,  # no route
    "100": Outcome.UNAVAILABLE,  # prohibited by the carrier
    "110": Outcome.UNAVAILABLE,  # too long
    "201": Outcome.UNAVAILABLE,  # US toll-free number to Canada
    "300": Outcome.UNAVAILABLE,  # not dispatched
    "900": Outcome.UNAVAILABLE,  # out of credit
    "1000": Outcome.UNAVAILABLE,  # unknown error
}

STATUSES: Final[dict[str, ReceiptState]] = {
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.FAILED,
    "failed": ReceiptState.FAILED,
    "rejected": ReceiptState.FAILED,
}
"""queued says nothing new, nor does any word that is not here."""


class PlivoOptions(ProviderOptions):
    """Credentials of an account or a subaccount; its token signs the receipts too."""

    auth_id: str = Field(pattern="^(MA|SA)[0-9A-Z]{18}$")
    auth_token: SecretStr = Field(min_length=1)


class Plivo:
    """Sends through Plivo.

    Args:
        name: The section's name.
        section: ``PlivoOptions`` beside the common fields.
        transport: Where the calls go out.
    """

    Options: ClassVar[type[ProviderOptions]] = PlivoOptions
    signs_receipts: bool = True
    takes_media: bool = True

    def __init__(self, name: str, section: ProviderSettings, transport: Transport) -> None:
        self.name = name
        self._section = section
        options = PlivoOptions.model_validate(section.options)
        token = options.auth_token.get_secret_value()
        self._login = httpx.BasicAuth(options.auth_id, token)
        self._secret = token.encode()
        self._messages = transport.reach(section, BASE_URL, f"/v1/Account/{options.auth_id}/Message/")

    async def send(self, message: Message) -> Answer:
        """POST one message. There is no idempotency key."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        body: dict[str, Any] = {
            "dst": message.to.removeprefix("+"),
            "text": message.text,
            "type": "mms" if message.media else "sms",
            "message_expiry": max(message.expires_in, LEAST_EXPIRY),
            "log": "false",  # neither text nor number in Plivo's logs
        }
        if sender:  # Plivo says best what is missing
            body["src"] = sender.removeprefix("+")
        if message.media:
            body["media_urls"] = message.media
        if message.receipt_url:
            body |= {"url": message.receipt_url, "method": "POST"}
        answer = await self._messages.post(json=body, auth=self._login)
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of a status callback.

        Of the two signatures, V2 (all that messages are known to have) covers the URL and not the body. That
        Plivo wrote the body follows from the URL, which names one message and which only Plivo was told.

        Raises:
            ForgedReceipt: Our token signed neither this URL nor this form.
        """
        fields = form(callback.body)
        if not self._signed(callback, fields):
            raise ForgedReceipt
        values = dict(fields)
        status, code = values.get("Status", ""), values.get("ErrorCode", "")
        state = STATUSES.get(status)
        if state is None:
            return ()
        return (receipt(state, CODES.get(code, Outcome.UNAVAILABLE), code or status),)

    def _signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        return any(
            hmac.compare_digest(given.strip().encode(errors="replace"), genuine)
            for version, genuine in self._signatures(callback, fields)
            for owner in ("", "-ma")  # by the account that sent, or by the main account above it
            for given in callback.headers.get(f"x-plivo-signature{owner}-{version}", "").split(",")
        )

    def _signatures(self, callback: Callback, fields: list[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
        """By version, as the vendor's SDK makes them. No URL of ours has a query, of which V3 would speak."""
        address = urlsplit(callback.url)._replace(query="", fragment="").geturl()
        posted = "?" + "".join(name + value for name, value in sorted(fields)) if fields else ""
        for version, text in (("v2", address), ("v3", f"{address}{posted}.")):
            nonce = callback.headers.get(f"x-plivo-signature-{version}-nonce")
            if nonce:
                signed = (text + nonce).encode(errors="replace")
                yield version, base64.b64encode(hmac.digest(self._secret, signed, "sha256"))


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        named = body.get("message_uuid")
        return accepted(response, named[0] if isinstance(named, list) and named else None)
    error = str(body.get("error") or "")
    if "api_id" not in body:  # then it is not Plivo's own
        return refused(response, text=error)
    if response.is_client_error and NO_CREDIT in error.lower():
        return judged(Outcome.UNAVAILABLE, "insufficient_credit", error, lasting=True)
    return refused(response, REASONS.get(response.status_code, ""), error)
