"""What every HTTP provider's answer is read with, beside the provider's own table."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from otp_service.delivery.provider import Answer, Outcome

if TYPE_CHECKING:
    import httpx

MAX_TEXT: Final = 200
_REFERENCE: Final = re.compile(r"[!-~]{1,128}")
_NOT_A_WORD: Final = re.compile(r"[^A-Za-z0-9_.:-]|[0-9]{6,}")
"""The longest codes of vendors have five digits; more may be the number, or the code that it got."""


def document(response: httpx.Response) -> dict[str, Any]:
    """The JSON object that a provider answered, empty when it is anything else."""
    try:
        body = response.json()
    except (ValueError, RecursionError):  # 64 KiB of "[" are too deep for the parser
        return {}
    return body if isinstance(body, dict) else {}


def accepted(response: httpx.Response, reference: object, segments: object = None) -> Answer:
    """A message taken, if the provider named it so that it can be found again; else nobody knows.

    Args:
        response: A 2xx.
        reference: The provider's name for the message.
        segments: How many segments the provider counted: an integer or its digits.
    """
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        return refused(response)
    counted = re.fullmatch("[1-9][0-9]?", str(segments))
    return Answer(Outcome.ACCEPTED, reference=reference, segments=int(counted[0]) if counted else None)


def refused(response: httpx.Response, code: object = "", text: object = "") -> Answer:
    """An answer that no table of the provider lists, judged by its status.

    Args:
        response: Whatever it is.
        code: The provider's own code, by which the answer is known to be its own and not a proxy's.
        text: The provider's own words.
    """
    match response.status_code:
        case HTTPStatus.REQUEST_TIMEOUT:
            certain = False  # it gave up reading, having read who knows what
        case HTTPStatus.TOO_MANY_REQUESTS:
            certain = bool(code)  # one that is not the provider's own says nothing about the provider
        case _:
            certain = response.is_client_error
    outcome = Outcome.UNAVAILABLE if certain else Outcome.UNKNOWN
    lasting = response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED}
    return judged(outcome, code or f"http_{response.status_code}", text, lasting=lasting)


def judged(outcome: Outcome, code: object, text: object = "", *, lasting: bool = False) -> Answer:
    """An answer that a table decided, its code and words cut to what ``Answer`` holds."""
    printable = str(text)[:MAX_TEXT].encode(errors="replace").decode()  # JSON can hold half a character
    return Answer(outcome, _NOT_A_WORD.sub("_", str(code))[:32], lasting=lasting, text=printable)
