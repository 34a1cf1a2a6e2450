"""Keys and a first configuration, freshly drawn."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_BASE62 = string.digits + string.ascii_letters

_ID_LENGTH = 12
"""71 bits: two keys of one id do not happen."""

_SECRET_LENGTH = 43
"""256 bits: a secret that needs no slow hash, because nobody can guess it."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """An API key, at the only moment at which it is known."""

    key: str = field(repr=False)
    """``otp_live_<id>_<secret>``, for the caller."""
    entry: str
    """``<id>:<SHA-256>:live:<scopes>``, for ``keys = […]`` of the app."""


def api_key(*, live: bool, scopes: Collection[str]) -> NewApiKey:
    """Draw an API key.

    Args:
        live: A test key never reaches a real provider.
        scopes: Some of ``verify`` and ``read``.
    """
    kind = "live" if live else "test"
    key_id, secret = _draw(_ID_LENGTH), _draw(_SECRET_LENGTH)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return NewApiKey(
        key=f"otp_{kind}_{key_id}_{secret}",
        entry=f"{key_id}:{digest}:{kind}:{','.join(sorted(scopes, reverse=True))}",
    )


def secret_key() -> str:
    """32 random bytes in base64: a key of a ring, the index key or an Ed25519 seed."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def configuration(app: str, brand: str, countries: Collection[str], keys: Collection[NewApiKey]) -> str:
    """Write a configuration that serves on this machine and sends to the development inbox.

    Args:
        app: The first app's name; like the next two, one that the settings take.
        brand: As its users know it.
        countries: ISO 3166 alpha-2, or ``*``.
        keys: API keys of the app.
    """
    entries = "".join(f"  {json.dumps(key.entry)},\n" for key in keys)
    return f"""\
# Written by `otp-service init`; `otp-service config example` shows every setting.
# The keys below are secrets: keep this file private, or move them out with "env:NAME" or "file:PATH".

redis_url = "redis://127.0.0.1:6379/0"
public_url = "http://127.0.0.1:8000"  # what the world calls this service; https:// but on loopback
keyring = ["k1:{secret_key()}"]
index_key = "{secret_key()}"
proof_keys = ["p1:{secret_key()}"]

[apps.{app}]
brand = {json.dumps(brand, ensure_ascii=False)}
countries = {json.dumps(list(countries))}
keys = [
{entries}]

[routes.default]
providers = ["console"]  # the development inbox: it reaches nobody. To send, name a real one: ["twilio"]

[providers.console]

# [providers.twilio]
# account_sid = "env:TWILIO_ACCOUNT_SID"
# auth_token = "env:TWILIO_AUTH_TOKEN"
# sender = "+15017122661"
"""


def _draw(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))
