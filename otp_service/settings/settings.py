"""The whole configuration as one object."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from otp_service.settings.addresses import HttpsUrl, Listen, Network, RedisUrl  # noqa: TC001 - pydantic reads them
from otp_service.settings.readers import only, whole
from otp_service.settings.sections import (
    AppSettings,
    GuardSettings,
    LimitSettings,
    OperatorSettings,
    ProviderSettings,
    RouteSettings,
    Section,
)
from otp_service.settings.texts import Name  # noqa: TC001 - likewise
from otp_service.settings.values import Cap, Key, Ring  # noqa: TC001 - likewise


class SettingsError(Exception):
    """A configuration that cannot be used.

    Args:
        faults: All that is wrong with it, a sentence each that begins with the setting; never a secret.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Settings(Section):
    """Everything an operator decides, read once and passed down."""

    redis_url: RedisUrl | None = Field(default=None, repr=False)
    """May hold a password."""
    public_url: HttpsUrl | None = None
    """No slash at its end. Receipts and proofs are built from it, never from Host headers."""
    keyring: Ring = Field(default=(), repr=False)
    """Newest first: the first hashes and seals."""
    index_key: Key | None = Field(default=None, repr=False)
    """32 bytes: HMAC of numbers in Redis keys; not rotated with the ring."""
    proof_keys: Ring = Field(default=(), repr=False)
    """Ed25519 seeds (RFC 8032); the first signs."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose X-Forwarded-For is believed."""
    hash_profile: Literal["owasp", "keyed", "test"] = "owasp"
    """A named cost of Argon2id, see ``codes.PROFILES``."""
    hash_queue: Annotated[int, whole(0, 10_000)] = 32
    """Callers that may wait for a thread of the hash pool; past it the answer is 503 ``overloaded``."""
    shards: Annotated[int, only(64, "ids of this version name one of 64")] = 64
    min_replicas: Annotated[int, only(0, "waiting for replicas is not in this version")] = 0
    allow_unsafe_redis: bool = Field(default=False, strict=True)
    """Start even if Redis may evict or forget."""
    metrics_listen: Listen = "127.0.0.1:9464"
    """9464 is OpenTelemetry's port for Prometheus exporters."""
    record_ttl_seconds: Annotated[int, whole(600, 2_592_000)] = 86_400
    """How long a closed verification stays readable."""
    idempotency_ttl_seconds: Annotated[int, whole(60, 604_800)] = 3600
    """How long a stored answer is kept for a repeated Idempotency-Key."""
    spend_cap: Cap | None = None
    """Money a day, over all apps."""
    limits: LimitSettings = LimitSettings()
    guard: GuardSettings = GuardSettings()
    operators: dict[Name, OperatorSettings] = Field(default_factory=dict)
    apps: dict[Name, AppSettings] = Field(default_factory=dict)
    routes: dict[Name, RouteSettings] = Field(default_factory=dict)
    providers: dict[Name, ProviderSettings] = Field(default_factory=dict)

    @field_validator("apps", mode="before")
    @classmethod
    def _name_apps(cls, tables: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        return _with_key(tables, "name")

    @field_validator("providers", mode="before")
    @classmethod
    def _type_providers(cls, tables: Any) -> Any:  # noqa: ANN401 - likewise
        return _with_key(tables, "type")

    def app(self, name: str | None) -> AppSettings:
        """The app of that name; the only one, where none is given.

        Raises:
            SettingsError: There is no such app, or there are several.
        """
        if name is None and len(self.apps) == 1:
            return next(iter(self.apps.values()))
        if name not in self.apps:
            raise SettingsError((f"--app: must be one of {', '.join(sorted(self.apps))}",))
        return self.apps[name]

    def require_serving(self) -> None:
        """Refuse to serve with what ``otp-service dev`` would make for itself.

        Raises:
            SettingsError: Names all that is missing.
        """
        needed = ("redis_url", "public_url", "keyring", "index_key", "proof_keys", "apps")
        faults = [f"{name}: required to serve" for name in needed if not getattr(self, name)]
        faults += [f"apps.{app.name}.keys: required to serve" for app in self.apps.values() if not app.keys]
        if faults:
            raise SettingsError((*faults, "`otp-service init` writes a configuration that has all of these"))


def _with_key(tables: Any, field: str) -> Any:  # noqa: ANN401 - likewise
    """Tell each table what it is called."""
    if not isinstance(tables, dict):
        return tables
    return {key: {field: key} | table if isinstance(table, dict) else table for key, table in tables.items()}
