"""SMPP 3.4, straight to an operator's or an aggregator's SMSC.

Numbers in brackets are sections of the Short Message Peer to Peer Protocol Specification v3.4, Issue 1.2.
"""

from __future__ import annotations

import re
import ssl
from asyncio import timeout
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal
from zlib import crc32

from pydantic import Field, SecretStr

from otp_service.delivery.alphabet import MOST_PARTS, Charset, parts
from otp_service.delivery.answers import judged
from otp_service.delivery.bind import Bind, BindRefused
from otp_service.delivery.failures import BEFORE_TEXT, word_for
from otp_service.delivery.pdu import (
    TRY_AGAIN,
    Address,
    Command,
    Delivered,
    Tag,
    bind_transceiver,
    deliver_sm,
    submit_sm,
)
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
from otp_service.settings.readers import matching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from otp_service.delivery.bind import Session
    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

PORTS: Final = {True: 3550, False: 2775}
"""With TLS and without, as IANA has them (smpp, smpps)."""
REMEMBERED: Final = 10_000
"""Messages whose receipts can still be told apart; a code is of use for ten minutes."""

# command_status [5.1.3] of a submit_sm. What is not here is the SMSC's own, and nobody knows.
STATUSES: Final[dict[int, Outcome]] = {
    0x0B: Outcome.UNDELIVERABLE,  # invalid destination address
    0x01: Outcome.UNAVAILABLE,  # message length is invalid
    0x02: Outcome.UNAVAILABLE,  # command length is invalid
    0x03: Outcome.UNAVAILABLE,  # invalid command
    0x04: Outcome.UNAVAILABLE,  # not for this kind of bind
    0x05: Outcome.UNAVAILABLE,  # already bound
    0x06: Outcome.UNAVAILABLE,  # invalid priority
    0x07: Outcome.UNAVAILABLE,  # invalid registered_delivery
    0x0A: Outcome.UNAVAILABLE,  # invalid source address
    0x0D: Outcome.UNAVAILABLE,  # bind failed
    0x0E: Outcome.UNAVAILABLE,  # invalid password
    0x0F: Outcome.UNAVAILABLE,  # invalid system_id
    0x14: Outcome.UNAVAILABLE,  # message queue full
    0x15: Outcome.UNAVAILABLE,  # invalid service_type
    0x43: Outcome.UNAVAILABLE,  # invalid esm_class
    0x48: Outcome.UNAVAILABLE,  # invalid source TON
    0x49: Outcome.UNAVAILABLE,  # invalid source NPI
    0x50: Outcome.UNAVAILABLE,  # invalid destination TON
    0x51: Outcome.UNAVAILABLE,  # invalid destination NPI
    0x53: Outcome.UNAVAILABLE,  # invalid system_type
    0x58: Outcome.UNAVAILABLE,  # throttled
    0x61: Outcome.UNAVAILABLE,  # invalid schedule time
    0x62: Outcome.UNAVAILABLE,  # invalid validity period
    0x64: Outcome.UNAVAILABLE,  # temporary error of the receiving application
    0x65: Outcome.UNAVAILABLE,  # permanent error of the receiving application
    0x66: Outcome.UNAVAILABLE,  # rejected by the receiving application
    0x08: Outcome.UNKNOWN,  # system error
    0x45: Outcome.UNKNOWN,  # submit failed
    0xFF: Outcome.UNKNOWN,  # unknown error
}

LASTING: Final = frozenset({0x0E, 0x0F})
"""Credentials. 0x0D and 0x05 can also mean that a session of ours that died is not forgotten yet."""

LONGEST_SHORT_CODE: Final = 6
"""Digits; an international number without its plus sign has more."""

_FAILED: Final = (ReceiptState.FAILED, Outcome.UNAVAILABLE)
STATES: Final[dict[str, tuple[ReceiptState, Outcome | None]]] = {
    "DELIVRD": (ReceiptState.DELIVERED, None),
    "EXPIRED": _FAILED,
    "DELETED": _FAILED,
    "UNDELIV": _FAILED,
    "REJECTD": _FAILED,
}
"""Of receipts [appendix B]. ENROUTE, ACCEPTD and UNKNOWN say nothing new, nor does any other word."""

MESSAGE_STATES: Final = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}
"""The same as the octet of the optional parameter message_state [5.2.28]."""

_RECEIPT: Final = re.compile(
    rb"\bid:([!-~]+)(?:.*?\bstat:([A-Z]+))?(?:.*?\berr:(\w+))?", re.DOTALL | re.IGNORECASE
)


class SmppOptions(ProviderOptions):
    """An account with an SMSC, and what it leaves open in the standard."""

    host: Annotated[str, matching(r"[A-Za-z0-9.:-]{1,253}", "must be a host name or an IP address")]
    port: int | None = Field(default=None, ge=1, le=65535)
    tls: bool = True
    system_id: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)
    system_type: str = ""
    alphabet: Charset = "gsm"
    """What the SMSC takes for its default alphabet; the standard does not say [5.2.19]."""
    receipt_ids: Literal["same", "decimal"] = "same"
    """Whether a receipt's text has the id of the answer, or the decimal of what the answer had in hex."""


