"""What a caller may let the person read about a payment."""

from __future__ import annotations

import re
import unicodedata

from otp_service.errors import InvalidRequest
from otp_service.verification import Transaction

# Tested on the shape of a text, in which a letter is "a", a mark on one "m" and a digit "9" whatever its
# script. A dot between two of them makes a link on most phones, and so puts the payee's words into the
# sender's mouth; four groups of digits are an IP address, but for thousands.
_PAYEE = re.compile(r"(?!m)(?!.*[am9]\.[am9])(?=.*[a9])[am9 .,'&€$£-]{1,50}")
_ADDRESS = r"9(?!(?:\.9{3}){3}(?!9))(?:\.9{1,3}){3}"
_AMOUNT = re.compile(rf"(?!m)(?!.*(?:[am]\.[am9]|9\.[am]|{_ADDRESS}))(?=.*9)[am9 .,'&€$£-]{{1,20}}")
_BLANK = "\u115f\u1160\u3164\uffa0"
"""Letters that show nothing: the fillers of Hangul."""


def read_transaction(payee: str, amount: str) -> Transaction:
    """Check what a caller wants the person to read; nothing else of a request reaches the text.

    Args:
        payee: 1 to 50 letters, digits, spaces and ``.,'&-€$£``, no dot between two letters or digits.
        amount: 1 to 20 of the same with at least one digit; a dot may stand between two digits.

    Raises:
        InvalidRequest: Either is something else.
    """
    payee, amount = (unicodedata.normalize("NFC", text) for text in (payee, amount))
    allowed = "letters, digits, spaces and .,'&-€$£"
    if not _PAYEE.fullmatch(_shape(payee)):
        raise _invalid("/transaction/payee", f"1 to 50 {allowed}; no dot between two letters or digits.")
    if not _AMOUNT.fullmatch(_shape(amount)):
        raise _invalid(
            "/transaction/amount", f"1 to 20 {allowed}, with a digit; a dot only between two digits."
        )
    return Transaction(payee, amount)


def _shape(text: str) -> str:
    return "".join(map(_kind, text))


def _kind(character: str) -> str:
    if character.isdecimal():
        return "9"
    if character in _BLANK:
        return "?"
    # Marks are the vowels of many scripts. "a" and "m" themselves must come from here only.
    return {"L": "a", "M": "m"}.get(unicodedata.category(character)[0], character)


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=({"pointer": pointer, "detail": detail},))
