"""How a text becomes the octets of one message, or of several that the phone puts together again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Charset = Literal["gsm", "ascii", "latin-1"]

MOST_PARTS: Final = 255
"""One octet says how many there are (3GPP TS 23.040, 9.2.3.24.1)."""
DEFAULT: Final = 0x00
UCS2: Final = 0x08
"""``data_coding`` (SMPP 3.4, 5.2.19)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A text, or a part of one, as it goes out."""

    coding: int
    """``DEFAULT``, which is what the SMSC says it is, or ``UCS2``."""
    octets: bytes = field(repr=False)
    is_one_of_several: bool = False
    """Whether the octets begin with a header that says which."""


# 3GPP TS 23.038, 6.2.1; the NUL at 0x1B is ESC, which is no character.
_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\0ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = dict(zip("\f^{}\\[~]|€", b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", strict=True))
_OCTETS: Final = {each: bytes([code]) for code, each in enumerate(_BASIC) if each != "\0"} | {
    each: bytes([0x1B, code]) for each, code in _EXTENSION.items()
}


def parts(text: str, charset: Charset, reference: int) -> list[Part]:
    """Cut a text into what one message each can hold, and no character in two.

    Args:
        text: Any.
        charset: What the SMSC takes ``data_coding`` 0 for; what it cannot write goes as UCS-2.
        reference: Tells the parts of this text from those of another to the same number, 0..255.

    Returns:
        One or more; more than ``MOST_PARTS`` cannot be put together again.
    """
    try:
        # The air carries septets of GSM-7, whatever the SMSC is handed: they count.
        units = [(len(_OCTETS[each]), _octets(each, charset)) for each in text]
        coding, single, several = DEFAULT, 160, 153
    except (KeyError, UnicodeEncodeError):
        units = [(len(octets), octets) for octets in (each.encode("utf-16-be", "replace") for each in text)]
        coding, single, several = UCS2, 140, 134
    if sum(size for size, _ in units) <= single:
        return [Part(coding, b"".join(octets for _, octets in units))]
    cut = _fill(units, several)
    # Concatenated short messages with an 8-bit reference, 3GPP TS 23.040, 9.2.3.24.1.
    header = bytes([5, 0, 3, reference, len(cut) & 0xFF])
    return [
        Part(coding, header + bytes([number & 0xFF]) + octets, is_one_of_several=True)
        for number, octets in enumerate(cut, 1)
    ]


def _octets(character: str, charset: Charset) -> bytes:
    return _OCTETS[character] if charset == "gsm" else character.encode(charset)


def _fill(units: list[tuple[int, bytes]], most: int) -> list[bytes]:
    """Fill one part after another."""
    filled, used = [bytearray()], 0
    for size, octets in units:
        if used + size > most:
            filled.append(bytearray())
            used = 0
        filled[-1] += octets
        used += size
    return [bytes(each) for each in filled]
