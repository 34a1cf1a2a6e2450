"""SMPP 3.4 on the wire: requests and answers.

Numbers in brackets are sections of the Short Message Peer to Peer Protocol Specification v3.4, Issue 1.2.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from asyncio import StreamReader

    from otp_service.delivery.alphabet import Part

RESPONSE: Final = 0x8000_0000
"""Set in the command of an answer [5.1.2.1]."""
GENERIC_NACK: Final = RESPONSE
INVALID_COMMAND: Final = 0x03
TRY_AGAIN: Final = 0x64
"""ESME_RX_T_APPN: we cannot take it now, send it again [5.1.3]."""

_HEAD: Final = struct.Struct(">4I")
_LONGEST: Final = 66 * 1024
"""A message_payload may take 64 KiB [5.3.2.32]; more is not SMPP."""


class Command(IntEnum):
    """What a request asks [5.1.2.1]."""

    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    UNBIND = 0x06
    BIND_TRANSCEIVER = 0x09
    ENQUIRE_LINK = 0x15


class Tag(IntEnum):
    """Optional parameters that we read [5.3.2]."""

    RECEIPTED_MESSAGE_ID = 0x001E
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


@dataclass(frozen=True, slots=True)
class Pdu:
    """A request or an answer."""

    command: int
    status: int
    sequence: int
    body: bytes = field(default=b"", repr=False)

    def __bytes__(self) -> bytes:
        return _HEAD.pack(_HEAD.size + len(self.body), self.command, self.status, self.sequence) + self.body

    @classmethod
    async def read(cls, reader: StreamReader) -> Self:
        """The next one.

        Raises:
            ValueError: This is not SMPP.
            EOFError: The connection ended.
        """
        length, command, status, sequence = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if not _HEAD.size <= length <= _LONGEST:
            raise ValueError("a PDU of impossible length")
        return cls(command, status, sequence, await reader.readexactly(length - _HEAD.size))

    def answer(self, status: int = 0, body: bytes = b"") -> Pdu:
        """The answer to this request."""
        return Pdu(self.command | RESPONSE, status, self.sequence, body)


@dataclass(frozen=True, slots=True)
class Address:
    """A number or a name, and of which kind it is [5.2.5, 5.2.6]."""

    ton: int
    npi: int
    text: str = field(repr=False)

    def __bytes__(self) -> bytes:
        return bytes([self.ton, self.npi]) + cstring(self.text)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a deliver_sm brings."""

    is_receipt: bool
    text: bytes = field(repr=False)
    optional: dict[int, bytes] = field(repr=False)


def cstring(text: str) -> bytes:
    """A field that ends with NUL, which therefore cannot hold one."""
    return text.encode("ascii", "replace").replace(b"\0", b"?") + b"\0"


def bind_transceiver(system_id: str, password: str, system_type: str) -> bytes:
    """The body of a bind [4.1.5]; we take whatever address the account has."""
    return cstring(system_id) + cstring(password) + cstring(system_type) + b"\x34\0\0\0"


def submit_sm(source: Address, destination: Address, seconds: int, part: Part) -> bytes:
    """The body of a message [4.4.1].

    Args:
        source: Who it is from.
        destination: Who it is to.
        seconds: For which it is worth delivering.
        part: What it says.
    """
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    validity = f"000000{hour:02}{minute:02}{second:02}000R"  # from now on [7.1.1]
    return (
        cstring("")  # service_type: the SMSC's default
        + bytes(source)
        + bytes(destination)
        + bytes([0x40 if part.is_one_of_several else 0, 0, 0])  # esm_class, protocol_id, priority_flag
        + cstring("")  # schedule_delivery_time: now
        + cstring(validity)
        + bytes([1, 0, part.coding, 0, len(part.octets)])  # registered_delivery: a receipt, whatever happens
        + part.octets
    )


# service_type; source and destination; esm_class; two octets, two times, four octets; sm_length [4.6.1]
_DELIVER_SM: Final = re.compile(rb"[^\0]*\0(?:..[^\0]*\0){2}(.)..[^\0]*\0[^\0]*\0....(.)", re.DOTALL)


def deliver_sm(body: bytes) -> Delivered:
    """Read what the SMSC brings.

    Raises:
        ValueError: It is cut off.
    """
    fields = _DELIVER_SM.match(body)
    if fields is None:
        raise ValueError("a deliver_sm that is cut off")
    at = fields.end() + fields[2][0]
    text, optional = body[fields.end() : at], {}
    while at + 4 <= len(body):
        tag, length = struct.unpack_from(">2H", body, at)
        optional[tag] = body[at + 4 : at + 4 + length]
        at += 4 + length
    is_receipt = fields[1][0] & 0x3C == 0x04  # noqa: PLR2004 - SMSC delivery receipt [5.2.12]
    return Delivered(is_receipt, text or optional.get(Tag.MESSAGE_PAYLOAD, b""), optional)
