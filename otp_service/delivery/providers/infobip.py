"""Infobip SMS v3, https://www.infobip.com/docs/api/channels/sms/outbound-sms/send-sms-messages."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import Field, SecretStr, model_validator

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
    from collections.abc import Sequence

    import httpx

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

# https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes, of answers (where a
# refusal is an HTTP 200) and receipts alike.
CODES: Final[dict[int, Outcome]] = {
    8: Outcome.UNDELIVERABLE,  # REJECTED_PREFIX_MISSING: no number of any network
    10: Outcome.UNDELIVERABLE,  # REJECTED_DND: its holder wants no such messages
    52: Outcome.UNDELIVERABLE,  # REJECTED_DESTINATION: no number of any operator
    87: Outcome.BLOCKED,  # SIGNALS_BLOCKED: fraud; in the group REJECTED or, charged for, EXPIRED
    6: Outcome.UNAVAILABLE,  # REJECTED_NETWORK: not covered, or not on this account
    11: Outcome.UNAVAILABLE,  # REJECTED_SOURCE: sender not registered
    12: Outcome.UNAVAILABLE,  # REJECTED_NOT_ENOUGH_CREDITS
    13: Outcome.UNAVAILABLE,  # REJECTED_SENDER: sender on the account's blocklist
    14: Outcome.UNAVAILABLE,  # REJECTED_DESTINATION_BLOCKLISTED: by this account or an operator
    17: Outcome.UNAVAILABLE,  # REJECTED_PREPAID_PACKAGE_EXPIRED
    18: Outcome.UNAVAILABLE,  # REJECTED_DESTINATION_NOT_REGISTERED: trial account
    19: Outcome.UNAVAILABLE,  # REJECTED_ROUTE_NOT_AVAILABLE
    20: Outcome.UNAVAILABLE,  # REJECTED_FLOODING_FILTER: 20 an hour to one number, 6 alike
    21: Outcome.UNAVAILABLE,  # REJECTED_SYSTEM_ERROR
    24: Outcome.UNAVAILABLE,  # REJECTED_INVALID_UDH
    25: Outcome.UNAVAILABLE,  # REJECTED_MESSAGE_TOO_LONG
    51: Outcome.UNAVAILABLE,  # MISSING_TO
    100: Outcome.UNAVAILABLE,  # UNDELIVERABLE_REJECTED_PLATFORM: malformed, or the service is away
}

LASTING: Final = frozenset({12, 17})
"""Credit: the same for every message, for minutes to come."""

DELIVERED_TO_OPERATOR: Final = 2
"""In the group DELIVERED, but not final: the handset comes later."""
DUPLICATE: Final = 23
"""REJECTED_DUPLICATE_MESSAGE_ID: a message of this name has been taken before, and it is ours."""

GROUPS: Final[dict[str, ReceiptState]] = {
    "DELIVERED": ReceiptState.DELIVERED,
    "UNDELIVERABLE": ReceiptState.FAILED,
    "EXPIRED": ReceiptState.FAILED,
    "REJECTED": ReceiptState.FAILED,
}
"""``PENDING`` says nothing new."""


class InfobipOptions(ProviderOptions):
    """An API key and the account's own host; a login for callbacks, where the account sends one."""

    host: str = Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
    """As the account's home page shows it, like ``abc123.api.infobip.com``."""
    api_key: SecretStr = Field(min_length=1)
    webhook_user: str | None = Field(default=None, min_length=1)
    webhook_password: SecretStr | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _has_a_whole_login(self) -> Self:
        if (self.webhook_user is None) != (self.webhook_password is None):
            raise ValueError("needs both of webhook_user and webhook_password, or neither")
        return self

    @property
    def webhook_login(self) -> bytes | None:
        """The header that every callback has to carry, if any."""
        if self.webhook_user is None or self.webhook_password is None:
            return None
        login = f"{self.webhook_user}:{self.webhook_password.get_secret_value()}"
        return b"Basic " + base64.b64encode(login.encode())


