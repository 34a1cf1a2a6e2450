"""The address that a provider reports to: it names the send, and nobody can guess it."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

from otp_service.verification import Try, VerificationId

if TYPE_CHECKING:
    from otp_service.keyring import Keyring

PATH: Final = "/v1/receipts"
_ID_BYTES: Final = 16
_MAC_BYTES: Final = 14
"""112 bits, which makes the token 32 bytes, or 52 characters."""


class ReceiptUrls:
    """Makes and reads the addresses; there is nothing to store, because a token proves itself.

    Args:
        public_url: Where this service is reached from outside, or None.
        keyring: Its index key signs, so a rotation of the ring leaves messages under way their address.
    """

    def __init__(self, public_url: str | None, keyring: Keyring) -> None:
        self._public_url = public_url
        self._keyring = keyring

    def url(self, provider: str, token: str = "") -> str | None:
        """Where a provider reports: on the message of a token, or, without one, on all of them."""
        if self._public_url is None:
            return None
        return f"{self._public_url}{PATH}/{provider}" + (f"/{token}" if token else "")

    def token(self, provider: str, attempt: Try) -> str:
        """What names a try to a provider: 52 of ``[a-z2-7]``."""
        body = attempt.id.raw + bytes([attempt.send, attempt.attempt])
        mac = self._keyring.index("receipt", provider, body)[:_MAC_BYTES]
        return base64.b32encode(body + mac).decode().rstrip("=").lower()

    def read(self, provider: str, token: str) -> Try | None:
        """The try that a token names, or None when it is not one of ours for this provider."""
        if not token.isascii():  # some letters of Unicode have a capital in ASCII
            return None
        try:
            raw = base64.b32decode(token.upper() + "====")
        except (ValueError, binascii.Error):
            return None
        if len(raw) != _ID_BYTES + 2 + _MAC_BYTES:
            return None
        found = Try(VerificationId(raw[:_ID_BYTES]), raw[_ID_BYTES], raw[_ID_BYTES + 1])
        if hmac.compare_digest(self.token(provider, found), token):
            return found
        return None