class Smpp:
    """Sends through one bind per process, and hears the receipts that come back over it.

    Args:
        name: The section's name.
        section: ``SmppOptions`` beside the common fields.
        transport: Closes the bind.
    """

    Options: ClassVar[type[ProviderOptions]] = SmppOptions
    signs_receipts: bool = False
    """They do not come over HTTP: the bind is their proof."""
    takes_media: bool = False

    heard: Callable[[Receipt], Awaitable[None]] | None
    """Takes each receipt, ``token`` and all. When it raises, the SMSC is asked to bring the receipt again."""

    def __init__(self, name: str, section: ProviderSettings, transport: Transport) -> None:
        self.name = name
        self.heard = None
        self._section = section
        options = SmppOptions.model_validate(section.options)
        self._options = options
        self._tokens: dict[str, str] = {}
        self._bind = Bind(
            options.host,
            options.port or PORTS[options.tls],
            ssl.create_default_context(cafile=section.ca_file) if options.tls else None,
            bind_transceiver(options.system_id, options.password.get_secret_value(), options.system_type),
            self._deliver,
            patience=section.timeout_seconds,
        )
        transport.on_close(self._bind.close)

    @property
    def address(self) -> str:
        """Where it binds, as a URL."""
        options = self._options
        return f"{'tls' if options.tls else 'tcp'}://{options.host}:{options.port or PORTS[options.tls]}"

    async def send(self, message: Message) -> Answer:
        """Submit one message, in as many parts as it takes."""
        sender = sender_for(message.region, self._section)
        if isinstance(sender, Answer):
            return sender
        cut = parts(message.text, self._options.alphabet, crc32(message.attempt.encode()) & 0xFF)
        if len(cut) > MOST_PARTS:
            return Answer(Outcome.UNAVAILABLE, "too_long")
        source, destination = _source(sender or ""), Address(1, 1, message.to.removeprefix("+"))
        bodies = [submit_sm(source, destination, message.expires_in, part) for part in cut]
        seconds = self._section.timeout_seconds
        otherwise = Outcome.UNAVAILABLE
        try:
            async with timeout(seconds):
                async with timeout(seconds * BEFORE_TEXT):
                    session = await self._bind.session()
                otherwise = Outcome.UNKNOWN  # from here on the text may have been read
                return await self._submit(session, bodies, message.token)
        except BindRefused as refused:
            return _judged(Outcome.UNAVAILABLE, refused.status)
        except Exception as failure:  # noqa: BLE001 - whatever it was, a send ends with an answer
            return Answer(otherwise, word_for(failure))

    def receipts(self, callback: Callback) -> Sequence[Receipt]:  # noqa: ARG002 - there are none
        """None: they come over the bind, to ``heard``."""
        return ()

    async def _submit(self, session: Session, bodies: Sequence[bytes], token: str) -> Answer:
        """One part after another, so that a refusal of the first means that nothing went out."""
        references: list[str] = []
        for body in bodies:
            answer = await session.ask(Command.SUBMIT_SM, body)
            reference = _text(answer.body)
            if answer.status or not reference:
                outcome = STATUSES.get(answer.status, Outcome.UNKNOWN)
                return _judged(Outcome.UNKNOWN if references else outcome, answer.status)
            # Before anything else that was read is looked at: the receipt may be right behind the answer.
            self._remember(reference, token)
            references.append(reference)
        return Answer(Outcome.ACCEPTED, reference=references[0], segments=len(bodies))

    def _remember(self, reference: str, token: str) -> None:
        self._tokens[_key(reference)] = token
        if len(self._tokens) > REMEMBERED:
            del self._tokens[next(iter(self._tokens))]

    async def _deliver(self, body: bytes) -> int:
        """Take what the SMSC brings; what is no receipt of a message of ours is taken and dropped."""
        try:
            receipt = self._receipt(deliver_sm(body))
        except ValueError:
            return 0
        if receipt is None or self.heard is None:
            return 0
        try:
            await self.heard(receipt)
        except Exception:  # noqa: BLE001 - as a 5xx would over HTTP
            return TRY_AGAIN
        return 0

    def _receipt(self, delivered: Delivered) -> Receipt | None:
        if not delivered.is_receipt:
            return None
        found = _RECEIPT.search(delivered.text)
        written, word, code = ((each or b"").decode() for each in (found.groups() if found else [b""] * 3))
        # The optional parameters are the standard's own, and the text is not.
        reference = _text(delivered.optional.get(Tag.RECEIPTED_MESSAGE_ID, b""))
        if not reference:
            reference = f"{int(written):x}" if self._options.receipt_ids == "decimal" else written
        state = delivered.optional.get(Tag.MESSAGE_STATE)
        word = MESSAGE_STATES.get(state[0], "") if state else word.upper()
        token = self._tokens.get(_key(reference))
        if token is None or word not in STATES:
            return None
        became, outcome = STATES[word]
        return Receipt(became, outcome, f"{word}:{code}"[:32] if outcome else "", token)


def _source(sender: str) -> Address:
    """A name (TON 5), an international number, or a short code, whose kind is the SMSC's to know."""
    digits = sender.removeprefix("+")
    if not sender:
        return Address(0, 0, "")
    if not re.fullmatch(r"[0-9]+", digits):
        return Address(5, 0, sender)
    return Address(1, 1, digits) if len(digits) > LONGEST_SHORT_CODE else Address(0, 1, digits)


def _judged(outcome: Outcome, status: int) -> Answer:
    return judged(outcome, f"0x{status:02X}", lasting=status in LASTING)


def _text(octets: bytes) -> str:
    """Of a field that ends with NUL; empty where it is not what a message_id can be [4.4.2]."""
    text = octets.partition(b"\0")[0]
    return text.decode() if re.fullmatch(rb"[!-~]{1,64}", text) else ""


def _key(reference: str) -> str:
    """One form of an id: some SMSCs write it with capitals or leading zeros in one place only."""
    return reference.lower().lstrip("0")
