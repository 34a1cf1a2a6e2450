"""How many SMS segments a text takes (3GPP TS 23.038 alphabets, TS 23.040 concatenation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"
_SEPTETS = dict.fromkeys(_BASIC, 1) | dict.fromkeys(_EXTENSION, 2)  # ESC comes before an extension character


@dataclass(frozen=True, slots=True)
class Segments:
    """The size of a text on the wire."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    """Septets of GSM-7, 16-bit units of UCS-2."""
    count: int
    """Messages that are paid for, 1 or more."""


def segments(text: str) -> Segments:
    """Size a text; one segment holds 140 bytes, each part of a longer text 6 less for its header.

    Args:
        text: Of any length, in NFC: a decomposed accent is not in GSM-7.
    """
    if _SEPTETS.keys() >= set(text):
        return _sized("GSM-7", [_SEPTETS[character] for character in text], single=160, part=153)
    # UTF-16 in fact: a character beyond U+FFFF is a surrogate pair.
    return _sized("UCS-2", [1 + (character > "\uffff") for character in text], single=70, part=67)


def _sized(encoding: Literal["GSM-7", "UCS-2"], sizes: list[int], *, single: int, part: int) -> Segments:
    units = sum(sizes)
    return Segments(encoding, units, 1 if units <= single else _parts(sizes, part))


def _parts(sizes: Iterable[int], part: int) -> int:
    """Fill one part after another; a character of two units is never cut by a border."""
    count, used = 1, 0
    for size in sizes:
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return count