class Infobip:
    """Sends through Infobip.

    Args:
        name: The section's name.
        section: ``InfobipOptions`` beside the common fields.
        transport: Where the calls go out.
    """

    Options: ClassVar[type[ProviderOptions]] = InfobipOptions
    signs_receipts: bool = True
    """No signature: its proof is that only Infobip was told the token, and a login where there is one."""
    takes_media: bool = False

    def __init__(self, name: str, section: ProviderSettings, transport: Transport) -> None:
        self.name = name
        self._section = section
        options = InfobipOptions.model_validate(section.options)
        self._headers = {"authorization": f"App {options.api_key.get_secret_value()}"}
        self._webhook_login = options.webhook_login
        self._messages = transport.reach(section, f"https://{options.host}", "/sms/3/messages")

    async def send(self, message: Message) -> Answer:
        """POST one message under a name of ours, which Infobip takes once."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        entry: dict[str, Any] = {
            "destinations": [{"to": message.to.removeprefix("+"), "messageId": message.attempt}],
            "content": {"text": message.text},
            "options": {"validityPeriod": {"amount": message.expires_in, "timeUnit": "SECONDS"}},
        }
        if sender:  # without one, the account's default
            entry["sender"] = sender.removeprefix("+")
        if message.receipt_url:
            # One callback can report on up to 100 messages, so all go to one address and carry a token each.
            address, _, token = message.receipt_url.rpartition("/")
            entry["webhooks"] = {
                "delivery": {"url": address},
                "contentType": "application/json",
                "callbackData": token,
            }
        body = {"messages": [entry], "options": {"includeSmsCountInResponse": True}}
        answer = await self._messages.post(json=body, headers=self._headers)
        return answer if isinstance(answer, Answer) else _read(answer, message.attempt)

    def receipts(self, callback: Callback) -> Sequence[Receipt]:
        """Read the receipts of a callback, each for the message whose token it carries.

        Raises:
            ForgedReceipt: There is a login, and the callback does not carry it.
        """
        if self._webhook_login is not None:
            given = callback.headers.get("authorization", "").encode(errors="replace")
            if not hmac.compare_digest(given, self._webhook_login):
                raise ForgedReceipt
        try:
            body = json.loads(callback.body)
        except (ValueError, RecursionError):
            return ()
        match body:
            case {"results": [*results]}:
                return tuple(receipt for result in results for receipt in _receipt(result))
        return ()


def _read(response: httpx.Response, attempt: str) -> Answer:
    match document(response):
        case {"messages": [{"status": {"id": int(code)}} as entry, *_]} if response.is_success:
            return _taken(response, entry, code, attempt)
        case {"errorCode": code, **rest}:
            return refused(response, code, rest.get("description", ""))
        case {"requestError": {"serviceException": {"messageId": code, "text": text}}}:  # before v3
            return refused(response, code, text)
    return refused(response)


def _taken(response: httpx.Response, entry: dict[str, Any], code: int, attempt: str) -> Answer:
    """What became of our only message, which a 200 does not say."""
    if code == DUPLICATE:
        return accepted(response, attempt)
    match entry:
        case {"status": {"groupName": "PENDING"}, "messageId": name, "details": {"messageCount": count}}:
            return accepted(response, name, count)
        case {"status": {"groupName": "PENDING"}, "messageId": name}:
            return accepted(response, name)
    text = entry["status"].get("description", "")
    if code in CODES:
        return judged(CODES[code], code, text, lasting=code in LASTING)
    return refused(response, code, text)


def _receipt(result: object) -> Sequence[Receipt]:
    match result:
        case {"callbackData": str(token), "status": {"id": int(code), "groupName": str(group)}}:
            state = ReceiptState.SENT if code == DELIVERED_TO_OPERATOR else GROUPS.get(group)
        case _:
            return ()
    if state is None or code == DUPLICATE:  # the first one of that name has receipts of its own
        return ()
    return (receipt(state, CODES.get(code, Outcome.UNAVAILABLE), code, token),)
