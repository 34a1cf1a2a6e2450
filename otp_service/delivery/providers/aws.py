"""AWS End User Messaging SMS, https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/.

Of AWS's ways to send an SMS the one that answers: SNS accepts what it will never send.

Receipts come through EventBridge: a rule on ``{"source": ["aws.sms-voice"]}`` whose target is an API
destination, ``POST <public_url>/v1/receipts/<name>``, with a connection of type API key, named ``x-api-key``.
"""

from __future__ import annotations

import hmac
import json
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, SecretStr

from otp_service.delivery.answers import accepted, document, judged, refused
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
from otp_service.delivery.providers.sigv4 import SigV4
from otp_service.delivery.sender import sender_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

SHORTEST_SECONDS: Final = 5
"""The least ``TimeToLive``."""

# Reasons of exceptions, from the service's model (botocore, pinpoint-sms-voice-v2). Any other one says on a
# 4xx that this account, sender or country cannot, which is what `refused` makes of it.
CODES: Final[dict[str, Outcome]] = {
    "DESTINATION_PHONE_NUMBER_OPTED_OUT": Outcome.UNDELIVERABLE,
    # Protect: the account's rules against pumping, by country or by number.
    "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION": Outcome.BLOCKED,
    "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": Outcome.BLOCKED,
}

LASTING: Final = frozenset(
    {
        "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT",
        "ACCOUNT_DISABLED",
        "INSUFFICIENT_ACCOUNT_REPUTATION",
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",  # or our clock is off
        "MissingAuthenticationToken",
        "OptInRequired",
        "UnrecognizedClientException",
    }
)
"""Reasons and exceptions: credentials, the account's standing and its month's money. Those of all of AWS are
on https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html."""

_FAILED: Final = (ReceiptState.FAILED, Outcome.UNAVAILABLE)
EVENTS: Final[dict[str, tuple[ReceiptState, Outcome | None]]] = {
    "TEXT_SENT": (ReceiptState.SENT, None),
    "TEXT_SUCCESSFUL": (ReceiptState.SENT, None),  # the carrier took it; in some countries all there will be
    "TEXT_DELIVERED": (ReceiptState.DELIVERED, None),
    "TEXT_INVALID": _FAILED,
    "TEXT_INVALID_MESSAGE": _FAILED,
    "TEXT_UNREACHABLE": _FAILED,
    "TEXT_CARRIER_UNREACHABLE": _FAILED,
    "TEXT_BLOCKED": _FAILED,
    "TEXT_CARRIER_BLOCKED": _FAILED,
    "TEXT_SPAM": _FAILED,
    "TEXT_TTL_EXPIRED": _FAILED,
    "TEXT_PROTECT_BLOCKED": (ReceiptState.FAILED, Outcome.BLOCKED),
}
"""https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-event-types.html. TEXT_QUEUED and
TEXT_PENDING say nothing new; TEXT_UNKNOWN says after 72 hours that nothing came."""


class AwsOptions(ProviderOptions):
    """A key of an IAM user or role, and where from."""

    region: str = Field(pattern="^[a-z]{2}(-[a-z]+)+-[0-9]$")
    access_key_id: str = Field(pattern="^[A-Z0-9]{16,128}$")
    secret_access_key: SecretStr = Field(min_length=1)
    session_token: SecretStr | None = Field(default=None, min_length=1)
    """Of a temporary key; AWS refuses it when its time is over."""
    origination_identity: str | None = Field(default=None, pattern="^[A-Za-z0-9_:/+-]{1,256}$")
    """Pool or number, by id or ARN, for the regions without a sender of their own."""
    configuration_set: str | None = Field(default=None, pattern="^[A-Za-z0-9_:/-]{1,256}$")
    receipt_key: SecretStr | None = Field(default=None, min_length=16)
    """The value of the connection's API key."""


class Aws:
    """Sends through AWS End User Messaging.

    Args:
        name: The section's name.
        section: ``AwsOptions`` beside the common fields.
        transport: Where the calls go out.
        now: The clock that requests are signed with, in seconds since 1970.
    """

    Options: ClassVar[type[ProviderOptions]] = AwsOptions
    takes_media: bool = False  # SendMediaMessage wants the pictures in S3

    def __init__(
        self,
        name: str,
        section: ProviderSettings,
        transport: Transport,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._section = section
        self._options = options = AwsOptions.model_validate(section.options)
        self._signer = SigV4(
            options.access_key_id,
            options.secret_access_key.get_secret_value(),
            options.session_token.get_secret_value() if options.session_token else None,
            options.region,
            "sms-voice",
            now,
        )
        self._receipt_key = options.receipt_key.get_secret_value().encode() if options.receipt_key else b""
        self.signs_receipts = bool(self._receipt_key)
        self._api = transport.reach(section, f"https://sms-voice.{options.region}.amazonaws.com")

    async def send(self, message: Message) -> Answer:
        """POST one message. There is no idempotency key."""
        sender = self._sender(message.region)
        if isinstance(sender, Answer):
            return sender
        body: dict[str, Any] = {
            "DestinationPhoneNumber": message.to,
            "MessageBody": message.text,
            "MessageType": "TRANSACTIONAL",
            "TimeToLive": max(message.expires_in, SHORTEST_SECONDS),  # else AWS tries for 72 hours
        }
        if sender:
            body["OriginationIdentity"] = sender
        if self._options.configuration_set:
            body["ConfigurationSetName"] = self._options.configuration_set
        if message.token and self.signs_receipts:
            body["Context"] = {"token": message.token}
        answer = await self._api.post(
            content=json.dumps(body),
            headers={
                "content-type": "application/x-amz-json-1.0",
                "x-amz-target": "PinpointSMSVoiceV2.SendTextMessage",
            },
            auth=self._signer,
        )
        return answer if isinstance(answer, Answer) else _read(answer)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the one receipt of an event.

        EventBridge signs nothing, so there is no age to check either; it may repeat an event for a day.

        Raises:
            ForgedReceipt: The key of the connection is not with it.
        """
        given = callback.headers.get("x-api-key", "").encode(errors="replace")
        if not self._receipt_key or not hmac.compare_digest(given, self._receipt_key):
            raise ForgedReceipt
        # AWS's page of event data shows `context`; its page on EventBridge says that `detail` resembles that,
        # with examples of messages that had none. Not seen live.
        try:
            detail = json.loads(callback.body)["detail"]
            event, token = detail["eventType"], str(detail["context"]["token"])
            state, outcome = EVENTS[event]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ()
        return (Receipt(state, outcome, reason=event if outcome else "", token=token),)

    def _sender(self, region: str) -> str | Answer | None:
        """The region's own sender, else the pool's choice, else the section's sender."""
        if self._options.origination_identity and region not in self._section.senders:
            return self._options.origination_identity
        return sender_for(region, self._section)


def _read(response: httpx.Response) -> Answer:
    body = document(response)
    if response.is_success:
        return accepted(response, body.get("MessageId"))
    # The service says "Message"; the front that checks signatures says "message".
    text = body.get("Message") or body.get("message") or ""
    kind = str(body.get("__type") or "").rpartition("#")[2]  # "com.amazonaws.…#ConflictException"
    reason = str(body.get("Reason") or kind)  # it says more than the exception
    if reason in CODES:
        return judged(CODES[reason], reason, text)
    if {reason, kind} & LASTING:
        return judged(Outcome.UNAVAILABLE, reason, text, lasting=True)
    return refused(response, reason, text)
