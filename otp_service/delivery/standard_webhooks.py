"""Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks, symmetric signatures.

Not by the package ``standardwebhooks``: it takes no clock, and to it what is stale is forged.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

from otp_service.delivery.provider import ForgedReceipt

if TYPE_CHECKING:
    from collections.abc import Mapping


class StandardWebhooks:
    """Signs and verifies with one secret.

    Args:
        secret: ``whsec_`` and base64, as ``WebhookSecret`` checks it.
    """

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))

    def headers(self, name: str, moment: int, body: bytes) -> dict[str, str]:
        """The three headers of a request.

        Args:
            name: Of the message; the same when it is sent again.
            moment: Seconds since 1970.
            body: What is sent, to the byte.
        """
        signature = self._signature(name, str(moment), body)
        return {
            "webhook-id": name,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature.decode(),
        }

    def verified(self, headers: Mapping[str, str], body: bytes) -> str:
        """The ``webhook-timestamp`` of a request that our secret signed; its age is for the caller to judge.

        Raises:
            ForgedReceipt: Our secret did not sign this.
        """
        name, moment, signatures = (
            headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature")
        )
        genuine = self._signature(name, moment, body)
        # There are several while a secret is being changed.
        given = signatures.encode(errors="replace").split()
        if not any(hmac.compare_digest(genuine, each) for each in given):
            raise ForgedReceipt
        return moment

    def _signature(self, name: str, moment: str, body: bytes) -> bytes:
        signed = f"{name}.{moment}.".encode(errors="replace") + body
        return b"v1," + base64.b64encode(hmac.digest(self._key, signed, "sha256"))
