"""Everything that can be checked without sending a message or writing to Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otp_service.doctor.finding import Finding, fail, ok, warn
from otp_service.doctor.providers import of_providers
from otp_service.doctor.redis import of_redis
from otp_service.settings import SettingsError, not_in_force

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from otp_service.settings import Settings


async def examine(
    read: Callable[[], Settings], now: Callable[[], float] = time.time
) -> AsyncIterator[Finding]:
    """Check everything that can be checked without sending a message or writing to Redis.

    Args:
        read: Reads the configuration.
        now: This machine's clock, in seconds since 1970.
    """
    try:
        settings = read()
        settings.require_serving()
    except SettingsError as error:
        for fault in error.faults:
            yield fail(fault)
        return
    yield ok("settings: sound, and all that serving needs is there")
    for sentence in not_in_force(settings):
        yield warn(sentence)
    async for finding in of_redis(settings, now):
        yield finding
    for finding in (*_keys(settings), *_apps(settings), *_public_url(settings)):
        yield finding
    async for finding in of_providers(settings):
        yield finding


def _keys(settings: Settings) -> Iterator[Finding]:
    for name, ring in (("keyring", settings.keyring), ("proof_keys", settings.proof_keys)):
        first, *old = (key.id for key in ring)
        kept = f", {', '.join(old)} still counts" if old else ""
        yield ok(f"{name}: {first} signs{kept}")


def _apps(settings: Settings) -> Iterator[Finding]:
    for name, app in settings.apps.items():
        if any(key.live for key in app.keys):
            yield ok(f"apps.{name}: has a live API key, and every text fits one segment")
        else:
            yield warn(f"apps.{name}: has test keys only, which reach nobody; run otp-service keys create")
        if "*" in app.countries:
            yield warn(f"apps.{name}: sends to every country, which invites pumping; list those you serve")


def _public_url(settings: Settings) -> Iterator[Finding]:
    if urlsplit(settings.public_url or "").scheme == "https":
        yield ok("public_url: is https")
    else:
        yield warn("public_url: is http on loopback; set the https:// address that the world calls")
