"""What callbacks are read with, beside each provider's own signature and table."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from otp_service.delivery.answers import judged
from otp_service.delivery.provider import ForgedReceipt, Outcome, Receipt, ReceiptState

MAX_AGE: Final = 300
"""Seconds between signing and reading, both ways: the limit of Standard Webhooks and of Telnyx's SDK, and
ours where a vendor names none."""
MAX_FIELDS: Final = 100
"""A receipt has about twenty; more would be work for nothing before the signature is known."""


def form(text: str | bytes) -> list[tuple[str, str]]:
    """The fields of a form or a query, in their order.

    Raises:
        ForgedReceipt: It is neither, so it has no fields that a signature could cover.
    """
    try:
        ascii_only = text if isinstance(text, str) else text.decode("ascii")
        return parse_qsl(ascii_only, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise ForgedReceipt from None


def is_recent(timestamp: str, now: float) -> bool:
    """Whether something was signed at most ``MAX_AGE`` ago, or so early.

    Args:
        timestamp: Seconds since 1970 in digits; anything else is no time.
        now: The same.
    """
    return re.fullmatch("[0-9]{1,12}", timestamp) is not None and abs(now - int(timestamp)) <= MAX_AGE


def receipt(state: ReceiptState, outcome: Outcome, code: object, token: str = "") -> Receipt:
    """A receipt; of a failed one, what a table says of its code.

    Args:
        state: What became of the message.
        outcome: Of the table, in case it failed. What left the fate of a message open when it was sent is
            settled by its failure, so `unknown` is `unavailable` here.
        code: The provider's own.
        token: As in ``Receipt``.
    """
    if state is not ReceiptState.FAILED:
        return Receipt(state, token=token)
    settled = Outcome.UNAVAILABLE if outcome is Outcome.UNKNOWN else outcome
    return Receipt(state, settled, judged(settled, code).reason, token)
