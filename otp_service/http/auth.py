"""API keys: ``Authorization: Bearer otp_live_<key id>_<secret>``."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service.errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otp_service.settings import ApiKey, AppSettings

_BEARER = re.compile(r"(?i:bearer) +otp_(live|test)_([0-9A-Za-z]{1,32})_([0-9A-Za-z]{1,128})")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an app, by one of its keys."""

    app: AppSettings
    key: ApiKey

    @property
    def test(self) -> bool:
        """Whether it calls with a test key, which reaches no phone."""
        return not self.key.live

    def require(self, *scopes: str) -> None:
        """Let a key with one of the scopes pass.

        Raises:
            Forbidden: It has none of them.
        """
        if self.key.scopes.isdisjoint(scopes):
            raise Forbidden(f"This API key lacks the scope {scopes[0]}. Create one that has it.")


class Keys:
    """All API keys of the configuration; only the SHA-256 of each secret is known here."""

    def __init__(self, apps: Iterable[AppSettings]) -> None:
        self._callers = {key.id: Caller(app, key) for app in apps for key in app.keys}

    def find(self, authorization: str | None) -> Caller | None:
        """The caller that an Authorization header proves, or None: unknown, revoked and wrong look alike."""
        presented = _BEARER.fullmatch(authorization or "")
        if presented is None:
            return None
        kind, key_id, secret = presented.groups()
        caller = self._callers.get(key_id)
        digest = hashlib.sha256(secret.encode()).digest()
        known = caller.key.digest if caller else bytes(32)
        right = hmac.compare_digest(digest, known)
        return caller if right and caller and caller.key.live == (kind == "live") else None


def authenticated(caller: Caller | None) -> Caller:
    """A caller that is one.

    Raises:
        Unauthenticated: It is none.
    """
    if caller is None:
        raise Unauthenticated(
            "Send an API key as 'Authorization: Bearer otp_live_…'; `otp-service keys create` makes one."
        )
    return caller
