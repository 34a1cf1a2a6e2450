"""A phone number in its one form: E.164, region and line type; and the mask under which it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from otp_service.errors import InvalidNumber

if TYPE_CHECKING:
    from collections.abc import Container


class LineType(StrEnum):
    """What kind of line a number is, as far as its digits tell."""

    MOBILE = "mobile"
    FIXED = "fixed"
    FIXED_OR_MOBILE = "fixed_or_mobile"
    VOIP = "voip"
    PERSONAL = "personal"
    UNKNOWN = "unknown"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    TOLL_FREE = "toll_free"
    UAN = "uan"
    PAGER = "pager"
    VOICEMAIL = "voicemail"
    SATELLITE = "satellite"
    """Satellite networks and the other ranges of no country."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A number that can exist; equal numbers have equal ``e164``, however they were written."""

    e164: str = field(repr=False)
    """With the plus sign. Kept out of the repr, which may reach a log."""
    region: str
    """ISO 3166 alpha-2; ``001`` for a range of no country."""
    line_type: LineType
    calling_code: int
    """Country calling code, 1..999."""


LONGEST_SPELLING = 32
"""Characters: the 15 digits of E.164, the plus sign, and a separator for each digit."""

_SHORTEST_MOBILE = 7
"""Where no example of a country's mobile numbers is known."""

_SEPARATORS = str.maketrans("", "", " -.()[]")
_DIGITS = re.compile(r"\+?[0-9]+")  # not \d, which takes digits of every script

# ITU-T E.164: Inmarsat, UPT, GMSS, international networks, OCHA, premium, freephone, shared cost.
# By prefix, because libphonenumber calls some of them mobile.
_NO_COUNTRY = frozenset({800, 808, 870, 878, 881, 882, 883, 888, 979})

# Two spellings in use for one mobile, told apart by a digit after the calling code; each as the one dialled
# from abroad. Mexico dropped its 1 in 2019 (IFT, Plan de Numeración); Argentina's mobiles have a 9 (ENACOM),
# and its fixed and mobile numbers share their area codes, so a number without the 9 may be the same mobile.
_ONE_SPELLING = {52: (re.compile(r"1([0-9]{10})"), r"\1"), 54: (re.compile(r"([0-9]{10})"), r"9\1")}

_LINE_TYPES = {
    PhoneNumberType.FIXED_LINE: LineType.FIXED,
    PhoneNumberType.MOBILE: LineType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: LineType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: LineType.PREMIUM,
    PhoneNumberType.SHARED_COST: LineType.SHARED_COST,
    PhoneNumberType.VOIP: LineType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: LineType.PERSONAL,
    PhoneNumberType.PAGER: LineType.PAGER,
    PhoneNumberType.UAN: LineType.UAN,
    PhoneNumberType.VOICEMAIL: LineType.VOICEMAIL,
}


def parse(text: str, region: str | None = None, known: Container[str] = ()) -> Phone:
    """Read a number as a person writes it.

    Args:
        text: E.164, or national digits with ``region``; at most 32 characters. ASCII spaces, dashes, dots and
            brackets are dropped; nothing else but digits and one leading plus sign is taken.
        region: ISO 3166 alpha-2 in capitals, the country a number without a plus sign is dialled from.
        known: Numbers in E.164 that are taken although they cannot exist.

    Raises:
        InvalidNumber: The spelling is not taken, or no such number can exist. It never repeats the number.
    """
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise _invalid("/region", "A region is an ISO 3166 alpha-2 code in capitals, such as EE.")
    if len(text) > LONGEST_SPELLING:
        raise _invalid("/to", f"A number has at most {LONGEST_SPELLING} characters.")
    digits = text.translate(_SEPARATORS)
    if not _DIGITS.fullmatch(digits):
        raise _invalid("/to", "Write digits 0-9 after at most one plus sign; no letters and no extension.")
    if region is None and not digits.startswith("+"):
        raise _invalid("/to", "Begin with a plus sign and the country calling code, or give the region.")
    number = _read(digits, region, known)
    if number is None:
        raise _invalid("/to", "No such number exists; check the digits and the country.")
    return _phone(number)


def prefix(text: str) -> str:
    """Read the beginning of numbers, at least three digits short of one, so that it names nobody.

    Args:
        text: A plus sign and digits, separators as in ``parse``.

    Raises:
        InvalidNumber: It is none, or too long.
    """
    digits = text.translate(_SEPARATORS)
    if not re.fullmatch(r"\+[1-9][0-9]{0,14}", digits):
        raise _invalid("/to", "Write a plus sign and the first digits of a number.")
    code = _calling_code(digits)
    if code and len(digits) - len(code) > _mobile_length(int(code)) - 3:
        raise _invalid("/to", "Neither a number nor a prefix: a prefix lacks at least three digits.")
    return digits


def mask(e164: str) -> str:
    """Show which country a number is of and its last digits, at most three and fewer than half.

    Args:
        e164: A number with its plus sign; anything else is hidden whole.
    """
    code = _calling_code(e164)
    if code is None:
        return "***"
    national = e164[len(code) :]
    shown = min(3, max(0, len(national) // 2 - 1))
    hidden = len(national) - shown
    return code + "*" * hidden + national[hidden:]


def block(e164: str) -> str:
    """The prefix of a number's block: the 1,000 numbers that differ from it in the last three digits."""
    return e164[:-3]


def _read(digits: str, region: str | None, known: Container[str]) -> PhoneNumber | None:
    try:
        written = phonenumbers.parse(digits, region)
    except NumberParseException:
        return None
    if _e164(written) in known:
        return written
    number = _one_spelling(written)
    return number if phonenumbers.is_valid_number(number) else None


def _one_spelling(number: PhoneNumber) -> PhoneNumber:
    pattern, template = _ONE_SPELLING.get(number.country_code or 0, (None, ""))
    national = phonenumbers.national_significant_number(number)
    if pattern is None or not pattern.fullmatch(national):
        return number
    other = PhoneNumber(number.country_code, int(pattern.sub(template, national)))
    return other if phonenumbers.is_valid_number(other) else number


def _phone(number: PhoneNumber) -> Phone:
    calling_code = number.country_code or 0
    line_type = _LINE_TYPES.get(phonenumbers.number_type(number), LineType.UNKNOWN)
    return Phone(
        e164=_e164(number),
        region=phonenumbers.region_code_for_number(number) or "",
        line_type=LineType.SATELLITE if calling_code in _NO_COUNTRY else line_type,
        calling_code=calling_code,
    )


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _calling_code(e164: str) -> str | None:
    if not re.fullmatch(r"\+[0-9]+", e164):
        return None
    codes = (e164[:end] for end in (2, 3, 4))
    return next((code for code in codes if int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), None)


def _mobile_length(calling_code: int) -> int:
    """National digits of a country's usual mobile numbers."""
    region = phonenumbers.region_code_for_country_code(calling_code)
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    return len(phonenumbers.national_significant_number(example)) if example else _SHORTEST_MOBILE


def _invalid(pointer: str, detail: str) -> InvalidNumber:
    return InvalidNumber(detail, errors=({"pointer": pointer, "detail": detail},))
