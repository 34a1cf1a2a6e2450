"""Our word for what a call that is not HTTP died of; ``transport`` has its own, finer table."""

from __future__ import annotations

import socket
import ssl
from typing import Final

BEFORE_TEXT: Final = 2 / 3
"""How much of a call's time may go by before the text is on its way: what lasts longer is given up while it
is certain that nothing went out, and the rest is for the answer to the text."""

# The first row that fits decides.
_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ssl.SSLCertVerificationError, "bad_certificate"),
    (ssl.SSLError, "tls_failed"),
    (socket.gaierror, "no_such_host"),
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "connect_failed"),
    (ConnectionError, "closed"),
    (EOFError, "closed"),
    (OSError, "connect_failed"),
    (Exception, "call_failed"),
)


def word_for(failure: Exception) -> str:
    """Name a failure, or what it came from where a library has wrapped it.

    Args:
        failure: Whatever was raised.
    """
    origin = failure.__cause__ if isinstance(failure.__cause__, Exception) else failure
    return next(word for kind, word in _WORDS if isinstance(origin, kind))
