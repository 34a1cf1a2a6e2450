"""Right-to-left texts that read right, with names and numbers of the other direction in them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The blocks of right-to-left scripts (Unicode, DerivedBidiClass.txt: R and AL by default).
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]"
)

# A value before the first letter sets the direction of the whole text, but for the code, which is digits; two
# with no letter between them run together.
_EXPOSED = re.compile(r"^[\W\d_]*\{(?!code\})|\}[\W\d_]*\{")

_FIRST_STRONG_ISOLATE, _POP_DIRECTIONAL_ISOLATE = "\u2068", "\u2069"


def kept_in_order(template: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Isolate each value that the letters around it would tear apart or carry off (UAX #9, 2.4).

    Nothing is added to a text without right-to-left letters, which may so stay in GSM-7.

    Args:
        template: The text with its placeholders.
        values: What they stand for, none empty; ``code`` is digits.
    """
    if not _RIGHT_TO_LEFT.search("".join((template, *values.values()))):
        return values
    exposed = _EXPOSED.search(template)
    return {
        name: value if value.isdecimal() or (_is_whole(value) and not exposed) else _isolated(value)
        for name, value in values.items()
    }


def _is_whole(value: str) -> bool:
    """Whether it begins and ends with letters of one direction: "Acme" does, "Acme+" and "12 EUR" do not."""
    ends = {unicodedata.bidirectional(value[0]), unicodedata.bidirectional(value[-1])}
    return ends == {"L"} or ends <= {"R", "AL"}


def _isolated(value: str) -> str:
    return f"{_FIRST_STRONG_ISOLATE}{value}{_POP_DIRECTIONAL_ISOLATE}"
