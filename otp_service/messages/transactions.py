"""What a caller may let the person read about a payment."""

from __future__ import annotations

import re
import unicodedata

from otp_service.errors import InvalidRequest
from otp_service.verification import Transaction

# Tested on the shape of a text, in which a letter is "a" and a digit "9" whatever its script. A dot between
# two of them makes a link on most phones, and so puts the payee's words into the sender's mouth.
_PAYEE = re.compile(r"(?!.*[a9]\.[a9])(?=.*[a9])[a9 .,'&€$£-]{1,50}")
_AMOUNT = re.compile(r"(?!.*(?:a\.[a9]|9\.a))(?=.*9)[a9 .,'&€$£-]{1,20}")


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
    # Marks are the vowels of many scripts. "a" itself must come from here only.
    return "a" if unicodedata.category(character)[0] in "LM" else character


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=({"pointer": pointer, "detail": detail},))
